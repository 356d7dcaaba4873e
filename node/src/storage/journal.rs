//! The journal: what was written and does not lie in the tables yet, in a file that is only appended to.
//!
//! A transaction of redb changes whole pages of several trees, however little is written. An append costs the bytes it
//! has, so every write goes here first and is acknowledged; the tables get it later, many writes in one transaction,
//! and the journal begins anew.
//!
//! How its records look, and why none of an earlier round is taken for news: [`cubecast_core::store::journal`].
//!
//! The file keeps its room, filled with zeros when it is new: a sync that changes no length is one write less.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use cubecast_core::store::WriteBatch;
use cubecast_core::store::journal::{self, Chain, Replayed};

use super::metrics::StorageMetrics;
use super::room::Room;
use super::write::Failure;
use crate::private;

/// The most room that a journal has; on small file systems it has less ([`super::room::Sizes`]). More makes fewer visits to
/// the tables, in which more of the log is no longer needed, and takes more memory, and a start that has more to do.
const MOST_BYTES: u64 = 4 << 20;
/// The file grows by so much.
const STEP: u64 = 256 << 10;
/// So much at the beginning makes a journal empty: no record begins with zeros, and none is read behind one that is not whole.
const CLEARED_BYTES: u64 = 64;
/// A larger buffer than this is given back after use.
const KEPT_BYTES: usize = 256 << 10;

/// The journal's file, open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    room: Arc<Room>,
    metrics: Arc<StorageMetrics>,
    /// Where the next record goes. The file's cursor stands there.
    position: u64,
    /// The file's length.
    length: u64,
    chain: Chain,
    /// Of the last record, for the next.
    memory: Vec<u8>,
    unsynced: bool,
}

impl Journal {
    /// Opens or creates the file. Before the first append it is [read](Journal::read) and [begun](Journal::begin).
    pub(super) fn open(path: &Path, room: Arc<Room>, metrics: Arc<StorageMetrics>) -> io::Result<Journal> {
        let file = private::read_write().open(path)?;
        let length = file.metadata()?.len();
        Ok(Journal {
            file,
            room,
            metrics,
            position: 0,
            length,
            chain: Chain::begin(0),
            memory: Vec::new(),
            unsynced: false,
        })
    }

    /// Forgets all content: it belongs to tables that are gone. The room stays: on a full disk it would not come again.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.rewind()?;
        let head = self.length.min(CLEARED_BYTES);
        io::copy(&mut io::repeat(0).take(head), &mut self.file)?;
        self.file.rewind()?;
        self.file.sync_all()
    }

    /// Reads the records that follow the number `after`, up to the first that is not whole.
    pub(super) fn read(&mut self, after: u64) -> Result<Replayed, Failure> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        (&self.file).take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(journal::read(after, &bytes)?)
    }

    /// Begins anew: the tables have everything up to `number`.
    pub(super) fn begin(&mut self, number: u64) -> io::Result<()> {
        self.chain = Chain::begin(number);
        self.position = 0;
        self.unsynced = false;
        self.file.rewind()
    }

    /// Appends a record of what the log does not make again; `false`, and nothing done, when it does not fit, or when the disk
    /// has no room for it.
    pub(super) fn append(&mut self, number: u64, batches: &[WriteBatch]) -> io::Result<bool> {
        let mut memory = std::mem::take(&mut self.memory);
        if memory.capacity() > KEPT_BYTES {
            memory = Vec::new();
        }
        let writes = batches.iter().flat_map(|batch| &batch.writes).filter(|write| !write.is_made_again());
        let (record, chain) = journal::encode(self.chain, number, writes, memory);
        let end = self.position + record.len() as u64;
        let fits = end <= self.room.sizes().journal;
        let written = fits && self.write(&record, end)?;
        if written {
            self.chain = chain;
        }
        self.memory = record;
        Ok(written)
    }

    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.position + bytes <= self.room.sizes().journal
    }

    /// Forces to the disk what was appended since the last time.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.unsynced) {
            self.metrics.time_sync(|| self.file.sync_data())?;
        }
        Ok(())
    }

    fn write(&mut self, record: &[u8], end: u64) -> io::Result<bool> {
        let room = self.room.clone();
        let written = room.if_there_is_room(|| {
            if end > self.length {
                self.grow(end.next_multiple_of(STEP))?;
            }
            self.file.write_all(record)
        })?;
        if written.is_none() {
            // What is there of it is not whole, and the next record begins at the same place.
            self.file.seek(SeekFrom::Start(self.position))?;
            return Ok(false);
        }
        self.metrics.count_bytes(record.len());
        self.position = end;
        self.unsynced = true;
        Ok(true)
    }

    fn grow(&mut self, length: u64) -> io::Result<()> {
        self.room.check_capacity(length - self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        io::copy(&mut io::repeat(0).take(length - self.length), &mut self.file)?;
        self.length = length;
        self.file.seek(SeekFrom::Start(self.position)).map(|_| ())
    }
}
