//! The storage thread runs the engine, so that the network never waits for the disk.
//!
//! Commands are queued without waiting. The thread takes all queued commands, merges the writes into one transaction
//! with one sync, and reports the last number. Reads are served after the writes that were submitted before them.
//! Writes may overtake reads, so that reads of old messages do not split the group commit; writes that delete
//! messages do not overtake reads.
//!
//! Writes that nothing waits for, because the log has all of their content, are merged with the next write that is
//! awaited. This saves a transaction and a sync for every publish. Without such a write they wait for `LINGER` at
//! most, or until they are large.
//!
//! Work that need not wait is done directly on the submitting thread, as long as nothing is queued before it: writes
//! that need no sync, and reads of messages in memory. Two thread switches cost more than either.
//!
//! A write for which the disk has no space is accepted into memory and not yet reported. It is retried until there is
//! space (`stuck`), and reads continue meanwhile. Free space is measured, and reported when it changes significantly.
//!
//! The queue is bounded in bytes. Core limits its outstanding work, so a queue over [`StorageThread::BEHIND_BYTES`]
//! means a slow disk, and the runtime stops reading from clients. A queue over [`StorageThread::MAX_QUEUED_BYTES`] is
//! refused, which ends the node.

mod commands;
mod worker;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::{fmt, io};

use cubecast_core::store::WriteBatch;

use super::LogStore;
use super::error::StorageError;
use super::metrics::StorageMetrics;
use super::sync_mode::SyncMode;
use commands::{COMMAND_WEIGHT, is_plain, weigh};
use worker::Worker;

pub use commands::{StorageCommand, StorageEvent, Submitted};

/// Larger writes are left to the thread, so that the network does not wait while they are copied.
const MAX_BYTES_AT_ONCE: u64 = 256 << 10;

/// The engine, shared by the thread and by submitters while the thread is idle.
#[derive(Clone)]
struct Shared(Arc<Mutex<dyn LogStore>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, dyn LogStore + 'static> {
        self.0.lock().expect("an engine turns its panics into errors")
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// The handle of the thread. Dropping it finishes the queued commands, closes the store and waits for both.
#[derive(Debug)]
pub struct StorageThread {
    commands: Option<Sender<StorageCommand>>,
    thread: Option<JoinHandle<Result<(), StorageError>>>,
    store: Shared,
    /// Writes need no sync, so they can be done on the submitting thread.
    writes_at_once: bool,
    metrics: Arc<StorageMetrics>,
}

impl StorageThread {
    /// A longer queue means that the disk is behind.
    pub const BEHIND_BYTES: u64 = 32 << 20;
    /// A longer queue is refused.
    pub const MAX_QUEUED_BYTES: u64 = 512 << 20;

    /// Starts the thread. The thread calls `on_event`, which must not block. An error means that the thread could not
    /// be started.
    pub fn spawn(
        store: impl LogStore + 'static,
        sync_mode: SyncMode,
        metrics: Arc<StorageMetrics>,
        on_event: impl FnMut(StorageEvent) + Send + 'static,
    ) -> io::Result<StorageThread> {
        let (sender, commands) = mpsc::channel();
        let store = Shared(Arc::new(Mutex::new(store)));
        let worker = Worker::new(store.clone(), commands, on_event, metrics.clone(), sync_mode.interval());
        let thread = std::thread::Builder::new().name("storage".to_owned()).spawn(|| worker.run())?;
        let writes_at_once = sync_mode == SyncMode::Never;
        Ok(StorageThread { commands: Some(sender), thread: Some(thread), store, writes_at_once, metrics })
    }

    /// Queues a command, or performs it at once if that is faster. Never waits. An error ends the node, like
    /// [`StorageEvent::Failed`].
    pub fn submit(&self, command: StorageCommand) -> Result<Submitted, StorageError> {
        let weight = weigh(&command);
        let Some(mut store) = self.idle_store() else { return self.queue(command, weight) };
        match command {
            StorageCommand::Write(batch) if self.can_write_at_once(&batch, weight) && store.has_room(weight) => {
                let number = batch.number;
                match store.write(vec![batch]) {
                    Ok(()) => Ok(Submitted::Done(StorageEvent::Written { number })),
                    Err(StorageError::WaitsForRoom { .. }) => {
                        self.queue(StorageCommand::AwaitRoom { number }, COMMAND_WEIGHT)
                    }
                    Err(error) => Err(error),
                }
            }
            StorageCommand::Read(read) if let Some(messages) = store.read_from_memory(&read) => {
                Ok(Submitted::Done(StorageEvent::MessagesRead { read: read.read, result: Ok(messages) }))
            }
            command => self.queue(command, weight),
        }
    }

    /// The engine, if it is idle and no command is queued.
    fn idle_store(&self) -> Option<MutexGuard<'_, dyn LogStore + 'static>> {
        let nothing_queued = self.metrics.queued_bytes.load(Ordering::Acquire) == 0;
        if nothing_queued { self.store.0.try_lock().ok() } else { None }
    }

    fn can_write_at_once(&self, batch: &WriteBatch, bytes: u64) -> bool {
        self.writes_at_once && bytes <= MAX_BYTES_AT_ONCE && is_plain(batch)
    }

    fn queue(&self, command: StorageCommand, weight: u64) -> Result<Submitted, StorageError> {
        let queued = self.metrics.queued_bytes.fetch_add(weight, Ordering::Relaxed) + weight;
        if queued > Self::MAX_QUEUED_BYTES {
            return Err(StorageError::QueueFull { queued, limit: Self::MAX_QUEUED_BYTES });
        }
        match &self.commands {
            Some(commands) => commands.send(command).map(|()| Submitted::Queued).map_err(|_| StorageError::Stopped),
            None => Err(StorageError::Stopped),
        }
    }

    /// Whether so much work waits for the disk that the node should stop reading from clients.
    pub fn is_behind(&self) -> bool {
        self.metrics.queued_bytes.load(Ordering::Relaxed) > Self::BEHIND_BYTES
    }

    /// The engine's counters.
    pub fn metrics(&self) -> &Arc<StorageMetrics> {
        &self.metrics
    }

    /// Finishes the queued commands, closes the store, and waits for both. After [`StorageEvent::Failed`] it returns
    /// [`StorageError::Stopped`].
    pub fn close(mut self) -> Result<(), StorageError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.commands = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            // The thread has printed its own panic; here it only means that the store is not closed.
            Some(Err(_)) => Err(StorageError::Stopped),
        }
    }
}

impl Drop for StorageThread {
    fn drop(&mut self) {
        // Callers that need the result use close().
        drop(self.finish());
    }
}
