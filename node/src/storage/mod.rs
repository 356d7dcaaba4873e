//! Storage: makes core's [`WriteBatch`]es durable and reads messages back.
//!
//! A [`LogStore`] is an engine: [`RedbStore`] uses a data folder, [`MemoryStore`] only memory. [`StorageThread`] runs
//! an engine on its own thread, merges waiting writes into one transaction with one sync, and reports the results as
//! [`StorageEvent`]s.
//!
//! Guarantees: a batch is on disk completely or not at all, and in order, except writes that are replayable from the
//! log ([`Write::is_replayable`](cubecast_core::store::Write::is_replayable)). Acknowledged writes are back after the
//! next start, or their loss is detected and reported. Storage never returns content that differs from the written
//! one, never panics on a damaged file, and never lets two processes use one folder.
//!
//! ```text
//! Effect::Write ─┐                 ┌─ LogStore::write (many batches, one commit) ─ Written
//!                ├─ StorageThread ─┤
//! ReadMessages ──┘   (queue)       └─ LogStore::read_messages ──────────────────── MessagesRead
//! ```

use cubecast_core::records::StoredMessage;
use cubecast_core::store::{ReadMessages, Recovered, Space, WriteBatch};

mod commit_marker;
mod disk;
mod error;
mod flusher;
mod folder;
mod folder_identity;
mod guard;
mod journal;
mod journals;
mod measured;
mod memory;
mod memtable;
mod metrics;
mod open;
mod recover;
mod redb;
mod report;
mod room;
mod row_cache;
mod rows;
mod sync_mode;
mod thread;
mod usage;
mod write;

pub use self::error::StorageError;
pub use self::folder_identity::FolderIdentity;
pub use self::memory::MemoryStore;
pub use self::metrics::{StorageCounts, StorageMetrics};
pub use self::redb::RedbStore;
pub use self::report::{OpenReport, RolledBack};
pub use self::room::{RoomRules, reserve_of};
pub use self::sync_mode::{SyncMode, SyncModeError};
pub use self::thread::{StorageCommand, StorageEvent, StorageThread, Submitted};

/// A storage engine. One thread uses it at a time; calls may block on the disk.
pub trait LogStore: Send {
    /// Writes all batches as one unit, durable on return as far as the sync mode guarantees. After an error none of
    /// them counts, and the store must not be used further.
    ///
    /// [`StorageError::WaitsForRoom`] is an exception: the batches are accepted and can be read. They become durable,
    /// together with later writes, when [`LogStore::retry`] succeeds.
    fn write(&mut self, batches: Vec<WriteBatch>) -> Result<(), StorageError>;

    /// Makes the writes that wait for space durable, if there is space now.
    fn retry(&mut self) -> Result<(), StorageError>;

    /// Measures the disk. Also allocates the reserve file again if it was released and there is space.
    fn space(&self) -> Space;

    /// Whether a write of about this many bytes would find space without waiting.
    fn has_room(&self, bytes: u64) -> bool;

    /// Consecutive messages from `from` on. Empty if there is no message at `from`.
    fn read_messages(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError>;

    /// The same, if all requested messages are in memory. `None` otherwise.
    fn read_from_memory(&self, read: &ReadMessages) -> Option<Vec<StoredMessage>>;

    /// Performs the syncs that the sync mode postponed.
    fn sync(&mut self) -> Result<(), StorageError>;

    /// Does a bounded piece of postponed work (the deletion of a large topic). `true`: more remains.
    fn tidy(&mut self) -> Result<bool, StorageError>;

    /// Closes and opens the store. With `wipe`, deletes everything in between.
    fn reopen(&mut self, wipe: bool) -> Result<(Recovered, OpenReport), StorageError>;

    /// Makes everything durable and unlocks the folder. The store cannot be used afterwards.
    fn close(&mut self) -> Result<(), StorageError>;
}
