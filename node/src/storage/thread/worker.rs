//! The loop on the storage thread: takes commands, commits writes, serves reads and does postponed work.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use cubecast_core::store::{ReadFailed, ReadMessages, WriteBatch};

use super::Shared;
use super::commands::{COMMAND_WEIGHT, StorageCommand, StorageEvent, can_wait, drops_messages, weigh_batch};
use crate::storage::error::StorageError;
use crate::storage::measured::Measured;
use crate::storage::metrics::StorageMetrics;

/// A transaction takes no further batch beyond this many bytes, because redb keeps its changes in memory until the
/// commit.
const MAX_COMMIT_BYTES: u64 = 16 << 20;
/// The maximum number of reads between two commits.
const READS_BETWEEN_COMMITS: usize = 16;
/// Postponed deletion is done after a pause without commands, and at the latest after this many commits.
const COMMITS_BETWEEN_TIDYING: u32 = 64;
const REST_BEFORE_TIDYING: Duration = Duration::from_millis(50);

/// The maximum delay of writes that nothing waits for.
const LINGER: Duration = Duration::from_millis(50);
/// More queued bytes are written at once, awaited or not.
const MAX_LINGERING_BYTES: u64 = 1 << 20;

/// The interval between retries of writes that wait for space.
const RETRY_EVERY: Duration = Duration::from_millis(50);

pub(super) struct Worker<F> {
    store: Shared,
    commands: Receiver<StorageCommand>,
    on_event: F,
    metrics: Arc<StorageMetrics>,
    /// The maximum time before a write is synced.
    interval: Option<Duration>,
    /// Commands taken from the queue, in order. Only the first one can be blocked by earlier reads.
    waiting: VecDeque<StorageCommand>,
    /// Reads whose earlier writes are done.
    reads: VecDeque<ReadMessages>,
    /// The time since when only writes that nothing waits for are queued.
    lingering_since: Option<Instant>,
    unsynced_since: Option<Instant>,
    /// `None`: there is no postponed work.
    commits_since_tidying: Option<u32>,
    /// No commands arrived for a while, or none will.
    rests: bool,
    /// The last batch that waits for space.
    stuck: Option<u64>,
    measured: Option<Measured>,
}

impl<F: FnMut(StorageEvent)> Worker<F> {
    /// A worker without commands. `interval`: the maximum time before a write is synced.
    pub fn new(
        store: Shared,
        commands: Receiver<StorageCommand>,
        on_event: F,
        metrics: Arc<StorageMetrics>,
        interval: Option<Duration>,
    ) -> Worker<F> {
        Worker {
            store,
            commands,
            on_event,
            metrics,
            interval,
            waiting: VecDeque::new(),
            reads: VecDeque::new(),
            lingering_since: None,
            unsynced_since: None,
            // The previous process may have left postponed work.
            commits_since_tidying: Some(0),
            rests: false,
            stuck: None,
            measured: None,
        }
    }

    /// Works until the handle is gone and everything is done, then closes the store.
    pub fn run(mut self) -> Result<(), StorageError> {
        match self.work_until_closed() {
            Ok(()) => Ok(()),
            Err(error) => {
                (self.on_event)(StorageEvent::Failed(error));
                Err(StorageError::Stopped)
            }
        }
    }

    fn work_until_closed(&mut self) -> Result<(), StorageError> {
        self.measure();
        while self.take_commands() {
            self.commit()?;
            self.retry()?;
            self.measure_when_due();
            self.serve_reads();
            self.reopen()?;
            self.sync_when_due()?;
            self.tidy_when_due()?;
        }
        self.store.lock().close()
    }

    /// Takes all queued commands. If there is nothing to do, waits for more. `false`: everything is done, and no more
    /// commands will arrive.
    fn take_commands(&mut self) -> bool {
        self.waiting.extend(self.commands.try_iter());
        if self.lingers() {
            return self.take_more();
        }
        self.rests &= self.is_idle();
        let tidies_on = self.rests && self.commits_since_tidying.is_some() && self.stuck.is_none();
        if !self.is_idle() || tidies_on {
            return true;
        }
        match self.wait() {
            Ok(command) => {
                self.waiting.push_back(command);
                self.waiting.extend(self.commands.try_iter());
                self.rests = false;
                // Writes that nothing waits for linger even if the thread was idle.
                self.lingers();
                true
            }
            Err(RecvTimeoutError::Timeout) => {
                self.rests = true;
                true
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.rests = true;
                self.commits_since_tidying.is_some() && self.stuck.is_none()
            }
        }
    }

