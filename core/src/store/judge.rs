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
        Some(last) if last.index + 1 != entry.index => {
            Err(BadRow { key: RowKey::Log(group, last.index + 1), why: "is missing" })
        }
        _ => Ok(()),
    }
}

/// Holds the log against the checkpoint and the hard state.
fn judge_group(group: Vertex, found: FoundGroup) -> Result<(RecoveredGroup, Option<CutTail>), Refused> {
    let FoundGroup { hard_state, checkpoint, log, bad_tail } = found;
    let base = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.index);
    let first = log.first().map_or(base + 1, |entry| entry.index);
    if first > base + 1 {
        return Err(Refused::Missing { group, from: base + 1, to: first - 1 });
    }
    let last = log.last().map_or(base, |entry| entry.index.max(base));
    let cut = match bad_tail {
        Some((from_index, bad)) => Some(CutTail { group, from_index, why: bad.to_string() }),
        None if hard_state.commit > last => {
            let why = format!("committed entries up to {} are missing", hard_state.commit);
            Some(CutTail { group, from_index: last + 1, why })
        }
        None => None,
    };
    let hard_state = HardState { commit: hard_state.commit.min(last), ..hard_state };
    Ok((RecoveredGroup { group, hard_state, checkpoint, log, tail_cut: false }, cut))
}
