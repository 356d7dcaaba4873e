//! The room that a store has: measured, kept in reserve, and waited for.
//!
//! A file in the data folder, `reserve`, takes up room from the beginning. When a write finds no room, that file is given
//! up, and the write is tried again: so a node on a full disk still votes, deletes, and starts. When there is room again,
//! the file is made anew. A write that finds no room even so waits for it, and never fails because of it, unless the store
//! is to be closed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::private;

/// A write that found no room is tried again after this.
const TRY_AGAIN: Duration = Duration::from_millis(50);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// How room is shared out, as configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoomRules {
    /// Core takes no publishes while less room than this is left; `None`: a part of the file system.
    pub reserve: Option<u64>,
    /// So many nodes have their data on the same file system.
    pub shared_by: u64,
}

impl Default for RoomRules {
    fn default() -> RoomRules {
        RoomRules { reserve: None, shared_by: 1 }
    }
}

/// How much of a file system this store sets aside, and for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Below this core takes no publishes.
    pub reserve: u64,
    /// Of one journal.
    pub journal: u64,
    /// Of the file that is given up in need: a full journal finds its place in the tables by it.
    pub kept: u64,
}

impl Sizes {
    /// For a file system of this size, which other nodes may use too. `reserve`: as configured.
    pub fn of(total: u64, reserve: Option<u64>) -> Sizes {
        let journal = (total / 256).clamp(256 * KIB, 4 * MIB);
        let usual = (total / 8).clamp((8 * MIB).min(total / 4), 256 * MIB);
        Sizes { reserve: reserve.unwrap_or(usual), journal, kept: 4 * journal }
    }
}

/// Below so much room on a file system of this size no publishes are taken. `reserve`: as configured.
pub fn reserve_of(total: u64, reserve: Option<u64>) -> u64 {
    Sizes::of(total, reserve).reserve
}

/// The room of one data folder; shared by the engine's threads.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    sizes: Sizes,
    shared_by: u64,
    /// The file that is given up in need, and its length.
    kept: Mutex<(File, u64)>,
    waits: AtomicBool,
    gives_up: AtomicBool,
    /// All files of the store together may take no more than this: no limit but in tests, which see a full disk so.
    capacity: AtomicU64,
}

impl Room {
    /// Takes up the room that is to be kept, as far as it is there.
    pub(super) fn open(folder: &Path, kept: &Path, rules: RoomRules) -> io::Result<Room> {
        let file = private::read_write().open(kept)?;
        let length = file.metadata()?.len();
        let (_, total) = file_system(folder)?;
        let room = Room {
            folder: folder.to_path_buf(),
            sizes: Sizes::of(total, rules.reserve),
            shared_by: rules.shared_by,
            kept: Mutex::new((file, length)),
            waits: AtomicBool::new(false),
            gives_up: AtomicBool::new(false),
            capacity: AtomicU64::new(u64::MAX),
        };
        room.restore();
        Ok(room)
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub(super) fn shared_by(&self) -> u64 {
        self.shared_by
    }

    /// What can still be written, beside what is to be kept and is not.
    pub(super) fn free(&self) -> u64 {
        self.free_on_disk().saturating_sub(self.sizes.kept.saturating_sub(self.lock_kept().1))
    }

    /// Whether a write waits for room now.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Acquire)
    }

    /// From now on a write that finds no room fails: the store is to be closed.
    pub(super) fn give_up(&self) {
        self.gives_up.store(true, Ordering::Release);
    }

    /// Waits until about so much can be written, or as much as is kept, which is given up if need be.
    pub(super) fn await_room(&self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.min(self.sizes.kept);
        self.until_there_is_room(|| if self.free_on_disk() < bytes { Err(no_room()) } else { Ok(()) })
    }

