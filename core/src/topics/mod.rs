//! The state machine of a replica group: registries, topics, subscriptions with their cursors, and recognised repeats.
//!
//! Applying the same commands in the same order produces the same state, byte for byte, on every member. The state does
//! not contain messages: applying a publish returns the message to store and its offset. It also does not check whether
//! a publisher or subscriber is registered: its registry may be in another group, and the coordinator has checked it
//! there.
//!
//! Every command may arrive twice, because its coordinator retries, and late. The second copy changes nothing and has
//! the outcome of the first. A late copy never undoes a later request of the same coordinator, and never affects a
//! topic that was created since.

mod apply;
pub mod command;
mod dedup;
mod late;
mod mistakes;
#[cfg(all(test, not(target_family = "wasm")))]
mod properties;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::bugs::Bugs;
use crate::identity::{Member, RequestKey};
use crate::names::{Offset, PublisherId, SubscriberId, TopicId, TopicName};
use crate::records::StoredMessage;
use crate::time::Timestamp;
use crate::wire::answer::Failure;
use dedup::Dedup;
use late::{Tombstones, VersionVector};
use registry::Registry;

pub use dedup::{MAX_BYTES as MAX_REPEAT_BYTES, MAX_PRODUCERS, MAX_RUNS};

/// The maximum number of topics in one group; further ones are refused.
pub const MAX_TOPICS: usize = 100_000;
/// The approximate memory limit, in bytes, for the topics of a group, without their subscriptions and recognised
/// repeats. A topic that does not fit is refused.
pub const MAX_TOPIC_BYTES: usize = 64 << 20;
/// The approximate memory limit, in bytes, for the subscriptions to a group's topics. A subscription that does not fit
/// is refused.
pub const MAX_SUBSCRIPTION_BYTES: usize = 64 << 20;
/// The approximate memory limit, in bytes, for the publishers and subscribers registered in one group. A name that does
/// not fit is refused.
pub const MAX_REGISTERED_BYTES: usize = 32 << 20;
/// The number of deletions for which repeats are recognised. Also the number of names without a topic, and of topics
/// without a subscriber, for which late copies are recognised.
pub const REMOVALS_REMEMBERED: usize = 1_024;

/// The version of [`Topics::encode`]'s format: its first byte.
const FORMAT: u8 = 4;

/// The effect of one command.
#[derive(Clone, PartialEq, Debug)]
pub struct Applied {
    /// The result for the requester.
    pub outcome: Result<Outcome, Failure>,
    /// The consequence for stored messages.
    pub change: Change,
}

/// The result for the requester.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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

/// The consequence of a command for the messages on disk, and for clients that wait for messages.
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
        /// The number of messages that the topic had.
        end: Offset,
    },
    /// A subscription ended.
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
    /// The number of the next topic; numbers are never reused.
    next_id: u64,
    /// The latest time of any command. Leaders' clocks differ and can be set back, but times in the log never decrease.
    latest: Timestamp,
    deleted: VecDeque<DeletedTopic>,
    /// Requests for names without a topic, and for topics without this subscriber.
    no_topic: Tombstones<TopicName>,
    no_subscription: Tombstones<(TopicId, SubscriberId)>,
    /// An index of `topics`.
    #[serde(skip)]
    names: BTreeMap<TopicId, TopicName>,
    /// The approximate memory that the subscriptions to `topics` use, in bytes.
    #[serde(skip)]
    subscription_bytes: usize,
    /// The approximate memory that `topics` use without subscriptions and recognised repeats, in bytes.
    #[serde(skip)]
    topic_bytes: usize,
    /// The approximate memory for recognised repeats, in bytes.
    #[serde(skip)]
    dedup_bytes: usize,
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
    /// Requests up to these were not meant for this topic: they found no topic, or an earlier one of the same name.
    before: VersionVector,
    /// Requests that this topic has met, including those in `before`.
    met: VersionVector,
    end: Offset,
    cursors: BTreeMap<SubscriberId, Cursor>,
    dedup: Dedup,
}

/// A subscriber's position in one topic; never past the topic's end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Cursor {
    offset: Offset,
    /// Requests up to these have no effect on the cursor: its position was set after them.
    before: VersionVector,
    /// Requests that this cursor has met, including those in `before`.
    met: VersionVector,
    /// For each coordinator: its newest answered request, and the resulting position; `None` if the request was
    /// refused.
    answers: BTreeMap<Member, (u64, Option<Offset>)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct DeletedTopic {
    created_by: RequestKey,
    deleted_by: RequestKey,
}

/// A summary of one topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicView {
    /// Its number in the group.
    pub id: TopicId,
    pub name: TopicName,
    /// The publisher that created it.
    pub owner: PublisherId,
    /// The number of messages, which equals the offset of the next message.
    pub end: Offset,
    /// The number of subscriptions.
    pub subscribers: u64,
}

/// The status of a topic's number in a state. Numbers are assigned in order, so a state that is behind can distinguish
/// a topic that it has not seen yet from a deleted one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// The topic will be created by a later command.
    NotYet,
    /// The topic exists; the offset is that of its next message.
    Here(Offset),
    /// The topic was deleted.
    Deleted,
}

/// The numbers of topics and messages in one group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub topics: u64,
    pub messages: u64,
}

