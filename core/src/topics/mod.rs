//! A replica group's state machine: registries, topics, subscriptions with their cursors, recognised repeats.
//!
//! Applying the same commands in the same order gives the same state, byte for byte, on every member. Message bodies are not
//! kept here: applying a publish says what to store, and where. Whether a publisher or subscriber is registered is not asked
//! here either: its registry may lie in another group, and the origin asked there.
//!
//! Every command may come twice (its origin retries), and late. The second time it changes nothing and has the outcome of the
//! first; a late copy never undoes what the same origin asked for afterwards, nor does anything to a topic that was created since.

mod apply;
pub mod command;
mod late;
mod mistakes;
#[cfg(all(test, not(target_family = "wasm")))]
mod properties;
mod registry;
mod repeats;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::bugs::Bugs;
use crate::identity::NodeId;
use crate::names::{Offset, PublisherId, SubscriberId, TopicName};
use crate::store::StoredMessage;
use crate::time::Timestamp;
use crate::wire::answer::Failure;
use crate::wire::peer::RequestKey;
use command::TopicId;
use late::{Absences, Newest};
use registry::Registry;
use repeats::Repeats;

pub use repeats::{MAX_BYTES as MAX_REPEAT_BYTES, MAX_PRODUCERS, MAX_RUNS};

/// Topics of one group; one more is refused.
pub const MAX_TOPICS: usize = 100_000;
/// Bytes of memory, about, of a group's topics beside their subscriptions and the repeats that they recognise; a topic that does not
/// fit is refused.
pub const MAX_TOPIC_BYTES: usize = 64 << 20;
/// Bytes of memory, about, of the subscriptions to a group's topics; one that does not fit is refused.
pub const MAX_SUBSCRIPTION_BYTES: usize = 64 << 20;
/// Bytes of memory, about, of the publishers and subscribers registered in one group; a name that does not fit is refused.
pub const MAX_REGISTERED_BYTES: usize = 32 << 20;
/// Deletions of which a repeat is recognised; and as many names without a topic, and topics without a subscriber, of which late
/// copies are.
pub const REMOVALS_REMEMBERED: usize = 1_024;

/// The version of [`Topics::encode`]'s format: its first byte.
const FORMAT: u8 = 4;

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
    Unregistered,
    TopicCreated,
    TopicDeleted,
    Published { offset: Offset, repeated: bool },
    Subscribed { topic: TopicId, cursor: Offset },
    Unsubscribed,
    Committed { cursor: Offset },
}

/// What follows for the messages on disk, and for those who wait for them.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    Nothing,
    Store {
        topic: TopicName,
        id: TopicId,
        message: StoredMessage,
    },
    Created {
        topic: TopicName,
    },
    Drop {
        topic: TopicName,
        id: TopicId,
        /// How many messages there were.
        end: Offset,
    },
    /// Somebody is no longer subscribed.
    Unsubscribed {
        id: TopicId,
    },
}

/// The state of one replica group.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Topics {
    publishers: Registry<PublisherId>,
    subscribers: Registry<SubscriberId>,
    topics: BTreeMap<TopicName, Topic>,
    /// The number that the next topic gets; numbers are never used again.
    next_id: u64,
    /// The latest time of any command: leaders' clocks differ, and are set back, and times in the log nevertheless never decrease.
    latest: Timestamp,
    deleted: VecDeque<DeletedTopic>,
    /// Names without a topic, and topics without this subscriber.
    no_topic: Absences<TopicName>,
    no_subscription: Absences<(TopicId, SubscriberId)>,
    /// An index of `topics`.
    #[serde(skip)]
    names: BTreeMap<TopicId, TopicName>,
    /// About the memory that the subscriptions to `topics` take.
    #[serde(skip)]
    subscription_bytes: usize,
    /// About the memory that `topics` take beside these and the repeats that they recognise.
    #[serde(skip)]
    topic_bytes: usize,
    /// About the memory that recognising repeats takes.
    #[serde(skip)]
    repeat_bytes: usize,
    /// The sum of the ends of `topics`.
    #[serde(skip)]
    messages: u64,
    #[serde(skip)]
    bugs: Bugs,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Topic {
    id: TopicId,
    owner: PublisherId,
    created_by: RequestKey,
    /// Up to these, requests were not meant for it: they found no topic, or the one before.
    before: Newest,
    /// What it has met, these included.
    met: Newest,
    end: Offset,
    cursors: BTreeMap<SubscriberId, Cursor>,
    repeats: Repeats,
}

