//! The persistent state and the order of its writes: the interface between core and a storage engine.
//!
//! Core emits [`WriteBatch`]es. An engine makes each batch durable as a whole and in order, then reports it. For each
//! replica group the disk contains Raft's hard state, a [`Checkpoint`] of the small state (registries, topics, cursors,
//! repeats), the log after it, and the messages. For the node it contains its identity and its outbox.
//!
//! After a crash, the small state is the checkpoint plus the committed log entries after it. Applying a log entry twice
//! writes the same message at the same offset, so only the log has to be synced before an acknowledgement. An engine
//! may lose state that the log can rebuild ([`Write::is_replayable`]) in a crash, as long as it keeps that part of the
//! log.
//!
//! Code common to all engines: the format of a row ([`rows`]) and which messages share a row ([`runs`]), the format of
//! a journal record ([`journal`]), the consequences of damage ([`recovery`]), and the end of a read ([`reading`]).

pub mod journal;
pub mod reading;
pub mod recovery;
pub mod rows;
pub mod runs;
pub mod space;

pub use space::Space;

use serde::{Deserialize, Serialize};

use crate::identity::{GroupId, HostId, Incarnation, Member};
use crate::names::{Offset, TopicId};
use crate::records::{LogEntry, StoredMessage};
use crate::topics::command::Command;

/// Changes that become durable together. Batch numbers grow by one. An engine may merge batches and report only the
/// last number.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct WriteBatch {
    /// Reported in [`Input::Written`](crate::io::Input::Written).
    pub number: u64,
    /// Carried out in this order.
    pub writes: Vec<Write>,
}

/// One change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Write {
    Identity(NodeRecord),
    HardState {
        group: GroupId,
        state: HardState,
    },
    /// Entries with consecutive indexes. They replace the log from their first index on.
    Append {
        group: GroupId,
        entries: Vec<LogEntry>,
    },
    /// Replaces the group's checkpoint. Log entries up to `drop_log_through` are no longer needed. `clear_log`: drop
    /// the whole log, because a snapshot replaced it.
    Checkpoint {
        group: GroupId,
        checkpoint: Checkpoint,
        drop_log_through: u64,
        clear_log: bool,
    },
    /// Messages with consecutive offsets. Existing messages at those offsets have the same content.
    Messages {
        group: GroupId,
        topic: TopicId,
        messages: Vec<StoredMessage>,
    },
    /// Replacements for damaged messages. The log cannot rebuild them, so they must be as durable as any write that the
    /// log cannot rebuild.
    Repair {
        group: GroupId,
        topic: TopicId,
        messages: Vec<StoredMessage>,
    },
    /// Deletes all messages of a topic.
    DropMessages {
        group: GroupId,
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
    /// Whether the log can rebuild this write: messages and checkpoints, from the last durable checkpoint on. In a
    /// crash an engine may lose the newest of them, of all groups from one batch on: it keeps a checkpoint only
    /// together with the messages before it.
    pub fn is_replayable(&self) -> bool {
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

    /// Whether all earlier writes have to become durable together with this one: a log is dropped that could still be
    /// needed to rebuild something, or damage must be removed from the disk.
    pub fn flushes(&self) -> bool {
        matches!(self, Write::Checkpoint { clear_log: true, .. } | Write::Repair { .. })
    }

    /// Appends a change to a list. Messages are merged into an earlier write to the same topic if they continue it and
    /// only other messages were written since.
    pub fn push_to(mut self, writes: &mut Vec<Write>) {
        if let Some((place, messages)) = self.as_messages()
            && let Some(first) = messages.first()
            && let Some(before) = messages_before(first.offset, place, writes)
        {
            return before.append(messages);
        }
        writes.push(self);
    }

    fn as_messages(&mut self) -> Option<((GroupId, TopicId), &mut Vec<StoredMessage>)> {
        match self {
            Write::Messages { group, topic, messages } => Some(((*group, *topic), messages)),
            _ => None,
        }
    }
}

impl StoredMessage {
    /// Appends a message to a list of changes, as [`Write::push_to`].
    pub fn push_to(self, group: GroupId, topic: TopicId, writes: &mut Vec<Write>) {
        match messages_before(self.offset, (group, topic), writes) {
            Some(before) => before.push(self),
            None => writes.push(Write::Messages { group, topic, messages: vec![self] }),
        }
    }
}

/// The write with the messages of this topic up to `offset`, if only messages were written after it.
fn messages_before(offset: Offset, place: (GroupId, TopicId), writes: &mut [Write]) -> Option<&mut Vec<StoredMessage>> {
    let mut earlier = writes.iter_mut().rev().map_while(Write::as_messages);
    let (_, before) = earlier.find(|(at, _)| *at == place)?;
    before.last().is_some_and(|last| last.offset.next() == offset).then_some(before)
}

/// The owner of a data folder. Checked at every start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeRecord {
    /// `None` until the node has learnt whether it is a founding member.
    pub identity: Option<Member>,
    /// The host that the folder belongs to.
    pub host: HostId,
    /// How often this folder was opened. Makes request keys unique over restarts.
    pub starts: u64,
    /// The hosts with which this node has exchanged group traffic, with the newest incarnation seen.
    pub met: Vec<(HostId, Incarnation)>,
}

/// Raft's hard state: the term, the vote in it, and the known commit index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HardState {
    pub term: u64,
    /// A Raft id; 0 for none.
    pub vote: u64,
    /// The highest index known to be committed.
    pub commit: u64,
}

/// The small state of a group at one index, with the members at that index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    pub index: u64,
    pub term: u64,
    pub voters: Vec<Member>,
    pub learners: Vec<Member>,
    /// [`crate::topics::Topics`], encoded.
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
}

/// What an engine found on disk when it was opened.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Recovered {
    /// `None`: the folder is new.
    pub record: Option<NodeRecord>,
    pub groups: Vec<RecoveredGroup>,
    /// The entries of the outbox, by id.
    pub outbox: Vec<(u64, Command)>,
}

/// The state of one group on disk.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RecoveredGroup {
    pub group: GroupId,
    pub hard_state: HardState,
    pub checkpoint: Option<Checkpoint>,
    /// Consecutive entries. The first one directly follows the checkpoint, or is earlier.
    pub log: Vec<LogEntry>,
    /// A damaged end of the log was cut off. Entries that this member had acknowledged may be lost, so it must not vote
    /// under its old identity. It returns as a new incarnation.
    pub tail_cut: bool,
}

/// A read of messages from disk. It includes all batches that were written before it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadMessages {
    pub read: ReadId,
    pub group: GroupId,
    pub topic: TopicId,
    /// The offset of the first message.
    pub from: Offset,
    /// The read ends before this offset.
    pub end: Offset,
    /// The read ends after this many messages.
    pub max_messages: u32,
    /// The read stops after the message that exceeds this many bytes of content. At least one message is read.
    pub max_bytes: u64,
}

/// Matches a read with its result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReadId(pub u64);

/// Why a read failed. A failed write, in contrast, ends the node: it must not continue with less on disk than it
/// assumes.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{why}")]
pub struct ReadFailed {
    pub why: String,
    /// The first lost messages in the range of the read, if that is the reason and the range is known.
    pub damaged: Option<Damaged>,
}

impl ReadFailed {
    /// A failure without known damage.
    pub fn because(why: impl Into<String>) -> ReadFailed {
        ReadFailed { why: why.into(), damaged: None }
    }
}

/// A range of a topic's messages that are damaged or missing: from one offset to before another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Damaged {
    pub from: Offset,
    pub end: Offset,
}
