//! What the runtime needs of a storage engine: it takes work and never makes the caller wait; results come back as inputs.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use cubecast_core::cube::Vertex;
use cubecast_core::io::Input;
use cubecast_core::store::{ReadMessages, WriteBatch};
use tokio::sync::mpsc;

use crate::log;
use crate::storage::{RedbStore, StorageCommand, StorageEvent, StorageMetrics, StorageThread, Submitted, SyncMode};

/// Work for the disk, done in the order in which it is submitted.
#[derive(Clone, PartialEq, Debug)]
pub enum DiskWork {
    Write(WriteBatch),
    Read(ReadMessages),
    Reopen { wipe: bool },
}

/// The disk can no longer be relied on: the node must end rather than believe that more is stored than is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("storage failed: {0}")]
pub struct DiskFailed(pub String);

/// A storage engine behind its own thread.
pub trait Disk: Send + 'static {
    fn submit(&mut self, work: DiskWork);

    /// The next result, as the input that it is for core. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Result<Input, DiskFailed>> + Send;

    /// A result that is there already.
    fn take(&mut self) -> Option<Result<Input, DiskFailed>>;

    /// So much waits that nothing more should be taken in from clients.
    fn is_behind(&self) -> bool;

    /// What it has done so far, counted while it works.
    fn metrics(&self) -> Arc<StorageMetrics>;

    /// Finishes what was submitted and closes the files. Blocks.
    fn close(self) -> Result<(), DiskFailed>;
}

/// The storage thread, its events turned into inputs.
#[derive(Debug)]
pub struct ThreadedDisk {
    vertex: Vertex,
    thread: StorageThread,
    events: mpsc::UnboundedReceiver<StorageEvent>,
    /// Of what was done when it was submitted, and was not told yet. What was submitted later is told later.
    done: VecDeque<StorageEvent>,
    /// A submission that was refused; told by the next result, so that there is one place where failures are met.
    refused: Option<String>,
}

impl ThreadedDisk {
    pub fn start(vertex: Vertex, store: RedbStore, sync: SyncMode) -> std::io::Result<ThreadedDisk> {
        let (tell, events) = mpsc::unbounded_channel();
        let metrics = store.metrics();
        // The runtime that is gone needs no events.
        let thread = StorageThread::spawn(store, sync, metrics, move |event| drop(tell.send(event)))?;
        Ok(ThreadedDisk { vertex, thread, events, done: VecDeque::new(), refused: None })
    }

    fn translate(&self, event: StorageEvent) -> Result<Input, DiskFailed> {
        match event {
            StorageEvent::Written { number } => Ok(Input::Written { number }),
            StorageEvent::MessagesRead { read, result } => Ok(Input::MessagesRead { read, result }),
            StorageEvent::Reopened { recovered, report } => {
                log::opened(self.vertex, &report);
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
        // The thread's own last words say more than the refusal of what came after them.
        match (self.events.try_recv(), self.refused.take()) {
            (Ok(event), refused) => {
                self.refused = refused;
                self.translate(event)
            }
            (Err(_), Some(refused)) => Err(DiskFailed(refused)),
            (Err(_), None) => match self.events.recv().await {
                Some(event) => self.translate(event),
                None => Err(DiskFailed("its thread is gone".into())),
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