/// A subscriber's position in one topic; never past the topic's end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Cursor {
    offset: Offset,
    /// Up to these, requests have no effect on it: it was put where it is after them.
    before: Newest,
    /// What it has met, these included.
    met: Newest,
    /// Of each origin the newest request that was answered, and where it left the cursor; `None`: it was refused.
    answers: BTreeMap<NodeId, (u64, Option<Offset>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct DeletedTopic {
    created_by: RequestKey,
    deleted_by: RequestKey,
}

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

/// What a state knows of a topic's number. Numbers are given in order, so a state that is behind tells what it has not seen yet
/// from what is gone for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    NotYet,
    /// With the offset of its next message.
    Here(Offset),
    Deleted,
}

/// How much there is in one group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub topics: u64,
    pub messages: u64,
}

/// How full a state is of what is limited; of what there is for each topic, the fullest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    pub topics: usize,
    /// Bytes of topics beside the next two.
    pub topic_bytes: usize,
    /// Bytes of recognised repeats.
    pub repeats: usize,
    /// Bytes of subscriptions.
    pub subscriptions: usize,
    /// Bytes of registered names.
    pub registered: usize,
    pub removals: usize,
    pub producers_of_one: usize,
    pub runs_of_one: usize,
}

impl Sizes {
    /// The larger of each.
    pub fn or_more(self, other: Sizes) -> Sizes {
        Sizes {
            topics: self.topics.max(other.topics),
            topic_bytes: self.topic_bytes.max(other.topic_bytes),
            repeats: self.repeats.max(other.repeats),
            subscriptions: self.subscriptions.max(other.subscriptions),
            registered: self.registered.max(other.registered),
            removals: self.removals.max(other.removals),
            producers_of_one: self.producers_of_one.max(other.producers_of_one),
            runs_of_one: self.runs_of_one.max(other.runs_of_one),
        }
    }
}

/// Why bytes are not an encoded state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StateError {
    #[error(
        "the state has format {found}, and this version of Cubecast reads format {FORMAT} only: start the version that wrote it"
    )]
    Format { found: u8 },
    #[error("the state is damaged: {0}")]
    Damaged(String),
}

