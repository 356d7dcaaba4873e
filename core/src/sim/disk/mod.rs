//! What one node has on disk, simulated: quick while all is well, and spoiled as disks are spoiled.
//!
//! Rows are kept as the types that they are; only a fault makes bytes of them, by the codec of the real rows, and looks
//! whether these give the fault away ([`Undetected`] if not). What damage then means is judged as by every other engine
//! ([`crate::store::judge`]).
//!
//! Promised: what was finished outlives every crash, except what the log makes again; what was not is there as a whole batch,
//! in order, or not at all; a damaged row is never read as a good one. Never: time (how slow a disk is, its owner decides), and
//! randomness of its own.
//!
//! ```text
//! begin ── pending batches ── finish ── journal ── settle ── rows ── recover, read
//!              │                          │                   └─ damage: a bit flips
//!              │                          ├─ crash: some are settled, of the others only what a journal keeps is there
//!              │                          └─ lose: a file of the folder is gone
//!              └─ crash: some survive, the next one is torn
//! ```

mod damage;
mod frame;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use self::damage::Damage;
use self::rows::Rows;
use crate::bugs::{Bug, Bugs};
use crate::cube::Vertex;
use crate::store::judge::{self, Judged, Refused};
use crate::store::reading::Unreadable;
use crate::store::rows::{BadRow, RowKey};
use crate::store::{ReadFailed, ReadId, ReadMessages, Recovered, Space, StoredMessage, Write, WriteBatch};
use crate::topics::command::TopicId;

/// One node's disk. It outlives the processes that write to it.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    rows: Rows,
    /// Finished and not in the rows, in order.
    journal: VecDeque<WriteBatch>,
    /// Begun and not finished, in order.
    pending: VecDeque<WriteBatch>,
    reads: BTreeMap<ReadId, BegunRead>,
    /// The files that are missing at the next start.
    lost: Lost,
    /// How much it holds; `None`: more than anybody writes.
    capacity: Option<u64>,
    /// What a crash took and the log makes again: the next process writes it anew, on whatever room is left then.
    owed: u64,
    /// A batch did not find room.
    stuck: bool,
    bugs: Bugs,
}

/// A read on its way.
#[derive(Clone, Debug)]
struct BegunRead {
    read: ReadMessages,
    /// It sees the batches up to this one.
    behind: u64,
    /// Given early, because a later batch takes away what the read is to see.
    answer: Option<ReadAnswer>,
}

type ReadAnswer = Result<Vec<StoredMessage>, ReadFailed>;

/// Why batches did not become durable.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteFailed {
    /// They stay pending, and find room one day.
    #[error("the disk is full")]
    Full,
    /// The process that wrote them must end. What is replaced has to be read, and is damaged.
    #[error("{0}")]
    Bad(#[from] BadRow),
}

/// Damage that the check sums missed: a violation of what storage promises.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("undetected damage: {what}")]
pub struct Undetected {
    pub what: String,
}

/// Files of a folder that are lost while its process is not running.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lost {
    /// The mark, which tells the newest acknowledged batch.
    pub mark: bool,
    /// The journals: batches that were finished and are not in the rows.
    pub journals: bool,
}

/// So many batches wait for the rows at most.
const JOURNAL_BATCHES: usize = 64;

/// The limit below which a node takes no publishes, bytes.
pub const RESERVE: u64 = 64 << 10;
/// What an engine keeps by itself, for what must be written on a full disk.
const KEPT_BACK: u64 = 16 << 10;

/// What became of the pending batches in a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CrashLeft {
    /// Whole on disk, though nobody was told.
    pub survived: u64,
    pub lost: u64,
}

impl Disk {
    /// An empty one with a deliberate bug.
    pub fn with(bugs: Bugs) -> Disk {
        Disk { bugs, ..Disk::default() }
    }

    /// A batch is on its way. Numbers grow.
    pub fn begin(&mut self, batch: WriteBatch) {
        assert!(self.newest_pending() < batch.number || self.pending.is_empty(), "batches are begun in order");
        self.pending.push_back(batch);
    }

    /// The sync is done: all batches up to this one are durable. Where they find no room they stay pending, and this can
    /// be called again. After another error the process must end, and its end is a [`Disk::crash`].
    pub fn finish(&mut self, through: u64) -> Result<(), WriteFailed> {
        while let Some(next) = self.pending.front().filter(|batch| batch.number <= through) {
            self.stuck = !self.has_room_for(next);
            if self.stuck {
                return Err(WriteFailed::Full);
            }
            self.rows.accepts(next)?;
            self.serve_before_drop();
            let batch = self.pending.pop_front().expect("just seen");
            self.keep(batch);
        }
        Ok(())
    }

