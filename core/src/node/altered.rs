//! Messages of other nodes that were altered in transit. They are dropped, and the sender sends them again as if they
//! had been lost. This module counts them and reports them at a limited rate.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::out::Out;
use crate::identity::HostId;
use crate::time::Instant;

/// Delay before altered messages of the same node are reported again.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// When altered messages were last reported, by the sending node.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Altered(BTreeMap<HostId, Instant>);

impl Altered {
    /// Counts a message from `from` to `me`. `what`: the altered part, if it has a checksum of its own; `None`: the
    /// whole message.
    pub fn handle_altered(&mut self, now: Instant, me: HostId, from: HostId, what: Option<String>, out: &mut Out) {
        out.counters.frames_altered += 1;
        if self.0.get(&from).is_some_and(|told| now.since(*told) < TELL_AGAIN) {
            return;
        }
        self.0.insert(from, now);
        let what = what.unwrap_or_else(|| "checksum mismatch".into());
        out.warn(format!(
            "a message from node {from} was altered in transit to node {me} and was dropped ({what}); it is sent \
             again. If this happens repeatedly, check the path between the two: proxy, cable, memory \
             (`frames_altered` counts these messages)"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_counted_and_one_in_a_while_is_reported() {
        let [me, from, other] = ["00", "01", "10"].map(|text| text.parse().unwrap());
        let (mut altered, mut out) = (Altered::default(), Out::default());
        let told = [(0, from), (1, from), (1, other), (31, from)].map(|(second, from)| {
            altered.handle_altered(Instant(second * 1_000_000), me, from, None, &mut out);
            out.poll_part_effect().is_some()
        });
        assert_eq!((told, out.counters.frames_altered), ([true, false, true, true], 4));
    }
}
