//! What one node has on disk, simulated.

use std::collections::BTreeMap;

use crate::cube::Vertex;
use crate::names::Offset;
use crate::store::{
    Checkpoint, HardState, LogEntry, NodeRecord, ReadMessages, Recovered, RecoveredGroup, StoredMessage, Write,
};
use crate::topics::command::{Command, TopicId};

/// What one node has on disk, in the order in which it was written.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    record: Option<NodeRecord>,
    groups: BTreeMap<Vertex, GroupOnDisk>,
    messages: BTreeMap<(Vertex, TopicId, Offset), StoredMessage>,
    outbox: BTreeMap<u64, Command>,
}

#[derive(Clone, Debug, Default)]
struct GroupOnDisk {
    hard_state: HardState,
    checkpoint: Option<Checkpoint>,
    log: BTreeMap<u64, LogEntry>,
}

impl Disk {
    pub fn write(&mut self, writes: &[Write]) {
        for write in writes {
            self.write_one(write.clone());
        }
    }

    fn write_one(&mut self, write: Write) {
        match write {
            Write::Identity(record) => self.record = Some(record),
            Write::HardState { group, state } => self.groups.entry(group).or_default().hard_state = state,
            Write::Append { group, entries } => {
                let log = &mut self.groups.entry(group).or_default().log;
                if let Some(first) = entries.first() {
                    log.split_off(&first.index);
                }
                log.extend(entries.into_iter().map(|entry| (entry.index, entry)));
            }
            Write::Checkpoint { group, checkpoint, drop_log_through, clear_log } => {
                let on_disk = self.groups.entry(group).or_default();
                on_disk.log = if clear_log { BTreeMap::new() } else { on_disk.log.split_off(&(drop_log_through + 1)) };
                on_disk.checkpoint = Some(checkpoint);
            }
            Write::Messages { group, topic, messages } => {
                self.messages.extend(messages.into_iter().map(|message| ((group, topic, message.offset), message)));
            }
            Write::DropMessages { group, topic } => self.messages.retain(|(g, t, _), _| (*g, *t) != (group, topic)),
            Write::OutboxPut { id, command } => {
                self.outbox.insert(id, command);
            }
            Write::OutboxRemove { id } => {
                self.outbox.remove(&id);
            }
        }
    }

    pub fn read(&self, read: &ReadMessages) -> Vec<StoredMessage> {
        let range = (read.group, read.topic, read.from)..(read.group, read.topic, read.end);
        let mut bytes = 0;
        let mut found = Vec::new();
        for (_, message) in self.messages.range(range) {
            if found.len() >= read.max_messages as usize || (bytes >= read.max_bytes && !found.is_empty()) {
                break;
            }
            bytes += message.content.len() as u64;
            found.push(message.clone());
        }
        found
    }

    pub fn recover(&self) -> Recovered {
        let groups = self.groups.iter().map(|(group, on_disk)| RecoveredGroup {
            group: *group,
            hard_state: on_disk.hard_state,
            checkpoint: on_disk.checkpoint.clone(),
            log: on_disk.log.values().cloned().collect(),
            tail_cut: false,
        });
        Recovered {
            record: self.record.clone(),
            groups: groups.collect(),
            outbox: self.outbox.iter().map(|(id, command)| (*id, command.clone())).collect(),
        }
    }

    /// Every message, by group, topic and offset.
    pub fn messages(&self) -> impl Iterator<Item = (Vertex, TopicId, &StoredMessage)> {
        self.messages.iter().map(|((group, topic, _), message)| (*group, *topic, message))
    }
}