    /// A batch is durable, as far as the log does not make it again.
    fn keep(&mut self, batch: WriteBatch) {
        let settles = batch.writes.iter().any(Write::settles);
        let made_again = batch.writes.iter().filter(|write| write.is_made_again());
        let made_again = made_again.map(|write| self.size_of(write)).sum::<u64>();
        self.owed = self.owed.saturating_sub(made_again);
        self.journal.push_back(batch);
        if settles || self.journal.len() >= JOURNAL_BATCHES {
            self.settle();
        }
    }

    /// Puts all that was finished into the rows.
    fn settle(&mut self) {
        self.journal.drain(..).for_each(|batch| self.rows.apply(batch));
    }

    /// Makes writes durable at once.
    pub fn write(&mut self, writes: &[Write]) {
        self.settle();
        self.rows.apply(WriteBatch { number: 0, writes: writes.to_vec() });
    }

    /// A read is on its way: it will see every batch that was begun before it.
    pub fn begin_read(&mut self, read: ReadMessages) {
        let behind = self.newest_pending();
        self.reads.insert(read.read, BegunRead { read, behind, answer: None });
    }

    /// What a read gives, at any time after it was begun. Later batches may show or not, as long as they take nothing
    /// away from it.
    pub fn finish_read(&mut self, read: ReadId) -> ReadAnswer {
        let begun = self.reads.remove(&read).expect("a read is begun, once, before it is finished");
        begun.answer.unwrap_or_else(|| self.look(&begun.read, begun.behind))
    }

    /// A read that is begun and finished now.
    pub fn read(&self, read: &ReadMessages) -> ReadAnswer {
        self.look(read, self.newest_pending())
    }

    /// An orderly end: all that was begun is done first.
    pub fn close(&mut self) -> Result<(), WriteFailed> {
        self.finish(self.newest_pending())?;
        self.serve_reads(|_| true);
        self.settle();
        Ok(())
    }

    /// The process is gone, or the power. Of what was pending, some whole batches are on disk, and the next one may be
    /// there in part. Of all that is on disk, some is in the rows; the rest is there without what the log makes again.
    pub fn crash(&mut self, random: &mut fastrand::Rng) -> Result<CrashLeft, Undetected> {
        self.reads.clear();
        let left = self.crash_pending(random)?;
        self.lose_unsettled(random.u64(0..=self.journal.len() as u64) as usize);
        Ok(left)
    }

    /// The process is gone: so many of the finished batches are in the rows, and of the others what a journal keeps.
    pub fn lose_unsettled(&mut self, settled: usize) {
        let settled = settled.min(self.journal.len());
        self.journal.drain(..settled).for_each(|batch| self.rows.apply(batch));
        let before = self.used();
        let mut journal = std::mem::take(&mut self.journal);
        journal.iter_mut().for_each(|batch| batch.writes.retain(|write| self.outlives(write)));
        self.journal = journal;
        self.owed += before.saturating_sub(self.used());
    }

    /// Files are lost while the process is not running.
    pub fn lose(&mut self, lost: Lost) {
        if lost.journals {
            self.lost.journals |= self.journal.iter().any(|batch| !batch.writes.is_empty());
            self.journal.clear();
        }
        self.lost.mark |= lost.mark;
    }

    /// Whether a write is in the journal too.
    fn outlives(&self, write: &Write) -> bool {
        let by_mistake = self.bugs.has(Bug::CheckpointsOutliveMessages) && matches!(write, Write::Checkpoint { .. });
        by_mistake || !write.is_made_again()
    }

    fn crash_pending(&mut self, random: &mut fastrand::Rng) -> Result<CrashLeft, Undetected> {
        let pending = std::mem::take(&mut self.pending);
        let mut left = CrashLeft { survived: 0, lost: pending.len() as u64 };
        self.stuck = false;
        if pending.is_empty() {
            return Ok(left);
        }
        let whole = random.u64(0..=left.lost);
        for (at, batch) in (0..).zip(pending) {
            let is_there = at < whole || (at == whole && frame::outlives_tearing(&batch, random)?);
            if !is_there || !self.has_room_for(&batch) || self.rows.accepts(&batch).is_err() {
                break;
            }
            self.keep(batch);
            left.survived += 1;
        }
        left.lost -= left.survived;
        Ok(left)
    }

    /// What a process finds that starts now. A log end that is cut is cut on disk too.
    pub fn recover(&mut self) -> Result<Recovered, Refused> {
        assert!(self.pending.is_empty(), "a disk is read back after a crash or an orderly end");
        self.settle();
        let Judged { mut recovered, cuts } = self.rows.find()?.judge()?;
        self.rows.cut(&recovered.groups, &cuts);
        let Lost { mark, journals } = std::mem::take(&mut self.lost);
        let may_be_behind = if mark { !self.bugs.has(Bug::LostMarkIsTrusted) } else { journals };
        if may_be_behind {
            self.rows.cut.extend(judge::mistrust(&mut recovered));
        }
        Ok(recovered)
    }

