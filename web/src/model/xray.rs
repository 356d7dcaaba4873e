//! The replica X-ray: which of the newest messages of the chosen topic each of its replicas has.
//!
//! A replica applies its group's log in order, so a replica's event "stored #17" covers all earlier messages too.
//! Sampled events are therefore sufficient: they delay information but never falsify it. `locate`, once a second, fills
//! in what no event reported. A replica without reports is unknown; it counts neither as lacking messages nor as
//! complete. The X-ray keeps the newest [`MAX_COLUMNS`] messages of one topic, and one row per replica.

use std::collections::{BTreeMap, VecDeque};

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::placement;
use cubecast_core::wire::answer::{Answer, Done, Location};
use cubecast_core::wire::client::StopMode;
use cubecast_core::wire::event::{Event, WatchEvent};

use super::cluster::{Cluster, Health};

/// Number of messages that are kept one by one; of older messages only the replicas are known.
pub const MAX_COLUMNS: usize = 64;
/// A replica whose end moved within this time is still receiving; later its missing messages count as missing.
const MOVING_MS: u64 = 1_500;
/// A replica's own report within this time is newer than the result of `locate`.
const FRESH_MS: u64 = 2_000;
/// After this time without a report, a replica without a connection to this page may have more messages than shown.
const STALE_MS: u64 = 5_000;
/// A replica that lacks a message for less than this is not called behind: the message, or the report of it, is still
/// in transit.
const GRACE_MS: u64 = 300;

/// The X-ray of one topic.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Xray {
    /// The chosen topic.
    pub topic: Option<TopicName>,
    /// Home first.
    pub replicas: Vec<Replica>,
    /// Oldest first, without gaps.
    pub columns: VecDeque<Column>,
    /// When `locate` last reported the replicas' state, milliseconds since 1970.
    pub located_ms: Option<u64>,
    /// Nodes that report only one in this many of their frequent events.
    samples: BTreeMap<Vertex, u32>,
}

/// The messages of one replica.
#[derive(Clone, PartialEq, Debug)]
pub struct Replica {
    pub node: Vertex,
    /// The offset after the last message that can be read here; `None` without a report.
    pub readable: Option<u64>,
    /// The offset after the last message known to be on its disk.
    pub stored: u64,
    /// Bytes of a snapshot in transfer to this replica: received, and total.
    pub arriving: Option<(u64, u64)>,
    /// Delay of its newest message after the first replica's report, microseconds, by the nodes' clocks.
    pub delay_us: Option<u64>,
    /// When its end last moved, milliseconds since 1970.
    moved_ms: u64,
    /// When its position was last confirmed, milliseconds since 1970.
    told_ms: u64,
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    pub offset: u64,
    /// When it was first reported; `None` if it existed before this page looked.
    pub first: Option<First>,
}

/// When a message was first reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct First {
    /// By the clock of the first reporting node, microseconds since 1970.
    pub at_us: u64,
    /// By this page's clock, milliseconds since 1970.
    pub heard_ms: u64,
}

/// How far a replica is behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lag {
    /// Not enough reports about it or the other replicas.
    Unknown,
    /// It has all committed messages, as far as a majority of the replicas reported.
    None,
    /// It lacks `count` messages that can be read elsewhere, for at least `for_ms` milliseconds if that is known.
    Messages { count: u64, for_ms: Option<u64> },
}

/// The state of a message on a replica.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// Stored; a read with `any` returns it here.
    Readable,
    /// On disk here, but not yet known to be committed here, so no read returns it.
    Stored,
    /// In transfer, by log or by snapshot.
    Fetching,
    /// Not on this node, and not in transfer.
    Missing,
    /// No report.
    Unknown,
    /// On the disk of a node that does not serve now.
    Asleep,
    /// Not on this node, which does not serve now.
    Away,
}

impl Standing {
    /// The name used in tests, attributes and style sheets.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Readable => "readable",
            Standing::Stored => "stored",
            Standing::Fetching => "fetching",
            Standing::Missing => "missing",
            Standing::Unknown => "unknown",
            Standing::Asleep => "asleep",
            Standing::Away => "away",
        }
    }
}

