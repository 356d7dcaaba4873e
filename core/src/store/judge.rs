//! What damage means, for every engine: the rows that lie on a disk, judged at a start.
//!
//! A log whose last entries are damaged is cut there: the node has lost promises that it can no longer tell, so the
//! group says `tail_cut` until the node takes a new identity. A damaged entry with a good one behind it, a damaged
//! checkpoint, hard state, record or outbox entry refuses to start: guessing there would be silent loss.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{BadRow, GroupCode, Row, RowKey};
use super::{Checkpoint, HardState, LogEntry, NodeRecord, Recovered, RecoveredGroup};
use crate::cube::Vertex;
use crate::topics::command::Command;

/// Rows as they are found; all but the messages, which are looked at when they are read.
#[derive(Clone, Debug, Default)]
pub struct Found {
    record: Option<NodeRecord>,
    groups: BTreeMap<GroupCode, FoundGroup>,
    cut_before: BTreeSet<GroupCode>,
    outbox: Vec<(u64, Command)>,
}

#[derive(Clone, Debug, Default)]
struct FoundGroup {
    hard_state: HardState,
    checkpoint: Option<Checkpoint>,
    /// The log up to its first damaged row.
    log: Vec<LogEntry>,
    /// The index at which damage begins.
    bad_tail: Option<(u64, BadRow)>,
}

/// What a node may start on.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    pub recovered: Recovered,
    /// The engine deletes these log ends, and keeps the recovered hard states of their groups and the groups' names: a
    /// cut counts until [`ends_mistrust`].
    pub cuts: Vec<CutTail>,
}

/// The end of a group's log that was damaged and is to be deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CutTail {
    pub group: Vertex,
    /// The first index that is gone.
    pub from_index: u64,
    pub why: String,
}

/// Damage on which no node may start. Only a new folder helps.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Bad(#[from] BadRow),
    #[error("entries {from} to {to} of group {group}'s log are missing")]
    Missing { group: Vertex, from: u64, to: u64 },
    #[error("group #{0} is no vertex")]
    NoVertex(GroupCode),
}

impl Found {
    pub fn record(&mut self, row: Row<NodeRecord>) -> Result<(), Refused> {
        self.record = Some(row?);
        Ok(())
    }

    pub fn hard_state(&mut self, group: GroupCode, row: Row<HardState>) -> Result<(), Refused> {
        self.group(group).hard_state = row?;
        Ok(())
    }

    pub fn checkpoint(&mut self, group: GroupCode, row: Row<Checkpoint>) -> Result<(), Refused> {
        self.group(group).checkpoint = Some(row?);
        Ok(())
    }

    /// A group's entries are told in the order of their indexes.
    pub fn entry(&mut self, group: GroupCode, index: u64, row: Row<LogEntry>) -> Result<(), Refused> {
        let FoundGroup { log, bad_tail, .. } = self.group(group);
        match (row, bad_tail.take()) {
            // Something good behind something bad: this is no torn end.
            (Ok(_), Some((_, bad))) => return Err(bad.into()),
            (Ok(entry), None) => {
                check_follows(log, &entry, group)?;
                log.push(entry);
            }
            (Err(_), Some(earlier)) => *bad_tail = Some(earlier),
            (Err(bad), None) => *bad_tail = Some((index, bad)),
        }
        Ok(())
    }

    pub fn outbox(&mut self, id: u64, row: Row<Command>) -> Result<(), Refused> {
        self.outbox.push((id, row?));
        Ok(())
    }

    /// The group's log lost its end at an earlier start.
    pub fn cut_before(&mut self, group: GroupCode) {
        self.cut_before.insert(group);
    }

    /// The verdict, when all rows are told.
    pub fn judge(self) -> Result<Judged, Refused> {
        let Found { record, groups, cut_before, outbox } = self;
        let mut recovered = Recovered { record, groups: Vec::new(), outbox };
        let mut cuts = Vec::new();
        for (code, found) in groups {
            let group = Vertex::from_code(code).map_err(|_| Refused::NoVertex(code))?;
            let (judged, cut) = judge_group(group, found)?;
            let tail_cut = cut.is_some() || cut_before.contains(&code);
            recovered.groups.push(RecoveredGroup { tail_cut, ..judged });
            cuts.extend(cut);
        }
        Ok(Judged { recovered, cuts })
    }

    fn group(&mut self, group: GroupCode) -> &mut FoundGroup {
        self.groups.entry(group).or_default()
    }
}

/// A node that takes another identity has drawn the consequence of a cut log: what it votes from now on contradicts
/// nothing that it forgot.
pub fn ends_mistrust(before: Option<&NodeRecord>, now: &NodeRecord) -> bool {
    before.and_then(|record| record.identity) != now.identity
}

fn check_follows(log: &[LogEntry], entry: &LogEntry, group: GroupCode) -> Row<()> {
    match log.last() {
        Some(last) if last.index.checked_add(1) != Some(entry.index) => {
            Err(BadRow { key: RowKey::Log(group, last.index.saturating_add(1)), why: "is missing" })
        }
        _ => Ok(()),
    }
}

