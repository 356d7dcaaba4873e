//! The free space on a disk, and the size of writes.

use serde::{Deserialize, Serialize};

use super::{Write, WriteBatch};
use crate::topics::command::Command;

/// The measurements of a disk, which the engine repeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Space {
    /// Free bytes on the file system.
    pub free: u64,
    /// Free bytes inside the engine's own files, left by deleted content; new content reuses them.
    pub reusable: u64,
    /// Bytes used by the engine's files, without the reusable ones and those kept in reserve.
    pub stored: u64,
    /// Publishes are refused below this limit. 0: the disk is never full.
    pub reserve: u64,
    /// A write is waiting for room.
    pub stuck: bool,
    /// The number of nodes known to have their data on this disk: if one accepts a message, all may write it. 0 counts
    /// as 1.
    pub shared_by: u64,
}

impl Space {
    /// The bytes that can still be stored.
    pub fn room(&self) -> u64 {
        self.free.saturating_add(self.reusable)
    }
}

impl WriteBatch {
    /// The approximate size in bytes, in memory and on disk.
    pub fn weight(&self) -> u64 {
        self.writes.iter().map(Write::weight).sum()
    }
}

impl Write {
    /// The approximate size in bytes, in memory and on disk.
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
