//! What storage has done so far, counted while it works: readable from any thread at any time.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cubecast_core::store::Space;

/// Counters since the process started. Shared by the engine, the thread and whoever shows them.
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
    pub transactions: u64,
    /// Batches made durable; more than `transactions` when batches were merged.
    pub batches: u64,
    /// Bytes handed to the file system, with the engine's own overhead.
    pub bytes_written: u64,
    pub syncs: u64,
    pub sync_time: Duration,
    pub longest_sync: Duration,
    pub reads: u64,
    pub messages_read: u64,
    /// About how many bytes wait for the disk now.
    pub queued_bytes: u64,
}

impl StorageMetrics {
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

    /// The disk, as it was measured last.
    pub fn space(&self) -> Space {
        *self.space.lock().expect("no holder of this lock panics")
    }

    pub(super) fn measured(&self, space: Space) {
        *self.space.lock().expect("no holder of this lock panics") = space;
    }

    pub(super) fn count_transaction(&self, batches: usize) {
        self.transactions.fetch_add(1, Relaxed);
        self.batches.fetch_add(batches as u64, Relaxed);
    }

    pub(super) fn count_bytes(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts and times a sync that works.
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
