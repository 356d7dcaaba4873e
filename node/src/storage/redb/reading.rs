//! Reads of messages: the tables, and everything that may not be in them yet.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::iter;

use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::StoredMessage;
use cubecast_core::store::ReadMessages;
use cubecast_core::store::reading::{Unreadable, read_through};
use redb::{AccessGuard, ReadOnlyTable, ReadableDatabase, TableError};

use super::RedbStore;
use crate::storage::error::StorageError;
use crate::storage::guard::guard;
use crate::storage::memtable::MemtableTopic;
use crate::storage::rows::{self, GroupCode, MessageKey, Value};
use crate::storage::write::Failure;

/// The number of rows of each read that are cached, counted from its end, because a continued read begins there.
const ROWS_KEPT_OF_A_READ: usize = 4;

impl RedbStore {
    /// The topics of a group that have messages on disk, including topics that the group has already deleted.
    pub fn topics_on_disk(&self, group: GroupId) -> Result<Vec<TopicId>, StorageError> {
        guard(&self.folder, "listing topics", || {
            let files = self.files.as_ref().ok_or(Failure::Closed)?;
            let flushed = self.messages()?.map(|messages| list_topics(&messages, group.code())).transpose()?;
            let unflushed = files.unflushed().into_iter().flatten().flat_map(|pending| pending.topics(group));
            let topics: BTreeSet<_> = flushed.into_iter().flatten().chain(unflushed).collect();
            Ok(topics.into_iter().collect())
        })
    }

    /// Consecutive messages from the read's first offset on.
    pub(super) fn read(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError> {
        let messages = guard(&self.folder, "reading messages", || {
            let files = self.files.as_ref().ok_or(Failure::Closed)?;
            let [flushing, pending] = files.unflushed().map(|pending| pending?.topic(read.group, read.topic));
            let drops = |topic: Option<&MemtableTopic>| topic.is_some_and(|topic| topic.dropped);
            let flushing = if drops(pending) { None } else { flushing };
            let gone = drops(pending) || drops(flushing) || self.is_dropping(read.group.code(), read.topic)?;
            let flushed = if gone { None } else { self.messages()? };
            let rows = flushed.as_ref().map(|table| rows_from(table, read)).transpose()?;
            let looked_at = RefCell::new(Vec::new());
            let rows = rows.into_iter().flatten().map(|row| {
                let (last, value) = row?;
                let looked_at = &looked_at;
                let look = move || {
                    let run = rows::decode_run(read.group.code(), read.topic, last, value.value())?;
                    let mut looked_at = looked_at.borrow_mut();
                    if looked_at.len() == ROWS_KEPT_OF_A_READ {
                        looked_at.clear();
                    }
                    looked_at.push(run.clone());
                    Ok(run)
                };
                Ok((last, look))
            });
            let found = read_through::<Failure, _>(read, rows, unflushed(flushing, pending, read));
            let messages = found.map_err(|failure| widen(failure, flushed.as_ref(), read))?;
            let mut row_cache = files.row_cache.borrow_mut();
            looked_at.into_inner().into_iter().for_each(|run| row_cache.keep(read.group, read.topic, run));
            Ok(messages)
        })?;
        self.metrics.count_read(messages.len());
        Ok(messages)
    }

    /// The same, if all requested messages are in memory. `None` otherwise.
    pub(super) fn read_unless_on_disk(&self, read: &ReadMessages) -> Option<Vec<StoredMessage>> {
        let files = self.files.as_ref()?;
        let [flushing, pending] = files.unflushed().map(|pending| pending?.topic(read.group, read.topic));
        if [flushing, pending].iter().flatten().any(|topic| topic.dropped) {
            return None;
        }
        let row_cache = files.row_cache.borrow();
        let messages =
            read_through::<Unreadable, _>(read, row_cache.rows(read), unflushed(flushing, pending, read)).ok()?;
        let last = messages.last()?;
        let bytes: u64 = messages.iter().map(|message| message.content.len() as u64).sum();
        let is_all = last.offset.next() >= read.end
            || messages.len() as u64 >= read.max_messages.into()
            || bytes > read.max_bytes;
        is_all.then(|| {
            self.metrics.count_read(messages.len());
            messages
        })
    }

    /// The messages table now. `None` if no messages were ever written.
    fn messages(&self) -> Result<Option<ReadOnlyTable<MessageKey, Value>>, Failure> {
        let files = self.files.as_ref().ok_or(Failure::Closed)?;
        match files.database.begin_read()?.open_table(rows::MESSAGES) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(Some(table?)),
        }
    }

