//! Opens the files of a locked folder: checks them, reads the state that a node needs, and reports the findings.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use cubecast_core::store::journal::Replayed;
use cubecast_core::store::recovery;
use cubecast_core::store::{Recovered, WriteBatch};
use redb::{Database, WriteTransaction};

use super::commit_marker::{CommitMarker, CommitMarkerFile};
use super::disk::{Disk, DiskSwitch};
use super::error::StorageError;
use super::flusher::{Flushed, Flusher};
use super::folder::Folder;
use super::folder_identity::FolderIdentity;
use super::guard::guard;
use super::journals::Journals;
use super::memtable::Memtable;
use super::metrics::StorageMetrics;
use super::recover::{self, Contents};
use super::report::{OpenReport, RolledBack};
use super::room::{Room, RoomRules};
use super::row_cache::RowCache;
use super::rows::{RowKey, RowWriter};
use super::sync_mode::SyncMode;
use super::write::{Changed, Failure, Tables};
use crate::private;

/// redb's page cache. Core caches frequently read data itself; this cache only has to hold the inner pages of the
/// trees.
const CACHE_BYTES: usize = 8 << 20;

/// The open files of a folder.
#[derive(Debug)]
pub(super) struct Files {
    /// The tables.
    pub database: Arc<Database>,
    /// The thread that writes the tables.
    pub flusher: Flusher,
    /// Controls the syncs of the tables' file.
    pub disk: Arc<DiskSwitch>,
    /// The free space on the disk.
    pub room: Arc<Room>,
    /// The two journals.
    pub journals: Journals,
    /// The content of the current journal, which the flusher has not received yet.
    pub memtable: Memtable,
    /// Recently read rows.
    pub row_cache: RefCell<RowCache>,
    /// The commit marker's file.
    pub commit_marker: CommitMarkerFile,
    /// The newest transaction.
    pub transaction: u64,
    /// Whether some pending writes are in no journal and wait for the tables.
    pub owes: bool,
}

impl Files {
    /// Passes the pending writes to the flusher, after its previous work is done, and switches to the other journal.
    /// With `tidy`, the flusher also does a piece of postponed deletion.
    pub(super) fn flush(&mut self, tidy: bool) -> Changed {
        self.flusher.wait(&self.room)?;
        self.flusher.begin(std::mem::take(&mut self.memtable), self.transaction, tidy)?;
        Ok(self.journals.turn(self.transaction)?)
    }

    /// Writes everything that is in no journal to the tables, as soon as there is space.
    pub(super) fn pay(&mut self) -> Changed {
        while self.owes {
            self.flusher.wait(&self.room)?;
            self.owes = !self.memtable.is_empty();
            if self.owes {
                self.flush(false)?;
            }
        }
        Ok(())
    }

    /// Whether compaction frees much space in little time. Compaction moves the live data and needs some space
    /// itself.
    pub(super) fn can_be_compacted(&self) -> bool {
        self.flusher.usage().is_worth_compacting() && self.room.free() > self.room.sizes().kept
    }

    /// Compacts the tables and returns the freed space to the file system. Nothing may be on its way to the tables.
    pub(super) fn compact(&mut self) -> Changed {
        let usage = self.flusher.usage();
        self.flusher.stop();
        // The flusher had the only other reference.
        let database = Arc::get_mut(&mut self.database).ok_or(Failure::Closed)?;
        database.compact()?;
        let flushed = Flushed { dropping: false, usage: usage.compacted() };
        self.flusher = Flusher::start(self.database.clone(), self.room.clone(), flushed)?;
        Ok(())
    }

    /// All writes that may not be in the tables yet: those on their way, and later ones.
    pub(super) fn unflushed(&self) -> [Option<&Memtable>; 2] {
        [self.flusher.under_way(), Some(&self.memtable)]
    }
}

