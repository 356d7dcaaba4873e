//! Writes that are not in the tables yet. They are kept in memory, so that they can be read and flushed together. The
//! journal has them too, except writes that are replayable from the log.
//!
//! Later writes replace earlier ones here: an entry that was appended and dropped again never reaches the tables.

use std::collections::BTreeMap;
use std::ops::Range;

use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::{LogEntry, StoredMessage};
use cubecast_core::store::{Checkpoint, HardState, NodeRecord, Write, WriteBatch};
use cubecast_core::topics::command::Command;

use super::write::{Changed, Tables};

/// More bytes of messages are flushed at once. Messages of applied entries rarely reach this limit, because their
/// entries fill the journal first. Messages of a snapshot are in no journal.
const MAX_MESSAGE_BYTES: usize = 6 << 20;
/// The approximate overhead of a message beside its content.
const MESSAGE_OVERHEAD: usize = 128;

/// Changes that wait for the tables. [`Memtable::is_large`] bounds the messages; the size of the journal bounds the
/// rest.
#[derive(Debug, Default)]
pub(super) struct Memtable {
    message_bytes: usize,
    /// The weight of all writes taken, including those replaced since.
    bytes: u64,
    /// In order: the tables compare each record with the one before.
    records: Vec<NodeRecord>,
    groups: BTreeMap<GroupId, MemtableGroup>,
    /// `None`: removed.
    outbox: BTreeMap<u64, Option<Command>>,
}

#[derive(Debug, Default)]
struct MemtableGroup {
    hard_state: Option<HardState>,
    checkpoint: Option<Checkpoint>,
    /// Entries up to this index are deleted from the tables.
    dropped_through: Option<u64>,
    /// Entries from this index on are deleted from the tables.
    replaced_from: Option<u64>,
    log: BTreeMap<u64, LogEntry>,
    topics: BTreeMap<TopicId, MemtableTopic>,
}

/// The messages of one topic.
#[derive(Debug, Default)]
pub(super) struct MemtableTopic {
    /// Whether the topic's messages in the tables are to be deleted.
    pub dropped: bool,
    /// In order of their offsets, which is normally also their order of arrival.
    messages: Vec<StoredMessage>,
}

impl Memtable {
    pub(super) fn take(&mut self, batches: impl IntoIterator<Item = WriteBatch>) {
        batches.into_iter().flat_map(|batch| batch.writes).for_each(|write| self.take_write(write));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.groups.is_empty() && self.outbox.is_empty()
    }

    /// The approximate number of bytes that these changes take in the tables.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether to flush even though the journal has space.
    pub(super) fn is_large(&self) -> bool {
        self.message_bytes > MAX_MESSAGE_BYTES
    }

    /// Whether messages are to be deleted from the tables.
    pub(super) fn drops_messages(&self) -> bool {
        self.groups.values().flat_map(|group| group.topics.values()).any(|topic| topic.dropped)
    }

    pub(super) fn topic(&self, group: GroupId, topic: TopicId) -> Option<&MemtableTopic> {
        self.groups.get(&group)?.topics.get(&topic)
    }

    /// The topics of a group that have messages here.
    pub(super) fn topics(&self, group: GroupId) -> impl Iterator<Item = TopicId> {
        let topics = self.groups.get(&group).into_iter().flat_map(|group| &group.topics);
        topics.filter(|(_, topic)| !topic.messages.is_empty()).map(|(id, _)| *id)
    }

    /// Writes everything to the tables.
    pub(super) fn flush(&self, tables: &mut Tables<'_>) -> Changed {
        self.records.iter().try_for_each(|record| tables.put_record(record))?;
        self.groups.iter().try_for_each(|(id, group)| group.flush(*id, tables))?;
        self.outbox.iter().try_for_each(|(id, command)| match command {
            Some(command) => tables.put_outbox(*id, command),
            None => tables.remove_outbox(*id),
        })
    }