    /// Whether all queued work can wait for more commands.
    fn lingers(&mut self) -> bool {
        let can_wait = |command: &StorageCommand| matches!(command, StorageCommand::Write(batch) if can_wait(batch));
        let small = self.metrics.queued_bytes.load(Ordering::Relaxed) < MAX_LINGERING_BYTES;
        if self.waiting.is_empty() || !self.reads.is_empty() || !small || !self.waiting.iter().all(can_wait) {
            self.lingering_since = None;
            return false;
        }
        let since = *self.lingering_since.get_or_insert_with(Instant::now);
        let lingers = since.elapsed() < LINGER && self.sync_due_in() != Some(Duration::ZERO);
        if !lingers {
            self.lingering_since = None;
        }
        lingers
    }

    /// Waits for commands to merge with the lingering writes. If the thread is to end, they are written now.
    fn take_more(&mut self) -> bool {
        let left = self.lingering_since.map_or(Duration::ZERO, |since| LINGER.saturating_sub(since.elapsed()));
        let left = self.sync_due_in().map_or(left, |due| due.min(left));
        match self.commands.recv_timeout(left) {
            Ok(command) => self.waiting.push_back(command),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.lingering_since = None,
        }
        true
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.reads.is_empty()
    }

    fn wait(&self) -> Result<StorageCommand, RecvTimeoutError> {
        let rest = self.commits_since_tidying.map(|_| REST_BEFORE_TIDYING);
        let stuck = self.stuck.map(|_| RETRY_EVERY);
        let timers = [self.sync_due_in(), rest, stuck].into_iter().flatten();
        self.commands.recv_timeout(timers.fold(self.measure_due_in(), Duration::min))
    }

    fn sync_due_in(&self) -> Option<Duration> {
        Some(self.interval?.saturating_sub(self.unsynced_since?.elapsed()))
    }

