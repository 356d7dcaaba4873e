//! The file under redb. It counts written bytes and decides whether a sync of redb reaches the disk.
//!
//! redb always commits with a sync. With [`crate::storage::SyncMode::Always`] this sync reaches the disk. In the
//! other modes it is postponed: the commit is in the operating system's cache, so a killed process loses nothing, and
//! only [`DiskSwitch::sync_put_off`] syncs the disk.
//!
//! A write that finds no free space waits instead of failing ([`super::room`]). redb gives up a database after a
//! failed write, while waiting within a transaction delays only the flusher and no reads.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::metrics::StorageMetrics;
use super::room::Room;

/// One database file. It is not locked itself, because the folder's lock covers it.
#[derive(Debug)]
pub(super) struct Disk {
    file: FileBackend,
    switch: Arc<DiskSwitch>,
    metrics: Arc<StorageMetrics>,
    room: Arc<Room>,
    /// The end of the file as far as it was ever written, in bytes.
    written_to: AtomicU64,
}

/// The store's control of a disk file that redb owns.
#[derive(Debug)]
pub(super) struct DiskSwitch {
    file: File,
    /// Whether redb's syncs are postponed.
    put_off: AtomicBool,
    /// Whether a postponed sync is due.
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

    /// Syncs everything written so far.
    pub(super) fn sync_now(&self, metrics: &StorageMetrics) -> io::Result<()> {
        metrics.time_sync(|| self.file.sync_data())
    }

    /// Performs a postponed sync, if one is due.
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