impl Xray {
    /// Switches to another topic and discards the previous one's data.
    pub fn choose(&mut self, topic: Option<TopicName>) {
        if self.topic != topic {
            *self = Xray { topic, samples: std::mem::take(&mut self.samples), ..Xray::default() };
        }
    }

    /// Updates the X-ray from a node's event.
    pub fn learn_event(&mut self, now_ms: u64, told: &WatchEvent) {
        match &told.event {
            Event::ReplicaStored { topic, offset, .. } if self.is_about(topic) => {
                self.learn_stored(now_ms, told.node, *offset, told.time.0);
            }
            Event::TopicCreated { topic, .. } if self.is_about(topic) => self.learn_empty(now_ms, told.node),
            Event::TopicDeleted { topic, .. } if self.is_about(topic) => self.forget_messages(),
            Event::SnapshotProgress { group, received, total } if self.home() == Some(*group) => {
                if let Some(replica) = self.replica(told.node) {
                    replica.arriving = (received < total).then_some((*received, *total));
                    replica.moved_ms = now_ms;
                }
            }
            Event::CaughtUp { group, .. } if self.home() == Some(*group) => {
                if let Some(replica) = self.replica(told.node) {
                    replica.arriving = None;
                }
            }
            Event::Stopped { mode: StopMode::Wipe, .. } => {
                if let Some(replica) = self.replica(told.node) {
                    replica.lose_everything(now_ms);
                }
            }
            _ => {}
        }
    }

    /// Updates the X-ray from an answer to `publish` or `locate`.
    pub fn learn_answer(&mut self, now_ms: u64, answer: &Answer) {
        match &answer.result {
            Ok(Done::Published { topic, offset: Some(offset), replicas, .. }) if self.is_about(topic) => {
                for replica in replicas {
                    self.learn_on_disk(*replica, *offset);
                }
            }
            Ok(Done::Located(location)) if self.is_about(&location.topic) => self.learn_location(now_ms, location),
            _ => {}
        }
    }

    /// Records that this node reports only one in `sample` of its frequent events.
    pub fn learn_sample(&mut self, node: Vertex, sample: u32) {
        self.samples.insert(node, sample);
    }

    /// The coarsest sample among the replicas; 1 if all events are reported.
    pub fn sample(&self) -> u32 {
        let samples = self.replicas.iter().filter_map(|replica| self.samples.get(&replica.node));
        samples.copied().max().unwrap_or(1)
    }

    /// The offset after the last message known to be committed: the highest one that any replica makes readable. `None`
    /// without a report.
    pub fn committed(&self) -> Option<u64> {
        self.replicas.iter().filter_map(|replica| replica.readable).max()
    }

    /// The offset after the last message known to exist on any replica.
    pub fn end(&self) -> u64 {
        let ends = self.replicas.iter().map(|replica| replica.stored.max(replica.readable.unwrap_or_default()));
        ends.max().unwrap_or_default()
    }

    /// The state of one message on a replica. `heard`: whether this page receives the replica's own events.
    pub fn standing(&self, now_ms: u64, replica: &Replica, health: Health, heard: bool, offset: u64) -> Standing {
        let serves = health.is_running();
        let readable = replica.readable.unwrap_or_default();
        match (serves, offset) {
            (true, offset) if offset < readable => Standing::Readable,
            (true, offset) if offset < replica.stored => Standing::Stored,
            (false, offset) if offset < readable.max(replica.stored) => Standing::Asleep,
            (_, _) if replica.arriving.is_some() => Standing::Fetching,
            (_, _) if replica.readable.is_none() || health == Health::Unknown => Standing::Unknown,
            (false, _) => Standing::Away,
            (true, _) if !(heard || replica.is_fresh(now_ms)) => Standing::Unknown,
            (true, _) if replica.is_moving(now_ms) || health == Health::Recovering => Standing::Fetching,
            (true, _) => Standing::Missing,
        }
    }

