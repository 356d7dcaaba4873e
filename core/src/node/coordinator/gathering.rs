//! The state of a request that asks several nodes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::vocabulary::About;
use crate::cube::Vertex;
use crate::identity::HostId;
use crate::names::{Offset, TopicName};
use crate::time::Instant;
use crate::wire::answer::TopicSummary;

#[derive(Serialize, Deserialize)]
pub(super) struct Gathering {
    pub what: What,
    /// The replicas or groups that are not asked yet because they are not reachable.
    pub unasked: BTreeSet<About>,
    /// Asks without an answer yet, with their tokens.
    pub outstanding: BTreeMap<About, u64>,
    pub until: Instant,
}

#[derive(Serialize, Deserialize)]
pub(super) enum What {
    Location { topic: TopicName, holdings: BTreeMap<HostId, (Option<Offset>, bool)> },
    Topics { found: Vec<TopicSummary>, missing: Vec<Vertex> },
}

impl Gathering {
    /// Whether the gathering can end. A location needs one replica and does not wait for unreachable ones; the topics
    /// need every group.
    pub fn is_complete(&self, now: Instant) -> bool {
        let has_all = match &self.what {
            What::Location { holdings, .. } => !holdings.is_empty(),
            What::Topics { .. } => self.unasked.is_empty(),
        };
        (self.outstanding.is_empty() && has_all) || now >= self.until
    }
}
