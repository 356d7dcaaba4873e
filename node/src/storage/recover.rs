//! Reads back what a folder holds, and decides what damage means.
//!
//! A log whose last entries are damaged is cut there: the node has lost promises that it can no longer tell, so the
//! group says `tail_cut` until the node takes a new identity. A damaged entry with a good one behind it, a damaged
//! checkpoint, hard state, record or outbox entry refuses to start: guessing there would be silent loss.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::cube::Vertex;
use cubecast_core::store::{Checkpoint, HardState, LogEntry, NodeRecord, Recovered, RecoveredGroup};
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use serde::de::DeserializeOwned;

use super::folder::FolderIdentity;
use super::report::CutTail;
use super::rows::{self, BadRow, GroupCode, RowKey, RowWriter, Value};
use super::write::Failure;

/// What a folder holds.
pub(super) struct Contents {
    /// `None`: the store is new.
    pub owner: Option<FolderIdentity>,
    /// The newest transaction.
    pub transaction: u64,
    pub recovered: Recovered,
    /// Log ends that were cut just now.
    pub cut: Vec<CutTail>,
    /// Topics are being deleted piece by piece.
    pub dropping: bool,
}

/// Reads everything but the messages. Damaged log ends are deleted in the same transaction.
pub(super) fn read(transaction: &WriteTransaction) -> Result<Contents, Failure> {
    let meta = transaction.open_table(rows::META)?;
    let owner: Option<FolderIdentity> = read_meta(&meta, RowKey::Owner)?;
    let number: Option<u64> = read_meta(&meta, RowKey::Transaction)?;
    let record: Option<NodeRecord> = read_meta(&meta, RowKey::Record)?;
    let (groups, cut) = read_groups(transaction)?;
    let outbox = read_outbox(transaction)?;
    let complete = owner.is_some() && number.is_some();
    let empty = owner.is_none() && number.is_none() && record.is_none() && groups.is_empty() && outbox.is_empty();
    if !complete && !empty {
        return Err(Failure::Damaged("the owner's record or the transaction number is missing".to_owned()));
    }
    Ok(Contents {
        owner,
        transaction: number.unwrap_or(0),
        recovered: Recovered { record, groups, outbox },
        cut,
        dropping: !transaction.open_table(rows::DROPPING)?.is_empty()?,
    })
}

/// Remembers that these groups lost the end of their log, until the node takes another identity.
pub(super) fn note_cut(transaction: &WriteTransaction, groups: impl Iterator<Item = Vertex>) -> Result<(), Failure> {
    let mut table = transaction.open_table(rows::CUT)?;
    for group in groups {
        table.insert(group.to_code(), [].as_slice())?;
    }
    Ok(())
}

fn read_meta<T: DeserializeOwned>(meta: &impl ReadableTable<u8, Value>, key: RowKey) -> Result<Option<T>, Failure> {
    match meta.get(key.meta())? {
        Some(value) => Ok(Some(rows::decode(key, value.value())?)),
        None => Ok(None),
    }
}

fn read_outbox(transaction: &WriteTransaction) -> Result<Vec<(u64, cubecast_core::topics::command::Command)>, Failure> {
    let mut outbox = Vec::new();
    for row in transaction.open_table(rows::OUTBOX)?.iter()? {
        let (id, value) = row?;
        outbox.push((id.value(), rows::decode(RowKey::Outbox(id.value()), value.value())?));
    }
    Ok(outbox)
}

fn read_groups(transaction: &WriteTransaction) -> Result<(Vec<RecoveredGroup>, Vec<CutTail>), Failure> {
    let hard_states: BTreeMap<GroupCode, HardState> =
        read_by_group(&transaction.open_table(rows::HARD_STATE)?, RowKey::HardState)?;
    let mut checkpoints: BTreeMap<GroupCode, Checkpoint> =
        read_by_group(&transaction.open_table(rows::CHECKPOINT)?, RowKey::Checkpoint)?;
    let mut logs = read_logs(transaction)?;
    let cut_before = cut_groups(transaction)?;

    let codes: BTreeSet<GroupCode> = hard_states.keys().chain(checkpoints.keys()).chain(logs.keys()).copied().collect();
    let mut groups = Vec::new();
    let mut cuts = Vec::new();
    for code in codes {
        let group = Vertex::from_code(code).map_err(|_| Failure::Damaged(format!("group #{code} is no vertex")))?;
        let hard_state = hard_states.get(&code).copied().unwrap_or_default();
        let found = judge(group, hard_state, checkpoints.remove(&code), logs.remove(&code).unwrap_or_default())?;
        let cut_now = found.cut.is_some();
        groups.push(RecoveredGroup { tail_cut: cut_now || cut_before.contains(&code), ..found.group });
        cuts.extend(found.cut);
    }
    cut_logs(transaction, &groups, &cuts)?;
    Ok((groups, cuts))
}

