//! Names that clients use or register: a cache of registered ones, and the limit of new ones.
//!
//! The group of a name's home stores whether the name is registered. The coordinator caches a positive result for
//! [`KNOWN_FOR`], so a deletion through another node takes effect here within that time. While no replica of the name
//! is reachable, the coordinator uses expired results too, so that publishers can continue after a failure of their own
//! home.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::queues::Queue;
use crate::io::ConnectionId;
use crate::time::Instant;
use crate::wire::client::Registry;

/// How long a cached registration is used before the group is asked again.
const KNOWN_FOR: Duration = Duration::from_secs(10);
/// Most cached names. The cache is cleared when it is full.
const MAX_KNOWN: usize = 100_000;
/// The burst limit of new names, as a number of seconds at the configured rate.
pub(super) const BURST_SECONDS: u64 = 10;
/// Most requests that wait for a place: all of one node.
pub(super) const MAX_WAITING: usize = 16_384;
const SECOND_US: u64 = 1_000_000;

/// The names that clients of this node use.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Names {
    pub known: KnownNames,
    pub allowance: Allowance,
    pub waiting: WaitingNames,
}

/// The cached state of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NameStatus {
    Registered,
    /// Any replica can confirm that it is registered.
    Unknown,
    /// It was deleted through this node. Only the leader can confirm that it is registered again.
    Deleted,
}

/// The latest known state of names.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct KnownNames(BTreeMap<(Registry, String), Heard>);

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Heard {
    /// The name was registered at this time.
    Registered(Instant),
    /// The name was deleted through this node. A replica may not have applied the deletion yet.
    Deleted,
}

impl KnownNames {
    pub(super) fn remember_registered(&mut self, kind: Registry, name: &str, now: Instant) {
        self.remember(kind, name, Heard::Registered(now));
    }

    pub(super) fn remember_deleted(&mut self, kind: Registry, name: &str) {
        self.remember(kind, name, Heard::Deleted);
    }

    fn remember(&mut self, kind: Registry, name: &str, heard: Heard) {
        if self.0.len() >= MAX_KNOWN {
            self.0.clear();
        }
        self.0.insert((kind, name.to_owned()), heard);
    }

    pub(super) fn status(&self, kind: Registry, name: &str, now: Instant) -> NameStatus {
        match self.heard(kind, name) {
            Some(Heard::Registered(seen)) if now.since(seen) < KNOWN_FOR => NameStatus::Registered,
            Some(Heard::Registered(_)) | None => NameStatus::Unknown,
            Some(Heard::Deleted) => NameStatus::Deleted,
        }
    }

    /// Whether the name was registered when this node last learned of it.
    pub(super) fn was_registered(&self, kind: Registry, name: &str) -> bool {
        matches!(self.heard(kind, name), Some(Heard::Registered(_)))
    }

    fn heard(&self, kind: Registry, name: &str) -> Option<Heard> {
        self.0.get(&(kind, name.to_owned())).copied()
    }

    pub(super) fn queue(&self) -> Queue {
        Queue::of("known registrations", self.0.len(), MAX_KNOWN)
    }
}

/// Requests that register new names and wait for a place. Clients take turns, one name each.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct WaitingNames {
    of_clients: BTreeMap<Option<ConnectionId>, VecDeque<u64>>,
    /// The client that had the latest turn.
    last: Option<ConnectionId>,
}

impl WaitingNames {
    pub(super) fn push(&mut self, client: Option<ConnectionId>, number: u64) {
        self.of_clients.entry(client).or_default().push_back(number);
    }

    /// Returns the next request of the next client.
    pub(super) fn pop(&mut self) -> Option<u64> {
        let after = (Bound::Excluded(self.last), Bound::Unbounded);
        let next = self.of_clients.range(after).next().or_else(|| self.of_clients.first_key_value());
        let client = *next?.0;
        self.last = client;
        let waiting = self.of_clients.get_mut(&client)?;
        let number = waiting.pop_front();
        if waiting.is_empty() {
            self.of_clients.remove(&client);
        }
        number
    }

