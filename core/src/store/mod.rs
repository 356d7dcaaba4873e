//! What is kept on disk, and in what order: the vocabulary between core and a storage engine.
//!
//! Core emits [`WriteBatch`]es; an engine makes each one durable as a whole and in order, then says so. On disk lie, for each
//! replica group: raft's hard state, a [`Checkpoint`] of the small state (registries, topics, cursors, repeats), the log
//! behind it, and the messages themselves. For the node: its identity and its outbox.
//!
//! After a crash the small state is the checkpoint plus the log replayed to where it was committed; applying a log entry twice
//! writes the same message at the same offset, so nothing but the log has to be synced before an acknowledgement. What the log
//! makes again ([`Write::is_made_again`]) an engine may lose in a crash, as long as the log that makes it stays.
//!
//! What all engines share stands here too: how a row looks ([`rows`]) and which messages share one ([`runs`]), how a record of
//! a journal looks ([`journal`]), what damage means ([`judge`]), and where a read ends ([`reading`]).

pub mod journal;
pub mod judge;
pub mod reading;
pub mod rows;
pub mod runs;
pub mod space;

pub use space::Space;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::cube::Vertex;
use crate::identity::{Incarnation, NodeId};
use crate::names::{Offset, PublisherId, Sequence};
use crate::time::Timestamp;
use crate::topics::command::{Command, TopicId};

/// Changes that become durable together. Numbers grow by one; an engine may merge batches and report only the last number.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct WriteBatch {
    pub number: u64,
    pub writes: Vec<Write>,
}

/// One change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Write {
    Identity(NodeRecord),
    HardState {
        group: Vertex,
        state: HardState,
    },
    /// Entries with consecutive indexes; whatever the log has at their first index and after is replaced.
    Append {
        group: Vertex,
        entries: Vec<LogEntry>,
    },
    /// Replaces the group's checkpoint; log entries up to `drop_log_through` are no longer needed.
    /// `clear_log`: the whole log is dropped (a snapshot replaced it).
    Checkpoint {
        group: Vertex,
        checkpoint: Checkpoint,
        drop_log_through: u64,
        clear_log: bool,
    },
    /// Messages with consecutive offsets; a message already there is replaced by its equal.
    Messages {
        group: Vertex,
        topic: TopicId,
        messages: Vec<StoredMessage>,
    },
    /// Messages in place of damaged ones. Nobody makes them again, so they are durable like everything that is not made again.
    Repair {
        group: Vertex,
        topic: TopicId,
        messages: Vec<StoredMessage>,
    },
    /// All messages of a topic go.
    DropMessages {
        group: Vertex,
        topic: TopicId,
    },
    OutboxPut {
        id: u64,
        command: Command,
    },
    OutboxRemove {
        id: u64,
    },
}

impl Write {
    /// Whether the log makes it again: messages and checkpoints, from the last checkpoint on that is durable. An engine may lose
    /// the newest of them in a crash, of all groups from one batch on: a checkpoint stays only with the messages before it.
    pub fn is_made_again(&self) -> bool {
        match self {
            Write::Messages { .. } => true,
            Write::Checkpoint { clear_log, .. } => !clear_log,
            Write::Identity(_)
            | Write::HardState { .. }
            | Write::Append { .. }
            | Write::Repair { .. }
            | Write::DropMessages { .. }
            | Write::OutboxPut { .. }
            | Write::OutboxRemove { .. } => false,
        }
    }

    /// Whether all that was written before has to be durable with it: a log ends that may have to make something again, or
    /// damage is to be gone from the disk.
    pub fn settles(&self) -> bool {
        matches!(self, Write::Checkpoint { clear_log: true, .. } | Write::Repair { .. })
    }

    /// Puts a change behind others. Messages join those of their topic which they follow, past other messages only.
    pub fn push_to(mut self, writes: &mut Vec<Write>) {
        if let Some((place, messages)) = self.as_messages()
            && let Some(first) = messages.first()
            && let Some(before) = messages_before(first.offset, place, writes)
        {
            return before.append(messages);
        }
        writes.push(self);
    }

    fn as_messages(&mut self) -> Option<((Vertex, TopicId), &mut Vec<StoredMessage>)> {
        match self {
            Write::Messages { group, topic, messages } => Some(((*group, *topic), messages)),
            _ => None,
        }
    }
}

