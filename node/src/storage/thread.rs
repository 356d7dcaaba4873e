//! A thread for the engine, so that the network never waits for the disk.
//!
//! Commands are queued without waiting. The thread takes all that waits, merges the writes into one transaction with
//! one sync, and reports the last number. Reads are served behind the writes that came before them; writes may overtake
//! reads, so that a reader of old messages does not take the group commit apart, except writes that delete messages.
//!
//! Writes for which nobody waits, because the log has it all, go with the next that somebody waits for: a transaction and
//! a sync fewer for every publish. Alone they stay for [`LINGER`] at most, or until there are many of them.
//!
//! What waits for nothing is done at once by whoever submits it, as long as nothing that came before it is queued: a write of
//! which nothing is to be synced, and a read of messages that are in memory. Two switches between threads cost more than either.
//!
//! A write for which the disk has no room is taken into memory and stays unreported; it is tried again until there is room
//! (`stuck`), and reads go on meanwhile. How much room there is, is measured and told when it matters.
//!
//! The queue is bounded by bytes. Core limits what it has under way, so a queue past [`StorageThread::BEHIND_BYTES`]
//! means a slow disk (the runtime then stops reading from clients), and one past [`StorageThread::MAX_QUEUED_BYTES`] is
//! refused, which ends the node.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{fmt, io};

use cubecast_core::store::{ReadFailed, ReadId, ReadMessages, Recovered, Space, StoredMessage, Write, WriteBatch};

use super::LogStore;
use super::error::StorageError;
use super::measured::Measured;
use super::metrics::StorageMetrics;
use super::report::OpenReport;
use super::sync_mode::SyncMode;

/// A transaction takes no further batch past this many bytes: redb holds what it changes in memory until the commit.
const MAX_COMMIT_BYTES: u64 = 16 << 20;
/// So many reads at most delay the next commit.
const READS_BETWEEN_COMMITS: usize = 16;
/// Work that was put off is done when nothing came for a while, and at the latest after so many commits.
const COMMITS_BETWEEN_TIDYING: u32 = 64;
const REST_BEFORE_TIDYING: Duration = Duration::from_millis(50);

/// What nobody waits for is written after this, with whatever came meanwhile.
const LINGER: Duration = Duration::from_millis(50);
/// More than this is written at once, waited for or not.
const MAX_LINGERING_BYTES: u64 = 1 << 20;

/// What waits for room is tried again so often.
const RETRY_EVERY: Duration = Duration::from_millis(50);

/// A larger write is left to the thread, so that the network does not wait while it is copied.
const MAX_BYTES_AT_ONCE: u64 = 256 << 10;

/// What the thread is asked to do.
#[derive(Clone, PartialEq, Debug)]
pub enum StorageCommand {
    /// Answered by [`StorageEvent::Written`], which may cover later batches too.
    Write(WriteBatch),
    /// Answered by [`StorageEvent::MessagesRead`].
    Read(ReadMessages),
    /// After all that came before it. Answered by [`StorageEvent::Reopened`].
    Reopen { wipe: bool },
    /// The batches up to this number wait for room, since they were written at once. Answered by [`StorageEvent::Written`].
    AwaitRoom { number: u64 },
}

/// What the thread reports.
#[derive(Debug)]
pub enum StorageEvent {
    /// All batches up to this number are durable, as far as the sync mode promises.
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
    /// How much room the disk has: at the start, and when it has changed enough to matter.
    Measured {
        space: Space,
    },
    /// The last event: the thread has ended, and so must the node.
    Failed(StorageError),
}

/// What became of a command when it was submitted.
#[derive(Debug)]
pub enum Submitted {
    /// An event will tell.
    Queued,
    /// It is done already, and this is its event, which comes no other way.
    Done(StorageEvent),
}

/// The engine, used by the thread, and by whoever submits while the thread does nothing.
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

/// The handle of the thread. Dropping it finishes what was queued, closes the store and waits for that.
#[derive(Debug)]
pub struct StorageThread {
    commands: Option<Sender<StorageCommand>>,
    thread: Option<JoinHandle<Result<(), StorageError>>>,
    store: Shared,
    /// Nothing is to be synced, so a write need not wait.
    writes_at_once: bool,
    metrics: Arc<StorageMetrics>,
}

impl StorageThread {
    /// A queue of this length means that the disk is behind.
    pub const BEHIND_BYTES: u64 = 32 << 20;
    /// A longer queue is refused.
    pub const MAX_QUEUED_BYTES: u64 = 512 << 20;

