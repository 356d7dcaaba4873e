//! The journal: what was written and does not lie in the tables yet, in a file that is only appended to.
//!
//! A transaction of redb changes whole pages of several trees, however little is written. An append costs the bytes it
//! has, so every write goes here first and is acknowledged; the tables get it later, many writes in one transaction,
//! and the journal begins anew.
//!
//! A record is a crc32, the payload's length and the transaction's number (4, 4 and 8 bytes, little-endian), then the
//! writes in postcard, one after the other. Each check sum continues that of the record before, the first one that of
//! the number which the tables have: a record of an earlier round never looks like the next of this one.
//!
//! The file keeps its room, filled with zeros when it is new: a sync that changes no length is one write less.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use cubecast_core::store::{Write, WriteBatch};

use super::disk::DiskSwitch;
use super::metrics::StorageMetrics;
use super::write::Failure;

/// The journal's room. More makes fewer and longer visits to the tables, which hold up what is written meanwhile, and a
/// start that has more to do.
const CAPACITY: u64 = 2 << 20;
/// The file grows by so much.
const STEP: u64 = 256 << 10;
const HEADER_BYTES: usize = 16;
/// A larger buffer than this is given back after use.
const KEPT_BYTES: usize = 256 << 10;

/// The journal's file, open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    disk: Arc<DiskSwitch>,
    metrics: Arc<StorageMetrics>,
    /// Where the next record goes. The file's cursor stands there.
    position: u64,
    /// The file's length.
    length: u64,
    /// The check sum of the record before.
    chain: u32,
    record: Vec<u8>,
    unsynced: bool,
}

/// What a journal holds beyond the tables.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    /// The number of the last record, or the one that the tables have.
    pub number: u64,
    pub writes: Vec<Write>,
}

impl Journal {
    /// Opens or creates the file. Before the first append it is [read](Journal::read) and [begun](Journal::begin).
    pub(super) fn open(path: &Path, disk: Arc<DiskSwitch>, metrics: Arc<StorageMetrics>) -> io::Result<Journal> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        Ok(Journal { file, disk, metrics, position: 0, length, chain: 0, record: Vec::new(), unsynced: false })
    }

    /// Forgets all content: it belongs to tables that are gone.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.length = 0;
        self.file.sync_all()
    }

    /// Reads the records that follow the number `after`, up to the first that is not whole.
    pub(super) fn read(&mut self, after: u64) -> Result<Replayed, Failure> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        (&self.file).take(CAPACITY).read_to_end(&mut bytes)?;
        let (mut replayed, mut chain) = (Replayed { number: after, writes: Vec::new() }, seed(after));
        let mut rest = bytes.as_slice();
        while let Some((payload, crc)) = next_record(&mut rest, chain, replayed.number + 1) {
            decode(payload, replayed.number + 1, &mut replayed.writes)?;
            replayed.number += 1;
            chain = crc;
        }
        Ok(replayed)
    }

    /// Begins anew: the tables have everything up to `number`.
    pub(super) fn begin(&mut self, number: u64) -> io::Result<()> {
        self.chain = seed(number);
        self.position = 0;
        self.unsynced = false;
        self.file.rewind()
    }

    /// Appends a record; `false`, and nothing done, when it does not fit.
    pub(super) fn append(&mut self, number: u64, batches: &[WriteBatch]) -> io::Result<bool> {
        let crc = self.encode(number, batches);
        let end = self.position + self.record.len() as u64;
        if end > CAPACITY {
            return Ok(false);
        }
        if end > self.length {
            self.grow(end.next_multiple_of(STEP))?;
        }
        self.file.write_all(&self.record)?;
        self.metrics.count_bytes(self.record.len());
        self.position = end;
        self.chain = crc;
        self.unsynced = true;
        Ok(true)
    }

    /// Forces to the disk what was appended since the last time.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.unsynced) {
            self.metrics.time_sync(|| self.file.sync_data())?;
        }
        Ok(())
    }

    fn encode(&mut self, number: u64, batches: &[WriteBatch]) -> u32 {
        let mut record = std::mem::take(&mut self.record);
        if record.capacity() > KEPT_BYTES {
            record = Vec::new();
        }
        record.clear();
        record.extend_from_slice(&[0; HEADER_BYTES]);
        for write in batches.iter().flat_map(|batch| &batch.writes) {
            // Our own types hold nothing that postcard refuses, and a Vec takes all it is given.
            record = postcard::to_extend(write, record).expect("a write encodes");
        }
        // A longer record than a u32 counts is longer than the journal by far, and is not kept.
        let length = (record.len() - HEADER_BYTES) as u32;
        record[4..8].copy_from_slice(&length.to_le_bytes());
        record[8..HEADER_BYTES].copy_from_slice(&number.to_le_bytes());
        let crc = follow(self.chain, &record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        self.record = record;
        crc
    }

    fn grow(&mut self, length: u64) -> io::Result<()> {
        self.disk.check_capacity(length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        io::copy(&mut io::repeat(0).take(length - self.length), &mut self.file)?;
        self.length = length;
        self.file.seek(SeekFrom::Start(self.position)).map(|_| ())
    }
}

/// What the first record's check sum continues.
fn seed(number: u64) -> u32 {
    crc32fast::hash(&number.to_le_bytes())
}

fn follow(chain: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(chain);
    hasher.update(bytes);
    hasher.finalize()
}

/// Takes the payload of the next record, if it is the one with this number behind that check sum.
fn next_record<'b>(rest: &mut &'b [u8], chain: u32, number: u64) -> Option<(&'b [u8], u32)> {
    let (crc, behind) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*behind.first_chunk()?) as usize;
    let (covered, behind) = behind.split_at_checked(HEADER_BYTES - 4 + length)?;
    let (header, payload) = covered.split_at(HEADER_BYTES - 4);
    let crc = u32::from_le_bytes(*crc);
    let fits = header[4..] == number.to_le_bytes() && follow(chain, covered) == crc;
    *rest = behind;
    fits.then_some((payload, crc))
}

fn decode(mut payload: &[u8], number: u64, writes: &mut Vec<Write>) -> Result<(), Failure> {
    while !payload.is_empty() {
        let undecodable = |_| Failure::Damaged(format!("record {number} of the journal cannot be decoded"));
        let (write, behind) = postcard::take_from_bytes(payload).map_err(undecodable)?;
        writes.push(write);
        payload = behind;
    }
    Ok(())
}
