//! A replica group's state machine: registries, topics, subscriptions with their cursors, recognised repeats.
//!
//! Applying the same commands in the same order gives the same state, byte for byte, on every member. Message bodies are not
//! kept here: applying a publish says what to store, and where.

pub mod command;

use serde::{Deserialize, Serialize};

use crate::cube::Vertex;
use crate::names::{Offset, PublisherId, Sequence, SubscriberId, TopicName};
use crate::store::StoredMessage;
use crate::wire::answer::Failure;
use crate::wire::client::StartAt;
use command::{Command, Op, TopicId};

/// What one command did.
#[derive(Clone, PartialEq, Debug)]
pub struct Applied {
    pub outcome: Result<Outcome, Failure>,
    pub change: Change,
}

/// What the one who asked learns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Registered { existed: bool },
    TopicCreated,
    TopicDeleted,
    Published { offset: Offset, repeated: bool },
    Subscribed { cursor: Offset },
    Unsubscribed,
    Committed { cursor: Offset },
}

/// What has to be done to the messages on disk.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Nothing,
    Store { topic: TopicName, id: TopicId, message: StoredMessage },
    Created { topic: TopicName },
    Drop { topic: TopicName, id: TopicId },
}

/// The state of one replica group.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Topics {}

/// What is known of one topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicView {
    pub id: TopicId,
    pub name: TopicName,
    pub owner: PublisherId,
    /// The number of messages, and the offset of the next.
    pub end: Offset,
    pub subscribers: u64,
}
