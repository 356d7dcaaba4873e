//! The mark: the number of the newest transaction that was acknowledged, kept outside the database.
//!
//! redb, finding its newest commit broken after a crash, takes the one before it. That is right when the crash tore the
//! commit, and wrong when the commit was complete, acknowledged, and damaged later. The two look alike from inside the
//! database. The mark is written (not synced: 16 bytes into the page cache) after each commit, so a database behind its
//! mark has lost what it had acknowledged, and that is said. It also tells whether the folder was closed or its node
//! died.
//!
//! Two slots, written in turn, so that a torn write leaves the one before.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Far enough apart to lie in different sectors.
const SLOT_OFFSETS: [u64; 2] = [0, 4096];
/// crc32, then the number with the closed flag, little-endian.
const SLOT_BYTES: usize = 16;

/// What the mark says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Mark {
    /// The newest acknowledged transaction.
    pub number: u64,
    /// The folder was closed behind it.
    pub closed: bool,
}

/// The mark's file, open for writing.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: File,
    next_slot: usize,
}

impl MarkFile {
    /// Opens or creates the file. `None`: there is no readable mark in it.
    pub(super) fn open(path: &Path) -> io::Result<(MarkFile, Option<Mark>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let slots = [read_slot(&mut file, 0)?, read_slot(&mut file, 1)?];
        let newest = slots.into_iter().flatten().max();
        let next_slot = usize::from(newest.is_some() && slots[0] == newest);
        Ok((MarkFile { file, next_slot }, newest))
    }

    pub(super) fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(SLOT_OFFSETS[self.next_slot]))?;
        self.file.write_all(&encode(mark))?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn read_slot(file: &mut File, slot: usize) -> io::Result<Option<Mark>> {
    file.seek(SeekFrom::Start(SLOT_OFFSETS[slot]))?;
    let mut bytes = [0; SLOT_BYTES];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(decode(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn encode(mark: Mark) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[4] = mark.closed.into();
    bytes[8..].copy_from_slice(&mark.number.to_le_bytes());
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: [u8; SLOT_BYTES]) -> Option<Mark> {
    let [c0, c1, c2, c3, closed, _, _, _, number @ ..] = bytes;
    let intact = u32::from_le_bytes([c0, c1, c2, c3]) == crc32fast::hash(&bytes[4..]);
    intact.then(|| Mark { number: u64::from_le_bytes(number), closed: closed != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_mark_is_found_and_a_torn_one_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let (mut marks, found) = MarkFile::open(&path).unwrap();
        assert_eq!(found, None);
        for number in 1..=3 {
            marks.write(Mark { number, closed: false }).unwrap();
        }
        let (mut marks, found) = MarkFile::open(&path).unwrap();
        assert_eq!(found, Some(Mark { number: 3, closed: false }));

        marks.write(Mark { number: 3, closed: true }).unwrap();
        let (_, found) = MarkFile::open(&path).unwrap();
        assert_eq!(found, Some(Mark { number: 3, closed: true }));

        let mut bytes = std::fs::read(&path).unwrap();
        bytes[SLOT_OFFSETS[1] as usize + 9] ^= 4;
        std::fs::write(&path, bytes).unwrap();
        let (_, found) = MarkFile::open(&path).unwrap();
        assert_eq!(found, Some(Mark { number: 3, closed: false }));
    }
}
