//! All that enters the client and all that leaves it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cube::{Dimension, Vertex};
use crate::names::{SubscriberId, TopicName};
use crate::wire::answer::{Answer, Delivery, ErrorCode, Failure, ServerFrame};
use crate::wire::client::{Action, Request};
use crate::wire::event::WatchEvent;

/// A WebSocket of this client, numbered by it and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId(pub u64);

/// The caller's own mark on a submission; comes back with its result. Not to be used again before that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// Who shall be asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Target {
    /// The home of the action's topic, publisher or subscriber; while it is away a replica, then anybody.
    /// An action without a home is asked of anybody.
    #[default]
    Home,
    /// This node and no other.
    Node(Vertex),
    /// Whoever is there.
    Any,
}

/// One thing that the caller wants done.
#[derive(Clone, PartialEq, Debug)]
pub struct Submission {
    pub ticket: Ticket,
    pub action: Action,
    pub to: Target,
    /// After this long the client gives up.
    pub within: Duration,
    /// Whether the answer shall name the nodes that the request crossed.
    pub trace: bool,
}

/// What happened outside.
#[derive(Clone, PartialEq, Debug)]
pub enum ClientInput {
    Submit(Submission),
    /// The caller no longer waits; whether it was done stays open.
    Cancel {
        ticket: Ticket,
    },
    /// The caller no longer listens to a push subscription; the subscription and its cursor stay.
    StopDeliveries {
        topic: TopicName,
        subscriber: SubscriberId,
    },
    /// The socket stands.
    Opened {
        socket: SocketId,
    },
    Frames {
        socket: SocketId,
        frames: Vec<ServerFrame>,
    },
    /// The socket broke, or could not be opened.
    Closed {
        socket: SocketId,
        why: String,
    },
    /// Nothing but time passed.
    DeadlineReached,
}

/// What a socket is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Requests, answers and watched events: always to be read.
    Requests,
    /// The messages of one push subscription, alone on their socket: the driver may stop reading while the caller is slow.
    Deliveries { topic: TopicName, subscriber: SubscriberId },
}

/// What shall be done outside, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum ClientEffect {
    /// Answered by [`ClientInput::Opened`] or [`ClientInput::Closed`].
    Open {
        socket: SocketId,
        url: String,
        purpose: Purpose,
    },
    /// Not answered.
    Close {
        socket: SocketId,
    },
    Send {
        socket: SocketId,
        requests: Vec<Request>,
    },

    Resolved {
        ticket: Ticket,
        result: Result<Reply, ClientError>,
    },
    /// In order of offsets, without gaps and without doubles.
    Delivered(Delivery),
    /// The last word on a push subscription: its topic was deleted (`unknown_topic`), it was ended elsewhere (`not_subscribed`),
    /// or it could not be kept up.
    DeliveriesEnded {
        topic: TopicName,
        subscriber: SubscriberId,
        why: Failure,
    },
    Event(WatchEvent),
    Notice(Notice),
}

/// A request that was done, and how it went.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    pub answer: Answer,
    /// The node to which this client is connected and which it asked.
    pub asked: Vertex,
    pub attempts: u32,
    /// The home was not the one asked.
    pub fell_over: Option<FellOver>,
}

/// The home was passed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FellOver {
    pub from: Vertex,
    pub to: Vertex,
    pub why: String,
}

/// What the caller may want to tell people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The cluster told who is where.
    Learned {
        dimension: Dimension,
        nodes: usize,
    },
    Connected {
        node: Option<Vertex>,
        url: String,
    },
    /// A node cannot be reached, or no longer.
    Lost {
        node: Option<Vertex>,
        url: String,
        why: String,
    },
    Reconnected {
        node: Option<Vertex>,
        url: String,
    },
    /// From now on another node is asked in the home's place.
    FellOver(FellOver),
    /// The home answers again.
    BackHome {
        home: Vertex,
    },
}

/// Why a submission has no answer that says "done".
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// The cluster said no, and would again.
    #[error("{failure} (from node {served_by})")]
    Refused { failure: Failure, served_by: Vertex },
    /// Time is up, and nothing was done.
    #[error("not done: {why}")]
    Unavailable { why: String },
    /// Time is up, or a repeat would not be safe: it may have been done, or not.
    #[error("may or may not have been done: {why}")]
    InDoubt { why: String },
    /// [`super::MAX_IN_FLIGHT`] submissions are under way already; nothing was sent.
    #[error("this client has reached its limit of {} requests in progress; wait for answers", super::MAX_IN_FLIGHT)]
    Overloaded,
    /// The cluster has no such node; nothing was sent.
    #[error("the cluster has no node {node}")]
    UnknownNode { node: Vertex },
    /// The answer does not fit the request: the two sides do not speak the same version.
    #[error("node {served_by} sent an answer that does not match the request")]
    Unexpected { served_by: Vertex },
    /// The client was shut down.
    #[error("the client was closed")]
    Closed,
}

impl ClientError {
    /// The protocol's error code, where the cluster refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { failure, .. } => Some(failure.code),
            ClientError::Unavailable { .. } => Some(ErrorCode::Unavailable),
            ClientError::InDoubt { .. } => Some(ErrorCode::Timeout),
            ClientError::Overloaded => Some(ErrorCode::Overloaded),
            ClientError::UnknownNode { .. } | ClientError::Unexpected { .. } | ClientError::Closed => None,
        }
    }

    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        self.code().is_some_and(ErrorCode::is_transient)
    }
}
