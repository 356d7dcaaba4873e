//! The file under redb: counts what is written, and decides whether redb's sync reaches the disk.
//!
//! redb commits always as if for good. With [`crate::storage::SyncMode::Always`] its sync is the disk's. In the other
//! modes its sync is put off, so that a commit is in the operating system's hands (a killed process loses nothing) and
//! the disk is asked by [`DiskSwitch::sync_put_off`] only.
//!
//! A write for which there is no room never fails: it waits ([`super::room`]). To redb a failed write is the end of the
//! database; to wait in the middle of a transaction costs the settler's time, and nobody's reads.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::metrics::StorageMetrics;
use super::room::Room;

/// One database file. Locking is left to the folder's lock, which covers more than this file.
#[derive(Debug)]
pub(super) struct Disk {
    file: FileBackend,
    switch: Arc<DiskSwitch>,
    metrics: Arc<StorageMetrics>,
    room: Arc<Room>,
    /// How far the file was ever written.
    written_to: AtomicU64,
}

/// What the store keeps in hand of a disk that redb owns.
#[derive(Debug)]
pub(super) struct DiskSwitch {
    file: File,
    /// redb's syncs are put off.
    put_off: AtomicBool,
    /// Such a one is owed.
    owed: AtomicBool,
}

impl Disk {
    pub(super) fn new(
        file: File,
        metrics: Arc<StorageMetrics>,
        room: Arc<Room>,
    ) -> io::Result<(Self, Arc<DiskSwitch>)> {
        let switch = Arc::new(DiskSwitch {
            file: file.try_clone()?,
            put_off: AtomicBool::new(false),
            owed: AtomicBool::new(false),
        });
        let written_to = AtomicU64::new(file.metadata()?.len());
        let file = FileBackend::new(file).map_err(io::Error::other)?;
        Ok((Disk { file, switch: switch.clone(), metrics, room, written_to }, switch))
    }
}

impl DiskSwitch {
    pub(super) fn put_off_syncs(&self, put_off: bool) {
        self.put_off.store(put_off, Ordering::Release);
    }

    /// Forces to the disk all that was written.
    pub(super) fn sync_now(&self, metrics: &StorageMetrics) -> io::Result<()> {
        metrics.time_sync(|| self.file.sync_data())
    }

    /// Makes up for a sync that was put off.
    pub(super) fn sync_put_off(&self, metrics: &StorageMetrics) -> io::Result<()> {
        if self.owed.swap(false, Ordering::AcqRel) { self.sync_now(metrics) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room.until_there_is_room(|| self.file.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.switch.put_off.load(Ordering::Acquire) {
            self.switch.owed.store(true, Ordering::Release);
            return Ok(());
        }
        self.switch.sync_now(&self.metrics)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len() as u64;
        let grows_by = end.saturating_sub(self.written_to.load(Ordering::Acquire));
        self.room.until_there_is_room(|| {
            self.room.check_capacity(grows_by)?;
            self.file.write(offset, data)
        })?;
        self.written_to.fetch_max(end, Ordering::AcqRel);
        self.metrics.count_bytes(data.len());
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