    /// Writes, and when there is no room, gives up what is kept, and then waits.
    pub(super) fn until_there_is_room<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match write() {
                Err(error) if is_no_room(&error) => {
                    if self.release() {
                        continue;
                    }
                    if self.gives_up.load(Ordering::Acquire) {
                        self.waits.store(false, Ordering::Release);
                        return Err(error);
                    }
                    self.waits.store(true, Ordering::Release);
                    std::thread::sleep(TRY_AGAIN);
                }
                done => {
                    self.waits.store(false, Ordering::Release);
                    return done;
                }
            }
        }
    }

    /// Writes, and when there is no room, gives up what is kept and tries once more. `None`: there is no room.
    pub(super) fn if_there_is_room<T>(&self, mut write: impl FnMut() -> io::Result<T>) -> io::Result<Option<T>> {
        for _ in 0..2 {
            match write() {
                Err(error) if is_no_room(&error) => {
                    if !self.release() {
                        return Ok(None);
                    }
                }
                done => return done.map(Some),
            }
        }
        Ok(None)
    }

    /// Takes up again what is to be kept, once there is room for it beside what goes on being written. Whatever stands in
    /// the way is met again next time.
    pub(super) fn restore(&self) {
        let mut kept = self.lock_kept();
        let missing = self.sizes.kept.saturating_sub(kept.1);
        if missing > 0 && self.free_on_disk() >= missing + self.sizes.reserve / 4 {
            let (file, length) = &mut *kept;
            if allocate(file, self.sizes.kept).is_ok() {
                *length = self.sizes.kept;
            } else {
                // In part it would be of no use, and in nobody's account.
                *length = if file.set_len(0).is_ok() { 0 } else { *length };
            }
        }
    }

    /// Gives up what is kept; `false` where nothing is.
    fn release(&self) -> bool {
        let mut kept = self.lock_kept();
        let (file, length) = &mut *kept;
        let released = *length > 0 && file.set_len(0).is_ok();
        if released {
            *length = 0;
        }
        released
    }

    fn free_on_disk(&self) -> u64 {
        let free = file_system(&self.folder).map_or(0, |(free, _)| free);
        match self.capacity.load(Ordering::Acquire) {
            u64::MAX => free,
            capacity => free.min(capacity.saturating_sub(self.taken())),
        }
    }

    /// What the files of the folder take, without what is kept in reserve.
    pub(super) fn stored(&self) -> u64 {
        self.taken().saturating_sub(self.lock_kept().1)
    }

    /// What the files of the folder take.
    pub(super) fn taken(&self) -> u64 {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| size_on_disk(&metadata)).sum()
    }

    fn lock_kept(&self) -> std::sync::MutexGuard<'_, (File, u64)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn limit_capacity(&self, bytes: u64) {
        self.capacity.store(bytes, Ordering::Release);
    }

    /// In tests, whether a file may grow to this length.
    pub(super) fn check_capacity(&self, grows_by: u64) -> io::Result<()> {
        match self.capacity.load(Ordering::Acquire) {
            u64::MAX => Ok(()),
            capacity if self.taken() + grows_by > capacity => Err(no_room()),
            _ => Ok(()),
        }
    }
}

/// Whether it says that there is no room, on the disk or for this user.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn no_room() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

/// The bytes that the file system of a folder still gives, and all that it has.
#[cfg(unix)]
fn file_system(folder: &Path) -> io::Result<(u64, u64)> {
    let found = rustix::fs::statvfs(folder)?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}

/// Elsewhere it is not measured: a disk is full when a write says so.
#[cfg(not(unix))]
fn file_system(_folder: &Path) -> io::Result<(u64, u64)> {
    Ok((u64::MAX / 2, u64::MAX / 2))
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, length: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, length)?)
}

#[cfg(not(target_os = "linux"))]
fn allocate(mut file: &File, length: u64) -> io::Result<()> {
    use std::io::{Read as _, Seek as _};
    file.rewind()?;
    io::copy(&mut io::repeat(0).take(length), &mut file).map(|_| ())
}

#[cfg(unix)]
fn size_on_disk(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn size_on_disk(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}
