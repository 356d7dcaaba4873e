//! The record of client operations, from the simulator or from clients of real processes.
//!
//! The record must contain every publish to its topics, from every client, and each content is used only once. A
//! message found anywhere therefore identifies its publish.
//!
//! All times are of one clock, the recorder's. An operation was under way from `invoked` until its answer, or without
//! an answer possibly forever.

use std::collections::BTreeMap;

use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Done, ErrorCode, Failure, Message};
use cubecast_core::wire::client::Action;
use serde::{Deserialize, Serialize};

/// A client, which performs one operation at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u32);

/// The operations and push sessions of all clients.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// In order of invocation.
    pub operations: Vec<Operation>,
    /// Push subscriptions, in order of their start.
    pub sessions: Vec<Session>,
}

impl History {
    /// Number of messages pushed in all sessions.
    pub fn deliveries(&self) -> usize {
        self.sessions.iter().map(|session| session.deliveries.len()).sum()
    }

    /// The open push sessions that have not received all messages of their topic. `messages` has the number of messages
    /// of each topic.
    pub fn undelivered<'a>(&'a self, messages: &'a BTreeMap<TopicName, u64>) -> impl Iterator<Item = &'a Session> {
        let open = self.sessions.iter().filter(|session| session.ended.is_none());
        open.filter(|session| messages.get(&session.topic).is_some_and(|count| session.next().0 < *count))
    }
}

/// One request to one node. A publish repeated under its sequence number is two operations with the same content.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Operation {
    pub client: ClientId,
    /// The node that received the request.
    pub node: HostId,
    /// The requested action.
    pub action: Action,
    /// When the client sent the request.
    pub invoked: Instant,
    /// `None`: no answer arrived, because the connection broke or the run ended.
    pub answered: Option<Answered>,
}

/// The answer to an operation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// When the answer arrived.
    pub at: Instant,
    /// The node that served the request.
    pub served_by: HostId,
    /// The nodes that the request crossed.
    pub hops: Vec<HostId>,
    pub result: Result<Done, Failure>,
}

/// What an answer proves about an operation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Outcome<'a> {
    /// It was performed.
    Done(&'a Done),
    /// It was not performed, and never will be.
    Refused(&'a Failure),
    /// It was performed, or will be, or never.
    InDoubt,
}

impl Operation {
    /// The outcome. A timeout or a missing answer leaves it in doubt.
    pub fn outcome(&self) -> Outcome<'_> {
        match self.answered.as_ref().map(|answered| &answered.result) {
            Some(Ok(done)) => Outcome::Done(done),
            Some(Err(failure)) if failure.code != ErrorCode::Timeout => Outcome::Refused(failure),
            Some(Err(_)) | None => Outcome::InDoubt,
        }
    }

    /// The latest time at which it can have taken effect: the answer, or [`u64::MAX`] if it is in doubt.
    pub fn over(&self) -> Instant {
        match (&self.answered, self.outcome()) {
            (Some(answered), Outcome::Done(_) | Outcome::Refused(_)) => answered.at,
            _ => Instant(u64::MAX),
        }
    }
}

/// One push subscription on one connection, from the answer to `subscribe` to its end.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Session {
    pub client: ClientId,
    /// The node that pushes.
    pub node: HostId,
    pub topic: TopicName,
    pub subscriber: SubscriberId,
    /// When the answer to `subscribe` arrived.
    pub opened: Instant,
    /// The cursor in the answer to `subscribe`: the first offset to deliver.
    pub from: Offset,
    /// Messages in order of arrival.
    pub deliveries: Vec<(Instant, Message)>,
    /// When and how the session ended; `None`: it is open.
    pub ended: Option<(Instant, SessionEnd)>,
}

impl Session {
    /// The next offset to deliver.
    pub fn next(&self) -> Offset {
        self.deliveries.last().map_or(self.from, |(_, message)| message.offset.next())
    }
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// The connection broke, or the node closed it.
    Closed,
    /// The client unsubscribed, or closed the connection.
    Left,
    /// The node reported that the topic was deleted.
    TopicDeleted,
}
