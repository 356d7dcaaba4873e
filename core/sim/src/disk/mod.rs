//! A simulated disk of one node: fast without faults, and with the failure modes of real disks.
//!
//! Rows are stored as typed values. Only a fault encodes them, with the codec of the real rows, and checks that the
//! damage is detected ([`Undetected`] if it is not). As with every other engine,
//! [`cubecast_core::store::recovery`] decides the consequences of damage.
//!
//! Guarantees: finished writes survive every crash, except those that the log can rebuild. Unfinished writes survive
//! as whole batches in order, or not at all. A damaged row is never read as a good one.
//!
//! The disk has no timing (its owner simulates that) and no randomness of its own.
//!
//! ```text
//! begin ── pending batches ── finish ── journal ── settle ── rows ── recover, read
//!              │                          │                   └─ damage: a bit flips
//!              │                          ├─ crash: some are settled; of the others, only journaled writes remain
//!              │                          └─ lose: a file of the folder is lost
//!              └─ crash: some survive, the next one is torn
//! ```

mod damage;
mod frame;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cubecast_core::bugs::{Bug, Bugs};
use cubecast_core::cube::Dimension;
use cubecast_core::identity::GroupId;
use cubecast_core::names::TopicId;
use cubecast_core::records::StoredMessage;
use cubecast_core::store::reading::Unreadable;
use cubecast_core::store::recovery::{self, Recovery, Refused};
use cubecast_core::store::rows::{BadRow, RowKey};
use cubecast_core::store::{ReadFailed, ReadId, ReadMessages, Recovered, Space, Write, WriteBatch};

pub use self::damage::Damage;
use self::rows::Rows;

/// One node's disk. It outlives the processes that write to it.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The dimension of its node's cube.
    cube: Dimension,
    rows: Rows,
    /// Finished batches that are not in the rows, in order.
    journal: VecDeque<WriteBatch>,
    /// Begun batches that are not finished, in order.
    pending: VecDeque<WriteBatch>,
    reads: BTreeMap<ReadId, BegunRead>,
    /// The files that are missing at the next start.
    lost: Lost,
    /// Capacity in bytes; `None`: unlimited.
    capacity: Option<u64>,
    /// Bytes that a crash took and that the log rebuilds. The next process writes them again, with the room that is
    /// left then.
    owed: u64,
    /// A batch did not find room.
    stuck: bool,
    bugs: Bugs,
}

/// A read that is begun and not finished.
#[derive(Clone, Debug)]
struct BegunRead {
    read: ReadMessages,
    /// The number of the last batch that it sees.
    behind: u64,
    /// The answer, taken early because a later batch deletes messages that the read must see.
    answer: Option<ReadAnswer>,
}

type ReadAnswer = Result<Vec<StoredMessage>, ReadFailed>;

/// Why batches did not become durable.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteFailed {
    /// The disk is full. The batches stay pending until there is room.
    #[error("the disk is full")]
    Full,
    /// The process that wrote them must end: a row that has to be read before it is replaced is damaged.
    #[error("a row that has to be replaced is damaged")]
    Bad(BadRow),
}

/// Damage that the checksums missed. This violates the guarantees of storage.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("undetected damage: {what}")]
pub struct Undetected {
    /// Description of the damage.
    pub what: String,
}

/// Files of a folder that are lost while its process does not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lost {
    /// The mark, which has the newest acknowledged batch.
    pub commit_marker: bool,
    /// The journals: finished batches that are not in the rows.
    pub journals: bool,
}

/// Most batches that wait to be settled.
const JOURNAL_BATCHES: usize = 64;

/// The reserve: with less room a node takes no publishes. Bytes.
pub const RESERVE: u64 = 64 << 10;
/// Bytes that the engine itself keeps for necessary writes on a full disk.
const KEPT_BACK: u64 = 16 << 10;

/// The effect of a crash on the pending batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CrashLeft {
    /// Batches that are whole on disk, though their completion was not reported.
    pub survived: u64,
    /// Batches that are lost.
    pub lost: u64,
}

