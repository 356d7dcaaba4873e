//! The disk space of a store: measured, reserved and waited for.
//!
//! The file `reserve` in the data folder occupies space from the beginning. When a write finds no free space, this
//! file is released and the write is retried. So a node on a full disk still votes, deletes and starts. When there is
//! space again, the file is allocated again. A write that still finds no space waits, and fails only if the store is
//! being closed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::private;

/// The pause before a write that found no space is retried.
const TRY_AGAIN: Duration = Duration::from_millis(50);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The configured rules for sharing the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoomRules {
    /// The free space below which core refuses publishes, in bytes. `None`: a part of the file system.
    pub reserve: Option<u64>,
    /// The number of nodes with data on the same file system.
    pub shared_by: u64,
}

impl Default for RoomRules {
    fn default() -> RoomRules {
        RoomRules { reserve: None, shared_by: 1 }
    }
}

/// The sizes of a store's parts on a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// The free space below which core refuses publishes.
    pub reserve: u64,
    /// The size of one journal.
    pub journal: u64,
    /// The size of the file that is released on a full disk. It leaves enough space to flush a full journal.
    pub kept: u64,
}

impl Sizes {
    /// The sizes for a file system of `total` bytes, which other nodes may share. `reserve`: as configured.
    pub fn of(total: u64, reserve: Option<u64>) -> Sizes {
        let journal = (total / 256).clamp(256 * KIB, 4 * MIB);
        let usual = (total / 8).clamp((8 * MIB).min(total / 4), 256 * MIB);
        Sizes { reserve: reserve.unwrap_or(usual), journal, kept: 4 * journal }
    }
}

/// The free space below which publishes are refused, on a file system of `total` bytes. `reserve`: as configured.
pub fn reserve_of(total: u64, reserve: Option<u64>) -> u64 {
    Sizes::of(total, reserve).reserve
}

/// The space of one data folder, shared by the engine's threads.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    sizes: Sizes,
    shared_by: u64,
    /// The file that is released on a full disk, and its length.
    kept: Mutex<(File, u64)>,
    waits: AtomicBool,
    gives_up: AtomicBool,
    /// The limit of the total size of the store's files. Only tests set it, to simulate a full disk.
    capacity: AtomicU64,
}

impl Room {
    /// Opens the space of a folder and allocates the reserve file, if there is space for it.
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

    /// The bytes that can be written, without those that the reserve file still lacks.
    pub(super) fn free(&self) -> u64 {
        self.free_on_disk().saturating_sub(self.sizes.kept.saturating_sub(self.lock_kept().1))
    }

    /// Whether a write waits for space now.
    pub(super) fn waits(&self) -> bool {
        self.waits.load(Ordering::Acquire)
    }

    /// From now on a write that finds no space fails, because the store is being closed.
    pub(super) fn give_up(&self) {
        self.gives_up.store(true, Ordering::Release);
    }

    /// Waits until about `bytes` can be written, at most the size of the reserve file, which is released if
    /// necessary.
    pub(super) fn await_room(&self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.min(self.sizes.kept);
        self.until_there_is_room(|| if self.free_on_disk() < bytes { Err(no_room()) } else { Ok(()) })
    }

    /// Performs a write. If there is no space, releases the reserve file, then waits.
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

    /// Performs a write. If there is no space, releases the reserve file and retries once. `None`: there is no space.
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

    /// Allocates the reserve file again once there is space for it and for ongoing writes. Errors are ignored; the
    /// next call retries.
    pub(super) fn restore(&self) {
        let mut kept = self.lock_kept();
        let missing = self.sizes.kept.saturating_sub(kept.1);
        if missing > 0 && self.free_on_disk() >= missing + self.sizes.reserve / 4 {
            let (file, length) = &mut *kept;
            if allocate(file, self.sizes.kept).is_ok() {
                *length = self.sizes.kept;
            } else {
                // A partial reserve file would be useless and would not be counted.
                *length = if file.set_len(0).is_ok() { 0 } else { *length };
            }
        }
    }

    /// Releases the reserve file. `false`: there is none.
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

    /// The size of the folder's files without the reserve file.
    pub(super) fn stored(&self) -> u64 {
        self.taken().saturating_sub(self.lock_kept().1)
    }

    /// The size of the folder's files.
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

    /// In tests, fails if a file must not grow by this much.
    pub(super) fn check_capacity(&self, grows_by: u64) -> io::Result<()> {
        match self.capacity.load(Ordering::Acquire) {
            u64::MAX => Ok(()),
            capacity if self.taken() + grows_by > capacity => Err(no_room()),
            _ => Ok(()),
        }
    }
}

/// Whether an error reports a full disk or an exceeded quota.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn no_room() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

/// The free bytes and all bytes of the folder's file system.
#[cfg(unix)]
fn file_system(folder: &Path) -> io::Result<(u64, u64)> {
    let found = rustix::fs::statvfs(folder)?;
    Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}

/// Other systems are not measured: a disk counts as full when a write fails for lack of space.
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
