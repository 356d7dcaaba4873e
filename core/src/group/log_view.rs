//! The part of a group's log in memory, as read by Raft.
//!
//! It begins slightly before the checkpoint, for members that are slightly behind. A member further behind receives a
//! snapshot. The log on disk is the same (see [`crate::store`]). Writing it is asynchronous; Raft tracks how far it is
//! durable.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use raft::eraftpb::{ConfState, Entry, HardState as RaftHardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

use super::message;
use crate::identity::Member;
use crate::records::LogEntry;
use crate::store::{Checkpoint, HardState};

/// The entries `(dropped, last]`, and the members and the index at `applied`.
#[derive(Serialize, Deserialize)]
pub struct LogView {
    entries: VecDeque<Entry>,
    bytes: u64,
    /// Index and term of the last entry that was dropped.
    dropped: (u64, u64),
    /// Index and term of the last applied entry.
    applied: (u64, u64),
    members: ConfState,
    initial_hard_state: HardState,
}

impl LogView {
    /// The log found on disk. `checkpoint` is `None` for a member that joins empty.
    pub fn restore(checkpoint: Option<&Checkpoint>, log: &[LogEntry], hard_state: HardState) -> LogView {
        let at_checkpoint = checkpoint.map_or((0, 0), |c| (c.index, c.term));
        let mut view = LogView {
            entries: VecDeque::new(),
            bytes: 0,
            dropped: at_checkpoint,
            applied: at_checkpoint,
            members: checkpoint.map(conf_state).unwrap_or_default(),
            initial_hard_state: HardState { commit: hard_state.commit.max(at_checkpoint.0), ..hard_state },
        };
        let mut log = log;
        // A first entry at or before the checkpoint marks where the log was cut.
        if let Some((first, rest)) = log.split_first()
            && first.index <= at_checkpoint.0
        {
            view.dropped = (first.index, first.term);
            log = rest;
        }
        view.append(log.iter().map(message::checked_to_raft).collect());
        view.initial_hard_state.commit = view.initial_hard_state.commit.min(view.last());
        view
    }

    /// Appends entries, replacing those at the first entry's index and after it.
    pub fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        assert!(
            first.index > self.dropped.0 && first.index <= self.last() + 1,
            "an append leaves no gap and rewrites nothing that was dropped"
        );
        while self.entries.back().is_some_and(|entry| entry.index >= first.index) {
            let replaced = self.entries.pop_back().expect("just seen");
            self.bytes -= entry_bytes(&replaced);
        }
        self.bytes += entries.iter().map(entry_bytes).sum::<u64>();
        self.entries.extend(entries);
    }

    /// Drops the entries up to `through`, all of which a checkpoint must cover.
    pub fn drop_through(&mut self, through: u64) {
        assert!(through <= self.applied.0, "only what is applied is dropped");
        while self.entries.front().is_some_and(|entry| entry.index <= through) {
            let entry = self.entries.pop_front().expect("just seen");
            self.bytes -= entry_bytes(&entry);
            self.dropped = (entry.index, entry.term);
        }
    }

    /// Replaces the log with a snapshot.
    pub fn reset(&mut self, index: u64, term: u64, members: ConfState) {
        self.entries.clear();
        self.bytes = 0;
        self.dropped = (index, term);
        self.applied = (index, term);
        self.members = members;
    }

    /// Records the last applied entry.
    pub fn set_applied(&mut self, index: u64, term: u64) {
        self.applied = (index, term);
    }

    /// Sets the members at the applied index.
    pub fn set_members(&mut self, members: ConfState) {
        self.members = members;
    }

    /// Index and term of the last applied entry.
    pub fn applied(&self) -> (u64, u64) {
        self.applied
    }

    /// The members at the applied index.
    pub fn members(&self) -> &ConfState {
        &self.members
    }

    /// The index of the last entry.
    pub fn last(&self) -> u64 {
        self.entries.back().map_or(self.dropped.0, |entry| entry.index)
    }

    /// The entries in memory.
    pub fn log_entries(&self) -> impl Iterator<Item = LogEntry> {
        self.entries.iter().cloned().map(message::entry_from_raft)
    }

    /// Whether a restored log can be one: consecutive valid entries, and an applied index among them.
    pub fn is_sound(&self) -> bool {
        let Some(first) = self.dropped.0.checked_add(1) else { return false };
        let are_consecutive = self.entries.iter().zip(first..).all(|(entry, index)| entry.index == index);
        are_consecutive
            && self.entries.iter().all(message::is_raft_entry_valid)
            && self.bytes == self.entries.iter().map(entry_bytes).sum::<u64>()
            && (self.dropped.0..=self.last()).contains(&self.applied.0)
    }

    /// Index, term and data of the entries in memory from this index on.
    pub fn entries_from(&self, index: u64) -> impl Iterator<Item = (u64, u64, &[u8])> {
        let from = self.position(index.max(self.dropped.0 + 1)).min(self.entries.len());
        self.entries.range(from..).map(|entry| (entry.index, entry.term, &entry.data[..]))
    }

    /// The number of entries in memory.
    pub fn entry_count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The bytes of the entries in memory, with 64 bytes for each entry.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The smallest index through which the log must be dropped to keep at most `keep_entries` entries and `keep_bytes`
    /// bytes up to `applied`. No entry after `applied` is dropped.
    pub fn drop_point(&self, keep_entries: u64, keep_bytes: u64) -> u64 {
        let mut bytes = 0;
        let applied = self.applied.0.min(self.last());
        let mut point = applied;
        for (kept, entry) in self.entries.iter().rev().skip_while(|entry| entry.index > applied).enumerate() {
            bytes += entry_bytes(entry);
            if kept as u64 >= keep_entries || bytes > keep_bytes {
                return entry.index;
            }
            point = entry.index - 1;
        }
        point
    }

    fn position(&self, index: u64) -> usize {
        (index - self.dropped.0 - 1) as usize
    }
}