impl Disk {
    /// An empty disk of a node of this cube, with a deliberate bug.
    pub fn new(cube: Dimension, bugs: Bugs) -> Disk {
        Disk {
            cube,
            rows: Rows::default(),
            journal: VecDeque::new(),
            pending: VecDeque::new(),
            reads: BTreeMap::new(),
            lost: Lost::default(),
            capacity: None,
            owed: 0,
            stuck: false,
            bugs,
        }
    }

    /// Begins to write a batch. Batch numbers increase.
    pub fn begin(&mut self, batch: WriteBatch) {
        assert!(self.newest_pending() < batch.number || self.pending.is_empty(), "batches are begun in order");
        self.pending.push_back(batch);
    }

    /// Completes the sync of all batches up to this number, which makes them durable. Batches without room stay
    /// pending, and this can be called again. After any other error the process must end with [`Disk::crash`].
    pub fn finish(&mut self, through: u64) -> Result<(), WriteFailed> {
        while let Some(next) = self.pending.front().filter(|batch| batch.number <= through) {
            self.stuck = !self.has_room_for(next);
            if self.stuck {
                return Err(WriteFailed::Full);
            }
            self.rows.accepts(next).map_err(WriteFailed::Bad)?;
            self.serve_before_drop();
            let batch = self.pending.pop_front().expect("just seen");
            self.keep(batch);
        }
        Ok(())
    }

    /// Makes a batch durable, except for writes that the log can rebuild.
    fn keep(&mut self, batch: WriteBatch) {
        let settles = batch.writes.iter().any(Write::flushes);
        let replayable = batch.writes.iter().filter(|write| write.is_replayable());
        let replayable = replayable.map(|write| self.size_of(write)).sum::<u64>();
        self.owed = self.owed.saturating_sub(replayable);
        self.journal.push_back(batch);
        if settles || self.journal.len() >= JOURNAL_BATCHES {
            self.settle();
        }
    }

    /// Moves all finished batches into the rows.
    fn settle(&mut self) {
        self.journal.drain(..).for_each(|batch| self.rows.apply(batch));
    }

    /// Makes writes durable at once.
    pub fn write(&mut self, writes: &[Write]) {
        self.settle();
        self.rows.apply(WriteBatch { number: 0, writes: writes.to_vec() });
    }

    /// Begins a read. It will see every batch that was begun before it.
    pub fn begin_read(&mut self, read: ReadMessages) {
        let behind = self.newest_pending();
        self.reads.insert(read.read, BegunRead { read, behind, answer: None });
    }

    /// Returns the result of a read, at any time after it was begun. Later batches may be visible unless they delete
    /// data that the read must see.
    pub fn finish_read(&mut self, read: ReadId) -> ReadAnswer {
        let begun = self.reads.remove(&read).expect("a read is begun, once, before it is finished");
        begun.answer.unwrap_or_else(|| self.look(&begun.read, begun.behind))
    }

    /// Begins and finishes a read now.
    pub fn read(&self, read: &ReadMessages) -> ReadAnswer {
        self.look(read, self.newest_pending())
    }

    /// Closes the disk in order: first finishes everything that was begun.
    pub fn close(&mut self) -> Result<(), WriteFailed> {
        self.finish(self.newest_pending())?;
        self.serve_reads(|_| true);
        self.settle();
        Ok(())
    }

    /// Simulates the end of the process or a power loss. Some of the pending batches are wholly on disk, and the next
    /// one may be there in part. Some finished batches are in the rows; the others lack the writes that the log can
    /// rebuild.
    pub fn crash(&mut self, random: &mut fastrand::Rng) -> Result<CrashLeft, Undetected> {
        self.reads.clear();
        let left = self.crash_pending(random)?;
        self.lose_unsettled(random.u64(0..=self.journal.len() as u64) as usize);
        Ok(left)
    }

    /// Simulates the end of the process with `settled` finished batches in the rows. The others keep only their
    /// journaled writes.
    pub fn lose_unsettled(&mut self, settled: usize) {
        let settled = settled.min(self.journal.len());
        self.journal.drain(..settled).for_each(|batch| self.rows.apply(batch));
        let before = self.used();
        let mut journal = std::mem::take(&mut self.journal);
        journal.iter_mut().for_each(|batch| batch.writes.retain(|write| self.outlives(write)));
        self.journal = journal;
        self.owed += before.saturating_sub(self.used());
    }