    /// Flips a bit of some row. `None`: there is no such row.
    pub fn damage(&mut self, random: &mut fastrand::Rng, what: Damage) -> Result<Option<RowKey>, Undetected> {
        self.settle();
        damage::damage(&mut self.rows, random, what, self.bugs)
    }

    /// Whether some row is damaged, and nothing that was finished has replaced it since.
    pub fn has_bad_row(&self) -> bool {
        self.rows.has_bad() && {
            let mut settled = self.clone();
            settled.settle();
            settled.rows.has_bad()
        }
    }

    /// From now on it holds so much beside what it has, what is on its way and what is owed; `None`: whatever is written.
    pub fn limit(&mut self, left: Option<u64>) {
        let pending: u64 = self.pending.iter().map(|batch| self.size(batch)).sum();
        self.capacity = left.map(|left| self.used() + pending + self.owed + left);
    }

    pub fn is_limited(&self) -> bool {
        self.capacity.is_some()
    }

    /// As the node at this disk is told.
    pub fn space(&self) -> Space {
        let stored = self.used();
        let free = self.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(stored));
        Space { free, reusable: 0, stored, reserve: RESERVE, stuck: self.stuck, shared_by: 1 }
    }

    /// What is kept back is there for small things, and for what frees room.
    fn has_room_for(&self, batch: &WriteBatch) -> bool {
        let fits = |capacity| self.used() + self.size(batch) <= capacity + KEPT_BACK;
        batch.writes.is_empty() || self.capacity.is_none_or(fits)
    }

    /// What was finished takes, whether it is in the rows or not.
    fn used(&self) -> u64 {
        let writes = || self.journal.iter().flat_map(|batch| &batch.writes);
        let dropped: BTreeSet<_> = writes().filter_map(dropped_topic).collect();
        let is_gone = |write: &&Write| match write {
            Write::Messages { group, topic, .. } => dropped.contains(&(*group, *topic)),
            _ => false,
        };
        self.rows.size(&dropped)
            + writes().filter(|write| !is_gone(write)).map(|write| self.size_of(write)).sum::<u64>()
    }

    /// Nothing is left, as on a new disk; reads that are on their way have seen what was there.
    pub fn wipe(&mut self) {
        self.serve_reads(|_| true);
        self.pending.clear();
        self.journal.clear();
        self.rows = Rows::default();
        self.owed = 0;
        self.lost = Lost::default();
    }

    /// What a batch takes beside the rows that are there: of checkpoints only the newest is kept, and a message that is written
    /// again takes nothing.
    fn size(&self, batch: &WriteBatch) -> u64 {
        batch.writes.iter().map(|write| self.size_of(write)).sum()
    }

    fn size_of(&self, write: &Write) -> u64 {
        match write {
            Write::Checkpoint { .. } | Write::DropMessages { .. } => 0,
            write => write.weight().saturating_sub(self.rows.held_already(write)),
        }
    }

    fn newest_pending(&self) -> u64 {
        self.pending.back().map_or(0, |batch| batch.number)
    }

    /// A batch that deletes messages must not take them away from reads that came before it.
    fn serve_before_drop(&mut self) {
        let Some(next) = self.pending.front().filter(|_| !self.reads.is_empty()) else { return };
        let number = next.number;
        let dropped: Vec<_> = next.writes.iter().filter_map(dropped_topic).collect();
        if !dropped.is_empty() {
            self.serve_reads(|begun| begun.behind < number && dropped.contains(&(begun.read.group, begun.read.topic)));
        }
    }

    fn serve_reads(&mut self, which: impl Fn(&BegunRead) -> bool) {
        let mut reads = std::mem::take(&mut self.reads);
        for begun in reads.values_mut().filter(|begun| begun.answer.is_none() && which(begun)) {
            begun.answer = Some(self.look(&begun.read, begun.behind));
        }
        self.reads = reads;
    }

    fn look(&self, read: &ReadMessages, behind: u64) -> ReadAnswer {
        let pending = self.pending.iter().take_while(|batch| batch.number <= behind);
        let writes = self.journal.iter().chain(pending).flat_map(|batch| &batch.writes);
        let failed =
            |unreadable: Unreadable| ReadFailed { why: unreadable.to_string(), damaged: Some(unreadable.lost) };
        self.rows.read(read, writes).map_err(failed)
    }
}

fn dropped_topic(write: &Write) -> Option<(Vertex, TopicId)> {
    match write {
        Write::DropMessages { group, topic } => Some((*group, *topic)),
        _ => None,
    }
}