impl StoredMessage {
    /// Puts a message behind other changes: [`Write::push_to`].
    pub fn push_to(self, group: Vertex, topic: TopicId, writes: &mut Vec<Write>) {
        match messages_before(self.offset, (group, topic), writes) {
            Some(before) => before.push(self),
            None => writes.push(Write::Messages { group, topic, messages: vec![self] }),
        }
    }
}

/// The messages of a topic that end before this offset, if other messages are all that was written since.
fn messages_before(offset: Offset, place: (Vertex, TopicId), writes: &mut [Write]) -> Option<&mut Vec<StoredMessage>> {
    let mut earlier = writes.iter_mut().rev().map_while(Write::as_messages);
    let (_, before) = earlier.find(|(at, _)| *at == place)?;
    before.last().is_some_and(|last| last.offset.next() == offset).then_some(before)
}

/// Who this data folder belongs to. Checked at every start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeRecord {
    /// `None` until the node learnt whether it is a founding member.
    pub identity: Option<NodeId>,
    pub vertex: Vertex,
    /// How often this folder was opened; makes request keys unique over restarts.
    pub starts: u64,
    /// The vertices with which group traffic was exchanged, with the newest incarnation seen.
    pub met: Vec<(Vertex, Incarnation)>,
}

/// raft's promise: the term, the vote in it, and what is known to be committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HardState {
    pub term: u64,
    /// A raft id, 0 for none.
    pub vote: u64,
    pub commit: u64,
}

/// One entry of a group's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogEntry {
    pub index: u64,
    pub term: u64,
    pub kind: EntryKind,
    /// For `Commands`: an encoded list of [`Command`]s, empty for the entry with which a leader begins its term;
    /// for `MemberChange`: an encoded [`crate::group::MemberChange`].
    pub data: Bytes,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EntryKind {
    Commands,
    MemberChange,
}

/// The small state of a group at one index, with the members at that index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    pub index: u64,
    pub term: u64,
    pub voters: Vec<NodeId>,
    pub learners: Vec<NodeId>,
    /// [`crate::topics::Topics`], encoded.
    #[serde(with = "byte_string")]
    pub state: Vec<u8>,
}

/// A message as it lies on disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredMessage {
    pub offset: Offset,
    pub publisher: PublisherId,
    pub sequence: Option<Sequence>,
    pub time: Timestamp,
    pub content: Content,
}

/// What an engine found on disk when it was opened.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recovered {
    /// `None`: the folder is new.
    pub record: Option<NodeRecord>,
    pub groups: Vec<RecoveredGroup>,
    pub outbox: Vec<(u64, Command)>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct RecoveredGroup {
    pub group: Vertex,
    pub hard_state: HardState,
    pub checkpoint: Option<Checkpoint>,
    /// Consecutive, beginning right after the checkpoint or before it.
    pub log: Vec<LogEntry>,
    /// A damaged end of the log was cut off: entries that this member had promised to keep may be gone, so it must not vote
    /// as it was. It comes back as a new incarnation.
    pub tail_cut: bool,
}

/// A read of messages from disk. Ordered behind all batches that were written before it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadMessages {
    pub read: ReadId,
    pub group: Vertex,
    pub topic: TopicId,
    pub from: Offset,
    /// Reads no message at or past this offset.
    pub end: Offset,
    pub max_messages: u32,
    /// Stops after the message that passes this many bytes of content; at least one message is read.
    pub max_bytes: u64,
}

/// Matches a read with its result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReadId(pub u64);

/// Why a read failed. A write that fails ends the node: it must not go on with less on disk than it believes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why}")]
pub struct ReadFailed {
    pub why: String,
    /// The first messages that the read needs and the disk has lost, where that is why, and where it can be told.
    pub damaged: Option<Damaged>,
}

impl ReadFailed {
    pub fn because(why: impl Into<String>) -> ReadFailed {
        ReadFailed { why: why.into(), damaged: None }
    }
}

/// Messages of a topic that are damaged or missing: from one offset to before another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damaged {
    pub from: Offset,
    pub end: Offset,
}

/// Byte strings as byte strings: serde would otherwise take them number by number.
mod byte_string {
    use serde::{Deserializer, Serializer, de};
    use std::fmt;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> de::Visitor<'de> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
