//! What a node tells about itself: one stream of typed events. Dashboard, logs, metrics and traces are views of it.

use serde::{Deserialize, Serialize};

use crate::cube::Vertex;
use crate::names::{Offset, SubscriberId, TopicName};
use crate::time::Timestamp;
use crate::wire::answer::{NodeState, Role, StorageState};
use crate::wire::client::{LinkConditions, StopMode};

/// An event as a watcher gets it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WatchEvent {
    /// The node that tells.
    pub node: Vertex,
    pub time: Timestamp,
    /// Microseconds on the node's monotonic clock: orders the events of one node.
    pub at_us: u64,
    /// The request that caused it, where there is one.
    pub trace: Option<TraceId>,
    pub event: Event,
}

/// Follows one request through every node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceId(pub u64);

/// Something that happened on one node. (JSON puts the variant under `kind`, beside its fields.)
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A node began to be seen in this state.
    NodeState {
        subject: Vertex,
        state: NodeState,
    },
    /// Frames sent from `from` to `to` do, or do not, arrive.
    LinkState {
        from: Vertex,
        to: Vertex,
        up: bool,
    },
    /// `set_link` was carried out.
    LinkConditions {
        from: Vertex,
        to: Vertex,
        conditions: LinkConditions,
    },
    /// This node's part in a group changed.
    RoleChanged {
        group: Vertex,
        role: Role,
        term: u64,
        leader: Option<Vertex>,
    },
    /// The members of a group changed.
    MembersChanged {
        group: Vertex,
        voters: Vec<Vertex>,
        learners: Vec<Vertex>,
    },
    /// The group's log is known to be committed up to here.
    Committed {
        group: Vertex,
        index: u64,
    },
    /// A frame left this node over an edge.
    FrameSent {
        to: Vertex,
        what: FrameKind,
        group: Option<Vertex>,
    },
    /// A frame was swallowed: the edge is cut, lossy or full.
    FrameDropped {
        to: Vertex,
        what: FrameKind,
        why: DropReason,
    },
    /// A request was taken from a client.
    RequestReceived {
        action: String,
        subject: Option<String>,
    },
    /// A request was answered; `error` is a code of the protocol.
    RequestAnswered {
        action: String,
        subject: Option<String>,
        error: Option<String>,
        message: String,
    },
    /// A message was stored in this node's replica.
    ReplicaStored {
        topic: TopicName,
        group: Vertex,
        offset: Offset,
    },
    /// A topic was created or deleted in this node's replica.
    TopicCreated {
        topic: TopicName,
        group: Vertex,
    },
    TopicDeleted {
        topic: TopicName,
        group: Vertex,
    },
    /// A message was pushed to a subscriber.
    Delivered {
        topic: TopicName,
        subscriber: SubscriberId,
        offset: Offset,
    },
    /// The node fails on request.
    Stopped {
        mode: StopMode,
        duration_ms: u64,
    },
    /// The failure is over; what is on disk is read again.
    Returned {
        incarnation: u32,
    },
    /// A group is caught up: `entries` came by log, `messages` by snapshot.
    CaughtUp {
        group: Vertex,
        applied: u64,
    },
    /// A snapshot is being received.
    SnapshotProgress {
        group: Vertex,
        received: u64,
        total: u64,
    },
    /// A publish with `ack: one` waits in the outbox, or left it for the log.
    OutboxStored {
        topic: TopicName,
    },
    OutboxDrained {
        topic: TopicName,
    },
    /// Something an operator should know.
    Warning {
        text: String,
    },
    /// This node's disk is full, or has room again.
    StorageState {
        state: StorageState,
        /// What the node can still store: what the file system gives, and what its own files can use again.
        free_bytes: u64,
        reserve_bytes: u64,
    },
}

/// The kinds a watcher can choose, by their names in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// States of nodes, failures and returns.
    States,
    /// Links and their conditions.
    Links,
    /// Frames crossing edges (frequent: sampled).
    Messages,
    Commits,
    /// Roles and members.
    Elections,
    /// Pushes to subscribers and stores in replicas (frequent: sampled).
    Deliveries,
    /// Requests and answers (frequent: sampled).
    Requests,
    Warnings,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Log entries on their way to a replica.
    Append,
    /// A replica says what it has stored.
    Acknowledge,
    Heartbeat,
    Vote,
    Snapshot,
    /// A client's request on its way to the leader, and the answer.
    Ask,
    Reply,
    /// Link states, pings.
    Overlay,
}

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
    /// Whether it is one of many: worth making only where somebody looks. A topic's coming and going is rare, although it is
    /// told among the deliveries.
    pub fn is_frequent(&self) -> bool {
        !matches!(self, Event::TopicCreated { .. } | Event::TopicDeleted { .. }) && self.kind().is_frequent()
    }

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
    /// Kinds of which a watcher may get a sample only.
    pub fn is_frequent(self) -> bool {
        matches!(self, EventKind::Messages | EventKind::Deliveries | EventKind::Requests | EventKind::Commits)
    }
}
