//! The engine: a journal for writes, and tables in [redb](https://docs.rs/redb), a copy-on-write B-tree file.
//!
//! A write is one record in a [journal](super::journal), without the parts that are replayable from the log. When the
//! journal is full, the [flusher](super::flusher) writes the contents of the [memtable](super::memtable) to the tables
//! in one transaction, while writes continue in [the other journal](super::journals). Reads use the tables, and the
//! memtables for writes that may not be in the tables yet. Recently read rows come from a [cache](super::row_cache).
//!
//! After a crash the tables have the state of one moment. For the time since then the journals have the log, from
//! which core rebuilds messages and checkpoints.
//!
//! redb checks every page of the file at every start. Damage that occurs later is found by the checksum in each row
//! (see [`super::rows`]).

mod reading;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use cubecast_core::records::StoredMessage;
use cubecast_core::store::{ReadMessages, Recovered, Space, Write, WriteBatch};

use super::LogStore;
use super::commit_marker::CommitMarker;
use super::error::StorageError;
use super::folder::Folder;
use super::folder_identity::FolderIdentity;
use super::guard::guard;
use super::memtable::Memtable;
use super::metrics::StorageMetrics;
use super::open::{self, Files};
use super::report::OpenReport;
use super::room::RoomRules;
use super::sync_mode::SyncMode;
use super::write::{Changed, Failure};

/// A store in a data folder, which it keeps locked.
#[derive(Debug)]
pub struct RedbStore {
    /// `None` after closing and after a failure. Dropped before the folder's lock.
    files: Option<Files>,
    folder: Folder,
    sync_mode: SyncMode,
    rules: RoomRules,
    metrics: Arc<StorageMetrics>,
}

impl RedbStore {
    /// Opens the data folder, or creates it if it is missing, and reads the state that a node needs to start.
    pub fn open(
        folder: &Path,
        identity: &FolderIdentity,
        sync_mode: SyncMode,
    ) -> Result<(RedbStore, Recovered, OpenReport), StorageError> {
        RedbStore::open_with(folder, identity, sync_mode, RoomRules::default())
    }

    /// Like [`RedbStore::open`], with other rules for the space on the disk.
    pub fn open_with(
        folder: &Path,
        identity: &FolderIdentity,
        sync_mode: SyncMode,
        rules: RoomRules,
    ) -> Result<(RedbStore, Recovered, OpenReport), StorageError> {
        let folder = Folder::lock(folder, identity)?;
        let mut store = RedbStore { files: None, folder, sync_mode, rules, metrics: Arc::default() };
        let (recovered, report) = store.open_files()?;
        Ok((store, recovered, report))
    }

    /// The sync mode given at opening.
    pub fn sync_mode(&self) -> SyncMode {
        self.sync_mode
    }

    /// The engine's counters.
    pub fn metrics(&self) -> Arc<StorageMetrics> {
        self.metrics.clone()
    }

    fn open_files(&mut self) -> Result<(Recovered, OpenReport), StorageError> {
        let (files, recovered, report) = open::open(&self.folder, self.sync_mode, self.rules, &self.metrics)?;
        self.files = Some(files);
        Ok((recovered, report))
    }

    /// Performs `change`. A failure closes this store and `change` has no effect. [`StorageError::WaitsForRoom`] is
    /// no failure: the change is completed when there is space.
    fn change<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&mut Files) -> Result<T, Failure>,
    ) -> Result<T, StorageError> {
        let Some(open) = &mut self.files else { return Err(StorageError::Stopped) };
        let changed = guard(&self.folder, doing, || change(open));
        match changed {
            Ok(_) | Err(StorageError::WaitsForRoom { .. }) => {}
            Err(_) => self.abandon(),
        }
        changed
    }

    /// Drops a failed database. The next start recovers from the disk.
    fn abandon(&mut self) {
        let files = self.files.take();
        let dropped = guard(&self.folder, "releasing the store", || {
            drop(files);
            Ok(())
        });
        // The caller reports the failure that led here.
        drop(dropped);
    }

    /// Flushes and closes the files. If there is no space to flush, the end is unclean, and the journals keep the
    /// acknowledged writes.
    fn close_files(&mut self) -> Result<(), StorageError> {
        let Some(mut files) = self.files.take() else { return Ok(()) };
        files.room.give_up();
        let flushed = guard(&self.folder, "flushing the journal to the tables", || {
            files.flusher.wait(&files.room)?;
            files.disk.put_off_syncs(false);
            files.flush(false)?;
            files.flusher.wait(&files.room)
        });
        match flushed {
            Err(StorageError::Full { .. } | StorageError::WaitsForRoom { .. }) => {
                self.files = Some(files);
                self.abandon();
                return Ok(());
            }
            flushed => flushed?,
        }
        let Files { database, flusher, disk, mut commit_marker, transaction, .. } = files;
        drop(flusher);
        let database = Arc::into_inner(database);
        guard(&self.folder, "closing the store", || Ok(database.ok_or(Failure::Closed)?.close()?))?;
        let io_failed = |source| StorageError::from_io(self.folder.path(), "closing the store", source);
        disk.sync_now(&self.metrics).map_err(io_failed)?;
        let signed =
            commit_marker.write(CommitMarker { number: transaction, closed: true }).and_then(|()| commit_marker.sync());
        signed.map_err(io_failed)
    }
}

