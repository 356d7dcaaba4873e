//! The state of the views below the cube: each has its own part.

use std::rc::Rc;

use super::charts::Charts;
use super::cluster::Cluster;
use super::feed::Feed;
use super::invariants::Invariants;
use super::load::Load;
use super::shared::Shared;
use super::spacetime::Recorder;
use super::topics::TopicBook;
use super::traffic::Traffic;
use super::view::CloserTab;
use super::xray::Xray;

/// The state of the panel's tabs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Closer {
    /// The open tab.
    pub tab: CloserTab,
    /// The replica X-ray of the chosen topic.
    pub xray: Shared<Xray>,
    /// The invariant checkers.
    pub invariants: Shared<Invariants>,
    /// Recorded events and the traced requests.
    pub recorder: Shared<Recorder>,
    /// Time series of the charts tab.
    pub charts: Shared<Charts>,
    /// The load generator's state.
    pub load: Shared<Load>,
    /// The picture at the first violation, until the user dismisses it.
    pub frozen: Option<Rc<Frozen>>,
}

/// What the page showed of the cluster when an invariant was violated.
#[derive(Clone, PartialEq, Debug)]
pub struct Frozen {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    pub cluster: Shared<Cluster>,
    pub topics: Shared<TopicBook>,
    pub traffic: Shared<Traffic>,
    pub feed: Shared<Feed>,
    pub xray: Shared<Xray>,
}

impl Closer {
    /// Whether the passing of time alone changes the display.
    pub(super) fn changes_by(&self, before_ms: u64, now_ms: u64) -> bool {
        const STEP_MS: u64 = 250;
        let is_stepped = now_ms / STEP_MS != before_ms / STEP_MS;
        self.recorder.is_following() || (self.tab == CloserTab::Xray && self.xray.changes_by_time() && is_stepped)
    }
}
