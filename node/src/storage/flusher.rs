//! The flusher writes the content of a full journal to the tables on its own thread, while the other journal receives
//! new writes.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::Database;

use super::memtable::Memtable;
use super::room::Room;
use super::rows::{RowKey, RowWriter};
use super::usage::Usage;
use super::write::{Changed, Failure, Tables};

/// The interval at which a thread that waits for the flusher checks whether the flusher waits for space.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The approximate maximum of bytes that a transaction writes for each byte of content, because it copies the pages
/// that it changes.
const COPIED_PAGES: u64 = 2;

/// The thread that writes the tables. Dropping it waits for its current work.
#[derive(Debug)]
pub(super) struct Flusher {
    jobs: Option<Sender<Job>>,
    outcomes: Receiver<Result<Flushed, Failure>>,
    thread: Option<JoinHandle<()>>,
    under_way: Option<Arc<Memtable>>,
    flushed: Flushed,
}

/// The state of the tables after a flush.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flushed {
    /// Whether topics are being deleted piece by piece.
    pub dropping: bool,
    /// The amount of content in the tables.
    pub usage: Usage,
}

/// Writes that go into the tables in one transaction.
#[derive(Debug)]
struct Job {
    memtable: Arc<Memtable>,
    /// The newest transaction among them.
    number: u64,
    before: Flushed,
    /// Whether to also do a piece of postponed deletion.
    tidy: bool,
}

impl Flusher {
    pub(super) fn start(database: Arc<Database>, room: Arc<Room>, flushed: Flushed) -> io::Result<Flusher> {
        let (jobs, to_do) = mpsc::channel();
        let (done, outcomes) = mpsc::channel();
        let work = move || {
            let mut rows = RowWriter::default();
            to_do
                .iter()
                .map(|job| flush(&database, &room, &job, &mut rows))
                .try_for_each(|outcome| done.send(outcome))
                .ok();
        };
        let thread = std::thread::Builder::new().name("flusher".to_owned()).spawn(work)?;
        Ok(Flusher { jobs: Some(jobs), outcomes, thread: Some(thread), under_way: None, flushed })
    }

    /// The writes on their way into the tables, where they may or may not be visible already.
    pub(super) fn under_way(&self) -> Option<&Memtable> {
        self.under_way.as_deref()
    }

    /// Whether topics are being deleted piece by piece, as of the last flush.
    pub(super) fn dropping(&self) -> bool {
        self.flushed.dropping
    }

    /// The content and the reusable space of the tables, as of the last flush.
    pub(super) fn usage(&self) -> Usage {
        self.flushed.usage
    }

    /// Starts a flush. The previous one must be done.
    pub(super) fn begin(&mut self, memtable: Memtable, number: u64, tidy: bool) -> Changed {
        assert!(self.under_way.is_none(), "one flush at a time");
        let memtable = Arc::new(memtable);
        self.under_way = Some(memtable.clone());
        let job = Job { memtable, number, before: self.flushed, tidy };
        match &self.jobs {
            Some(jobs) => jobs.send(job).or_else(|_| self.fail()),
            None => Err(Failure::Closed),
        }
    }

    /// Takes the outcome of a flush, if it is done.
    pub(super) fn look(&mut self) -> Changed {
        if self.under_way.is_none() {
            return Ok(());
        }
        match self.outcomes.try_recv() {
            Ok(outcome) => self.end(outcome),
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => self.fail(),
        }
    }

    /// Waits for the current flush. Fails if the flush waits for space.
    pub(super) fn wait(&mut self, room: &Room) -> Changed {
        while self.under_way.is_some() {
            match self.outcomes.recv_timeout(LOOK_EVERY) {
                Ok(outcome) => self.end(outcome)?,
                Err(RecvTimeoutError::Timeout) if room.waits() => return Err(Failure::WaitsForRoom),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.fail()?,
            }
        }
        Ok(())
    }

    fn end(&mut self, outcome: Result<Flushed, Failure>) -> Changed {
        self.flushed = outcome?;
        self.under_way = None;
        Ok(())
    }

    /// Handles the end of the thread, which only a panic causes: resumes the panic here.
    fn fail(&mut self) -> Changed {
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => resume_unwind(panic),
            Some(Ok(())) | None => Err(Failure::Closed),
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Flusher {
    /// Ends the thread after its current work.
    pub(super) fn stop(&mut self) {
        self.jobs = None;
        // Nothing waits for its outcome any more.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn flush(database: &Database, room: &Room, job: &Job, rows: &mut RowWriter) -> Result<Flushed, Failure> {
    // Waiting here, before the transaction begins, blocks nothing else.
    room.await_room(job.memtable.bytes() * COPIED_PAGES)?;
    let transaction = database.begin_write()?;
    let mut tables = Tables::new(&transaction, rows, job.before.dropping);
    job.memtable.flush(&mut tables)?;
    if job.tidy {
        tables.tidy()?;
    }
    let usage = job.before.usage.and(tables.grown());
    tables.put_meta(RowKey::Transaction, &job.number)?;
    tables.put_meta(RowKey::Usage, &usage)?;
    let dropping = tables.dropping();
    drop(tables);
    transaction.commit()?;
    Ok(Flushed { dropping, usage })
}