    fn take_write(&mut self, write: Write) {
        self.bytes += write.weight();
        match write {
            Write::Identity(record) => self.records.push(record),
            Write::HardState { group, state } => self.group(group).hard_state = Some(state),
            Write::Append { group, entries } => self.group(group).append(entries),
            Write::Checkpoint { group, checkpoint, drop_log_through, clear_log } => {
                let group = self.group(group);
                group.checkpoint = Some(checkpoint);
                group.drop_log(if clear_log { u64::MAX } else { drop_log_through });
            }
            Write::Messages { group, topic, messages } | Write::Repair { group, topic, messages } => {
                self.message_bytes += messages.iter().map(|it| MESSAGE_OVERHEAD + it.content.len()).sum::<usize>();
                let topic = self.group(group).topics.entry(topic).or_default();
                topic.put(messages);
            }
            Write::DropMessages { group, topic } => {
                let gone = MemtableTopic { dropped: true, messages: Vec::new() };
                self.group(group).topics.insert(topic, gone);
            }
            Write::OutboxPut { id, command } => {
                self.outbox.insert(id, Some(command));
            }
            Write::OutboxRemove { id } => {
                self.outbox.insert(id, None);
            }
        }
    }

    fn group(&mut self, group: GroupId) -> &mut MemtableGroup {
        self.groups.entry(group).or_default()
    }
}

impl MemtableTopic {
    /// The messages with offsets in this range.
    pub(super) fn range(&self, offsets: Range<Offset>) -> &[StoredMessage] {
        let [from, end] = [offsets.start, offsets.end].map(|offset| self.place(offset).unwrap_or_else(|at| at));
        &self.messages[from..end]
    }

    /// Adds messages. Of two with the same offset, the newer one stays.
    fn put(&mut self, messages: Vec<StoredMessage>) {
        let known = self.messages.len();
        self.messages.extend(messages);
        if !self.messages[known.saturating_sub(1)..].is_sorted_by(|one, next| one.offset < next.offset) {
            self.messages.sort_by_key(|message| message.offset);
            self.messages.dedup_by(|newer, older| {
                let is_same = newer.offset == older.offset;
                if is_same {
                    std::mem::swap(newer, older);
                }
                is_same
            });
        }
    }

    /// The index of the message with this offset, or the index at which to insert it.
    fn place(&self, offset: Offset) -> Result<usize, usize> {
        self.messages.binary_search_by_key(&offset, |message| message.offset)
    }
}

impl MemtableGroup {
    fn append(&mut self, entries: Vec<LogEntry>) {
        let Some(first) = entries.first().map(|entry| entry.index) else { return };
        self.replaced_from = Some(self.replaced_from.map_or(first, |from| from.min(first)));
        self.log.split_off(&first);
        self.log.extend(entries.into_iter().map(|entry| (entry.index, entry)));
    }

    fn drop_log(&mut self, through: u64) {
        self.dropped_through = self.dropped_through.max(Some(through));
        self.log = through.checked_add(1).map(|kept| self.log.split_off(&kept)).unwrap_or_default();
    }

    fn flush(&self, id: GroupId, tables: &mut Tables<'_>) -> Changed {
        if let Some(state) = &self.hard_state {
            tables.put_hard_state(id, state)?;
        }
        if let Some(checkpoint) = &self.checkpoint {
            tables.put_checkpoint(id, checkpoint)?;
        }
        if let Some(through) = self.dropped_through {
            tables.remove_log(id, 0..=through)?;
        }
        if let Some(from) = self.replaced_from {
            tables.remove_log(id, from..=u64::MAX)?;
        }
        tables.put_entries(id, self.log.values())?;
        self.topics.iter().try_for_each(|(topic, pending)| {
            if pending.dropped {
                tables.drop_messages(id, *topic)?;
            }
            tables.put_messages(id, *topic, &pending.messages)
        })
    }
}
