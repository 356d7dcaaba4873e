//! Recognition of repeats: which message of a topic was stored for which producer and sequence number.
//!
//! A producer is a client that numbers its publishes, or a node that received publishes without a number. For each
//! producer, a topic remembers the [`MAX_RUNS`] *runs* with the highest sequence numbers. A run is any number of
//! consecutive sequence numbers stored at consecutive offsets. So at least the 1,024 publishes of each producer with
//! the highest numbers are remembered, and a producer that is alone on its topic is remembered from its first message
//! on in 24 bytes. A number that is not remembered, but is at or below one that was dropped, is refused and never
//! stored again.
//!
//! A topic remembers [`MAX_PRODUCERS`] clients and as many nodes. Beyond that it drops the sixteenth of them that has
//! stored nothing for the longest time (measured in offsets, and therefore the same on every member). A repeat from one
//! of those is stored again.
//!
//! All topics of a group together use at most [`MAX_BYTES`]. Beyond that, the topic that uses the most drops the older
//! half of its runs. Therefore a client that leaves gaps in its sequence numbers takes nothing from the topics of
//! others.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::identity::Member;
use crate::names::{Offset, PublisherId};

/// The maximum number of runs remembered for a producer, 24 bytes each.
pub const MAX_RUNS: usize = 1_024;
/// The maximum number of producers remembered for a topic: this many clients, and this many nodes.
pub const MAX_PRODUCERS: usize = 4_096;
/// The approximate memory limit, in bytes, for the recognised repeats of all topics in one group.
pub const MAX_BYTES: usize = 64 << 20;
/// The memory of a producer without its name and its runs, and of a run, in bytes. A list may have twice the capacity
/// that it needs.
const PRODUCER_BYTES: usize = 160;
const RUN_BYTES: usize = 48;
/// How many producers are dropped at once, which spreads the cost of finding the oldest over many publishes.
const FORGOTTEN_AT_ONCE: usize = MAX_PRODUCERS / 16;

/// The result of looking up a sequence number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// It is new, and is now remembered at the given offset.
    New,
    /// It was stored at this offset.
    At(Offset),
    /// It is not remembered, and is at or below one that was dropped.
    TooOld,
}

/// The producer that numbered a publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Producer<'a> {
    Client(&'a PublisherId),
    Node(Member),
}

/// The repeats that one topic recognises.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Dedup {
    clients: Producers<PublisherId>,
    nodes: Producers<Member>,
}

impl Dedup {
    /// Looks up `sequence`. If it is new, remembers it at `offset`, which must be greater than all earlier offsets.
    pub fn record(&mut self, producer: Producer<'_>, sequence: u64, offset: Offset) -> Seen {
        match producer {
            Producer::Client(publisher) => self.clients.record(publisher, sequence, offset),
            Producer::Node(node) => self.nodes.record(&node, sequence, offset),
        }
    }

    /// The approximate memory in bytes.
    pub fn bytes(&self) -> usize {
        self.clients.bytes + self.nodes.bytes
    }

    /// Recomputes the fields that are not encoded.
    pub fn index(&mut self) {
        self.clients.index();
        self.nodes.index();
    }

    /// Drops the older half of each producer's runs. If each producer has only one run, drops the half of the producers
    /// that have stored nothing for the longest time.
    pub fn forget_older_half(&mut self) {
        let has_forgotten = [self.clients.forget_older_runs(), self.nodes.forget_older_runs()];
        if has_forgotten == [false, false] {
            self.clients.forget_oldest(self.clients.windows.len().div_ceil(2));
            self.nodes.forget_oldest(self.nodes.windows.len().div_ceil(2));
        }
    }

    /// The number of clients or of nodes, whichever is larger, and the largest number of runs of one producer.
    pub fn sizes(&self) -> (usize, usize) {
        let ((clients, client_runs), (nodes, node_runs)) = (self.clients.sizes(), self.nodes.sizes());
        (clients.max(nodes), client_runs.max(node_runs))
    }
}

/// A producer's name.
trait Name: Ord + Clone {
    fn bytes(&self) -> usize;
}

impl Name for PublisherId {
    fn bytes(&self) -> usize {
        self.as_str().len()
    }
}

