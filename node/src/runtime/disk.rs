//! The runtime's interface to a storage engine. Submitting work never blocks; results come back as inputs for core.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use cubecast_core::identity::HostId;
use cubecast_core::io::Input;
use cubecast_core::store::{ReadMessages, WriteBatch};
use tokio::sync::mpsc;

use crate::log;
use crate::storage::{RedbStore, StorageCommand, StorageEvent, StorageMetrics, StorageThread, Submitted, SyncMode};

/// Work for the disk, done in the order of submission.
#[derive(Clone, PartialEq, Debug)]
pub enum DiskWork {
    /// Writes a batch.
    Write(WriteBatch),
    /// Reads messages.
    Read(ReadMessages),
    /// Closes and opens the store. With `wipe`, deletes everything in between.
    Reopen { wipe: bool },
}

/// The disk is no longer reliable. The node must end, because the stored state is unknown. Holds the reason.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("storage failed: {0}")]
pub struct DiskFailed(pub String);

/// A storage engine on its own thread.
pub trait Disk: Send + 'static {
    /// Submits work. The next result reports a refusal.
    fn submit(&mut self, work: DiskWork);

    /// The next result, as an input for core. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Result<Input, DiskFailed>> + Send;

    /// The next result, if there is one already.
    fn take(&mut self) -> Option<Result<Input, DiskFailed>>;

    /// Whether so much work is queued that the node should stop reading from clients.
    fn is_behind(&self) -> bool;

    /// The engine's counters, updated while it works.
    fn metrics(&self) -> Arc<StorageMetrics>;

    /// Finishes the submitted work and closes the files. Blocks.
    fn close(self) -> Result<(), DiskFailed>;
}

/// The storage thread, with its events converted into inputs.
#[derive(Debug)]
pub struct ThreadedDisk {
    node: HostId,
    thread: StorageThread,
    events: mpsc::UnboundedReceiver<StorageEvent>,
    /// Events of work that was completed during submission and not yet reported. Later submissions are reported
    /// later.
    done: VecDeque<StorageEvent>,
    /// The reason for a refused submission. The next result reports it, so failures are handled in one place.
    refused: Option<String>,
}

impl ThreadedDisk {
    /// Starts the storage thread. An error means that the thread could not be started.
    pub fn start(node: HostId, store: RedbStore, sync: SyncMode) -> std::io::Result<ThreadedDisk> {
        let (tell, events) = mpsc::unbounded_channel();
        let metrics = store.metrics();
        // If the runtime has ended, nothing needs the event.
        let thread = StorageThread::spawn(store, sync, metrics, move |event| drop(tell.send(event)))?;
        Ok(ThreadedDisk { node, thread, events, done: VecDeque::new(), refused: None })
    }

    fn translate(&self, event: StorageEvent) -> Result<Input, DiskFailed> {
        match event {
            StorageEvent::Written { number } => Ok(Input::Written { number }),
            StorageEvent::MessagesRead { read, result } => Ok(Input::MessagesRead { read, result }),
            StorageEvent::Reopened { recovered, report } => {
                log::opened(self.node, &report);
                Ok(Input::StorageReopened { recovered })
            }
            StorageEvent::Measured { space } => Ok(Input::StorageMeasured { space }),
            StorageEvent::Failed(error) => Err(DiskFailed(error.to_string())),
        }
    }
}

impl Disk for ThreadedDisk {
    fn submit(&mut self, work: DiskWork) {
        let command = match work {
            DiskWork::Write(batch) => StorageCommand::Write(batch),
            DiskWork::Read(read) => StorageCommand::Read(read),
            DiskWork::Reopen { wipe } => StorageCommand::Reopen { wipe },
        };
        match self.thread.submit(command) {
            Ok(Submitted::Queued) => {}
            Ok(Submitted::Done(event)) => self.done.push_back(event),
            Err(error) => {
                self.refused.get_or_insert(error.to_string());
            }
        }
    }

    async fn next(&mut self) -> Result<Input, DiskFailed> {
        if let Some(event) = self.done.pop_front() {
            return self.translate(event);
        }
        // An event that the thread already sent gives a better reason than the refusal of a later submission.
        match (self.events.try_recv(), self.refused.take()) {
            (Ok(event), refused) => {
                self.refused = refused;
                self.translate(event)
            }
            (Err(_), Some(refused)) => Err(DiskFailed(refused)),
            (Err(_), None) => match self.events.recv().await {
                Some(event) => self.translate(event),
                None => Err(DiskFailed("its thread has ended".into())),
            },
        }
    }

    fn take(&mut self) -> Option<Result<Input, DiskFailed>> {
        let event = self.done.pop_front().or_else(|| self.events.try_recv().ok())?;
        Some(self.translate(event))
    }

    fn is_behind(&self) -> bool {
        self.thread.is_behind()
    }

    fn metrics(&self) -> Arc<StorageMetrics> {
        self.thread.metrics().clone()
    }

    fn close(self) -> Result<(), DiskFailed> {
        self.thread.close().map_err(|error| DiskFailed(error.to_string()))
    }
}
