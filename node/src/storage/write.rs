//! One write transaction on the tables.

use std::io;
use std::ops::RangeInclusive;

use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::{LogEntry, StoredMessage};
use cubecast_core::store::journal::BadRecord;
use cubecast_core::store::reading::Unreadable;
use cubecast_core::store::recovery::{self, Refused};
use cubecast_core::store::runs::{Plan, Present, plan};
use cubecast_core::store::{Checkpoint, HardState, NodeRecord};
use cubecast_core::topics::command::Command;
use redb::{AccessGuard, Key, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::rows::{self, BadRow, GroupCode, MessageKey, RowKey, RowWriter, Value};

/// A topic with more rows of messages is deleted piece by piece, so that no transaction delays the others for long.
pub(super) const DROP_ROWS_AT_ONCE: usize = 256;

/// Failures inside a transaction.
#[derive(Debug)]
pub(super) enum Failure {
    Redb(redb::Error),
    /// Of the journal's file.
    Io(io::Error),
    Bad(BadRow),
    /// A node may not start on these rows.
    Refused(Refused),
    /// A read met a damaged row of messages.
    Unreadable(Unreadable),
    /// Damage that no single row shows.
    Damaged(String),
    /// The disk is full. Nothing more becomes durable until there is space; the writes are kept.
    WaitsForRoom,
    /// The store was closed, or failed before.
    Closed,
}

/// One implementation for each error type: a generic one would conflict with the implementation for core's `BadRow`,
/// because core could make that convertible into redb's error later.
macro_rules! fails_with_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Failure::Redb(error.into())
            }
        }
    )*};
}

fails_with_redb!(CommitError, CompactionError, DatabaseError, StorageError, TableError, TransactionError);

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Io(error)
    }
}

impl From<BadRow> for Failure {
    fn from(bad: BadRow) -> Self {
        Failure::Bad(bad)
    }
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Failure::Unreadable(unreadable)
    }
}

impl From<BadRecord> for Failure {
    fn from(bad: BadRecord) -> Self {
        Failure::Damaged(bad.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Failure::Refused(refused)
    }
}

pub(super) type Changed = Result<(), Failure>;

/// The tables of one transaction, each opened at its first use.
pub(super) struct Tables<'t> {
    transaction: &'t WriteTransaction,
    rows: &'t mut RowWriter,
    /// Whether some topics are being deleted piece by piece.
    dropping: bool,
    /// Bytes of content added minus those removed.
    grown: i64,
    meta: Option<Table<'t, u8, Value>>,
    hard_state: Option<Table<'t, GroupCode, Value>>,
    checkpoint: Option<Table<'t, GroupCode, Value>>,
    log: Option<Table<'t, (GroupCode, u64), Value>>,
    messages: Option<Table<'t, MessageKey, Value>>,
    outbox: Option<Table<'t, u64, Value>>,
}

/// Opens a table at its first use.
fn table<'a, 't, K: Key + 'static>(
    slot: &'a mut Option<Table<'t, K, Value>>,
    transaction: &'t WriteTransaction,
    definition: TableDefinition<'static, K, Value>,
) -> Result<&'a mut Table<'t, K, Value>, Failure> {
    match slot {
        Some(table) => Ok(table),
        None => Ok(slot.insert(transaction.open_table(definition)?)),
    }
}

/// The existing rows that new messages may overlap.
fn find_present(
    stored: &Table<'_, MessageKey, Value>,
    group: GroupCode,
    topic: TopicId,
    offsets: RangeInclusive<u64>,
) -> Result<Vec<Present>, Failure> {
    let mut present = Vec::new();
    for row in stored.range((group, topic.0, *offsets.start())..=(group, topic.0, u64::MAX))? {
        let (key, value) = row?;
        let last = key.value().2;
        let run = rows::decode_run(group, topic, Offset(last), value.value());
        present.push(Present { last, first: run.ok().map(|run| run[0].offset.0) });
        if last >= *offsets.end() {
            break;
        }
    }
    Ok(present)
}

/// The growth of the content when a value replaces another.
fn replaced(value: &[u8], before: Option<AccessGuard<'_, Value>>) -> i64 {
    value.len() as i64 - before.map_or(0, |before| before.value().len() as i64)
}

/// Counts a value as removed. Always `false`: it is not retained.
fn remove(grown: &mut i64, value: &[u8]) -> bool {
    *grown -= value.len() as i64;
    false
}

impl<'t> Tables<'t> {
    pub(super) fn new(transaction: &'t WriteTransaction, rows: &'t mut RowWriter, dropping: bool) -> Self {
        Tables {
            transaction,
            rows,
            dropping,
            grown: 0,
            meta: None,
            hard_state: None,
            checkpoint: None,
            log: None,
            messages: None,
            outbox: None,
        }
    }

    /// Whether some topics are being deleted piece by piece.
    pub(super) fn dropping(&self) -> bool {
        self.dropping
    }

    /// The growth of the tables' content in bytes.
    pub(super) fn grown(&self) -> i64 {
        self.grown
    }

    pub(super) fn put_meta(&mut self, key: RowKey, value: &impl serde::Serialize) -> Changed {
        let value = self.rows.encode(key, value);
        table(&mut self.meta, self.transaction, rows::META)?.insert(key.meta(), value)?;
        Ok(())
    }

    /// Does a piece of postponed deletion.
    pub(super) fn tidy(&mut self) -> Changed {
        let first = self.transaction.open_table(rows::DROPPING)?.first()?.map(|(key, _)| key.value());
        match first {
            Some((group, topic)) => self.drop_piece(group, topic),
            None => {
                self.dropping = false;
                Ok(())
            }
        }
    }