impl Topics {
    pub fn topic(&self, name: &TopicName) -> Option<TopicView> {
        self.topics.get(name).map(|topic| topic.view(name))
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<TopicView> {
        self.names.get(&id).and_then(|name| self.topic(name))
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = TopicView> + '_ {
        self.topics.iter().map(|(name, topic)| topic.view(name))
    }

    /// A topic's number and the offset of its next message: what a read or a publish needs, without a copy of names.
    pub fn place(&self, name: &TopicName) -> Option<(TopicId, Offset)> {
        self.topics.get(name).map(|topic| (topic.id, topic.end))
    }

    pub fn known(&self, id: TopicId) -> Known {
        match self.numbered(id) {
            Some(topic) => Known::Here(topic.end),
            None if id.0 < self.next_id => Known::Deleted,
            None => Known::NotYet,
        }
    }

    /// Whether there is such a topic, and the subscriber has a cursor in it.
    pub fn is_subscribed(&self, id: TopicId, subscriber: &SubscriberId) -> bool {
        self.numbered(id).is_some_and(|topic| topic.cursors.contains_key(subscriber))
    }

    fn numbered(&self, id: TopicId) -> Option<&Topic> {
        self.names.get(&id).and_then(|name| self.topics.get(name))
    }

    /// Whether this publisher is registered here; a text that is no valid name is not.
    pub fn is_publisher(&self, name: &str) -> bool {
        PublisherId::new(name).is_ok_and(|name| self.publishers.contains(&name))
    }

    /// Whether this subscriber is registered here; a text that is no valid name is not.
    pub fn is_subscriber(&self, name: &str) -> bool {
        SubscriberId::new(name).is_ok_and(|name| self.subscribers.contains(&name))
    }

    /// When a publisher registered here was last reported as used.
    pub fn publisher_used(&self, name: &PublisherId) -> Option<Timestamp> {
        self.publishers.used(name)
    }

    /// When a subscriber registered here was last reported as used.
    pub fn subscriber_used(&self, name: &SubscriberId) -> Option<Timestamp> {
        self.subscribers.used(name)
    }

    /// Whether [`command::Op::ExpireNames`] would delete any. Goes through all names.
    pub fn has_names_unused_since(&self, before: Timestamp) -> bool {
        self.publishers.has_unused_since(before) || self.subscribers.has_unused_since(before)
    }

    /// The latest time in the group's log.
    pub fn latest(&self) -> Timestamp {
        self.latest
    }

    /// The offset that the subscriber reads next; `None` without such a topic or subscription.
    pub fn cursor(&self, topic: &TopicName, subscriber: &SubscriberId) -> Option<Offset> {
        self.topics.get(topic)?.cursors.get(subscriber).map(|cursor| cursor.offset)
    }

    pub fn counts(&self) -> Counts {
        Counts { topics: self.topics.len() as u64, messages: self.messages }
    }

    /// Goes through all topics.
    pub fn sizes(&self) -> Sizes {
        let topics = self.topics.values().map(|topic| {
            let (producers_of_one, runs_of_one) = topic.repeats.sizes();
            let producers_of_one = producers_of_one.max(topic.met.len());
            Sizes { producers_of_one, runs_of_one, ..Sizes::default() }
        });
        let group = Sizes {
            topics: self.topics.len(),
            topic_bytes: self.topic_bytes,
            repeats: self.repeat_bytes,
            subscriptions: self.subscription_bytes,
            registered: self.publishers.bytes() + self.subscribers.bytes(),
            removals: [self.deleted.len(), self.no_topic.len(), self.no_subscription.len()]
                .into_iter()
                .chain([self.publishers.removals(), self.subscribers.removals()])
                .fold(0, usize::max),
            ..Sizes::default()
        };
        topics.fold(group, Sizes::or_more)
    }

    /// The whole state as bytes, for a checkpoint: equal states give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("memory takes any state")
    }

    /// The inverse of [`Topics::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Topics, StateError> {
        let (&format, body) = bytes.split_first().ok_or_else(|| StateError::Damaged("it is empty".into()))?;
        if format != FORMAT {
            return Err(StateError::Format { found: format });
        }
        let (mut topics, rest): (Topics, _) =
            postcard::take_from_bytes(body).map_err(|error| StateError::Damaged(error.to_string()))?;
        if !rest.is_empty() {
            return Err(StateError::Damaged(format!("{} bytes follow its end", rest.len())));
        }
        topics.index();
        Ok(topics)
    }

    fn index(&mut self) {
        self.publishers.index();
        self.subscribers.index();
        self.names = self.topics.iter().map(|(name, topic)| (topic.id, name.clone())).collect();
        for topic in self.topics.values_mut() {
            topic.repeats.index();
        }
        self.topic_bytes = self.topics.iter().map(|(name, topic)| topic_bytes(name, &topic.owner)).sum();
        self.repeat_bytes = self.topics.values().map(|topic| topic.repeats.bytes()).sum();
        self.subscription_bytes = self.topics.values().map(Topic::subscription_bytes).sum();
        self.messages = self.topics.values().fold(0, |sum, topic| sum.saturating_add(topic.end.0));
    }
}

/// About the memory that a topic takes: its entry, its name in two indices, and its owner's name.
fn topic_bytes(name: &TopicName, owner: &PublisherId) -> usize {
    576 + 2 * name.as_str().len() + owner.as_str().len()
}

/// About the memory that a subscription takes: its subscriber's name, its cursor, and what it has answered.
fn subscription_bytes(subscriber: &SubscriberId) -> usize {
    640 + subscriber.as_str().len()
}

impl Topic {
    fn subscription_bytes(&self) -> usize {
        self.cursors.keys().map(subscription_bytes).sum()
    }

    fn view(&self, name: &TopicName) -> TopicView {
        TopicView {
            id: self.id,
            name: name.clone(),
            owner: self.owner.clone(),
            end: self.end,
            subscribers: self.cursors.len() as u64,
        }
    }
}
