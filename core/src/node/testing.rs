//! Helpers for the tests of several parts.

use super::NodeConfig;
use super::out::{Beginning, Out, PartEffect};
use super::view::View;
use crate::bugs::Bugs;
use crate::cube::Dimension;
use crate::group::{GroupConfig, LogLimits};
use crate::identity::{HostId, Member};
use crate::seating::Seating;
use crate::store::{NodeRecord, Recovered};
use crate::time::{Instant, Now, Timestamp};
use crate::wire::limits::Limits;

/// Time zero of both clocks.
pub const NOW: Now = Now { monotonic: Instant(0), wall: Timestamp(0) };

/// Node 0 of a cube of two.
pub fn config() -> NodeConfig {
    NodeConfig {
        host: "0".parse().unwrap(),
        seating: Seating::founding(Dimension::new(1).unwrap()),
        addresses: Vec::new(),
        allow_faults: false,
        seed: 1,
        sync: "always".into(),
        version: "test".into(),
        limits: Limits::default(),
        observe_all: false,
        log: LogLimits::default(),
        bug: None,
    }
}

/// A node without groups that sees no other.
pub fn view() -> View {
    View::new(config(), NOW)
}

/// A member of both groups of a cube of two, without a leader.
pub fn serving_view() -> View {
    let mut view = view();
    let identity = Member::founding(view.me);
    let record = NodeRecord { identity: Some(identity), host: view.me, starts: 0, met: Vec::new() };
    let recovered = Recovered { record: Some(record), ..Recovered::default() };
    view.lifecycle.start(NOW, recovered, false, None, &mut Out::default());
    view.written = view.lifecycle.started_in();
    view.groups.form(NOW.monotonic, founding_groups(&view.seating, view.me), Beginning::Founding);
    view
}

/// The founding member on this host of each of its groups.
pub fn founding_groups(seating: &Seating, host: HostId) -> impl Iterator<Item = GroupConfig> {
    let (me, limits, bugs) = (Member::founding(host), LogLimits::default(), Bugs::default());
    seating.groups_of(host).map(move |id| GroupConfig { id, hosts: seating.members(id), me, seed: 1, limits, bugs })
}

/// All effects on other parts so far.
pub fn part_effects(out: &mut Out) -> Vec<PartEffect> {
    std::iter::from_fn(|| out.poll_part_effect()).collect()
}
