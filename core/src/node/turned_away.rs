//! Asks that were rejected with "not by this node; nothing was done", and of which a copy may still arrive.
//!
//! A frame can arrive twice or late. Once the first copy of an ask was rejected, its origin may have reported to its
//! client that nothing was done, so a later copy must not be performed. (The origin's own next ask has another token.)

use std::collections::{BTreeSet, VecDeque};

use super::queues::Queue;
use super::serve::Asker;
use crate::cube::Vertex;

/// How many of the newest rejected asks are remembered. A copy of an older one would be performed.
const REMEMBERED: usize = 4_096;

#[derive(Default)]
pub(super) struct TurnedAway {
    known: BTreeSet<(Vertex, u64)>,
    /// All of `known`, oldest first.
    order: VecDeque<(Vertex, u64)>,
}

impl TurnedAway {
    pub fn note(&mut self, asker: &Asker) {
        let ask = (asker.vertex, asker.token);
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

    pub fn has(&self, asker: &Asker) -> bool {
        self.known.contains(&(asker.vertex, asker.token))
    }

    pub fn queue(&self) -> Queue {
        Queue::of("requests rejected recently", self.known.len(), REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_each_once() {
        let asker = |token| Asker { vertex: "01".parse().unwrap(), token, trace: None };
        let mut turned_away = TurnedAway::default();
        for token in (0..REMEMBERED as u64 + 2).flat_map(|token| [token, token]) {
            turned_away.note(&asker(token));
        }
        assert!(turned_away.queue().is_within_limit());
        assert_eq!(
            [0, 1, 2, REMEMBERED as u64].map(|token| turned_away.has(&asker(token))),
            [false, false, true, true]
        );
        let elsewhere = Asker { vertex: "10".parse().unwrap(), ..asker(2) };
        assert!(!turned_away.has(&elsewhere));
    }
}
