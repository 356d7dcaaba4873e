//! Answers with the type that belongs to the requested action.

use cubecast_core::client::{ClientError, FellOver, Reply};
use cubecast_core::cube::Vertex;
use cubecast_core::faults::StopMode;
use cubecast_core::identity::HostId;
use cubecast_core::names::Offset;
use cubecast_core::wire::answer::{ClusterView, Done, Location, Message, NodeStatus, TopicSummary};

/// An answer, and the nodes that took part in it.
#[derive(Clone, PartialEq, Debug)]
pub struct Answered<T> {
    /// The answer's content.
    pub value: T,
    /// The node that did the work.
    pub served_by: HostId,
    /// The node that received this client's request.
    pub asked: HostId,
    /// Number of attempts, the successful one included.
    pub attempts: u32,
    /// Set if the home was unavailable and another node was used.
    pub fell_over: Option<FellOver>,
    /// The nodes that the request crossed, if tracing was requested.
    pub hops: Option<Vec<HostId>>,
}

/// The location of a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The topic's home.
    pub home: Vertex,
    /// The other replicas.
    pub neighbours: Vec<Vertex>,
}

/// The result of a publish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    /// `None` for an `ack: one` whose publish is not in the log yet.
    pub offset: Option<Offset>,
    /// The nodes that store the message.
    pub replicas: Vec<HostId>,
    /// Whether this publish repeats an earlier one.
    pub repeated: bool,
}

/// The result of a pull.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pulled {
    /// Messages in order of their offsets.
    pub messages: Vec<Message>,
    /// The subscriber's cursor after the pull.
    pub cursor: Offset,
    /// The topic's end at the time of the read.
    pub end: Offset,
    /// The number of log entries by which a replica is behind, where a replica was read.
    pub behind: Option<u64>,
    /// The topic's home, where a replica was read.
    pub original_node: Option<Vertex>,
}

/// The topics of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicList {
    /// Topics of all groups that answered.
    pub topics: Vec<TopicSummary>,
    /// The homes of groups that did not answer.
    pub missing: Vec<Vertex>,
}

/// The accepted request to fail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// The node that fails.
    pub node: HostId,
    /// The kind of failure.
    pub mode: StopMode,
    /// Its duration in milliseconds.
    pub duration_ms: u64,
}

impl<T> Answered<T> {
    pub(super) fn read(reply: Reply, read: fn(Done) -> Option<T>) -> Result<Answered<T>, ClientError> {
        let Reply { answer, asked, attempts, fell_over } = reply;
        let served_by = answer.served_by;
        let value = answer.result.ok().and_then(read).ok_or(ClientError::Unexpected { served_by })?;
        Ok(Answered { value, served_by, asked, attempts, fell_over, hops: answer.hops })
    }

    /// Converts the value and keeps everything else.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Answered<U> {
        let Answered { value, served_by, asked, attempts, fell_over, hops } = self;
        Answered { value: convert(value), served_by, asked, attempts, fell_over, hops }
    }
}

pub(super) fn existed(done: Done) -> Option<bool> {
    match done {
        Done::PublisherCreated { existed, .. } | Done::SubscriberCreated { existed, .. } => Some(existed),
        _ => None,
    }
}

pub(super) fn deleted(done: Done) -> Option<()> {
    matches!(done, Done::PublisherDeleted { .. } | Done::SubscriberDeleted { .. }).then_some(())
}

pub(super) fn placed(done: Done) -> Option<Placed> {
    match done {
        Done::TopicCreated { home, neighbours, .. } | Done::TopicDeleted { home, neighbours, .. } => {
            Some(Placed { home, neighbours })
        }
        _ => None,
    }
}

pub(super) fn published(done: Done) -> Option<Published> {
    match done {
        Done::Published { offset, replicas, repeated, .. } => Some(Published { offset, replicas, repeated }),
        _ => None,
    }
}

pub(super) fn cursor(done: Done) -> Option<Offset> {
    match done {
        Done::Subscribed { cursor, .. } | Done::Committed { cursor, .. } => Some(cursor),
        _ => None,
    }
}

pub(super) fn pulled(done: Done) -> Option<Pulled> {
    match done {
        Done::Pulled { messages, cursor, end, behind, original_node, .. } => {
            Some(Pulled { messages, cursor, end, behind, original_node })
        }
        _ => None,
    }
}

pub(super) fn located(done: Done) -> Option<Location> {
    match done {
        Done::Located(location) => Some(location),
        _ => None,
    }
}

pub(super) fn topics(done: Done) -> Option<TopicList> {
    match done {
        Done::Topics { topics, missing } => Some(TopicList { topics, missing }),
        _ => None,
    }
}

pub(super) fn cluster(done: Done) -> Option<ClusterView> {
    match done {
        Done::Cluster(view) => Some(view),
        _ => None,
    }
}

pub(super) fn status(done: Done) -> Option<NodeStatus> {
    match done {
        Done::Status(status) => Some(*status),
        _ => None,
    }
}

pub(super) fn stopped(done: Done) -> Option<Stopped> {
    match done {
        Done::NodeStopped { node, mode, duration_ms } => Some(Stopped { node, mode, duration_ms }),
        _ => None,
    }
}