    /// How far a replica is behind the others. `leads`: a leader is never behind, because it commits first, even if
    /// another replica reports first.
    pub fn lag(&self, now_ms: u64, replica: &Replica, leads: bool) -> Lag {
        let (Some(committed), Some(readable)) = (self.committed(), replica.readable) else { return Lag::Unknown };
        let known = self.replicas.iter().filter(|replica| replica.readable.is_some()).count();
        let for_ms = self.lacks_since(readable).map(|since_ms| now_ms.saturating_sub(since_ms));
        match committed.saturating_sub(readable) {
            _ if leads => Lag::None,
            0 if known * 2 > self.replicas.len() => Lag::None,
            0 => Lag::Unknown,
            _ if for_ms.is_some_and(|for_ms| for_ms < GRACE_MS) => Lag::None,
            count => Lag::Messages { count, for_ms },
        }
    }

    /// The replica while it leads: the leader can read everything that any replica can.
    pub fn leading(&self, replica: &Replica) -> Replica {
        Replica { readable: replica.readable.max(self.committed()), ..replica.clone() }
    }

    /// When this page learned that the message at offset `readable`, the first that a replica lacks, can be read
    /// elsewhere. Milliseconds since 1970.
    fn lacks_since(&self, readable: u64) -> Option<u64> {
        let column = self.columns.iter().find(|column| column.offset == readable)?;
        column.first.map(|first| first.heard_ms)
    }

    /// Whether the passing of time alone changes the display: a replica is behind, or information grows old.
    pub fn changes_by_time(&self) -> bool {
        let committed = self.committed();
        self.replicas
            .iter()
            .any(|replica| replica.readable != committed || replica.stored > replica.readable.unwrap_or_default())
    }

    /// Sets the replicas of the chosen topic, once the dimension is known.
    pub fn place(&mut self, cluster: &Cluster) {
        let (Some(topic), Some(dimension), true) = (&self.topic, cluster.dimension, self.replicas.is_empty()) else {
            return;
        };
        let home = placement::home(topic.as_str(), dimension);
        self.replicas = placement::members(home).map(Replica::new).collect();
    }

    fn is_about(&self, topic: &TopicName) -> bool {
        self.topic.as_ref() == Some(topic)
    }

    fn home(&self) -> Option<Vertex> {
        self.replicas.first().map(|replica| replica.node)
    }

    fn replica(&mut self, node: Vertex) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.node == node)
    }

    fn learn_stored(&mut self, now_ms: u64, node: Vertex, offset: Offset, at_us: u64) {
        self.extend_columns(offset.0, Some(First { at_us, heard_ms: now_ms }));
        let column = self.columns.iter().rev().find(|column| column.offset == offset.0);
        let first_us = column.and_then(|column| column.first).map(|first| first.at_us);
        if let Some(replica) = self.replica(node)
            && replica.readable.is_none_or(|readable| readable <= offset.0)
        {
            replica.move_to(now_ms, offset.0 + 1);
            replica.delay_us = first_us.map(|first_us| at_us.saturating_sub(first_us));
        }
    }

    fn learn_on_disk(&mut self, node: Vertex, offset: Offset) {
        if let Some(replica) = self.replica(node) {
            replica.stored = replica.stored.max(offset.0 + 1);
        }
    }

    /// The topic was just created, so it is empty on this node.
    fn learn_empty(&mut self, now_ms: u64, node: Vertex) {
        if let Some(replica) = self.replica(node)
            && replica.readable.is_none()
        {
            replica.move_to(now_ms, 0);
        }
    }

    /// Takes over the position of each replica that reported nothing recently, even if it moved back. Replicas that did
    /// not answer are skipped.
    fn learn_location(&mut self, now_ms: u64, location: &Location) {
        self.located_ms = Some(now_ms);
        for found in location.members.iter().filter(|found| found.alive) {
            let end = found.last_offset.map_or(0, |last| last.0 + 1);
            let Some(replica) = self.replica(found.node) else { continue };
            let is_news =
                replica.readable.is_none_or(|readable| end > readable) || !replica.told_within(now_ms, FRESH_MS);
            if is_news && replica.readable != Some(end) {
                let is_first_word = replica.readable.is_none();
                replica.move_to(now_ms, end);
                if is_first_word {
                    replica.moved_ms = 0;
                }
            } else if is_news {
                replica.told_ms = now_ms;
            }
        }
        if let Some(last) = self.committed().and_then(|end| end.checked_sub(1)) {
            self.extend_columns(last, None);
        }
    }

    /// Adds columns up to this message. Messages that a sample skipped get the time of the reported message; for
    /// messages from before this page looked, the time is unknown.
    fn extend_columns(&mut self, offset: u64, first: Option<First>) {
        let oldest = (offset + 1).saturating_sub(MAX_COLUMNS as u64);
        let next = self.columns.back().map_or(oldest, |last| last.offset + 1).max(oldest);
        if self.columns.back().is_some_and(|last| last.offset + 1 < next) {
            self.columns.clear();
        }
        let follows = !self.columns.is_empty();
        let first_of = |at: u64| first.filter(|_| follows || at == offset);
        self.columns.extend((next..=offset).map(|at| Column { offset: at, first: first_of(at) }));
        while self.columns.len() > MAX_COLUMNS {
            self.columns.pop_front();
        }
    }

    fn forget_messages(&mut self) {
        self.columns.clear();
        for replica in &mut self.replicas {
            *replica = Replica::new(replica.node);
        }
    }
}

