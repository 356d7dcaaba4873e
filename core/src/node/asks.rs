//! Asks of this node that await a reply. The token of a reply tells for which part it is.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::queues::Queue;
use super::vocabulary::AskedFor;
use crate::time::Instant;

/// Most asks that await a reply. Beyond this, the oldest is dropped as if its reply were lost.
const MAX_ASKS: usize = 262_144;
/// Age at which an ask is dropped: its reply was lost, or the request has ended.
const FORGET_AFTER: Duration = Duration::from_secs(10);

/// See the [module](self).
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Asks(BTreeMap<u64, Ask>);

#[derive(Serialize, Deserialize)]
struct Ask {
    asked_for: AskedFor,
    since: Instant,
}

impl Asks {
    /// Remembers an ask until its reply arrives. If there are too many, the oldest is dropped.
    pub fn insert(&mut self, now: Instant, token: u64, asked_for: AskedFor) {
        if self.0.len() >= MAX_ASKS {
            // Tokens increase over time, so the first is the oldest.
            self.0.pop_first();
        }
        self.0.insert(token, Ask { asked_for, since: now });
    }

    /// Takes the ask that a reply answers. `None`: the reply is late, or a copy.
    pub fn take(&mut self, token: u64) -> Option<AskedFor> {
        self.0.remove(&token).map(|ask| ask.asked_for)
    }

    /// The reply is no longer needed.
    pub fn forget(&mut self, token: u64) {
        self.0.remove(&token);
    }

    /// Drops the asks whose replies are no longer expected.
    pub fn handle_time(&mut self, now: Instant) {
        // Tokens increase over time.
        while let Some(oldest) = self.0.first_entry().filter(|ask| now.since(ask.get().since) >= FORGET_AFTER) {
            oldest.remove();
        }
    }

    /// Whether any ask awaits a reply.
    pub fn is_anything_waiting(&self) -> bool {
        !self.0.is_empty()
    }

    /// The number of asks that await a reply, and its limit.
    pub fn queue(&self) -> Queue {
        Queue::of("asks", self.0.len(), MAX_ASKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_once_and_not_after_ten_seconds() {
        let mut asks = Asks::default();
        asks.insert(Instant(0), 1, AskedFor::Request(7));
        asks.insert(Instant(0), 2, AskedFor::Outbox(8));
        assert_eq!([asks.take(1), asks.take(1)], [Some(AskedFor::Request(7)), None]);
        asks.handle_time(Instant(0) + FORGET_AFTER);
        assert_eq!((asks.take(2), asks.is_anything_waiting()), (None, false));
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut asks = Asks::default();
        for token in 0..=MAX_ASKS as u64 {
            asks.insert(Instant(0), token, AskedFor::Request(token));
        }
        assert!(asks.queue().is_within_limit());
        assert_eq!([asks.take(0), asks.take(1)], [None, Some(AskedFor::Request(1))]);
    }
}