    /// Whether a topic is being deleted. Such a topic has no messages for readers, even if some rows remain.
    fn is_dropping(&self, group: GroupCode, topic: TopicId) -> Result<bool, Failure> {
        let files = self.files.as_ref().ok_or(Failure::Closed)?;
        if !files.flusher.dropping() {
            return Ok(false);
        }
        match files.database.begin_read()?.open_table(rows::DROPPING) {
            Err(TableError::TableDoesNotExist(_)) => Ok(false),
            table => Ok(table?.get((group, topic.0))?.is_some()),
        }
    }
}

/// The rows of a topic from the read's first offset on, each with the offset of its last message.
fn rows_from<'t>(
    table: &'t ReadOnlyTable<MessageKey, Value>,
    read: &ReadMessages,
) -> Result<impl Iterator<Item = Result<(Offset, AccessGuard<'t, Value>), Failure>>, Failure> {
    let (group, topic) = (read.group.code(), read.topic.0);
    let rows = table.range((group, topic, read.from.0)..=(group, topic, u64::MAX))?;
    Ok(rows.map(|row| {
        let (key, value) = row?;
        Ok((Offset(key.value().2), value))
    }))
}

/// Extends the damaged range to the end of the row before it, because the start of a damaged row is unknown.
fn widen(failure: Failure, table: Option<&ReadOnlyTable<MessageKey, Value>>, read: &ReadMessages) -> Failure {
    let unreadable = match failure {
        Failure::Unreadable(unreadable) => unreadable,
        other => return other,
    };
    let Some(table) = table else { return Failure::Unreadable(unreadable) };
    let (group, topic) = (read.group.code(), read.topic.0);
    let before = table.range((group, topic, 0)..(group, topic, unreadable.lost.from.0));
    match before.map(|mut rows| rows.next_back().transpose()) {
        Ok(Ok(before)) => Failure::Unreadable(unreadable.behind(before.map(|(key, _)| Offset(key.value().2)))),
        Ok(Err(error)) | Err(error) => error.into(),
    }
}

/// The messages of a read that the tables may lack: those on their way to the tables, and pending ones.
fn unflushed<'p>(
    flushing: Option<&'p MemtableTopic>,
    pending: Option<&'p MemtableTopic>,
    read: &ReadMessages,
) -> impl Iterator<Item = &'p StoredMessage> {
    let range = read.from..read.end.max(read.from);
    let [older, newer] = [flushing, pending].map(|topic| topic.map_or(&[][..], |topic| topic.range(range.clone())));
    merge(older, newer)
}

/// Merges two runs in order of their offsets. Where both have an offset, the newer message wins.
fn merge<'m>(older: &'m [StoredMessage], newer: &'m [StoredMessage]) -> impl Iterator<Item = &'m StoredMessage> {
    let (mut older, mut newer) = (older.iter().peekable(), newer.iter().peekable());
    iter::from_fn(move || {
        let Some(next) = newer.peek() else { return older.next() };
        if let Some(before) = older.next_if(|message| message.offset < next.offset) {
            return Some(before);
        }
        older.next_if(|message| message.offset == next.offset);
        newer.next()
    })
}

/// Lists topics by seeking from each topic's first message past its last.
fn list_topics(stored: &ReadOnlyTable<MessageKey, Value>, group: GroupCode) -> Result<Vec<TopicId>, Failure> {
    let mut topics = Vec::new();
    let mut next = Some(0);
    while let Some(from) = next {
        let found = stored.range((group, from, 0)..=(group, u64::MAX, u64::MAX))?.next().transpose()?;
        let topic = found.map(|(key, _)| key.value().1);
        topics.extend(topic.map(TopicId));
        next = topic.and_then(|topic| topic.checked_add(1));
    }
    Ok(topics)
}
