//! Events of a node: one typed stream. Dashboard, logs, metrics and traces are views of it.

use serde::{Deserialize, Serialize};

use crate::cube::Vertex;
use crate::faults::{LinkConditions, StopMode};
use crate::identity::{HostId, TraceId};
use crate::names::{Offset, SubscriberId, TopicName};
use crate::states::{NodeState, Role, StorageState};
use crate::time::Timestamp;

/// An event as a watcher receives it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WatchEvent {
    /// The node that reports the event.
    pub node: HostId,
    /// UTC, for display.
    pub time: Timestamp,
    /// Microseconds on the node's monotonic clock. Orders the events of one node.
    pub at_us: u64,
    /// The request that caused the event, if there is one.
    pub trace: Option<TraceId>,
    pub event: Event,
}

/// Something that happened on one node. In JSON the variant is the field `event`, beside the variant's own fields.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// This node now sees another node in this state.
    NodeState { subject: HostId, state: NodeState },
    /// Frames sent from `from` to `to` now arrive (`up`), or do not.
    LinkState { from: HostId, to: HostId, up: bool },
    /// A `set_link` was carried out.
    LinkConditions { from: HostId, to: HostId, conditions: LinkConditions },
    /// This node's role in a group changed.
    RoleChanged { group: Vertex, role: Role, term: u64, leader: Option<HostId> },
    /// The members of a group changed.
    MembersChanged { group: Vertex, voters: Vec<HostId>, learners: Vec<HostId> },
    /// The group's log is known to be committed up to this index.
    Committed { group: Vertex, index: u64 },
    /// A frame left this node over an edge.
    FrameSent { to: HostId, what: FrameKind, group: Option<Vertex> },
    /// A frame was dropped, for the reason `why`.
    FrameDropped { to: HostId, what: FrameKind, why: DropReason },
    /// A request was accepted from a client.
    RequestReceived { action: String, subject: Option<String> },
    /// A request was answered; `error` is a code of the protocol.
    RequestAnswered { action: String, subject: Option<String>, error: Option<String>, message: String },
    /// A message was stored in this node's replica.
    ReplicaStored { topic: TopicName, group: Vertex, offset: Offset },
    /// A topic was created in this node's replica.
    TopicCreated { topic: TopicName, group: Vertex },
    /// A topic was deleted in this node's replica.
    TopicDeleted { topic: TopicName, group: Vertex },
    /// A message was pushed to a subscriber.
    Delivered { topic: TopicName, subscriber: SubscriberId, offset: Offset },
    /// The node is stopped by a requested fault.
    Stopped { mode: StopMode, duration_ms: u64 },
    /// The failure is over; the node reads its state from disk again.
    Returned { incarnation: u32 },
    /// A snapshot was installed; the group's state is that of log index `applied`.
    CaughtUp { group: Vertex, applied: u64 },
    /// A snapshot is being received: `received` of `total` messages so far.
    SnapshotProgress { group: Vertex, received: u64, total: u64 },
    /// A publish with `ack: one` entered the outbox.
    OutboxStored { topic: TopicName },
    /// A publish left the outbox for the log.
    OutboxDrained { topic: TopicName },
    /// A problem that an operator should look at.
    Warning { text: String },
    /// This node's disk is full, or has room again.
    StorageState {
        state: StorageState,
        /// The room left: the file system's free space plus the reusable space in the node's own files.
        free_bytes: u64,
        reserve_bytes: u64,
    },
}

/// The kinds of events that a watcher can select, by their names in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// States of nodes and disks, failures, returns and snapshots.
    States,
    /// Links and their conditions.
    Links,
    /// Frames crossing edges (frequent: sampled).
    Messages,
    Commits,
    /// Roles and members.
    Elections,
    /// Pushes to subscribers and stores in replicas (frequent: sampled), topics and the outbox.
    Deliveries,
    /// Requests and answers (frequent: sampled).
    Requests,
    Warnings,
}

/// The kind of a frame between neighbours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Log entries for a replica.
    Append,
    /// A replica reports what it has stored.
    Acknowledge,
    Heartbeat,
    Vote,
    Snapshot,
    /// A client's request on its way to the leader.
    Ask,
    /// The answer to an `Ask`.
    Reply,
    /// Link states and pings.
    Overlay,
}

/// Why a frame was dropped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    Cut,
    Loss,
    /// The queue to the neighbour is full.
    Full,
    NoRoute,
    HopLimit,
}

impl Event {
    /// Whether the event is frequent, so that it is created only if somebody watches. Creating or deleting a topic is
    /// rare, although it belongs to the deliveries.
    pub fn is_frequent(&self) -> bool {
        !matches!(self, Event::TopicCreated { .. } | Event::TopicDeleted { .. }) && self.kind().is_frequent()
    }

    /// The kind under which watchers select the event.
    pub fn kind(&self) -> EventKind {
        match self {
            Event::NodeState { .. } | Event::Stopped { .. } | Event::Returned { .. } => EventKind::States,
            Event::CaughtUp { .. } | Event::SnapshotProgress { .. } | Event::StorageState { .. } => EventKind::States,
            Event::LinkState { .. } | Event::LinkConditions { .. } => EventKind::Links,
            Event::RoleChanged { .. } | Event::MembersChanged { .. } => EventKind::Elections,
            Event::Committed { .. } => EventKind::Commits,
            Event::FrameSent { .. } | Event::FrameDropped { .. } => EventKind::Messages,
            Event::RequestReceived { .. } | Event::RequestAnswered { .. } => EventKind::Requests,
            Event::ReplicaStored { .. } | Event::Delivered { .. } => EventKind::Deliveries,
            Event::TopicCreated { .. } | Event::TopicDeleted { .. } => EventKind::Deliveries,
            Event::OutboxStored { .. } | Event::OutboxDrained { .. } => EventKind::Deliveries,
            Event::Warning { .. } => EventKind::Warnings,
        }
    }
}

impl EventKind {
    /// Kinds whose events can be sampled.
    pub fn is_frequent(self) -> bool {
        matches!(self, EventKind::Messages | EventKind::Deliveries | EventKind::Requests | EventKind::Commits)
    }
}
