//! All inputs and outputs of the client.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cube::Dimension;
use crate::identity::HostId;
use crate::names::{SubscriberId, TopicName};
use crate::wire::answer::{Answer, Delivery, ErrorCode, Failure, ServerFrame};
use crate::wire::client::{Action, Request};
use crate::wire::event::WatchEvent;

/// A WebSocket of this client. The client numbers its sockets and never reuses a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId(pub u64);

/// The caller's identifier of a submission, returned with its result. The caller must not reuse it before that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// Which node to ask.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Target {
    /// The home of the action's topic, publisher or subscriber. While the home is unreachable: a replica, then any
    /// node. An action without a home is sent to any node.
    #[default]
    Home,
    /// This node only.
    Node(HostId),
    /// Any reachable node.
    Any,
}

/// One action that the caller requests.
#[derive(Clone, PartialEq, Debug)]
pub struct Submission {
    /// Identifies the result.
    pub ticket: Ticket,
    /// The action to perform.
    pub action: Action,
    /// The node to ask.
    pub to: Target,
    /// Time limit after which the client gives up.
    pub within: Duration,
    /// Whether the answer lists the nodes that the request crossed.
    pub trace: bool,
}

/// An input to the client.
#[derive(Clone, PartialEq, Debug)]
pub enum ClientInput {
    /// The caller submits an action.
    Submit(Submission),
    /// The caller no longer waits. The action may or may not be performed.
    Cancel { ticket: Ticket },
    /// The caller stops receiving a push subscription. The subscription and its cursor remain.
    StopDeliveries { topic: TopicName, subscriber: SubscriberId },
    /// The socket is open.
    Opened { socket: SocketId },
    /// Frames arrived on the socket.
    Frames { socket: SocketId, frames: Vec<ServerFrame> },
    /// The socket broke or could not be opened.
    Closed { socket: SocketId, why: String },
    /// Only time has passed.
    DeadlineReached,
}

/// The use of a socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Requests, answers and watched events. The driver must always read it.
    Requests,
    /// The messages of one push subscription on a socket of their own. The driver may stop reading while the caller is
    /// slow.
    Deliveries { topic: TopicName, subscriber: SubscriberId },
}

/// An output of the client. The driver performs the effects in order.
#[derive(Clone, PartialEq, Debug)]
pub enum ClientEffect {
    /// Open a socket. Answered by [`ClientInput::Opened`] or [`ClientInput::Closed`].
    Open { socket: SocketId, url: String, purpose: Purpose },
    /// Close a socket. Not answered.
    Close { socket: SocketId },
    /// Send requests in one message.
    Send { socket: SocketId, requests: Vec<Request> },

    /// The result of a submission.
    Resolved { ticket: Ticket, result: Result<Reply, ClientError> },
    /// A pushed message. Messages arrive in order of offsets, without gaps or duplicates.
    Delivered(Delivery),
    /// The end of a push subscription: its topic was deleted (`unknown_topic`), it was ended elsewhere
    /// (`not_subscribed`), or the client could not restore it.
    DeliveriesEnded { topic: TopicName, subscriber: SubscriberId, why: Failure },
    /// An event of a watched node.
    Event(WatchEvent),
    /// A notice for the caller.
    Notice(Notice),
}

/// The successful result of a submission.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// The node's answer.
    pub answer: Answer,
    /// The node that this client is connected to and asked.
    pub asked: HostId,
    /// Number of attempts, including the successful one.
    pub attempts: u32,
    /// Set if a node other than the home was asked.
    pub fell_over: Option<FellOver>,
}

/// A record that the home was bypassed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FellOver {
    pub from: HostId,
    /// The node that was asked instead.
    pub to: HostId,
    /// Why the home was bypassed.
    pub why: String,
}

/// Information that the caller may show to people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The client learned the nodes of the cluster.
    Learned { dimension: Dimension, nodes: usize },
    /// A socket to a node is open. The node was not lost before.
    Connected { node: Option<HostId>, url: String },
    /// A node is unreachable, or its connection broke.
    Lost { node: Option<HostId>, url: String, why: String },
    /// A lost node is reachable again.
    Reconnected { node: Option<HostId>, url: String },
    /// From now on another node is asked in the home's place.
    FellOver(FellOver),
    /// The home answers again.
    BackHome { home: HostId },
}

/// Why a submission did not succeed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// The cluster refused, and a retry would give the same result.
    #[error("{failure} (from node {served_by})")]
    Refused { failure: Failure, served_by: HostId },
    /// The time limit passed, and nothing was done.
    #[error("not done: {why}")]
    Unavailable { why: String },
    /// The time limit passed, or a retry would not be safe. The action may have been performed.
    #[error("may or may not have been done: {why}")]
    InDoubt { why: String },
    /// [`super::MAX_IN_FLIGHT`] submissions are under way already. Nothing was sent.
    #[error("this client has reached its limit of {} requests in progress; wait for answers", super::MAX_IN_FLIGHT)]
    Overloaded,
    /// The cluster has no such node. Nothing was sent.
    #[error("the cluster has no node {node}")]
    UnknownNode { node: HostId },
    /// The answer does not match the request: client and node use different protocol versions.
    #[error("node {served_by} sent an answer that does not match the request")]
    Unexpected { served_by: HostId },
    /// The client was shut down.
    #[error("the client was closed")]
    Closed,
}

impl ClientError {
    /// The protocol's error code, if the error corresponds to one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { failure, .. } => Some(failure.code),
            ClientError::Unavailable { .. } => Some(ErrorCode::Unavailable),
            ClientError::InDoubt { .. } => Some(ErrorCode::Timeout),
            ClientError::Overloaded => Some(ErrorCode::Overloaded),
            ClientError::UnknownNode { .. } | ClientError::Unexpected { .. } | ClientError::Closed => None,
        }
    }

    /// Whether the same submission may succeed later.
    pub fn is_transient(&self) -> bool {
        self.code().is_some_and(ErrorCode::is_transient)
    }
}
