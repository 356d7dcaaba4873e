//! Reads the state of a folder, lets core judge it, and writes the changes that the judgement requires.

use cubecast_core::cube::Dimension;
use cubecast_core::identity::GroupId;
use cubecast_core::store::recovery::{CutTail, Found, Recovery};
use cubecast_core::store::{NodeRecord, Recovered, RecoveredGroup};
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use serde::de::DeserializeOwned;

use super::folder_identity::FolderIdentity;
use super::rows::{self, Row, RowKey, RowWriter, Value};
use super::usage::Usage;
use super::write::Failure;

/// The content of a folder.
pub(super) struct Contents {
    /// `None`: the store is new.
    pub owner: Option<FolderIdentity>,
    /// The newest transaction.
    pub transaction: u64,
    /// The state for core.
    pub recovered: Recovered,
    /// Log ends that were cut now.
    pub cut: Vec<CutTail>,
    /// Whether topics are being deleted piece by piece.
    pub dropping: bool,
    /// The amount of content in the tables.
    pub usage: Usage,
}

/// Reads everything except the messages, from the folder of a node of this cube. Damaged log ends are deleted in the
/// same transaction.
pub(super) fn read(transaction: &WriteTransaction, cube: Dimension) -> Result<Contents, Failure> {
    let number = transaction_number(transaction)?;
    let meta = transaction.open_table(rows::META)?;
    let owner: Option<FolderIdentity> = read_meta(&meta, RowKey::Owner)?.transpose()?;
    let record: Option<Row<NodeRecord>> = read_meta(&meta, RowKey::Record)?;
    // Only a statistic: if it is missing or damaged, no space counts as free.
    let usage = read_meta(&meta, RowKey::Usage)?.and_then(Row::ok).unwrap_or_default();
    drop(meta);
    let Recovery { recovered, cuts } = find(transaction, record)?.recover(cube)?;
    cut_logs(transaction, &recovered.groups, &cuts)?;
    let complete = owner.is_some() && number.is_some();
    let empty = owner.is_none() && number.is_none() && recovered == Recovered::default();
    if !complete && !empty {
        return Err(Failure::Damaged("the owner's record or the transaction number is missing".to_owned()));
    }
    let dropping = is_dropping(transaction)?;
    Ok(Contents { owner, transaction: number.unwrap_or(0), recovered, cut: cuts, dropping, usage })
}

/// The newest transaction in the tables. `None`: the store is new.
pub(super) fn transaction_number(transaction: &WriteTransaction) -> Result<Option<u64>, Failure> {
    Ok(read_meta(&transaction.open_table(rows::META)?, RowKey::Transaction)?.transpose()?)
}

/// Whether topics are being deleted piece by piece.
pub(super) fn is_dropping(transaction: &WriteTransaction) -> Result<bool, Failure> {
    Ok(!transaction.open_table(rows::DROPPING)?.is_empty()?)
}

/// Records that these groups lost the end of their log. The record stays until the node takes a new identity.
pub(super) fn note_cut(transaction: &WriteTransaction, groups: impl Iterator<Item = GroupId>) -> Result<(), Failure> {
    let mut table = transaction.open_table(rows::CUT)?;
    for group in groups {
        table.insert(group.code(), [].as_slice())?;
    }
    Ok(())
}

fn read_meta<T: DeserializeOwned>(
    meta: &impl ReadableTable<u8, Value>,
    key: RowKey,
) -> Result<Option<Row<T>>, Failure> {
    Ok(meta.get(key.meta())?.map(|value| rows::decode(key, value.value())))
}

/// Collects all rows that the judgement needs.
fn find(transaction: &WriteTransaction, record: Option<Row<NodeRecord>>) -> Result<Found, Failure> {
    let mut found = Found::default();
    record.map(|row| found.record(row)).transpose()?;
    for row in transaction.open_table(rows::HARD_STATE)?.iter()? {
        let (group, value) = row?;
        found.hard_state(group.value(), rows::decode(RowKey::HardState(group.value()), value.value()))?;
    }
    for row in transaction.open_table(rows::CHECKPOINT)?.iter()? {
        let (group, value) = row?;
        found.checkpoint(group.value(), rows::decode(RowKey::Checkpoint(group.value()), value.value()))?;
    }
    for row in transaction.open_table(rows::LOG)?.iter()? {
        let (key, value) = row?;
        let (group, index) = key.value();
        found.entry(group, index, rows::decode_entry(group, index, value.value()));
    }
    for row in transaction.open_table(rows::CUT)?.iter()? {
        found.cut_before(row?.0.value());
    }
    for row in transaction.open_table(rows::OUTBOX)?.iter()? {
        let (id, value) = row?;
        found.outbox(id.value(), rows::decode(RowKey::Outbox(id.value()), value.value()))?;
    }
    Ok(found)
}

/// Writes the recovered state to disk: a shorter log, a commit index within it, and the record of the loss.
fn cut_logs(transaction: &WriteTransaction, groups: &[RecoveredGroup], cuts: &[CutTail]) -> Result<(), Failure> {
    let mut log = transaction.open_table(rows::LOG)?;
    let mut hard_states = transaction.open_table(rows::HARD_STATE)?;
    let mut rows = RowWriter::default();
    for cut in cuts {
        let code = cut.group.code();
        log.retain_in((code, cut.from_index)..=(code, u64::MAX), |_, _| false)?;
        for group in groups.iter().filter(|group| group.group == cut.group) {
            hard_states.insert(code, rows.encode(RowKey::HardState(code), &group.hard_state))?;
        }
    }
    note_cut(transaction, cuts.iter().map(|cut| cut.group))
}
