//! The mark: the number of the newest acknowledged transaction, stored outside the database.
//!
//! If redb finds its newest commit broken after a crash, it uses the commit before it. That is right if the crash
//! tore the commit, and wrong if the commit was complete, acknowledged and damaged later. The database itself cannot
//! distinguish these cases. The mark is written after each commit (not synced: 16 bytes into the page cache), so a
//! database behind its mark has lost acknowledged writes, and the node reports it. The mark also records whether the
//! folder was closed properly.
//!
//! Two slots are written in turn, so a write that never reached the disk leaves the previous mark. Each slot has a
//! checksum that includes the folder's owner. Any other content of a slot is damage: the mark is then unusable, and
//! the folder counts as one that lost its last acknowledged writes. A missing mark counts the same.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::folder::FolderIdentity;
use crate::private;

/// Far enough apart to lie in different sectors.
const SLOT_OFFSETS: [u64; 2] = [0, 4096];
/// A crc32, the closed flag and the number, little-endian.
const SLOT_BYTES: usize = 16;

/// The content of the mark.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Mark {
    /// The newest acknowledged transaction.
    pub number: u64,
    /// Whether the folder was closed after it.
    pub closed: bool,
}

/// The mark's file, open for writing.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: File,
    /// Distinguishes this folder's marks from those of other folders.
    owner: u32,
    next_slot: usize,
}

/// The content of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Blank,
    Good(Mark),
    Bad,
}

impl MarkFile {
    /// Opens or creates the mark of a folder with this owner. `None`: it has no readable mark.
    pub(super) fn open(path: &Path, owner: &FolderIdentity) -> io::Result<(MarkFile, Option<Mark>)> {
        let owner = crc32fast::hash(owner.to_string().as_bytes());
        let mut file = private::read_write().open(path)?;
        let slots = [read_slot(&mut file, owner, 0)?, read_slot(&mut file, owner, 1)?];
        if file.metadata()?.len() < SLOT_OFFSETS[1] + SLOT_BYTES as u64 {
            // Both slots take their space now, because the disk may be full later.
            let missing = SLOT_OFFSETS[1] + SLOT_BYTES as u64 - file.metadata()?.len();
            file.seek(SeekFrom::End(0))?;
            io::copy(&mut io::repeat(0).take(missing), &mut file)?;
        }
        let newest = slots.iter().filter_map(|slot| slot.mark()).max();
        let next_slot = usize::from(newest.is_some() && slots[0].mark() == newest);
        let readable = newest.filter(|_| !slots.contains(&Slot::Bad));
        Ok((MarkFile { file, owner, next_slot }, readable))
    }

    pub(super) fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(SLOT_OFFSETS[self.next_slot]))?;
        self.file.write_all(&encode(mark, self.owner))?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Slot {
    fn mark(self) -> Option<Mark> {
        match self {
            Slot::Good(mark) => Some(mark),
            Slot::Blank | Slot::Bad => None,
        }
    }
}

fn read_slot(file: &mut File, owner: u32, slot: usize) -> io::Result<Slot> {
    file.seek(SeekFrom::Start(SLOT_OFFSETS[slot]))?;
    let mut bytes = Vec::new();
    file.take(SLOT_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(match <[u8; SLOT_BYTES]>::try_from(bytes.as_slice()) {
        _ if bytes.iter().all(|byte| *byte == 0) => Slot::Blank,
        Ok(bytes) => decode(bytes, owner).map_or(Slot::Bad, Slot::Good),
        Err(_) => Slot::Bad,
    })
}

fn encode(mark: Mark, owner: u32) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[4] = mark.closed.into();
    bytes[8..].copy_from_slice(&mark.number.to_le_bytes());
    let crc = check(&bytes, owner);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn check(bytes: &[u8; SLOT_BYTES], owner: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(owner);
    hasher.update(&bytes[4..]);
    hasher.finalize()
}

fn decode(bytes: [u8; SLOT_BYTES], owner: u32) -> Option<Mark> {
    let [c0, c1, c2, c3, closed, _, _, _, number @ ..] = bytes;
    let intact = u32::from_le_bytes([c0, c1, c2, c3]) == check(&bytes, owner);
    intact.then(|| Mark { number: u64::from_le_bytes(number), closed: closed != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> FolderIdentity {
        FolderIdentity::new(name, "010".parse().unwrap())
    }

    #[test]
    fn the_newest_mark_is_found_and_one_that_never_came_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let (mut marks, found) = MarkFile::open(&path, &owner("spring")).unwrap();
        assert_eq!(found, None);
        for number in 1..=3 {
            marks.write(Mark { number, closed: false }).unwrap();
            let (_, found) = MarkFile::open(&path, &owner("spring")).unwrap();
            assert_eq!(found, Some(Mark { number, closed: false }));
        }
        let (mut marks, _) = MarkFile::open(&path, &owner("spring")).unwrap();
        marks.write(Mark { number: 3, closed: true }).unwrap();
        let (_, found) = MarkFile::open(&path, &owner("spring")).unwrap();
        assert_eq!(found, Some(Mark { number: 3, closed: true }));
    }

    #[test]
    fn a_mark_that_is_damaged_anywhere_or_anothers_is_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let (mut marks, _) = MarkFile::open(&path, &owner("spring")).unwrap();
        (1..=2).for_each(|number| marks.write(Mark { number, closed: false }).unwrap());
        assert_eq!(MarkFile::open(&path, &owner("autumn")).unwrap().1, None);

        let good = std::fs::read(&path).unwrap();
        for slot in SLOT_OFFSETS {
            for bit in 0..SLOT_BYTES * 8 {
                let mut bytes = good.clone();
                bytes[slot as usize + bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, bytes).unwrap();
                assert_eq!(MarkFile::open(&path, &owner("spring")).unwrap().1, None, "slot at {slot}, bit {bit}");
            }
        }
    }
}
