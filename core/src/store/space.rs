//! How much room a disk has left, and how much a write takes.

use super::{Write, WriteBatch};
use crate::topics::command::Command;

/// What an engine measures of its disk, again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Space {
    /// Bytes that the file system still gives.
    pub free: u64,
    /// Bytes inside the engine's own files that deleted content left: new content takes them again.
    pub reusable: u64,
    /// Bytes that the engine's files take, without the reusable ones and those that it keeps in reserve.
    pub stored: u64,
    /// The limit below which no publishes shall be taken; 0 for a disk that is never full.
    pub reserve: u64,
    /// A write waits for room.
    pub stuck: bool,
    /// So many nodes have their data on this disk, as far as is known: what one of them accepts may be written by all. 0 is
    /// taken for 1.
    pub shared_by: u64,
}

impl Space {
    /// What can still be stored.
    pub fn room(&self) -> u64 {
        self.free.saturating_add(self.reusable)
    }
}

impl WriteBatch {
    /// About the bytes that it takes, in memory and on a disk.
    pub fn weight(&self) -> u64 {
        self.writes.iter().map(Write::weight).sum()
    }
}

impl Write {
    /// About the bytes that it takes, in memory and on a disk.
    pub fn weight(&self) -> u64 {
        const WRITE: u64 = 64;
        let content = match self {
            Write::Append { entries, .. } => entries.iter().map(|entry| 64 + entry.data.len()).sum(),
            Write::Checkpoint { checkpoint, .. } => checkpoint.state.len(),
            Write::Messages { messages, .. } | Write::Repair { messages, .. } => {
                messages.iter().map(|message| 128 + message.content.len()).sum()
            }
            Write::OutboxPut { command, .. } => 128 + Command::weight(command),
            Write::Identity(_) | Write::HardState { .. } | Write::DropMessages { .. } | Write::OutboxRemove { .. } => 0,
        };
        WRITE + content as u64
    }
}
