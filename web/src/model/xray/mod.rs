//! The replica X-ray: which of the newest messages of the chosen topic each of its replicas has.
//!
//! A replica applies its group's log in order, so a replica's event "stored #17" covers all earlier messages too.
//! Sampled events are therefore sufficient: they delay information but never falsify it. `locate`, once a second, fills
//! in what no event reported. A replica without reports is unknown; it counts neither as lacking messages nor as
//! complete. The X-ray keeps the newest [`MAX_COLUMNS`] messages of one topic, and one row per replica.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use cubecast_core::cube::Vertex;
use cubecast_core::faults::StopMode;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::{Answer, Done, Location};
use cubecast_core::wire::event::{Event, WatchEvent};

use crate::model::cluster::{Cluster, Health};

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
    pub replicas: Vec<ReplicaView>,
    /// Oldest first, without gaps.
    pub columns: VecDeque<Column>,
    /// When `locate` last reported the replicas' state, milliseconds since 1970.
    pub located_ms: Option<u64>,
    /// Nodes that report only one in this many of their frequent events.
    samples: BTreeMap<HostId, u32>,
}

/// The messages of one replica.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplicaView {
    pub node: HostId,
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
pub enum MessageState {
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

impl MessageState {
    /// The name used in tests, attributes and style sheets.
    pub fn name(self) -> &'static str {
        match self {
            MessageState::Readable => "readable",
            MessageState::Stored => "stored",
            MessageState::Fetching => "fetching",
            MessageState::Missing => "missing",
            MessageState::Unknown => "unknown",
            MessageState::Asleep => "asleep",
            MessageState::Away => "away",
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
    pub fn learn_sample(&mut self, node: HostId, sample: u32) {
        self.samples.insert(node, sample);
    }

    /// The coarsest sample among the replicas; 1 if all events are reported.
    pub fn sample(&self) -> u32 {
        let samples = self.replicas.iter().filter_map(|replica| self.samples.get(&replica.node));
        samples.copied().max().unwrap_or(1)
    }

    /// Whether any node reports only some of its frequent events.
    pub fn is_sampled(&self) -> bool {
        self.samples.values().any(|sample| *sample > 1)
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
    pub fn message_state(
        &self,
        now_ms: u64,
        replica: &ReplicaView,
        health: Health,
        heard: bool,
        offset: u64,
    ) -> MessageState {
        let serves = health.is_running();
        let readable = replica.readable.unwrap_or_default();
        match (serves, offset) {
            (true, offset) if offset < readable => MessageState::Readable,
            (true, offset) if offset < replica.stored => MessageState::Stored,
            (false, offset) if offset < readable.max(replica.stored) => MessageState::Asleep,
            (_, _) if replica.arriving.is_some() => MessageState::Fetching,
            (_, _) if replica.readable.is_none() || health == Health::Unknown => MessageState::Unknown,
            (false, _) => MessageState::Away,
            (true, _) if !(heard || replica.is_fresh(now_ms)) => MessageState::Unknown,
            (true, _) if replica.is_moving(now_ms) || health == Health::Recovering => MessageState::Fetching,
            (true, _) => MessageState::Missing,
        }
    }

    /// How far a replica is behind the others. `leads`: a leader is never behind, because it commits first, even if
    /// another replica reports first.
    pub fn lag(&self, now_ms: u64, replica: &ReplicaView, leads: bool) -> Lag {
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
    pub fn leading(&self, replica: &ReplicaView) -> ReplicaView {
        ReplicaView { readable: replica.readable.max(self.committed()), ..replica.clone() }
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
        let (Some(topic), Some(seating), true) = (&self.topic, cluster.seating(), self.replicas.is_empty()) else {
            return;
        };
        let home = placement::home(topic.as_str(), seating.dimension());
        self.replicas = seating.members(GroupId::of(home)).into_iter().map(ReplicaView::new).collect();
    }

    fn is_about(&self, topic: &TopicName) -> bool {
        self.topic.as_ref() == Some(topic)
    }

    /// The home of the chosen topic, once the dimension is known.
    pub fn home(&self) -> Option<Vertex> {
        let node = self.replicas.first()?.node;
        Seating::founded_by(node).vertex_of(node)
    }

    fn replica(&mut self, node: HostId) -> Option<&mut ReplicaView> {
        self.replicas.iter_mut().find(|replica| replica.node == node)
    }

    fn learn_stored(&mut self, now_ms: u64, node: HostId, offset: Offset, at_us: u64) {
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

    fn learn_on_disk(&mut self, node: HostId, offset: Offset) {
        if let Some(replica) = self.replica(node) {
            replica.stored = replica.stored.max(offset.0 + 1);
        }
    }

    /// The topic was just created, so it is empty on this node.
    fn learn_empty(&mut self, now_ms: u64, node: HostId) {
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
            *replica = ReplicaView::new(replica.node);
        }
    }
}

impl ReplicaView {
    fn new(node: HostId) -> ReplicaView {
        ReplicaView { node, readable: None, stored: 0, arriving: None, delay_us: None, moved_ms: 0, told_ms: 0 }
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
        *self = ReplicaView { told_ms: now_ms, readable: Some(0), ..ReplicaView::new(self.node) };
    }
}