impl LogStore for RedbStore {
    fn write(&mut self, batches: Vec<WriteBatch>) -> Result<(), StorageError> {
        let count = batches.len();
        if batches.iter().any(|batch| !batch.writes.is_empty()) {
            let sync = self.sync_mode == SyncMode::Always;
            self.change("writing", |files| write(files, batches, sync))?;
            self.metrics.count_transaction(count);
        }
        Ok(())
    }

    fn retry(&mut self) -> Result<(), StorageError> {
        self.change("writing", |files| {
            files.pay()?;
            Ok(files.commit_marker.write(CommitMarker { number: files.transaction, closed: false })?)
        })
    }

    fn space(&self) -> Space {
        let Some(files) = &self.files else { return Space::default() };
        files.room.restore();
        let usage = files.flusher.usage();
        let unflushed: u64 = files.unflushed().into_iter().flatten().map(Memtable::bytes).sum();
        Space {
            free: files.room.free().saturating_sub(unflushed),
            reusable: usage.reusable(),
            stored: files.room.stored().saturating_sub(usage.reusable()),
            reserve: files.room.sizes().reserve,
            stuck: files.owes,
            shared_by: files.room.shared_by(),
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        let has_room = |files: &Files| {
            let flushes = files.flusher.under_way().is_some();
            !files.owes && (!flushes || (files.journals.has_room(bytes) && !files.memtable.is_large()))
        };
        self.files.as_ref().is_some_and(has_room)
    }

    fn read_messages(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError> {
        self.read(read)
    }

    fn read_from_memory(&self, read: &ReadMessages) -> Option<Vec<StoredMessage>> {
        self.read_unless_on_disk(read)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let Some(files) = &mut self.files else { return Err(StorageError::Stopped) };
        let synced = files.disk.sync_put_off(&self.metrics).and_then(|()| files.journals.sync());
        synced.map_err(|source| StorageError::from_io(self.folder.path(), "syncing", source))
    }

    fn tidy(&mut self) -> Result<bool, StorageError> {
        self.change("deleting a topic", |files| {
            files.flusher.wait(&files.room)?;
            let drops = files.flusher.dropping() || files.memtable.drops_messages();
            if drops {
                files.flush(true)?;
            } else if files.can_be_compacted() {
                files.compact()?;
            }
            Ok(drops)
        })
    }

    fn reopen(&mut self, wipe: bool) -> Result<(Recovered, OpenReport), StorageError> {
        self.close_files()?;
        if wipe {
            self.folder.wipe()?;
        }
        self.open_files()
    }

    fn close(&mut self) -> Result<(), StorageError> {
        self.close_files()
    }
}

impl Drop for RedbStore {
    /// Closes a store that was not closed. The error cannot be returned; the next start finds an unclean end.
    fn drop(&mut self) {
        drop(self.close_files());
    }
}

/// Writes batches. Writes that are replayable from the log wait for the tables in memory; all others are durable on
/// return.
fn write(files: &mut Files, batches: Vec<WriteBatch>, sync: bool) -> Changed {
    files.flusher.look()?;
    for write in batches.iter().flat_map(|batch| &batch.writes) {
        if let Write::DropMessages { group, topic } = write {
            files.row_cache.get_mut().forget(*group, *topic);
        }
    }
    if batches.iter().flat_map(|batch| &batch.writes).all(Write::is_replayable) {
        files.memtable.take(batches);
    } else {
        append(files, batches, sync)?;
    }
    if files.owes {
        return Err(Failure::WaitsForRoom);
    }
    match if files.memtable.is_large() { files.flush(false) } else { Ok(()) } {
        // It can wait, because it is replayable from the log.
        Err(Failure::WaitsForRoom) => Ok(()),
        flushed => flushed,
    }
}

/// Appends one record to the journal, or to the other journal if the first has no space.
fn append(files: &mut Files, batches: Vec<WriteBatch>, sync: bool) -> Changed {
    let number = files.transaction + 1;
    if files.owes {
        // It goes into the tables together with the earlier writes that wait for space.
        files.transaction = number;
        files.memtable.take(batches);
        return Ok(());
    }
    let flushes = batches.iter().flat_map(|batch| &batch.writes).any(Write::flushes);
    let mut journaled = !flushes && files.journals.append(number, &batches)?;
    if !journaled && !flushes && !files.memtable.is_empty() {
        journaled = match files.flush(false) {
            Ok(()) => files.journals.append(number, &batches)?,
            Err(Failure::WaitsForRoom) => false,
            Err(failure) => return Err(failure),
        };
    }
    files.transaction = number;
    files.memtable.take(batches);
    if !journaled {
        // The batches require that everything before them is flushed, or fit into no journal: they go straight into
        // the tables, with all earlier writes.
        files.owes = true;
        files.pay()?;
    } else if sync {
        files.journals.sync()?;
    }
    Ok(files.commit_marker.write(CommitMarker { number, closed: false })?)
}
