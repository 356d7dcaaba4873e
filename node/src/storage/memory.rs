//! An engine that keeps everything in memory, for tests of the layers above storage. Nothing survives the process.

use std::collections::BTreeMap;

use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::{LogEntry, StoredMessage};
use cubecast_core::store::reading::{Unreadable, read_through};
use cubecast_core::store::rows::Row;
use cubecast_core::store::{
    Checkpoint, HardState, NodeRecord, ReadMessages, Recovered, RecoveredGroup, Space, Write, WriteBatch,
};
use cubecast_core::topics::command::Command;

use super::LogStore;
use super::error::StorageError;
use super::report::OpenReport;

/// A store without a disk. [`LogStore::reopen`] returns the written state, as a disk would.
#[derive(Debug, Default)]
pub struct MemoryStore {
    record: Option<NodeRecord>,
    groups: BTreeMap<GroupId, Group>,
    outbox: BTreeMap<u64, Command>,
}

#[derive(Debug, Default)]
struct Group {
    hard_state: HardState,
    checkpoint: Option<Checkpoint>,
    log: BTreeMap<u64, LogEntry>,
    messages: BTreeMap<TopicId, BTreeMap<u64, StoredMessage>>,
}

impl MemoryStore {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Identity(record) => self.record = Some(record.clone()),
            Write::HardState { group, state } => self.group(*group).hard_state = *state,
            Write::Append { group, entries } => self.group(*group).append(entries),
            Write::Checkpoint { group, checkpoint, drop_log_through, clear_log } => {
                let group = self.group(*group);
                group.checkpoint = Some(checkpoint.clone());
                group.log.retain(|index, _| !clear_log && index > drop_log_through);
            }
            Write::Messages { group, topic, messages } | Write::Repair { group, topic, messages } => {
                let stored = self.group(*group).messages.entry(*topic).or_default();
                stored.extend(messages.iter().map(|message| (message.offset.0, message.clone())));
            }
            Write::DropMessages { group, topic } => {
                self.group(*group).messages.remove(topic);
            }
            Write::OutboxPut { id, command } => {
                self.outbox.insert(*id, command.clone());
            }
            Write::OutboxRemove { id } => {
                self.outbox.remove(id);
            }
        }
    }

    fn group(&mut self, group: GroupId) -> &mut Group {
        self.groups.entry(group).or_default()
    }

    fn recovered(&self) -> Recovered {
        Recovered {
            record: self.record.clone(),
            groups: self.groups.iter().filter(|(_, group)| group.has_state()).map(Group::recovered).collect(),
            outbox: self.outbox.iter().map(|(id, command)| (*id, command.clone())).collect(),
        }
    }
}

impl Group {
    fn append(&mut self, entries: &[LogEntry]) {
        if let Some(first) = entries.first() {
            self.log.split_off(&first.index);
        }
        self.log.extend(entries.iter().map(|entry| (entry.index, entry.clone())));
    }

    fn has_state(&self) -> bool {
        self.hard_state != HardState::default() || self.checkpoint.is_some() || !self.log.is_empty()
    }

    fn recovered((group, state): (&GroupId, &Group)) -> RecoveredGroup {
        RecoveredGroup {
            group: *group,
            hard_state: state.hard_state,
            checkpoint: state.checkpoint.clone(),
            log: state.log.values().cloned().collect(),
            tail_cut: false,
        }
    }
}

impl LogStore for MemoryStore {
    fn write(&mut self, batches: Vec<WriteBatch>) -> Result<(), StorageError> {
        batches.iter().flat_map(|batch| &batch.writes).for_each(|write| self.apply(write));
        Ok(())
    }

    fn retry(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn space(&self) -> Space {
        Space { free: u64::MAX / 2, ..Space::default() }
    }

    fn has_room(&self, _: u64) -> bool {
        true
    }

    fn read_messages(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError> {
        let stored = self.groups.get(&read.group).and_then(|group| group.messages.get(&read.topic));
        let Some(stored) = stored.filter(|_| read.from < read.end) else { return Ok(Vec::new()) };
        let messages = stored.range(read.from.0..read.end.0).map(|(_, message)| message);
        let no_rows = std::iter::empty::<Result<(Offset, fn() -> Row<Vec<StoredMessage>>), Unreadable>>();
        read_through(read, no_rows, messages).map_err(|Unreadable { bad, lost }| StorageError::Unreadable {
            folder: "memory".into(),
            what: format!("message {} {}", lost.from, bad.why),
            lost,
        })
    }

    fn read_from_memory(&self, read: &ReadMessages) -> Option<Vec<StoredMessage>> {
        self.read_messages(read).ok().filter(|messages| !messages.is_empty())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn tidy(&mut self) -> Result<bool, StorageError> {
        Ok(false)
    }

    fn reopen(&mut self, wipe: bool) -> Result<(Recovered, OpenReport), StorageError> {
        if wipe {
            *self = MemoryStore::default();
        }
        let recovered = self.recovered();
        Ok((recovered.clone(), OpenReport { new: recovered == Recovered::default(), ..OpenReport::default() }))
    }

    fn close(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}
