//! Commands to the thread with their weights, and the thread's reports.

use cubecast_core::records::StoredMessage;
use cubecast_core::store::{ReadFailed, ReadId, ReadMessages, Recovered, Space, Write, WriteBatch};

use crate::storage::error::StorageError;
use crate::storage::report::OpenReport;

/// Commands to the thread.
#[derive(Clone, PartialEq, Debug)]
pub enum StorageCommand {
    /// Answered by [`StorageEvent::Written`], which may cover later batches too.
    Write(WriteBatch),
    /// Answered by [`StorageEvent::MessagesRead`].
    Read(ReadMessages),
    /// Done after all earlier commands. Answered by [`StorageEvent::Reopened`].
    Reopen { wipe: bool },
    /// The batches up to this number, written on the submitting thread, wait for space. Answered by
    /// [`StorageEvent::Written`].
    AwaitRoom { number: u64 },
}

/// Reports of the thread.
#[derive(Debug)]
pub enum StorageEvent {
    /// All batches up to this number are durable, as far as the sync mode guarantees.
    Written {
        number: u64,
    },
    MessagesRead {
        read: ReadId,
        result: Result<Vec<StoredMessage>, ReadFailed>,
    },
    Reopened {
        recovered: Recovered,
        report: OpenReport,
    },
    /// The free space: at the start, and after significant changes.
    Measured {
        space: Space,
    },
    /// The last event: the thread has ended, and the node must end.
    Failed(StorageError),
}

/// The result of a submission.
#[derive(Debug)]
pub enum Submitted {
    /// An event will report the result.
    Queued,
    /// The command is done. This event reports it and is not sent again.
    Done(StorageEvent),
}

/// The weight of a command in the queue besides its content.
pub(super) const COMMAND_WEIGHT: u64 = 64;

/// The weight of a command in the queue, in bytes.
pub(super) fn weigh(command: &StorageCommand) -> u64 {
    match command {
        StorageCommand::Write(batch) => weigh_batch(batch),
        StorageCommand::Read(_) | StorageCommand::Reopen { .. } | StorageCommand::AwaitRoom { .. } => COMMAND_WEIGHT,
    }
}

/// The weight of a write in the queue, in bytes.
pub(super) fn weigh_batch(batch: &WriteBatch) -> u64 {
    COMMAND_WEIGHT + batch.weight()
}

/// Whether nothing waits for a batch and nothing is lost with it: its writes are replayable from the log, or are
/// removals from the outbox. An entry that stays in the outbox is recognised as a repeat when it is proposed again.
pub(super) fn can_wait(batch: &WriteBatch) -> bool {
    batch.writes.iter().all(|write| write.is_replayable() || matches!(write, Write::OutboxRemove { .. }))
}

/// Whether a batch only adds to the stored state.
pub(super) fn is_plain(batch: &WriteBatch) -> bool {
    !drops_messages(batch) && !batch.writes.iter().any(Write::flushes)
}

/// Whether a batch deletes messages.
pub(super) fn drops_messages(batch: &WriteBatch) -> bool {
    batch.writes.iter().any(|write| matches!(write, Write::DropMessages { .. }))
}
