//! What clients did and saw: the record that a checker reads, whoever made it, the simulator or clients of real processes.
//!
//! Every publish to the topics in question has to be in it, whoever made it, and contents are used once: a message that is found
//! anywhere tells which publish it comes from.
//!
//! Times are those of one clock, the recorder's: an operation was under way from `invoked` until it was answered, and, where no
//! answer came, perhaps for ever.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cube::Vertex;
use crate::names::{Offset, SubscriberId, TopicName};
use crate::time::Instant;
use crate::wire::answer::{Done, ErrorCode, Failure, Message};
use crate::wire::client::Action;

/// A client: it does one thing after the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u32);

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// In order of invocation.
    pub operations: Vec<Operation>,
    /// Push subscriptions, in the order in which they began.
    pub sessions: Vec<Session>,
}

impl History {
    /// How many messages were pushed in all.
    pub fn deliveries(&self) -> usize {
        self.sessions.iter().map(|session| session.deliveries.len()).sum()
    }

    /// The open push subscriptions that were not delivered all of their topic's messages, of which there are so many.
    pub fn undelivered<'a>(&'a self, messages: &'a BTreeMap<TopicName, u64>) -> impl Iterator<Item = &'a Session> {
        let open = self.sessions.iter().filter(|session| session.ended.is_none());
        open.filter(|session| messages.get(&session.topic).is_some_and(|count| session.next().0 < *count))
    }
}

/// One request to one node. A publish that is repeated under its sequence number is two operations with the same content.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Operation {
    pub client: ClientId,
    /// The node it was sent to.
    pub node: Vertex,
    pub action: Action,
    pub invoked: Instant,
    /// `None`: no answer came, because the connection broke or the run ended.
    pub answered: Option<Answered>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answered {
    pub at: Instant,
    pub served_by: Vertex,
    pub hops: Vec<Vertex>,
    pub result: Result<Done, Failure>,
}

/// What is known of an operation.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Outcome<'a> {
    Done(&'a Done),
    /// It was not done, and will not be.
    Refused(&'a Failure),
    /// It was done, or was not, or will be.
    InDoubt,
}

impl Operation {
    pub fn outcome(&self) -> Outcome<'_> {
        match self.answered.as_ref().map(|answered| &answered.result) {
            Some(Ok(done)) => Outcome::Done(done),
            Some(Err(failure)) if failure.code != ErrorCode::Timeout => Outcome::Refused(failure),
            Some(Err(_)) | None => Outcome::InDoubt,
        }
    }

    /// When it was over at the latest; what was never answered is never over.
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
    pub node: Vertex,
    pub topic: TopicName,
    pub subscriber: SubscriberId,
    pub opened: Instant,
    /// The cursor that `subscribe` answered: the first offset to be delivered.
    pub from: Offset,
    /// In the order of their coming.
    pub deliveries: Vec<(Instant, Message)>,
    pub ended: Option<(Instant, SessionEnd)>,
}

impl Session {
    /// The offset that is to be delivered next.
    pub fn next(&self) -> Offset {
        self.deliveries.last().map_or(self.from, |(_, message)| message.offset.next())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// The connection broke, or the node closed it.
    Closed,
    /// The client unsubscribed, or left.
    Left,
    /// The node said that the topic was deleted.
    TopicDeleted,
}
