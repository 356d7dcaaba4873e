//! Opens the files of a locked folder: checks them, reads the state that a node needs, and reports the findings.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use cubecast_core::store::journal::Replayed;
use cubecast_core::store::judge;
use cubecast_core::store::{Recovered, WriteBatch};
use redb::{Database, WriteTransaction};

use super::disk::{Disk, DiskSwitch};
use super::error::StorageError;
use super::folder::{Folder, FolderIdentity};
use super::guard::guard;
use super::journals::Journals;
use super::lately::Lately;
use super::mark::{Mark, MarkFile};
use super::metrics::StorageMetrics;
use super::pending::Pending;
use super::recover::{self, Contents};
use super::report::{OpenReport, RolledBack};
use super::room::{Room, RoomRules};
use super::rows::{RowKey, RowWriter};
use super::settler::{Settled, Settler};
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
    pub settler: Settler,
    /// Controls the syncs of the tables' file.
    pub disk: Arc<DiskSwitch>,
    /// The free space on the disk.
    pub room: Arc<Room>,
    /// The two journals.
    pub journals: Journals,
    /// The content of the current journal, which the settler has not received yet.
    pub pending: Pending,
    /// Recently read rows.
    pub lately: RefCell<Lately>,
    /// The mark's file.
    pub mark: MarkFile,
    /// The newest transaction.
    pub transaction: u64,
    /// Whether some pending writes are in no journal and wait for the tables.
    pub owes: bool,
}

impl Files {
    /// Passes the pending writes to the settler, after its previous work is done, and switches to the other journal.
    /// With `tidy`, the settler also does a piece of postponed deletion.
    pub(super) fn settle(&mut self, tidy: bool) -> Changed {
        self.settler.wait(&self.room)?;
        self.settler.begin(std::mem::take(&mut self.pending), self.transaction, tidy)?;
        Ok(self.journals.turn(self.transaction)?)
    }

    /// Writes everything that is in no journal to the tables, as soon as there is space.
    pub(super) fn pay(&mut self) -> Changed {
        while self.owes {
            self.settler.wait(&self.room)?;
            self.owes = !self.pending.is_empty();
            if self.owes {
                self.settle(false)?;
            }
        }
        Ok(())
    }

    /// Whether compaction frees much space in little time. Compaction moves the live data and needs some space
    /// itself.
    pub(super) fn can_be_compacted(&self) -> bool {
        self.settler.usage().is_worth_compacting() && self.room.free() > self.room.sizes().kept
    }

    /// Compacts the tables and returns the freed space to the file system. Nothing may be on its way to the tables.
    pub(super) fn compact(&mut self) -> Changed {
        let usage = self.settler.usage();
        self.settler.stop();
        // The settler had the only other reference.
        let database = Arc::get_mut(&mut self.database).ok_or(Failure::Closed)?;
        database.compact()?;
        let settled = Settled { dropping: false, usage: usage.compacted() };
        self.settler = Settler::start(self.database.clone(), self.room.clone(), settled)?;
        Ok(())
    }

    /// All writes that may not be in the tables yet: those on their way, and later ones.
    pub(super) fn unsettled(&self) -> [Option<&Pending>; 2] {
        [self.settler.under_way(), Some(&self.pending)]
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
    let (mut mark, marked) = MarkFile::open(&folder.mark(), folder.identity()).map_err(io_failed)?;
    let file = open_store_file(folder).map_err(io_failed)?;
    let mut report = first_look(&file, marked).map_err(io_failed)?;
    let (backend, disk) = Disk::new(file, metrics.clone(), room.clone()).map_err(io_failed)?;
    let mut journals = Journals::open(folder.journals(), &room, metrics).map_err(io_failed)?;
    if report.new {
        journals.clear().map_err(io_failed)?;
    }

    let (database, contents) = guard(folder.path(), "opening the store", || {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            // Reads the whole file, at about 1 GB/s from memory. Without this check, one flipped bit in a properly
            // closed file was observed to hide messages without an error. After an unclean end redb reads everything
            // anyway.
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)?;
        let contents = first_transaction(&database, &mut journals, folder.identity(), marked, &mut report)?;
        journals.begin(contents.transaction)?;
        Ok((database, contents))
    })?;

