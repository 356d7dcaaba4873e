//! Counters of storage, updated while it works and readable from any thread.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cubecast_core::store::Space;

/// Counters since the process started. The engine, the storage thread and the readers share them.
#[derive(Debug, Default)]
pub struct StorageMetrics {
    transactions: AtomicU64,
    batches: AtomicU64,
    bytes_written: AtomicU64,
    syncs: AtomicU64,
    sync_micros: AtomicU64,
    longest_sync_micros: AtomicU64,
    reads: AtomicU64,
    messages_read: AtomicU64,
    pub(super) queued_bytes: AtomicU64,
    space: Mutex<Space>,
}

/// The counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StorageCounts {
    /// Committed transactions.
    pub transactions: u64,
    /// Batches made durable; more than `transactions` when batches were merged.
    pub batches: u64,
    /// Bytes written to the file system, including the engine's overhead.
    pub bytes_written: u64,
    /// Syncs of the disk.
    pub syncs: u64,
    /// Total time of all syncs.
    pub sync_time: Duration,
    /// The time of the longest sync.
    pub longest_sync: Duration,
    /// Reads of messages.
    pub reads: u64,
    /// Messages returned by reads.
    pub messages_read: u64,
    /// Approximate number of bytes that wait for the disk now.
    pub queued_bytes: u64,
}

impl StorageMetrics {
    /// The counters now.
    pub fn counts(&self) -> StorageCounts {
        StorageCounts {
            transactions: self.transactions.load(Relaxed),
            batches: self.batches.load(Relaxed),
            bytes_written: self.bytes_written.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            sync_time: Duration::from_micros(self.sync_micros.load(Relaxed)),
            longest_sync: Duration::from_micros(self.longest_sync_micros.load(Relaxed)),
            reads: self.reads.load(Relaxed),
            messages_read: self.messages_read.load(Relaxed),
            queued_bytes: self.queued_bytes.load(Relaxed),
        }
    }

    /// The disk's space at the last measurement.
    pub fn space(&self) -> Space {
        *self.space.lock().expect("no thread panics while it holds this lock")
    }

    pub(super) fn measured(&self, space: Space) {
        *self.space.lock().expect("no thread panics while it holds this lock") = space;
    }

    pub(super) fn count_transaction(&self, batches: usize) {
        self.transactions.fetch_add(1, Relaxed);
        self.batches.fetch_add(batches as u64, Relaxed);
    }

    pub(super) fn count_bytes(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes as u64, Relaxed);
    }

    /// Performs a sync; counts and times it if it succeeds.
    pub(super) fn time_sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let start = Instant::now();
        sync()?;
        let micros = start.elapsed().as_micros() as u64;
        self.syncs.fetch_add(1, Relaxed);
        self.sync_micros.fetch_add(micros, Relaxed);
        self.longest_sync_micros.fetch_max(micros, Relaxed);
        Ok(())
    }

    pub(super) fn count_read(&self, messages: usize) {
        self.reads.fetch_add(1, Relaxed);
        self.messages_read.fetch_add(messages as u64, Relaxed);
    }
}