/// Opens or creates the files of a folder.
pub(super) fn open(
    folder: &Folder,
    sync_mode: SyncMode,
    rules: RoomRules,
    metrics: &Arc<StorageMetrics>,
) -> Result<(Files, Recovered, OpenReport), StorageError> {
    let begun = Instant::now();
    let io_failed = |source| StorageError::from_io(folder.path(), "opening the store", source);
    let room = Arc::new(Room::open(folder.path(), &folder.reserve(), rules).map_err(io_failed)?);
    let (mut commit_marker, marker) =
        CommitMarkerFile::open(&folder.commit_marker(), folder.identity()).map_err(io_failed)?;
    let file = open_store_file(folder).map_err(io_failed)?;
    let mut report = first_look(&file, marker).map_err(io_failed)?;
    let (backend, disk) = Disk::new(file, metrics.clone(), room.clone()).map_err(io_failed)?;
    let mut journals = Journals::open(folder.journals(), &room, metrics).map_err(io_failed)?;
    if report.new {
        journals.clear().map_err(io_failed)?;
    }

    let (database, contents) = guard(folder, "opening the store", || {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            // Reads the whole file, at about 1 GB/s from memory. Without this check, one flipped bit in a properly
            // closed file was observed to hide messages without an error. After an unclean end redb reads everything
            // anyway.
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)?;
        let contents = first_transaction(&database, &mut journals, folder.identity(), marker, &mut report)?;
        journals.begin(contents.transaction)?;
        Ok((database, contents))
    })?;

    let opened = CommitMarker { number: contents.transaction, closed: false };
    let signed = room.until_there_is_room(|| commit_marker.write(opened)).and_then(|()| commit_marker.sync());
    signed.and_then(|()| folder.sync()).map_err(io_failed)?;
    disk.put_off_syncs(sync_mode != SyncMode::Always);
    report.took = begun.elapsed();
    let Contents { transaction, dropping, usage, recovered, .. } = contents;
    let database = Arc::new(database);
    let flusher = Flusher::start(database.clone(), room.clone(), Flushed { dropping, usage }).map_err(io_failed)?;
    let files = Files {
        database,
        flusher,
        disk,
        room,
        journals,
        memtable: Memtable::default(),
        row_cache: RefCell::default(),
        commit_marker,
        transaction,
        owes: false,
    };
    Ok((files, recovered, report))
}

fn open_store_file(folder: &Folder) -> io::Result<File> {
    private::read_write().open(folder.store())
}

fn first_look(file: &File, marker: Option<CommitMarker>) -> io::Result<OpenReport> {
    let file_bytes = file.metadata()?.len();
    let new = file_bytes == 0;
    let closed = marker.is_some_and(|commit_marker| commit_marker.closed);
    Ok(OpenReport {
        new,
        unclean: !new && !closed,
        file_bytes,
        commit_marker_lost: !new && marker.is_none(),
        ..OpenReport::default()
    })
}

/// Writes the content of the journals to the tables, reads the state, and records that the folder was opened once
/// more.
fn first_transaction(
    database: &Database,
    journals: &mut Journals,
    identity: &FolderIdentity,
    marker: Option<CommitMarker>,
    report: &mut OpenReport,
) -> Result<Contents, Failure> {
    let transaction = database.begin_write()?;
    flush_journals(&transaction, journals)?;
    let mut contents = recover::read(&transaction, identity.dimension)?;
    accept(&transaction, &mut contents, identity, marker, report)?;
    let acknowledged = marker.map_or(0, |commit_marker| commit_marker.number);
    contents.transaction = contents.transaction.max(acknowledged) + 1;
    let mut rows = RowWriter::default();
    let mut tables = Tables::new(&transaction, &mut rows, false);
    tables.put_meta(RowKey::Owner, identity)?;
    tables.put_meta(RowKey::Transaction, &contents.transaction)?;
    drop(tables);
    transaction.commit()?;
    Ok(contents)
}

fn flush_journals(transaction: &WriteTransaction, journals: &mut Journals) -> Changed {
    let Some(flushed) = recover::transaction_number(transaction)? else { return Ok(()) };
    let Replayed { number, writes } = journals.read(flushed)?;
    if number == flushed {
        return Ok(());
    }
    let (mut pending, mut rows) = (Memtable::default(), RowWriter::default());
    pending.take([WriteBatch { number, writes }]);
    let mut tables = Tables::new(transaction, &mut rows, recover::is_dropping(transaction)?);
    pending.flush(&mut tables)?;
    tables.put_meta(RowKey::Transaction, &number)
}

/// Compares the found state with the acknowledged one.
fn accept(
    transaction: &WriteTransaction,
    contents: &mut Contents,
    identity: &FolderIdentity,
    marker: Option<CommitMarker>,
    report: &mut OpenReport,
) -> Result<(), Failure> {
    let acknowledged = marker.map_or(0, |commit_marker| commit_marker.number);
    match &contents.owner {
        None if acknowledged > 0 => return Err(Failure::Damaged("the store is gone or empty".to_owned())),
        Some(owner) if owner != identity => return Err(Failure::Damaged(format!("the store is that of {owner}"))),
        None | Some(_) => {}
    }
    report.new = contents.owner.is_none();
    report.commit_marker_lost &= !report.new;
    report.cut = contents.cut.clone();
    let found = contents.transaction;
    report.rolled_back = (found < acknowledged).then_some(RolledBack { acknowledged, found });
    if report.rolled_back.is_some() || report.commit_marker_lost {
        recover::note_cut(transaction, recovery::mistrust(&mut contents.recovered).into_iter())?;
    }
    Ok(())
}