    /// Starts the thread. `on_event` is called on it, and must not block.
    pub fn spawn(
        store: impl LogStore + 'static,
        sync_mode: SyncMode,
        metrics: Arc<StorageMetrics>,
        on_event: impl FnMut(StorageEvent) + Send + 'static,
    ) -> io::Result<StorageThread> {
        let (sender, commands) = mpsc::channel();
        let store = Shared(Arc::new(Mutex::new(store)));
        let worker = Worker {
            store: store.clone(),
            commands,
            on_event,
            metrics: metrics.clone(),
            interval: sync_mode.interval(),
            waiting: VecDeque::new(),
            reads: VecDeque::new(),
            lingering_since: None,
            unsynced_since: None,
            // What the last process put off.
            commits_since_tidying: Some(0),
            rests: false,
            stuck: None,
            measured: None,
        };
        let thread = std::thread::Builder::new().name("storage".to_owned()).spawn(|| worker.run())?;
        let writes_at_once = sync_mode == SyncMode::Never;
        Ok(StorageThread { commands: Some(sender), thread: Some(thread), store, writes_at_once, metrics })
    }

    /// Queues a command, or does it where that is faster; never waits. An error is the end of the node, like
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

    /// The engine, where nobody uses it, and nothing is to be done first.
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

    /// So much waits for the disk that nothing more should be taken in from clients.
    pub fn is_behind(&self) -> bool {
        self.metrics.queued_bytes.load(Ordering::Relaxed) > Self::BEHIND_BYTES
    }

    pub fn metrics(&self) -> &Arc<StorageMetrics> {
        &self.metrics
    }

    /// Finishes what was queued, closes the store, and waits for that. After [`StorageEvent::Failed`] it says
    /// [`StorageError::Stopped`].
    pub fn close(mut self) -> Result<(), StorageError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.commands = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            // The thread's own panic was printed by it; here it only matters that the store is not closed.
            Some(Err(_)) => Err(StorageError::Stopped),
        }
    }
}

impl Drop for StorageThread {
    fn drop(&mut self) {
        // Who wants to know calls close().
        drop(self.finish());
    }
}

struct Worker<F> {
    store: Shared,
    commands: Receiver<StorageCommand>,
    on_event: F,
    metrics: Arc<StorageMetrics>,
    /// How long a write may stay unsynced.
    interval: Option<Duration>,
    /// Taken from the queue, in order; only the first can be a read's barrier.
    waiting: VecDeque<StorageCommand>,
    /// Reads behind whose writes we already are.
    reads: VecDeque<ReadMessages>,
    /// Since when all that waits is what nobody waits for.
    lingering_since: Option<Instant>,
    unsynced_since: Option<Instant>,
    /// `None` while nothing was put off.
    commits_since_tidying: Option<u32>,
    /// Nothing came for a while, or nothing will come.
    rests: bool,
    /// The last batch that waits for room.
    stuck: Option<u64>,
    measured: Option<Measured>,
}

impl<F: FnMut(StorageEvent)> Worker<F> {
    fn run(mut self) -> Result<(), StorageError> {
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

    /// Takes all that waits; when there is nothing to do, waits for more. `false`: all is done and nothing will come.
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
                // What nobody waits for is not written by itself just because there was nothing to do.
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

    /// Whether all that there is to do can wait for more.
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

    /// Waits for more to go with what lingers; when the thread is to end, that goes now.
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

    /// One transaction for all writes that may go now.
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

    /// Batches up to this one wait for room.
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

    /// Measures the disk, and tells of it where it has changed enough to matter.
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

    /// Moves what waits: writes into the next transaction, reads behind them, up to what must wait its turn.
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

    /// A write must not take away what an earlier read is to see.
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
            // Again after a while.
            Err(StorageError::WaitsForRoom { .. }) => (self.commits_since_tidying, self.rests) = (Some(0), false),
            Err(error) => return Err(error),
        }
        if self.commits_since_tidying.is_none() {
            self.measure();
        }
        Ok(())
    }
}

/// What a command counts in the queue besides its content.
const COMMAND_WEIGHT: u64 = 64;

fn weigh(command: &StorageCommand) -> u64 {
    match command {
        StorageCommand::Write(batch) => weigh_batch(batch),
        StorageCommand::Read(_) | StorageCommand::Reopen { .. } | StorageCommand::AwaitRoom { .. } => COMMAND_WEIGHT,
    }
}

fn weigh_batch(batch: &WriteBatch) -> u64 {
    COMMAND_WEIGHT + batch.weight()
}

fn read_failed(error: StorageError) -> ReadFailed {
    let damaged = match &error {
        StorageError::Unreadable { lost, .. } => Some(*lost),
        _ => None,
    };
    ReadFailed { why: error.to_string(), damaged }
}

/// Whether nobody waits for it, and nothing is lost with it: the log makes it again, or what is not removed from the outbox is
/// recognised when it is offered again.
fn can_wait(batch: &WriteBatch) -> bool {
    batch.writes.iter().all(|write| write.is_made_again() || matches!(write, Write::OutboxRemove { .. }))
}

/// Whether it only adds to what there is.
fn is_plain(batch: &WriteBatch) -> bool {
    !drops_messages(batch) && !batch.writes.iter().any(Write::settles)
}

fn drops_messages(batch: &WriteBatch) -> bool {
    batch.writes.iter().any(|write| matches!(write, Write::DropMessages { .. }))
}
