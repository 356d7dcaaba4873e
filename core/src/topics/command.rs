//! What a replica group agrees on: the commands in its log.

use serde::{Deserialize, Serialize};

use crate::names::{Offset, PublisherId, Sequence, SubscriberId, TopicName};
use crate::time::Timestamp;
use crate::wire::client::StartAt;
use crate::wire::peer::RequestKey;

/// One change to a group's state. A log entry carries a list of them, so that many requests share one entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Command {
    /// Who took it in; a repeat of the same key has no second effect.
    pub key: RequestKey,
    /// When the leader took it in: the message's time.
    pub time: Timestamp,
    pub op: Op,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Op {
    CreatePublisher { publisher: PublisherId },
    CreateSubscriber { subscriber: SubscriberId },
    CreateTopic { publisher: PublisherId, topic: TopicName },
    DeleteTopic { publisher: PublisherId, topic: TopicName },
    Publish { publisher: PublisherId, topic: TopicName, sequence: Option<Sequence>, content: String },
    Subscribe { subscriber: SubscriberId, topic: TopicName, from: Option<StartAt> },
    Unsubscribe { subscriber: SubscriberId, topic: TopicName },
    Commit { subscriber: SubscriberId, topic: TopicName, offset: Offset },
}

/// A topic's identity within its group: a topic deleted and created again under the same name is another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(pub u64);