/// The current sizes of all limited parts of a state. For limits per topic, the largest size of any topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// The number of topics.
    pub topics: usize,
    /// Bytes of topics, without repeats and subscriptions.
    pub topic_bytes: usize,
    /// Bytes of recognised repeats.
    pub dedup: usize,
    /// Bytes of subscriptions.
    pub subscriptions: usize,
    /// Bytes of registered names.
    pub registered: usize,
    /// The longest list of remembered deletions or absent names; see [`REMOVALS_REMEMBERED`].
    pub removals: usize,
    /// The most producers of one topic; see [`MAX_PRODUCERS`].
    pub producers_of_one: usize,
    /// The most runs of one producer; see [`MAX_RUNS`].
    pub runs_of_one: usize,
}

impl Sizes {
    /// The maximum of each field.
    pub fn or_more(self, other: Sizes) -> Sizes {
        Sizes {
            topics: self.topics.max(other.topics),
            topic_bytes: self.topic_bytes.max(other.topic_bytes),
            dedup: self.dedup.max(other.dedup),
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
        "the state has format {found}, but this version of Cubecast reads only format {FORMAT}; start the version that \
         wrote it"
    )]
    Format { found: u8 },
    #[error("the state is damaged: {0}")]
    Damaged(String),
}

impl Topics {
    /// The topic with this name.
    pub fn topic(&self, name: &TopicName) -> Option<TopicView> {
        self.topics.get(name).map(|topic| topic.view(name))
    }

    /// The topic with this number.
    pub fn topic_by_id(&self, id: TopicId) -> Option<TopicView> {
        self.names.get(&id).and_then(|name| self.topic(name))
    }

    /// All topics, sorted by name.
    pub fn topics(&self) -> impl Iterator<Item = TopicView> + '_ {
        self.topics.iter().map(|(name, topic)| topic.view(name))
    }

    /// A topic's number and the offset of its next message, for reads and publishes, without copying names.
    pub fn place(&self, name: &TopicName) -> Option<(TopicId, Offset)> {
        self.topics.get(name).map(|topic| (topic.id, topic.end))
    }

    /// Whether a topic with this number exists, will exist, or was deleted.
    pub fn known(&self, id: TopicId) -> Known {
        match self.numbered(id) {
            Some(topic) => Known::Here(topic.end),
            None if id.0 < self.next_id => Known::Deleted,
            None => Known::NotYet,
        }
    }

    /// Whether the topic exists and the subscriber has a cursor in it.
    pub fn is_subscribed(&self, id: TopicId, subscriber: &SubscriberId) -> bool {
        self.numbered(id).is_some_and(|topic| topic.cursors.contains_key(subscriber))
    }

    fn numbered(&self, id: TopicId) -> Option<&Topic> {
        self.names.get(&id).and_then(|name| self.topics.get(name))
    }

    /// Whether this publisher is registered here; `false` for an invalid name.
    pub fn is_publisher(&self, name: &str) -> bool {
        PublisherId::new(name).is_ok_and(|name| self.publishers.contains(&name))
    }

    /// Whether this subscriber is registered here; `false` for an invalid name.
    pub fn is_subscriber(&self, name: &str) -> bool {
        SubscriberId::new(name).is_ok_and(|name| self.subscribers.contains(&name))
    }

    /// The last reported use of a publisher registered here.
    pub fn publisher_used(&self, name: &PublisherId) -> Option<Timestamp> {
        self.publishers.used(name)
    }

    /// The last reported use of a subscriber registered here.
    pub fn subscriber_used(&self, name: &SubscriberId) -> Option<Timestamp> {
        self.subscribers.used(name)
    }

    /// Whether [`command::Op::ExpireNames`] would delete any name. Scans all names.
    pub fn has_names_unused_since(&self, before: Timestamp) -> bool {
        self.publishers.has_unused_since(before) || self.subscribers.has_unused_since(before)
    }

    /// The latest time in the group's log.
    pub fn latest(&self) -> Timestamp {
        self.latest
    }

    /// The offset of the subscriber's next message; `None` if there is no such topic or subscription.
    pub fn cursor(&self, topic: &TopicName, subscriber: &SubscriberId) -> Option<Offset> {
        self.topics.get(topic)?.cursors.get(subscriber).map(|cursor| cursor.offset)
    }

    /// The numbers of topics and messages.
    pub fn counts(&self) -> Counts {
        Counts { topics: self.topics.len() as u64, messages: self.messages }
    }

    /// The current sizes of all limited parts. Scans all topics.
    pub fn sizes(&self) -> Sizes {
        let topics = self.topics.values().map(|topic| {
            let (producers_of_one, runs_of_one) = topic.dedup.sizes();
            let producers_of_one = producers_of_one.max(topic.met.len());
            Sizes { producers_of_one, runs_of_one, ..Sizes::default() }
        });
        let group = Sizes {
            topics: self.topics.len(),
            topic_bytes: self.topic_bytes,
            dedup: self.dedup_bytes,
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

    /// Encodes the whole state for a checkpoint. Equal states have equal encodings.
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
            topic.dedup.index();
        }
        self.topic_bytes = self.topics.iter().map(|(name, topic)| topic_bytes(name, &topic.owner)).sum();
        self.dedup_bytes = self.topics.values().map(|topic| topic.dedup.bytes()).sum();
        self.subscription_bytes = self.topics.values().map(Topic::subscription_bytes).sum();
        self.messages = self.topics.values().fold(0, |sum, topic| sum.saturating_add(topic.end.0));
    }
}

/// The approximate memory of a topic, in bytes: its entry, its name in two indices, and its owner's name.
fn topic_bytes(name: &TopicName, owner: &PublisherId) -> usize {
    576 + 2 * name.as_str().len() + owner.as_str().len()
}

/// The approximate memory of a subscription, in bytes: its subscriber's name, its cursor, and the cursor's answers.
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