/// The members of a checkpoint, in Raft's type.
pub fn conf_state(checkpoint: &Checkpoint) -> ConfState {
    let raft_ids = |members: &[Member]| members.iter().map(|member| member.to_raft()).collect::<Vec<_>>();
    ConfState::from((raft_ids(&checkpoint.voters), raft_ids(&checkpoint.learners)))
}

fn entry_bytes(entry: &Entry) -> u64 {
    entry.data.len() as u64 + 64
}

impl Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let HardState { term, vote, commit } = self.initial_hard_state;
        let hard_state = RaftHardState { term, vote, commit, ..RaftHardState::default() };
        Ok(RaftState::new(hard_state, self.members.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.dropped.0 {
            return Err(StorageError::Compacted.into());
        }
        if high > self.last() + 1 {
            return Err(StorageError::Unavailable.into());
        }
        let mut budget = max_size.into().unwrap_or(u64::MAX);
        let mut found = Vec::new();
        for entry in self.entries.range(self.position(low)..self.position(high)) {
            let size = entry_bytes(entry);
            if size > budget && !found.is_empty() {
                break;
            }
            budget = budget.saturating_sub(size);
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.dropped.0 {
            return Ok(self.dropped.1);
        }
        if index < self.dropped.0 {
            return Err(StorageError::Compacted.into());
        }
        if index > self.last() {
            return Err(StorageError::Unavailable.into());
        }
        Ok(self.entries[self.position(index)].term)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.dropped.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// Returns only a snapshot's metadata; the receiver fetches the content (see [`super::snapshot`]).
    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        if self.applied.0 < request_index {
            return Err(StorageError::SnapshotTemporarilyUnavailable.into());
        }
        Ok(message::snapshot_to_raft(self.applied.0, self.applied.1, self.members.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::RequestKey;
    use crate::records::EntryKind;
    use crate::time::Timestamp;
    use crate::topics::command::{Command, Op, encode_commands};

    fn entry(index: u64, term: u64) -> LogEntry {
        LogEntry { index, term, kind: EntryKind::Commands, data: commands().into() }
    }

    /// 36 bytes.
    fn commands() -> Vec<u8> {
        let op = Op::CreateTopic { publisher: "p".repeat(9).parse().unwrap(), topic: "t".repeat(14).parse().unwrap() };
        let key = RequestKey { coordinator: Member::founding("100".parse().unwrap()), number: 1 };
        let data = encode_commands(&[Command { key, time: Timestamp(0), op }]);
        assert_eq!(data.len(), 36);
        data
    }

    fn log(indexes: std::ops::RangeInclusive<u64>) -> Vec<LogEntry> {
        indexes.map(|index| entry(index, 1)).collect()
    }

    fn checkpoint(index: u64) -> Checkpoint {
        Checkpoint { index, term: 1, voters: vec![], learners: vec![], state: vec![] }
    }

    #[test]
    fn a_log_that_reaches_back_before_the_checkpoint_knows_the_term_at_its_edge() {
        let view = LogView::restore(Some(&checkpoint(5)), &log(3..=8), HardState { term: 1, vote: 0, commit: 7 });
        assert_eq!((view.first_index().unwrap(), view.last()), (4, 8));
        assert_eq!(view.term(3).unwrap(), 1);
        assert!(view.term(2).is_err());
    }

    #[test]
    fn an_append_replaces_the_conflicting_tail_and_its_bytes() {
        let mut view = LogView::restore(Some(&checkpoint(5)), &log(6..=9), HardState::default());
        view.append(vec![message::checked_to_raft(&entry(8, 2))]);
        assert_eq!((view.last(), view.term(8).unwrap(), view.bytes()), (8, 2, 300));
    }

    #[test]
    fn dropping_keeps_what_is_not_applied_and_the_slack_asked_for() {
        let mut view = LogView::restore(Some(&checkpoint(1)), &log(2..=20), HardState::default());
        view.set_applied(10, 1);
        assert_eq!(view.drop_point(0, u64::MAX), 10);
        assert_eq!(view.drop_point(4, u64::MAX), 6);
        assert_eq!(view.drop_point(100, u64::MAX), 1);
        assert_eq!(view.drop_point(100, 250), 8);
        view.drop_through(6);
        assert_eq!((view.first_index().unwrap(), view.term(6).unwrap(), view.last()), (7, 1, 20));
    }
}