    /// Commits all writes that may go now in one transaction.
    fn commit(&mut self) -> Result<(), StorageError> {
        if self.lingering_since.is_some() {
            return Ok(());
        }
        let (batches, bytes) = self.take_writes();
        let Some(number) = batches.last().map(|batch| batch.number) else { return Ok(()) };
        let drops = batches.iter().any(drops_messages);
        let written = self.store.lock().write(batches);
        self.metrics.queued_bytes.fetch_sub(bytes, Ordering::Release);
        match written {
            Ok(()) => {}
            Err(StorageError::WaitsForRoom { .. }) => {
                self.stick(number);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.note_commit(drops);
        (self.on_event)(StorageEvent::Written { number });
        Ok(())
    }

    /// Records that the batches up to this number wait for space.
    fn stick(&mut self, number: u64) {
        let begins = self.stuck.is_none();
        self.stuck = self.stuck.max(Some(number));
        if begins {
            self.measure();
        }
    }

    fn retry(&mut self) -> Result<(), StorageError> {
        let Some(number) = self.stuck else { return Ok(()) };
        let retried = self.store.lock().retry();
        match retried {
            Ok(()) => {
                self.stuck = None;
                self.note_commit(true);
                (self.on_event)(StorageEvent::Written { number });
                self.measure();
                Ok(())
            }
            Err(StorageError::WaitsForRoom { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn measure_due_in(&self) -> Duration {
        let written = self.metrics.counts().bytes_written;
        self.measured.as_ref().map_or(Duration::ZERO, |measured| measured.due_in(written))
    }

    fn measure_when_due(&mut self) {
        if self.measure_due_in() == Duration::ZERO {
            self.measure();
        }
    }

    /// Measures the disk, and reports significant changes.
    fn measure(&mut self) {
        let (at, space) = (Instant::now(), self.store.lock().space());
        let written = self.metrics.counts().bytes_written;
        self.metrics.measured(space);
        match &mut self.measured {
            Some(measured) if !measured.is_outdated_by(&space, written) => measured.at = at,
            measured => {
                *measured = Some(Measured { at, told: space, written });
                (self.on_event)(StorageEvent::Measured { space });
            }
        }
    }

    fn note_commit(&mut self, drops_messages: bool) {
        if self.interval.is_some() {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        if drops_messages {
            self.commits_since_tidying.get_or_insert(0);
        }
        self.commits_since_tidying = self.commits_since_tidying.map(|commits| commits + 1);
    }

    /// Takes writes for the next transaction and the reads after them, up to the first command that must wait.
    fn take_writes(&mut self) -> (Vec<WriteBatch>, u64) {
        let mut batches = Vec::new();
        let mut bytes = 0;
        while let Some(command) = self.waiting.pop_front() {
            match command {
                StorageCommand::Read(read) => self.reads.push_back(read),
                StorageCommand::Write(batch) if bytes < MAX_COMMIT_BYTES && !self.must_wait(&batch) => {
                    bytes += weigh_batch(&batch);
                    batches.push(batch);
                }
                StorageCommand::AwaitRoom { number } => {
                    self.metrics.queued_bytes.fetch_sub(COMMAND_WEIGHT, Ordering::Release);
                    self.stick(number);
                }
                command @ (StorageCommand::Write(_) | StorageCommand::Reopen { .. }) => {
                    self.waiting.push_front(command);
                    break;
                }
            }
        }
        (batches, bytes)
    }

    /// A write must not delete messages that an earlier read is to return.
    fn must_wait(&self, batch: &WriteBatch) -> bool {
        !self.reads.is_empty() && drops_messages(batch)
    }

    fn serve_reads(&mut self) {
        for _ in 0..READS_BETWEEN_COMMITS {
            let Some(read) = self.reads.pop_front() else { return };
            let result = self.store.lock().read_messages(&read).map_err(read_failed);
            self.metrics.queued_bytes.fetch_sub(COMMAND_WEIGHT, Ordering::Release);
            (self.on_event)(StorageEvent::MessagesRead { read: read.read, result });
        }
    }

    fn reopen(&mut self) -> Result<(), StorageError> {
        let wipe = match self.waiting.front() {
            Some(StorageCommand::Reopen { wipe }) if self.reads.is_empty() => *wipe,
            _ => return Ok(()),
        };
        self.waiting.pop_front();
        let (recovered, report) = self.store.lock().reopen(wipe)?;
        self.metrics.queued_bytes.fetch_sub(COMMAND_WEIGHT, Ordering::Release);
        self.unsynced_since = None;
        self.commits_since_tidying = Some(0);
        self.stuck = None;
        (self.on_event)(StorageEvent::Reopened { recovered, report });
        self.measured = None;
        self.measure();
        Ok(())
    }

    fn sync_when_due(&mut self) -> Result<(), StorageError> {
        if self.sync_due_in() == Some(Duration::ZERO) {
            self.store.lock().sync()?;
            self.unsynced_since = None;
        }
        Ok(())
    }

    fn tidy_when_due(&mut self) -> Result<(), StorageError> {
        let due = self.commits_since_tidying.is_some_and(|commits| self.rests || commits >= COMMITS_BETWEEN_TIDYING);
        if !due || self.stuck.is_some() {
            return Ok(());
        }
        let tidied = self.store.lock().tidy();
        match tidied {
            Ok(more) => self.commits_since_tidying = more.then_some(0),
            // Retry later.
            Err(StorageError::WaitsForRoom { .. }) => (self.commits_since_tidying, self.rests) = (Some(0), false),
            Err(error) => return Err(error),
        }
        if self.commits_since_tidying.is_none() {
            self.measure();
        }
        Ok(())
    }
}

fn read_failed(error: StorageError) -> ReadFailed {
    let damaged = match &error {
        StorageError::Unreadable { lost, .. } => Some(*lost),
        _ => None,
    };
    ReadFailed { why: error.to_string(), damaged }
}
