//! The journal: an append-only file with the writes that are not in the tables yet.
//!
//! A redb transaction changes whole pages of several trees, however little is written. An append writes only its own
//! bytes. So every write is first appended here and acknowledged. The tables receive many writes in one transaction
//! later, and then the journal restarts from its beginning.
//!
//! [`cubecast_core::store::journal`] describes the format of the records, and why old records of an earlier round are
//! not mistaken for new ones.
//!
//! The file keeps its size and is filled with zeros when it is new: a sync without a change of length is one write
//! less.

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

/// The maximum size of a journal; on small file systems it is smaller ([`super::room::Sizes`]). A larger journal
/// means fewer flushes, each with more of the log that is no longer needed, but takes more memory and a longer
/// start.
const MOST_BYTES: u64 = 4 << 20;
/// The file grows in steps of this size.
const STEP: u64 = 256 << 10;
/// Zeroing this many bytes at the beginning empties a journal: no record begins with zeros, and reading stops at the
/// first incomplete record.
const CLEARED_BYTES: u64 = 64;
/// A larger buffer is freed after use.
const KEPT_BYTES: usize = 256 << 10;

/// The journal's file, open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    room: Arc<Room>,
    metrics: Arc<StorageMetrics>,
    /// The position of the next record, which is also the file's cursor.
    position: u64,
    /// The file's length.
    length: u64,
    chain: Chain,
    /// The buffer of the last record, kept for the next.
    memory: Vec<u8>,
    unsynced: bool,
}

impl Journal {
    /// Opens or creates the file. It must be [read](Journal::read) and [begun](Journal::begin) before the first
    /// append.
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

    /// Erases all content, because its tables are gone. The file keeps its space, which might not be available again
    /// on a full disk.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.rewind()?;
        let head = self.length.min(CLEARED_BYTES);
        io::copy(&mut io::repeat(0).take(head), &mut self.file)?;
        self.file.rewind()?;
        self.file.sync_all()
    }

    /// Reads the records after the number `after`, up to the first incomplete one.
    pub(super) fn read(&mut self, after: u64) -> Result<Replayed, Failure> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        (&self.file).take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(journal::read(after, &bytes)?)
    }

    /// Restarts the journal: the tables have everything up to `number`.
    pub(super) fn begin(&mut self, number: u64) -> io::Result<()> {
        self.chain = Chain::begin(number);
        self.position = 0;
        self.unsynced = false;
        self.file.rewind()
    }

    /// Appends a record of the writes that are not replayable from the log. `false`: it does not fit, or the disk has
    /// no space for it; nothing was appended.
    pub(super) fn append(&mut self, number: u64, batches: &[WriteBatch]) -> io::Result<bool> {
        let mut memory = std::mem::take(&mut self.memory);
        if memory.capacity() > KEPT_BYTES {
            memory = Vec::new();
        }
        let writes = batches.iter().flat_map(|batch| &batch.writes).filter(|write| !write.is_replayable());
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

    /// Syncs everything appended since the last sync.
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
            // The part that was written is incomplete, and the next record overwrites it.
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