impl Replica {
    fn new(node: Vertex) -> Replica {
        Replica { node, readable: None, stored: 0, arriving: None, delay_us: None, moved_ms: 0, told_ms: 0 }
    }

    fn move_to(&mut self, now_ms: u64, end: u64) {
        self.readable = Some(end);
        self.stored = self.stored.max(end);
        (self.moved_ms, self.told_ms) = (now_ms, now_ms);
    }

    fn is_moving(&self, now_ms: u64) -> bool {
        self.arriving.is_some() || now_ms.saturating_sub(self.moved_ms) < MOVING_MS
    }

    fn is_fresh(&self, now_ms: u64) -> bool {
        self.told_within(now_ms, STALE_MS)
    }

    fn told_within(&self, now_ms: u64, within_ms: u64) -> bool {
        now_ms.saturating_sub(self.told_ms) <= within_ms
    }

    /// The disk is wiped: the replica is known to have nothing.
    fn lose_everything(&mut self, now_ms: u64) {
        *self = Replica { told_ms: now_ms, readable: Some(0), ..Replica::new(self.node) };
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::answer;

    use super::*;

    #[test]
    fn the_replicas_are_the_home_and_its_neighbours_home_first() {
        let names: Vec<_> = xray().replicas.iter().map(|replica| replica.node.to_string()).collect();
        assert_eq!(names, ["100", "101", "110", "000"]);
    }

    #[test]
    fn a_message_that_a_replica_stored_tells_of_all_before_it() {
        let mut xray = xray();
        xray.learn_event(1_000, &stored("100", 7, 5));
        let home = &xray.replicas[0];
        let standings: Vec<_> = (4..7).map(|offset| xray.standing(9_000, home, Health::Up, true, offset)).collect();
        assert_eq!(standings, [Standing::Readable, Standing::Readable, Standing::Missing]);
        assert_eq!(xray.columns.len(), 6);
    }

    #[test]
    fn a_replica_that_lacks_messages_is_behind_by_so_many_and_for_so_long() {
        let mut xray = xray();
        for offset in 0..5 {
            xray.learn_event(1_000 + 100 * offset, &stored("100", offset, offset));
        }
        xray.learn_event(1_500, &stored("101", 5, 1));
        let behind = &xray.replicas[1];
        let lag = Lag::Messages { count: 3, for_ms: Some(800) };
        assert_eq!(xray.lag(2_000, behind, false), lag, "since #2 was stored on the home");
        assert_eq!(xray.lag(1_200 + GRACE_MS - 1, behind, false), Lag::None, "it may be on its way");
        assert_eq!(xray.lag(2_000, behind, true), Lag::None, "what is committed is committed by the leader");
        assert_eq!(xray.lag(2_000, &xray.replicas[0], false), Lag::Unknown, "of two replicas nobody told");
        for peer in ["110", "000"] {
            xray.learn_event(1_600, &stored(peer, 6, 4));
        }
        assert_eq!(xray.lag(2_000, &xray.replicas[0], false), Lag::None);
    }

    #[test]
    fn a_replica_of_which_nobody_told_is_unknown_and_lacks_nothing() {
        let mut xray = xray();
        xray.learn_answer(5_000, &located(&[("100", Some(29)), ("101", Some(29)), ("110", Some(29))]));
        let unknown = &xray.replicas[3];
        assert_eq!((unknown.readable, xray.lag(6_000, unknown, false)), (None, Lag::Unknown));
        assert_eq!(xray.standing(6_000, unknown, Health::Up, true, 29), Standing::Unknown);
        assert_eq!(xray.standing(6_000, unknown, Health::Failed, false, 29), Standing::Unknown);
        xray.learn_answer(6_000, &located(&[("000", Some(27))]));
        let found = &xray.replicas[3];
        let lag = Lag::Messages { count: 2, for_ms: None };
        assert_eq!(xray.lag(9_000, found, false), lag, "it is not known for how long");
        assert_eq!(xray.standing(9_000, found, Health::Up, true, 27), Standing::Readable);
        assert_eq!(xray.standing(9_000, found, Health::Up, true, 28), Standing::Missing);
    }

    #[test]
    fn a_replica_that_did_not_answer_has_not_lost_anything() {
        let mut xray = xray();
        xray.learn_answer(1_000, &located(&[("101", Some(4))]));
        let mut silent = located(&[("101", None)]);
        if let Ok(Done::Located(location)) = &mut silent.result {
            location.members[0].alive = false;
        }
        xray.learn_answer(60_000, &silent);
        assert_eq!(xray.replicas[1].readable, Some(5));
        assert_eq!(xray.standing(60_000, &xray.replicas[1], Health::Up, false, 4), Standing::Readable);
        let later = xray.standing(60_000, &xray.replicas[1], Health::Up, false, 5);
        assert_eq!(later, Standing::Unknown, "it may have more by now");
    }

    #[test]
    fn of_a_message_that_was_there_before_this_page_looked_it_is_not_known_when_it_came() {
        let mut xray = xray();
        xray.learn_answer(1_000, &located(&[("100", Some(9))]));
        xray.learn_event(1_100, &stored("101", 77, 9));
        assert_eq!(xray.replicas[1].delay_us, None);
        xray.learn_event(1_200, &stored("100", 80, 11));
        let told: Vec<bool> = xray.columns.iter().map(|column| column.first.is_some()).collect();
        assert_eq!(told[9..], [false, true, true]);
    }

    #[test]
    fn what_is_acknowledged_by_a_disk_is_stored_before_it_can_be_read_there() {
        let mut xray = xray();
        xray.learn_answer(1_000, &published(0, &["100", "101"]));
        xray.learn_event(1_000, &stored("100", 1, 0));
        let on = |at: usize| xray.standing(9_000, &xray.replicas[at], Health::Up, true, 0);
        assert_eq!([on(0), on(1), on(2)], [Standing::Readable, Standing::Stored, Standing::Unknown]);
    }

    #[test]
    fn a_node_that_is_down_keeps_what_it_has_and_a_wiped_one_does_not() {
        let mut xray = xray();
        xray.learn_event(1_000, &stored("101", 1, 3));
        let asleep = |xray: &Xray| xray.standing(9_000, &xray.replicas[1], Health::Failed, false, 3);
        assert_eq!(asleep(&xray), Standing::Asleep);
        let wipe = Event::Stopped { mode: StopMode::Wipe, duration_ms: 1 };
        xray.learn_event(2_000, &told("101", 2, wipe));
        assert_eq!(asleep(&xray), Standing::Away);
    }

    #[test]
    fn a_replica_that_fills_is_fetching_until_it_stands_still() {
        let mut xray = xray();
        xray.learn_event(1_000, &stored("100", 1, 9));
        let group = "100".parse().unwrap();
        xray.learn_event(1_000, &told("101", 2, Event::SnapshotProgress { group, received: 10, total: 40 }));
        assert_eq!(xray.replicas[1].arriving, Some((10, 40)));
        assert_eq!(xray.standing(60_000, &xray.replicas[1], Health::Recovering, true, 0), Standing::Fetching);
        xray.learn_event(2_000, &told("101", 3, Event::CaughtUp { group, applied: 9 }));
        assert_eq!(xray.replicas[1].arriving, None);
        assert_eq!(xray.standing(60_000, &xray.replicas[1], Health::Up, true, 0), Standing::Unknown);
        xray.learn_answer(60_000, &located(&[("101", None)]));
        assert_eq!(xray.standing(69_000, &xray.replicas[1], Health::Up, true, 0), Standing::Missing);
    }

    #[test]
    fn locate_fills_what_no_event_told_and_does_not_undo_what_one_just_told() {
        let mut xray = xray();
        xray.learn_answer(5_000, &located(&[("100", Some(9)), ("101", Some(4))]));
        assert_eq!((xray.committed(), xray.replicas[1].readable), (Some(10), Some(5)));
        xray.learn_event(5_100, &stored("101", 1, 9));
        xray.learn_answer(5_200, &located(&[("101", Some(4))]));
        assert_eq!(xray.replicas[1].readable, Some(10), "the answer was made before");
        xray.learn_answer(5_200 + FRESH_MS, &located(&[("101", Some(4))]));
        assert_eq!(xray.replicas[1].readable, Some(5), "it did go back: it was restarted, say");
    }

    #[test]
    fn the_window_is_bounded_and_without_gaps_whatever_is_left_out() {
        let mut xray = xray();
        for offset in [0, 1, 40, 1_000, 1_001, 100_000] {
            xray.learn_event(1_000, &stored("100", 1, offset));
            let offsets: Vec<_> = xray.columns.iter().map(|column| column.offset).collect();
            assert!(offsets.len() <= MAX_COLUMNS && offsets.is_sorted_by(|a, b| a + 1 == *b), "{offsets:?}");
            assert_eq!(offsets.last(), Some(&offset));
        }
    }

    #[test]
    fn a_deleted_topic_has_no_messages_and_another_topic_has_its_own() {
        let mut xray = xray();
        xray.learn_event(1_000, &stored("100", 1, 9));
        let topic = TopicName::new("news").unwrap();
        let group = "100".parse().unwrap();
        xray.learn_event(1_000, &told("100", 2, Event::TopicDeleted { topic, group }));
        assert_eq!((xray.end(), xray.columns.len()), (0, 0));
        xray.learn_event(1_000, &stored("100", 3, 0));
        xray.choose(TopicName::new("cricket").ok());
        assert!(xray.columns.is_empty() && xray.replicas.is_empty());
    }

    #[test]
    fn the_coarsest_sample_of_a_replica_is_told() {
        let mut xray = xray();
        xray.learn_sample("111".parse().unwrap(), 256);
        assert_eq!(xray.sample(), 1, "111 holds nothing of it");
        xray.learn_sample("101".parse().unwrap(), 16);
        assert_eq!(xray.sample(), 16);
    }

    fn xray() -> Xray {
        let mut xray = Xray::default();
        xray.choose(TopicName::new("news").ok());
        xray.place(&Cluster::of(Dimension::new(3).unwrap()));
        xray
    }

    fn told(node: &str, at_us: u64, event: Event) -> WatchEvent {
        WatchEvent { node: node.parse().unwrap(), time: Timestamp(at_us), at_us, trace: None, event }
    }

    fn stored(node: &str, at_us: u64, offset: u64) -> WatchEvent {
        let (topic, group) = (TopicName::new("news").unwrap(), "100".parse().unwrap());
        told(node, at_us, Event::ReplicaStored { topic, group, offset: Offset(offset) })
    }

    fn answer(done: Done) -> Answer {
        Answer { id: None, served_by: "100".parse().unwrap(), hops: None, result: Ok(done) }
    }

    fn published(offset: u64, replicas: &[&str]) -> Answer {
        let replicas = replicas.iter().map(|name| name.parse().unwrap()).collect();
        let topic = TopicName::new("news").unwrap();
        answer(Done::Published { topic, offset: Some(Offset(offset)), replicas, repeated: false })
    }

    fn located(ends: &[(&str, Option<u64>)]) -> Answer {
        let replicas = ends.iter().map(|(name, last)| answer::Replica {
            node: name.parse().unwrap(),
            alive: true,
            last_offset: last.map(Offset),
            lag: None,
            voter: true,
        });
        answer(Done::Located(Location {
            topic: TopicName::new("news").unwrap(),
            exists: true,
            home: "100".parse().unwrap(),
            neighbours: Vec::new(),
            leader: None,
            members: replicas.collect(),
        }))
    }
}