    /// Removes requests that no longer wait. Checking the front of each client's queue suffices, because all wait
    /// equally long.
    pub(super) fn retain(&mut self, waits: impl Fn(&u64) -> bool) {
        self.of_clients.retain(|_, waiting| {
            while waiting.front().is_some_and(|number| !waits(number)) {
                waiting.pop_front();
            }
            !waiting.is_empty()
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of_clients.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.of_clients.values().map(VecDeque::len).sum()
    }

    pub(super) fn queue(&self) -> Queue {
        Queue::of("new names that wait", self.len(), MAX_WAITING)
    }
}

/// A token bucket for new names registered through this node: a rate per second, and a burst.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Allowance {
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Allowance {
    /// Takes one token. Returns whether there was one.
    pub(super) fn take(&mut self, now: Instant, per_second: u32) -> bool {
        let is_there = self.wait(now, per_second).is_zero();
        if is_there {
            self.full_at = Instant(self.full_at.max(now).0 + each_us(per_second));
        }
        is_there
    }

    /// Time until a token is available.
    pub(super) fn wait(&self, now: Instant, per_second: u32) -> Duration {
        let burst = BURST_SECONDS * u64::from(per_second) * each_us(per_second);
        let with_one_more = self.full_at.max(now).0 + each_us(per_second);
        Duration::from_micros(with_one_more.saturating_sub(now.0 + burst))
    }

    /// Returns a token that was not needed.
    pub(super) fn give_back(&mut self, per_second: u32) {
        self.full_at.0 = self.full_at.0.saturating_sub(each_us(per_second));
    }
}

pub(super) fn each_us(per_second: u32) -> u64 {
    SECOND_US / u64::from(per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 200;

    fn taken_at(allowance: &mut Allowance, us: u64) -> usize {
        (0..10_000).take_while(|_| allowance.take(Instant(us), RATE)).count()
    }

    #[test]
    fn ten_seconds_worth_of_names_is_taken_at_once_and_then_so_many_a_second() {
        let mut allowance = Allowance::default();
        let begin = 7 * SECOND_US;
        assert_eq!(taken_at(&mut allowance, begin), 2_000);
        assert_eq!(allowance.wait(Instant(begin), RATE), Duration::from_millis(5));
        assert_eq!(taken_at(&mut allowance, begin + SECOND_US), 200);
        assert_eq!(taken_at(&mut allowance, begin + 3_600 * SECOND_US), 2_000, "no more, however long nobody came");
    }

    #[test]
    fn clients_have_turns_and_those_that_do_not_wait_any_more_are_forgotten() {
        let mut waiting = WaitingNames::default();
        let clients = [1, 2, 3].map(|number| Some(ConnectionId(number)));
        for number in [10, 11, 12] {
            waiting.push(clients[0], number);
        }
        waiting.push(clients[1], 20);
        waiting.push(clients[2], 30);
        assert_eq!([(); 3].map(|()| waiting.pop()), [10, 20, 30].map(Some));
        waiting.retain(|number| *number != 11);
        assert_eq!((waiting.len(), waiting.pop(), waiting.pop()), (1, Some(12), None));
    }

    #[test]
    fn what_was_not_needed_is_given_back() {
        let mut allowance = Allowance::default();
        assert_eq!(taken_at(&mut allowance, SECOND_US), 2_000);
        allowance.give_back(RATE);
        assert_eq!(taken_at(&mut allowance, SECOND_US), 1);
    }

    #[test]
    fn a_name_is_believed_for_a_while_and_remembered_for_longer() {
        let mut known = KnownNames::default();
        let status = |known: &KnownNames, at| known.status(Registry::Publisher, "ann", at);
        let later = Instant(0) + KNOWN_FOR;
        assert_eq!(status(&known, Instant(0)), NameStatus::Unknown);
        known.remember_registered(Registry::Publisher, "ann", Instant(0));
        assert_eq!(
            [Instant(later.0 - 1), later].map(|at| status(&known, at)),
            [NameStatus::Registered, NameStatus::Unknown]
        );
        assert!(known.was_registered(Registry::Publisher, "ann") && !known.was_registered(Registry::Subscriber, "ann"));
        known.remember_deleted(Registry::Publisher, "ann");
        assert_eq!(status(&known, later), NameStatus::Deleted);
        assert!(!known.was_registered(Registry::Publisher, "ann"));
        for number in 0..=MAX_KNOWN {
            known.remember_registered(Registry::Publisher, &number.to_string(), later);
        }
        assert!(known.queue().is_within_limit());
    }
}