/// A group as it was found, with what had to be cut.
struct Found {
    group: RecoveredGroup,
    cut: Option<CutTail>,
}

/// Holds the log against the checkpoint and the hard state.
fn judge(
    group: Vertex,
    hard_state: HardState,
    checkpoint: Option<Checkpoint>,
    log: FoundLog,
) -> Result<Found, Failure> {
    let base = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.index);
    let FoundLog { entries, bad_tail } = log;
    if let Some(first) = entries.first().map(|entry| entry.index).filter(|&first| first > base + 1) {
        return Err(Failure::Damaged(format!(
            "entries {} to {} of group {group}'s log are missing",
            base + 1,
            first - 1
        )));
    }
    let last = entries.last().map_or(base, |entry| entry.index.max(base));
    let cut = match bad_tail {
        Some((from_index, bad)) => Some(CutTail { group, from_index, why: bad.to_string() }),
        None if hard_state.commit > last => {
            let why = format!("committed entries up to {} are missing", hard_state.commit);
            Some(CutTail { group, from_index: last + 1, why })
        }
        None => None,
    };
    let hard_state = HardState { commit: hard_state.commit.min(last), ..hard_state };
    Ok(Found { group: RecoveredGroup { group, hard_state, checkpoint, log: entries, tail_cut: false }, cut })
}

/// A group's log up to its first damaged row.
#[derive(Default)]
struct FoundLog {
    entries: Vec<LogEntry>,
    /// The index at which damage begins.
    bad_tail: Option<(u64, BadRow)>,
}

fn read_logs(transaction: &WriteTransaction) -> Result<BTreeMap<GroupCode, FoundLog>, Failure> {
    let mut logs: BTreeMap<GroupCode, FoundLog> = BTreeMap::new();
    for row in transaction.open_table(rows::LOG)?.iter()? {
        let (key, value) = row?;
        let (group, index) = key.value();
        let log = logs.entry(group).or_default();
        let entry = read_entry(group, index, value.value());
        match (entry, log.bad_tail.take()) {
            // Something good behind something bad: this is no torn end.
            (Ok(_), Some((_, bad))) => return Err(bad.into()),
            (Ok(entry), None) => {
                check_follows(&log.entries, &entry, group)?;
                log.entries.push(entry);
            }
            (Err(_), Some(earlier)) => log.bad_tail = Some(earlier),
            (Err(bad), None) => log.bad_tail = Some((index, bad)),
        }
    }
    Ok(logs)
}

fn read_entry(group: GroupCode, index: u64, value: &[u8]) -> Result<LogEntry, BadRow> {
    let key = RowKey::Log(group, index);
    let entry: LogEntry = rows::decode(key, value)?;
    if entry.index == index { Ok(entry) } else { Err(BadRow { key, why: "lies under another index" }) }
}

fn check_follows(entries: &[LogEntry], entry: &LogEntry, group: GroupCode) -> Result<(), Failure> {
    match entries.last() {
        Some(last) if last.index + 1 != entry.index => {
            let key = RowKey::Log(group, last.index + 1);
            Err(BadRow { key, why: "is missing" }.into())
        }
        _ => Ok(()),
    }
}

fn read_by_group<T: DeserializeOwned>(
    table: &impl ReadableTable<GroupCode, Value>,
    key: impl Fn(GroupCode) -> RowKey,
) -> Result<BTreeMap<GroupCode, T>, Failure> {
    let mut found = BTreeMap::new();
    for row in table.iter()? {
        let (group, value) = row?;
        found.insert(group.value(), rows::decode(key(group.value()), value.value())?);
    }
    Ok(found)
}

fn cut_groups(transaction: &WriteTransaction) -> Result<BTreeSet<GroupCode>, Failure> {
    let table = transaction.open_table(rows::CUT)?;
    let mut groups = BTreeSet::new();
    for row in table.iter()? {
        groups.insert(row?.0.value());
    }
    Ok(groups)
}

/// Leaves on disk what is told to the node: a shorter log, a commit index within it, and the mistrust.
fn cut_logs(transaction: &WriteTransaction, groups: &[RecoveredGroup], cuts: &[CutTail]) -> Result<(), Failure> {
    let mut log = transaction.open_table(rows::LOG)?;
    let mut hard_states = transaction.open_table(rows::HARD_STATE)?;
    let mut rows = RowWriter::default();
    for cut in cuts {
        let code = cut.group.to_code();
        log.retain_in((code, cut.from_index)..=(code, u64::MAX), |_, _| false)?;
        for group in groups.iter().filter(|group| group.group == cut.group) {
            hard_states.insert(code, rows.encode(RowKey::HardState(code), &group.hard_state))?;
        }
    }
    note_cut(transaction, cuts.iter().map(|cut| cut.group))
}