    let opened = Mark { number: contents.transaction, closed: false };
    let signed = room.until_there_is_room(|| mark.write(opened)).and_then(|()| mark.sync());
    signed.and_then(|()| folder.sync()).map_err(io_failed)?;
    disk.put_off_syncs(sync_mode != SyncMode::Always);
    report.took = begun.elapsed();
    let Contents { transaction, dropping, usage, recovered, .. } = contents;
    let database = Arc::new(database);
    let settler = Settler::start(database.clone(), room.clone(), Settled { dropping, usage }).map_err(io_failed)?;
    let files = Files {
        database,
        settler,
        disk,
        room,
        journals,
        pending: Pending::default(),
        lately: RefCell::default(),
        mark,
        transaction,
        owes: false,
    };
    Ok((files, recovered, report))
}

fn open_store_file(folder: &Folder) -> io::Result<File> {
    private::read_write().open(folder.store())
}

fn first_look(file: &File, marked: Option<Mark>) -> io::Result<OpenReport> {
    let file_bytes = file.metadata()?.len();
    let new = file_bytes == 0;
    let closed = marked.is_some_and(|mark| mark.closed);
    Ok(OpenReport {
        new,
        unclean: !new && !closed,
        file_bytes,
        mark_lost: !new && marked.is_none(),
        ..OpenReport::default()
    })
}

/// Writes the content of the journals to the tables, reads the state, and records that the folder was opened once
/// more.
fn first_transaction(
    database: &Database,
    journals: &mut Journals,
    identity: &FolderIdentity,
    marked: Option<Mark>,
    report: &mut OpenReport,
) -> Result<Contents, Failure> {
    let transaction = database.begin_write()?;
    settle_journals(&transaction, journals)?;
    let mut contents = recover::read(&transaction)?;
    accept(&transaction, &mut contents, identity, marked, report)?;
    let acknowledged = marked.map_or(0, |mark| mark.number);
    contents.transaction = contents.transaction.max(acknowledged) + 1;
    let mut rows = RowWriter::default();
    let mut tables = Tables::new(&transaction, &mut rows, false);
    tables.put_meta(RowKey::Owner, identity)?;
    tables.put_meta(RowKey::Transaction, &contents.transaction)?;
    drop(tables);
    transaction.commit()?;
    Ok(contents)
}

fn settle_journals(transaction: &WriteTransaction, journals: &mut Journals) -> Changed {
    let Some(settled) = recover::transaction_number(transaction)? else { return Ok(()) };
    let Replayed { number, writes } = journals.read(settled)?;
    if number == settled {
        return Ok(());
    }
    let (mut pending, mut rows) = (Pending::default(), RowWriter::default());
    pending.take([WriteBatch { number, writes }]);
    let mut tables = Tables::new(transaction, &mut rows, recover::is_dropping(transaction)?);
    pending.settle(&mut tables)?;
    tables.put_meta(RowKey::Transaction, &number)
}

/// Compares the found state with the acknowledged one.
fn accept(
    transaction: &WriteTransaction,
    contents: &mut Contents,
    identity: &FolderIdentity,
    marked: Option<Mark>,
    report: &mut OpenReport,
) -> Result<(), Failure> {
    let acknowledged = marked.map_or(0, |mark| mark.number);
    match &contents.owner {
        None if acknowledged > 0 => return Err(Failure::Damaged("the store is gone or empty".to_owned())),
        Some(owner) if owner != identity => return Err(Failure::Damaged(format!("the store is that of {owner}"))),
        None | Some(_) => {}
    }
    report.new = contents.owner.is_none();
    report.mark_lost &= !report.new;
    report.cut = contents.cut.clone();
    let found = contents.transaction;
    report.rolled_back = (found < acknowledged).then_some(RolledBack { acknowledged, found });
    if report.rolled_back.is_some() || report.mark_lost {
        recover::note_cut(transaction, judge::mistrust(&mut contents.recovered).into_iter())?;
    }
    Ok(())
}