    /// Loses files while the process does not run.
    pub fn lose(&mut self, lost: Lost) {
        if lost.journals {
            self.lost.journals |= self.journal.iter().any(|batch| !batch.writes.is_empty());
            self.journal.clear();
        }
        self.lost.commit_marker |= lost.commit_marker;
    }

    /// Whether a write is journaled, so that it survives a crash.
    fn outlives(&self, write: &Write) -> bool {
        let by_mistake = self.bugs.has(Bug::CheckpointsOutliveMessages) && matches!(write, Write::Checkpoint { .. });
        by_mistake || !write.is_replayable()
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

    /// Reads the disk for a starting process. A log end that is cut is cut on disk too.
    pub fn recover(&mut self) -> Result<Recovered, Refused> {
        assert!(self.pending.is_empty(), "a disk is read back after a crash or an orderly end");
        self.settle();
        let Recovery { mut recovered, cuts } = self.rows.find()?.recover(self.cube)?;
        self.rows.cut(&recovered.groups, &cuts);
        let Lost { commit_marker, journals } = std::mem::take(&mut self.lost);
        let may_be_behind = if commit_marker { !self.bugs.has(Bug::LostCommitMarkerIsTrusted) } else { journals };
        if may_be_behind {
            self.rows.cut.extend(recovery::mistrust(&mut recovered));
        }
        Ok(recovered)
    }

    /// Flips a bit of a random row of this kind. `None`: there is no such row.
    pub fn damage(&mut self, random: &mut fastrand::Rng, what: Damage) -> Result<Option<RowKey>, Undetected> {
        self.settle();
        damage::damage(&mut self.rows, random, what, self.bugs)
    }

    /// Whether some row is damaged and no finished write has replaced it.
    pub fn has_bad_row(&self) -> bool {
        self.rows.has_bad() && {
            let mut settled = self.clone();
            settled.settle();
            settled.rows.has_bad()
        }
    }

    /// Limits the free room, in bytes, besides existing, pending and owed data. `None`: unlimited.
    pub fn limit(&mut self, left: Option<u64>) {
        let pending: u64 = self.pending.iter().map(|batch| self.size(batch)).sum();
        self.capacity = left.map(|left| self.used() + pending + self.owed + left);
    }

    /// Whether the room is limited.
    pub fn is_limited(&self) -> bool {
        self.capacity.is_some()
    }

    /// The space as reported to the node of this disk.
    pub fn space(&self) -> Space {
        let stored = self.used();
        let free = self.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(stored));
        Space { free, reusable: 0, stored, reserve: RESERVE, stuck: self.stuck, shared_by: 1 }
    }

    /// Whether there is room for a batch, [`KEPT_BACK`] included. The node's reserve keeps publishes out of that part,
    /// which serves small writes and writes that free room.
    fn has_room_for(&self, batch: &WriteBatch) -> bool {
        let fits = |capacity| self.used() + self.size(batch) <= capacity + KEPT_BACK;
        batch.writes.is_empty() || self.capacity.is_none_or(fits)
    }

    /// Bytes of all finished writes, whether in the rows or not.
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

    /// Erases the disk. Reads under way still return the former contents.
    pub fn wipe(&mut self) {
        self.serve_reads(|_| true);
        self.pending.clear();
        self.journal.clear();
        self.rows = Rows::default();
        self.owed = 0;
        self.lost = Lost::default();
    }

    /// Bytes that a batch adds to the existing rows. Only the newest checkpoint counts, and a message that is written
    /// again adds nothing.
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

    /// Answers earlier reads before a batch deletes messages that they must see.
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
            |unreadable: Unreadable| ReadFailed { why: unreadable.bad.text(self.cube), damaged: Some(unreadable.lost) };
        self.rows.read(read, writes).map_err(failed)
    }
}

fn dropped_topic(write: &Write) -> Option<(GroupId, TopicId)> {
    match write {
        Write::DropMessages { group, topic } => Some((*group, *topic)),
        _ => None,
    }
}
