//! The commit marker: the number of the newest acknowledged transaction, stored outside the database.
//!
//! If redb finds its newest commit broken after a crash, it uses the commit before it. That is right if the crash tore
//! the commit, and wrong if the commit was complete, acknowledged and damaged later. The database itself cannot
//! distinguish these cases. The commit marker is written after each commit (not synced: 16 bytes into the page cache),
//! so a database behind its commit marker has lost acknowledged writes, and the node reports it. The commit marker also
//! records whether the folder was closed properly.
//!
//! Two slots are written in turn, so a write that never reached the disk leaves the previous commit marker. Each slot
//! has a checksum that includes the folder's owner. Any other content of a slot is damage: the commit marker is then
//! unusable, and the folder counts as one that lost its last acknowledged writes. A missing commit marker counts the
//! same.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::folder_identity::FolderIdentity;
use crate::private;

/// Far enough apart to lie in different sectors.
const SLOT_OFFSETS: [u64; 2] = [0, 4096];
/// A crc32, the closed flag and the number, little-endian.
const SLOT_BYTES: usize = 16;

/// The content of the commit marker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct CommitMarker {
    /// The newest acknowledged transaction.
    pub number: u64,
    /// Whether the folder was closed after it.
    pub closed: bool,
}

/// The commit marker's file, open for writing.
#[derive(Debug)]
pub(super) struct CommitMarkerFile {
    file: File,
    /// Distinguishes this folder's commit markers from those of other folders.
    owner: u32,
    next_slot: usize,
}

/// The content of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Slot {
    Blank,
    Good(CommitMarker),
    Bad,
}

impl CommitMarkerFile {
    /// Opens or creates the commit marker of a folder with this owner. `None`: it has no readable commit marker.
    pub(super) fn open(path: &Path, owner: &FolderIdentity) -> io::Result<(CommitMarkerFile, Option<CommitMarker>)> {
        let owner = crc32fast::hash(owner.to_string().as_bytes());
        let mut file = private::read_write().open(path)?;
        let slots = [read_slot(&mut file, owner, 0)?, read_slot(&mut file, owner, 1)?];
        if file.metadata()?.len() < SLOT_OFFSETS[1] + SLOT_BYTES as u64 {
            // Both slots take their space now, because the disk may be full later.
            let missing = SLOT_OFFSETS[1] + SLOT_BYTES as u64 - file.metadata()?.len();
            file.seek(SeekFrom::End(0))?;
            io::copy(&mut io::repeat(0).take(missing), &mut file)?;
        }
        let newest = slots.iter().filter_map(|slot| slot.commit_marker()).max();
        let next_slot = usize::from(newest.is_some() && slots[0].commit_marker() == newest);
        let readable = newest.filter(|_| !slots.contains(&Slot::Bad));
        Ok((CommitMarkerFile { file, owner, next_slot }, readable))
    }

    pub(super) fn write(&mut self, commit_marker: CommitMarker) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(SLOT_OFFSETS[self.next_slot]))?;
        self.file.write_all(&encode(commit_marker, self.owner))?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Slot {
    fn commit_marker(self) -> Option<CommitMarker> {
        match self {
            Slot::Good(commit_marker) => Some(commit_marker),
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

fn encode(commit_marker: CommitMarker, owner: u32) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[4] = commit_marker.closed.into();
    bytes[8..].copy_from_slice(&commit_marker.number.to_le_bytes());
    let crc = check(&bytes, owner);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn check(bytes: &[u8; SLOT_BYTES], owner: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(owner);
    hasher.update(&bytes[4..]);
    hasher.finalize()
}

fn decode(bytes: [u8; SLOT_BYTES], owner: u32) -> Option<CommitMarker> {
    let [c0, c1, c2, c3, closed, _, _, _, number @ ..] = bytes;
    let intact = u32::from_le_bytes([c0, c1, c2, c3]) == check(&bytes, owner);
    intact.then(|| CommitMarker { number: u64::from_le_bytes(number), closed: closed != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::cube::Dimension;

    fn owner(name: &str) -> FolderIdentity {
        FolderIdentity::new(name, "010".parse().unwrap(), Dimension::new(3).unwrap())
    }

    #[test]
    fn the_newest_commit_marker_is_found_and_one_that_never_came_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("commit-marker");
        let (mut marks, found) = CommitMarkerFile::open(&path, &owner("spring")).unwrap();
        assert_eq!(found, None);
        for number in 1..=3 {
            marks.write(CommitMarker { number, closed: false }).unwrap();
            let (_, found) = CommitMarkerFile::open(&path, &owner("spring")).unwrap();
            assert_eq!(found, Some(CommitMarker { number, closed: false }));
        }
        let (mut marks, _) = CommitMarkerFile::open(&path, &owner("spring")).unwrap();
        marks.write(CommitMarker { number: 3, closed: true }).unwrap();
        let (_, found) = CommitMarkerFile::open(&path, &owner("spring")).unwrap();
        assert_eq!(found, Some(CommitMarker { number: 3, closed: true }));
    }

    #[test]
    fn a_commit_marker_that_is_damaged_anywhere_or_anothers_is_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("commit-marker");
        let (mut marks, _) = CommitMarkerFile::open(&path, &owner("spring")).unwrap();
        (1..=2).for_each(|number| marks.write(CommitMarker { number, closed: false }).unwrap());
        assert_eq!(CommitMarkerFile::open(&path, &owner("autumn")).unwrap().1, None);

        let good = std::fs::read(&path).unwrap();
        for slot in SLOT_OFFSETS {
            for bit in 0..SLOT_BYTES * 8 {
                let mut bytes = good.clone();
                bytes[slot as usize + bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, bytes).unwrap();
                assert_eq!(
                    CommitMarkerFile::open(&path, &owner("spring")).unwrap().1,
                    None,
                    "slot at {slot}, bit {bit}"
                );
            }
        }
    }
}