    pub(super) fn put_record(&mut self, record: &NodeRecord) -> Changed {
        let meta = table(&mut self.meta, self.transaction, rows::META)?;
        let before: Option<NodeRecord> = match meta.get(RowKey::Record.meta())? {
            Some(value) => Some(rows::decode(RowKey::Record, value.value())?),
            None => None,
        };
        if recovery::ends_mistrust(before.as_ref(), record) {
            self.transaction.open_table(rows::CUT)?.retain(|_, _| false)?;
        }
        self.put_meta(RowKey::Record, record)
    }

    pub(super) fn put_hard_state(&mut self, group: GroupId, state: &HardState) -> Changed {
        let group = group.code();
        let value = self.rows.encode(RowKey::HardState(group), state);
        table(&mut self.hard_state, self.transaction, rows::HARD_STATE)?.insert(group, value)?;
        Ok(())
    }

    pub(super) fn put_checkpoint(&mut self, group: GroupId, checkpoint: &Checkpoint) -> Changed {
        let group = group.code();
        let value = self.rows.encode(RowKey::Checkpoint(group), checkpoint);
        let checkpoints = table(&mut self.checkpoint, self.transaction, rows::CHECKPOINT)?;
        self.grown += replaced(value, checkpoints.insert(group, value)?);
        Ok(())
    }

    pub(super) fn put_entries<'e>(&mut self, group: GroupId, entries: impl Iterator<Item = &'e LogEntry>) -> Changed {
        let group = group.code();
        let log = table(&mut self.log, self.transaction, rows::LOG)?;
        for entry in entries {
            let value = self.rows.encode(RowKey::Log(group, entry.index), entry);
            self.grown += replaced(value, log.insert((group, entry.index), value)?);
        }
        Ok(())
    }

    pub(super) fn remove_log(&mut self, group: GroupId, indexes: RangeInclusive<u64>) -> Changed {
        let group = group.code();
        let log = table(&mut self.log, self.transaction, rows::LOG)?;
        let range = (group, *indexes.start())..=(group, *indexes.end());
        if log.range(range.clone())?.next().is_some() {
            log.retain_in(range, |_, value| remove(&mut self.grown, value))?;
        }
        Ok(())
    }

    pub(super) fn put_messages(&mut self, group: GroupId, topic: TopicId, messages: &[StoredMessage]) -> Changed {
        let group = group.code();
        while self.dropping && self.is_dropping(group, topic)? {
            self.drop_piece(group, topic.0)?;
        }
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(()) };
        let stored = table(&mut self.messages, self.transaction, rows::MESSAGES)?;
        let present = find_present(stored, group, topic, first.offset.0..=last.offset.0)?;
        let Plan { remove, runs } = plan(&present, messages);
        for key in remove {
            let removed = stored.remove((group, topic.0, key))?;
            self.grown -= removed.map_or(0, |value| value.value().len() as i64);
        }
        for run in runs {
            let last = run[run.len() - 1].offset.0;
            let value = self.rows.encode(RowKey::Messages(group, topic.0, last), &run);
            self.grown += replaced(value, stored.insert((group, topic.0, last), value)?);
        }
        Ok(())
    }

    pub(super) fn drop_messages(&mut self, group: GroupId, topic: TopicId) -> Changed {
        self.drop_piece(group.code(), topic.0)
    }

    pub(super) fn put_outbox(&mut self, id: u64, command: &Command) -> Changed {
        let value = self.rows.encode(RowKey::Outbox(id), command);
        let outbox = table(&mut self.outbox, self.transaction, rows::OUTBOX)?;
        self.grown += replaced(value, outbox.insert(id, value)?);
        Ok(())
    }

    pub(super) fn remove_outbox(&mut self, id: u64) -> Changed {
        let removed = table(&mut self.outbox, self.transaction, rows::OUTBOX)?.remove(id)?;
        self.grown -= removed.map_or(0, |value| value.value().len() as i64);
        Ok(())
    }

    fn is_dropping(&self, group: GroupCode, topic: TopicId) -> Result<bool, Failure> {
        Ok(self.transaction.open_table(rows::DROPPING)?.get((group, topic.0))?.is_some())
    }

    /// Deletes the first rows of a topic, and records whether some remain.
    fn drop_piece(&mut self, group: GroupCode, topic: u64) -> Changed {
        let stored = table(&mut self.messages, self.transaction, rows::MESSAGES)?;
        let all = (group, topic, 0)..=(group, topic, u64::MAX);
        let piece = stored.range(all.clone())?.take(DROP_ROWS_AT_ONCE).last().transpose()?;
        let Some(last) = piece.map(|(key, _)| key.value()) else {
            return self.note_dropped(group, topic);
        };
        stored.retain_in((group, topic, 0)..=last, |_, value| remove(&mut self.grown, value))?;
        let left = stored.range(all)?.next().is_some();
        if left { self.note_dropping(group, topic) } else { self.note_dropped(group, topic) }
    }

    fn note_dropping(&mut self, group: GroupCode, topic: u64) -> Changed {
        self.transaction.open_table(rows::DROPPING)?.insert((group, topic), [].as_slice())?;
        self.dropping = true;
        Ok(())
    }

    fn note_dropped(&mut self, group: GroupCode, topic: u64) -> Changed {
        if self.dropping {
            self.transaction.open_table(rows::DROPPING)?.remove((group, topic))?;
        }
        Ok(())
    }
}
