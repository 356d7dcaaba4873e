//! Storage: makes core's [`WriteBatch`]es durable and reads messages back.
//!
//! A [`LogStore`] is an engine; [`RedbStore`] keeps a data folder, [`MemoryStore`] keeps nothing. [`StorageThread`]
//! gives an engine a thread of its own, merges what waits into one transaction with one sync, and tells by
//! [`StorageEvent`]s what became of it.
//!
//! Promised: a batch is on disk as a whole or not at all, and in order, but for what the log makes again
//! ([`Write::is_made_again`](cubecast_core::store::Write::is_made_again)); what was acknowledged comes back at the next start,
//! or its loss is noticed and said. Never: content that differs from what was written, a panic on a damaged
//! file, a folder served by two processes.
//!
//! ```text
//! Effect::Write ─┐                 ┌─ LogStore::write (many batches, one commit) ─ Written
//!                ├─ StorageThread ─┤
//! ReadMessages ──┘   (queue)       └─ LogStore::read_messages ──────────────────── MessagesRead
//! ```

use cubecast_core::store::{ReadMessages, Recovered, Space, StoredMessage, WriteBatch};

mod disk;
mod error;
mod folder;
mod guard;
mod journal;
mod journals;
mod lately;
mod mark;
mod measured;
mod memory;
mod metrics;
mod open;
mod pending;
mod recover;
mod redb;
mod report;
mod room;
mod rows;
mod settler;
mod sync_mode;
mod thread;
mod usage;
mod write;

pub use self::error::StorageError;
pub use self::folder::FolderIdentity;
pub use self::memory::MemoryStore;
pub use self::metrics::{StorageCounts, StorageMetrics};
pub use self::redb::RedbStore;
pub use self::report::{OpenReport, RolledBack};
pub use self::room::{RoomRules, reserve_of};
pub use self::sync_mode::{SyncMode, SyncModeError};
pub use self::thread::{StorageCommand, StorageEvent, StorageThread, Submitted};

/// A storage engine. Used by one thread at a time; calls may block on the disk.
pub trait LogStore: Send {
    /// Writes all batches as one: after an error, none of them counts and the store must not be used for more.
    /// Durable on return as far as the sync mode promises.
    ///
    /// [`StorageError::WaitsForRoom`] is none of these errors: the batches are taken, are read, and become durable when
    /// [`LogStore::retry`] says so, with all that is written meanwhile.
    fn write(&mut self, batches: Vec<WriteBatch>) -> Result<(), StorageError>;

    /// Makes durable what waits for room, if there is some now.
    fn retry(&mut self) -> Result<(), StorageError>;

    /// Measures the disk. Takes up again what is kept in reserve, where that was given up and there is room.
    fn space(&self) -> Space;

    /// Whether a write of about so many bytes finds room without waiting for it.
    fn has_room(&self, bytes: u64) -> bool;

    /// Messages from `from` on, without a gap: none when there is none at `from`.
    fn read_messages(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError>;

    /// The same, where all that is asked for lies in memory.
    fn read_from_memory(&self, read: &ReadMessages) -> Option<Vec<StoredMessage>>;

    /// Forces to the disk what the sync mode had put off.
    fn sync(&mut self) -> Result<(), StorageError>;

    /// Does a bounded piece of work that was put off (deleting a large topic); `true` when more waits.
    fn tidy(&mut self) -> Result<bool, StorageError>;

    /// Closes and opens again, in between deleting everything when `wipe` says so.
    fn reopen(&mut self, wipe: bool) -> Result<(Recovered, OpenReport), StorageError>;

    /// Leaves everything durable and the folder free. The store cannot be used after it.
    fn close(&mut self) -> Result<(), StorageError>;
}