/// Holds the log against the checkpoint and the hard state.
fn judge_group(group: Vertex, found: FoundGroup) -> Result<(RecoveredGroup, Option<CutTail>), Refused> {
    let FoundGroup { hard_state, checkpoint, mut log, bad_tail } = found;
    let base = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.index);
    let next = base.saturating_add(1);
    let first = log.first().map_or(next, |entry| entry.index);
    let last = log.last().map_or(base, |entry| entry.index);
    if first > next {
        return Err(Refused::Missing { group, from: next, to: first - 1 });
    }
    let committed = hard_state.commit.max(base);
    let mut cut = match bad_tail {
        Some((from_index, bad)) => Some(CutTail { group, from_index, why: bad.to_string() }),
        None if committed > last => {
            let why = format!("committed entries up to {committed} are missing");
            Some(CutTail { group, from_index: last + 1, why })
        }
        None => None,
    };
    if let Some(cut) = cut.as_mut().filter(|_| last < base) {
        // The log goes on behind the checkpoint; before it, what is left would end at a gap.
        cut.from_index = first;
        log.clear();
    }
    let hard_state = HardState { commit: hard_state.commit.min(last.max(base)), ..hard_state };
    Ok((RecoveredGroup { group, hard_state, checkpoint, log, tail_cut: false }, cut))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bugs::Bugs;
    use crate::group::{Group, LogLimits, Origin};
    use crate::identity::NodeId;
    use crate::store::EntryKind;
    use crate::time::Instant;
    use crate::topics::Topics;

    const CODE: GroupCode = 0b1010;

    #[test]
    fn a_member_starts_on_a_log_that_is_cut_anywhere() {
        // Entries behind the checkpoint are kept for members that are a little late.
        for cut_from in 95..=107 {
            let mut found = found(100, 106);
            (95..cut_from).for_each(|index| found.entry(CODE, index, Ok(entry(index))).unwrap());
            (cut_from..=106).for_each(|index| found.entry(CODE, index, Err(bad(index))).unwrap());
            let Judged { recovered, cuts } = found.judge().unwrap();
            let group = recovered.groups[0].clone();
            assert_eq!((group.tail_cut, cuts.len()), (cut_from <= 106, usize::from(cut_from <= 106)));
            assert_eq!(group.hard_state.commit, 100.max(cut_from - 1));

            let member = start(group);
            assert_eq!(member.last_index(), 100.max(cut_from - 1), "cut from {cut_from}");
            // What is left on disk once the log goes on is good.
            let kept = (95..=106).take_while(|index| cuts.iter().all(|cut| *index < cut.from_index));
            let next = member.last_index() + 1;
            let mut found = self::found(100, next);
            kept.chain([next]).for_each(|index| found.entry(CODE, index, Ok(entry(index))).unwrap());
            found.judge().unwrap_or_else(|refused| panic!("cut from {cut_from}: {refused}"));
        }
    }

    #[test]
    fn committed_entries_that_are_missing_at_the_end_are_a_cut() {
        for (last, committed, cut_from) in [(106, 106, None), (104, 106, Some(105)), (98, 100, Some(95))] {
            let mut found = found(100, committed);
            (95..=last).for_each(|index| found.entry(CODE, index, Ok(entry(index))).unwrap());
            let Judged { recovered, cuts } = found.judge().unwrap();
            assert_eq!(cuts.first().map(|cut| cut.from_index), cut_from);
            assert_eq!(recovered.groups[0].hard_state.commit, last.max(100));
            start(recovered.groups[0].clone());
        }
    }

    #[test]
    fn damage_that_is_no_torn_end_refuses_and_is_named() {
        let mut found = found(100, 106);
        found.entry(CODE, 101, Ok(entry(101))).unwrap();
        found.entry(CODE, 102, Err(bad(102))).unwrap();
        let refused = found.entry(CODE, 103, Ok(entry(103))).unwrap_err();
        assert_eq!(refused, Refused::Bad(bad(102)));

        let mut found = self::found(100, 106);
        found.entry(CODE, 101, Ok(entry(101))).unwrap();
        let refused = found.entry(CODE, 103, Ok(entry(103))).unwrap_err();
        assert_eq!(refused.to_string(), "log entry 102 of group 010 is missing");

        let mut found = self::found(100, 106);
        found.entry(CODE, 104, Ok(entry(104))).unwrap();
        let refused = found.judge().unwrap_err();
        assert_eq!(refused.to_string(), "entries 101 to 103 of group 010's log are missing");
    }

    #[test]
    fn an_index_behind_which_there_is_none_is_judged_like_any_other() {
        let last = u64::MAX;
        let judged = found(last, last).judge().unwrap();
        assert_eq!((judged.recovered.groups[0].hard_state.commit, judged.cuts), (last, vec![]));

        let mut found = self::found(last - 1, last);
        found.entry(CODE, last, Ok(entry(last))).unwrap();
        assert!(found.clone().judge().is_ok());
        assert!(found.entry(CODE, 0, Ok(entry(0))).is_err());
    }

    fn found(checkpoint: u64, commit: u64) -> Found {
        let voters = vec![NodeId::founding(home())];
        let state = Topics::default().encode();
        let mut found = Found::default();
        found.checkpoint(CODE, Ok(Checkpoint { index: checkpoint, term: 2, voters, learners: vec![], state })).unwrap();
        found.hard_state(CODE, Ok(HardState { term: 2, vote: 0, commit })).unwrap();
        found
    }

    fn start(group: RecoveredGroup) -> Group {
        let me = NodeId::founding(home());
        Group::new(Instant(0), home(), me, 1, LogLimits::default(), Bugs::default(), Origin::Restored(group))
    }

    fn entry(index: u64) -> LogEntry {
        LogEntry { index, term: 2, kind: EntryKind::Commands, data: Default::default() }
    }

    fn bad(index: u64) -> BadRow {
        BadRow { key: RowKey::Log(CODE, index), why: "does not fit its check sum" }
    }

    fn home() -> Vertex {
        Vertex::from_code(CODE).unwrap()
    }
}
