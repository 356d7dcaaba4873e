//! No queue of a node exceeds its limit.

use std::collections::BTreeMap;

use super::tally::{Finding, Tally};
use crate::identity::HostId;
use crate::node::Node;
use crate::time::Timestamp;

/// Collecting the lengths walks through much of a node, so it is done once in this time, in microseconds.
const LOOK_EVERY_US: u64 = 250_000;

#[derive(Debug, Default)]
pub(super) struct Queues {
    looked: BTreeMap<HostId, Timestamp>,
    tally: Tally,
}

impl Queues {
    pub fn look(&mut self, host: HostId, at: Timestamp, node: &Node) {
        if self.looked.get(&host).is_some_and(|looked| at.0.saturating_sub(looked.0) < LOOK_EVERY_US) {
            return;
        }
        self.looked.insert(host, at);
        for queue in node.queues() {
            self.tally.check(at, queue.is_within_limit(), || {
                format!("node {host} has {} {}; its limit is {}", queue.len, queue.name, queue.limit)
            });
        }
    }

    pub fn finding(self) -> Finding {
        self.tally.finding("queues", "No queue of a node exceeds its limit.")
    }
}