impl Name for Member {
    fn bytes(&self) -> usize {
        0
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Ord + Deserialize<'de>"))]
struct Producers<K: Ord> {
    windows: BTreeMap<K, Window>,
    /// The memory of `windows`, in bytes.
    #[serde(skip)]
    bytes: usize,
}

impl<K: Ord> Default for Producers<K> {
    fn default() -> Self {
        Producers { windows: BTreeMap::new(), bytes: 0 }
    }
}

impl<K: Name> Producers<K> {
    fn record(&mut self, producer: &K, sequence: u64, offset: Offset) -> Seen {
        if let Some(window) = self.windows.get_mut(producer) {
            let before = window.bytes();
            let seen = window.record(sequence, offset);
            self.bytes = self.bytes - before + window.bytes();
            return seen;
        }
        let mut window = Window::default();
        let seen = window.record(sequence, offset);
        self.bytes += weight(producer, &window);
        self.windows.insert(producer.clone(), window);
        if self.windows.len() > MAX_PRODUCERS {
            self.forget_oldest(FORGOTTEN_AT_ONCE);
        }
        seen
    }

    fn sizes(&self) -> (usize, usize) {
        (self.windows.len(), self.windows.values().map(|window| window.runs.len()).max().unwrap_or(0))
    }

    fn index(&mut self) {
        self.bytes = self.windows.iter().map(|(producer, window)| weight(producer, window)).sum();
    }

    /// Drops the producers that have stored nothing for the longest time.
    fn forget_oldest(&mut self, how_many: usize) {
        let Some(last) = how_many.checked_sub(1) else { return };
        let mut last_stored: Vec<Offset> = self.windows.values().map(|window| window.last_stored).collect();
        let (_, newest_to_go, _) = last_stored.select_nth_unstable(last);
        let newest_to_go = *newest_to_go;
        self.windows.retain(|_, window| window.last_stored > newest_to_go);
        self.index();
    }

    fn forget_older_runs(&mut self) -> bool {
        let before = self.bytes;
        for window in self.windows.values_mut() {
            window.forget_oldest(window.runs.len() / 2);
        }
        self.index();
        self.bytes < before
    }
}

fn weight<K: Name>(producer: &K, window: &Window) -> usize {
    PRODUCER_BYTES + producer.bytes() + window.bytes()
}

/// The sequence numbers remembered for one producer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Window {
    /// Sorted by sequence, without overlap.
    runs: VecDeque<Run>,
    /// The highest sequence that was ever dropped from `runs`.
    evicted_through: Option<u64>,
    last_stored: Offset,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Run {
    first: u64,
    offset: Offset,
    count: u64,
}

impl Window {
    fn record(&mut self, sequence: u64, offset: Offset) -> Seen {
        let after = self.runs.partition_point(|run| run.first <= sequence);
        let run = after.checked_sub(1).map(|before| self.runs[before]);
        if let Some(stored) = run.and_then(|run| run.find(sequence)) {
            return Seen::At(stored);
        }
        if self.evicted_through.is_some_and(|evicted| sequence <= evicted) {
            return Seen::TooOld;
        }
        self.last_stored = offset;
        match run {
            Some(run) if run.continues_with(sequence, offset) => self.runs[after - 1].count += 1,
            _ => self.insert(after, Run { first: sequence, offset, count: 1 }),
        }
        Seen::New
    }

    fn insert(&mut self, at: usize, run: Run) {
        self.runs.insert(at, run);
        if self.runs.len() > MAX_RUNS {
            self.forget_oldest(1);
        }
    }

    fn forget_oldest(&mut self, how_many: usize) {
        let evicted = self.runs.drain(..how_many).map(Run::last).max();
        self.evicted_through = self.evicted_through.max(evicted);
    }

    fn bytes(&self) -> usize {
        self.runs.len() * RUN_BYTES
    }
}

impl Run {
    fn find(self, sequence: u64) -> Option<Offset> {
        let place = sequence.checked_sub(self.first).filter(|place| *place < self.count)?;
        Some(Offset(self.offset.0.saturating_add(place)))
    }

    fn continues_with(self, sequence: u64, offset: Offset) -> bool {
        sequence.checked_sub(self.first) == Some(self.count) && offset.0.checked_sub(self.offset.0) == Some(self.count)
    }

    fn last(self) -> u64 {
        self.first.saturating_add(self.count.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> PublisherId {
        PublisherId::new(name).unwrap()
    }

    #[test]
    fn a_lone_producer_costs_one_run_however_much_it_publishes() {
        let mut window = Window::default();
        for number in 0..100_000 {
            assert_eq!(window.record(number + 7, Offset(number)), Seen::New);
        }
        assert_eq!(window.runs.len(), 1);
        assert_eq!(window.record(7, Offset(100_000)), Seen::At(Offset(0)));
        assert_eq!(window.record(100_006, Offset(100_000)), Seen::At(Offset(99_999)));
    }

    #[test]
    fn the_newest_1024_are_remembered_when_nothing_is_consecutive() {
        let mut window = Window::default();
        for number in 0..2_000u64 {
            assert_eq!(window.record(number * 2, Offset(number)), Seen::New);
        }
        assert_eq!(window.runs.len(), MAX_RUNS);
        for number in 0..2_000u64 {
            let expected = if number < 2_000 - 1_024 { Seen::TooOld } else { Seen::At(Offset(number)) };
            assert_eq!(window.record(number * 2, Offset(5_000)), expected);
        }
        assert_eq!(window.record(1_951, Offset(5_000)), Seen::New, "a gap inside the window was never filled");
        assert_eq!(
            window.record(1_949, Offset(5_001)),
            Seen::TooOld,
            "a gap before the window cannot be told from a repeat"
        );
    }

    #[test]
    fn sequences_may_come_in_any_order_and_at_both_ends_of_the_range() {
        let mut window = Window::default();
        for (offset, sequence) in [u64::MAX, 5, 0, u64::MAX - 1, 6].into_iter().enumerate() {
            assert_eq!(window.record(sequence, Offset(offset as u64)), Seen::New);
        }
        assert_eq!(window.record(u64::MAX, Offset(9)), Seen::At(Offset(0)));
        assert_eq!(window.record(6, Offset(9)), Seen::At(Offset(4)));
        assert_eq!(window.record(7, Offset(9)), Seen::New);
    }

    #[test]
    fn past_the_limit_the_producers_that_were_silent_longest_are_forgotten() {
        let mut dedup = Dedup::default();
        let mut end = 0;
        let mut publish = |dedup: &mut Dedup, name: &str, sequence| {
            let seen = dedup.record(Producer::Client(&client(name)), sequence, Offset(end));
            end += u64::from(seen == Seen::New);
            seen
        };
        for number in 0..MAX_PRODUCERS {
            publish(&mut dedup, &format!("p{number}"), 0);
        }
        publish(&mut dedup, "p0", 1);
        publish(&mut dedup, "one-more", 0);
        assert_eq!(dedup.clients.windows.len(), MAX_PRODUCERS + 1 - FORGOTTEN_AT_ONCE);
        assert_eq!(publish(&mut dedup, "p0", 0), Seen::At(Offset(0)), "p0 published lately");
        assert!(matches!(publish(&mut dedup, "one-more", 0), Seen::At(_)));
        assert_eq!(publish(&mut dedup, "p1", 0), Seen::New, "p1 was forgotten");
    }

    #[test]
    fn a_client_and_a_node_with_the_same_number_are_two_producers() {
        let mut dedup = Dedup::default();
        let node = Member::founding("001".parse().unwrap());
        assert_eq!(dedup.record(Producer::Client(&client("a")), 1, Offset(0)), Seen::New);
        assert_eq!(dedup.record(Producer::Node(node), 1, Offset(1)), Seen::New);
        assert_eq!(dedup.record(Producer::Client(&client("b")), 1, Offset(2)), Seen::New);
        assert_eq!(dedup.record(Producer::Node(node), 1, Offset(3)), Seen::At(Offset(1)));
    }

    #[test]
    fn the_older_half_is_forgotten_and_never_stored_again() {
        let mut dedup = Dedup::default();
        let record = |dedup: &mut Dedup, name: &str, sequence, offset| {
            dedup.record(Producer::Client(&client(name)), sequence, Offset(offset))
        };
        for number in 0..10u64 {
            record(&mut dedup, "gaps", 2 * number, 2 * number);
            record(&mut dedup, "steady", number, 2 * number + 1);
        }
        let before = dedup.bytes();
        dedup.forget_older_half();
        assert!(dedup.bytes() < before);
        assert_eq!(record(&mut dedup, "gaps", 8, 99), Seen::TooOld);
        assert_eq!(record(&mut dedup, "gaps", 10, 99), Seen::At(Offset(10)));
        for _ in 0..5 {
            dedup.forget_older_half();
        }
        assert_eq!((dedup.sizes().0, dedup.bytes()), (0, 0), "in the end the producers themselves");
        let counted = dedup.bytes();
        dedup.index();
        assert_eq!(dedup.bytes(), counted);
    }
}
