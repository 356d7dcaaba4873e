//! Asks that were rejected with "not by this node; nothing was done", and of which a copy may still arrive.
//!
//! A frame can arrive twice or late. Once the first copy of an ask was rejected, its coordinator may have reported to
//! its client that nothing was done, so a later copy must not be performed. (The coordinator's own next ask has another
//! token.)

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::super::queues::Queue;
use super::super::vocabulary::Requester;
use crate::identity::HostId;

/// How many of the newest rejected asks are remembered. A copy of an older one would be performed.
const REMEMBERED: usize = 4_096;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Rejected {
    known: BTreeSet<(HostId, u64)>,
    /// All of `known`, oldest first.
    order: VecDeque<(HostId, u64)>,
}

impl Rejected {
    /// Remembers a rejected ask. If there are too many, the oldest is forgotten.
    pub fn note(&mut self, requester: &Requester) {
        let ask = (requester.host, requester.token);
        if !self.known.insert(ask) {
            return;
        }
        self.order.push_back(ask);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether this ask was rejected recently.
    pub fn has(&self, requester: &Requester) -> bool {
        self.known.contains(&(requester.host, requester.token))
    }

    /// The number of remembered asks, and its limit.
    pub fn queue(&self) -> Queue {
        Queue::of("requests rejected recently", self.known.len(), REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_each_once() {
        let requester = |token| Requester { host: "01".parse().unwrap(), token, trace: None };
        let mut rejected = Rejected::default();
        for token in (0..REMEMBERED as u64 + 2).flat_map(|token| [token, token]) {
            rejected.note(&requester(token));
        }
        assert!(rejected.queue().is_within_limit());
        assert_eq!(
            [0, 1, 2, REMEMBERED as u64].map(|token| rejected.has(&requester(token))),
            [false, false, true, true]
        );
        let elsewhere = Requester { host: "10".parse().unwrap(), ..requester(2) };
        assert!(!rejected.has(&elsewhere));
    }
}
