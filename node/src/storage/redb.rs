//! The engine: a journal for what is written, and tables in [redb](https://docs.rs/redb), a copy-on-write B-tree file.
//!
//! A write is one record of a [journal](super::journal), without what the log makes again. When the journal is full, everything
//! that is [pending](super::pending) is settled: it goes into the tables in one transaction, by the [settler](super::settler),
//! while writes go on in [the other journal](super::journals). Reads look at the tables and at all that may not be in them yet; what
//! was read [lately](super::lately) is read again from memory.
//!
//! So after a crash the tables are as of one moment, and of what came later the journals have the log, by which core makes the
//! messages and checkpoints again.
//!
//! redb checks every page of the file at every start; what changes on disk later meets the check sum in each row (see
//! [`super::rows`]).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::iter;
use std::path::Path;
use std::sync::Arc;

use cubecast_core::cube::Vertex;
use cubecast_core::names::Offset;
use cubecast_core::store::reading::{Unreadable, read_through};
use cubecast_core::store::{ReadMessages, Recovered, StoredMessage, Write, WriteBatch};
use cubecast_core::topics::command::TopicId;
use redb::{AccessGuard, ReadOnlyTable, ReadableDatabase, TableError};

use super::LogStore;
use super::error::StorageError;
use super::folder::{Folder, FolderIdentity};
use super::guard::guard;
use super::mark::Mark;
use super::metrics::StorageMetrics;
use super::open::{self, Files};
use super::pending::PendingTopic;
use super::report::OpenReport;
use super::rows::{self, GroupCode, MessageKey, Value};
use super::sync_mode::SyncMode;
use super::write::{Changed, Failure};

/// Of each read so many rows at most are kept, the last: who reads on begins there.
const ROWS_KEPT_OF_A_READ: usize = 4;

/// A store in a data folder, which it holds locked.
#[derive(Debug)]
pub struct RedbStore {
    /// `None` after closing, and after a failure. Goes before the folder's lock.
    files: Option<Files>,
    folder: Folder,
    sync_mode: SyncMode,
    metrics: Arc<StorageMetrics>,
}

impl RedbStore {
    /// Opens the data folder, creating it when it is missing, and reads back what a node needs to start.
    pub fn open(
        folder: &Path,
        identity: &FolderIdentity,
        sync_mode: SyncMode,
    ) -> Result<(RedbStore, Recovered, OpenReport), StorageError> {
        let folder = Folder::lock(folder, identity)?;
        let mut store = RedbStore { files: None, folder, sync_mode, metrics: Arc::default() };
        let (recovered, report) = store.open_files()?;
        Ok((store, recovered, report))
    }

    pub fn sync_mode(&self) -> SyncMode {
        self.sync_mode
    }

    pub fn metrics(&self) -> Arc<StorageMetrics> {
        self.metrics.clone()
    }

    /// The topics of a group that have messages on disk, whether or not the group still knows them.
    pub fn topics_on_disk(&self, group: Vertex) -> Result<Vec<TopicId>, StorageError> {
        guard(self.folder.path(), "listing topics", || {
            let files = self.files.as_ref().ok_or(Failure::Closed)?;
            let settled = self.messages()?.map(|messages| list_topics(&messages, group.to_code())).transpose()?;
            let unsettled = files.unsettled().into_iter().flatten().flat_map(|pending| pending.topics(group));
            let topics: BTreeSet<_> = settled.into_iter().flatten().chain(unsettled).collect();
            Ok(topics.into_iter().collect())
        })
    }

    fn open_files(&mut self) -> Result<(Recovered, OpenReport), StorageError> {
        let (files, recovered, report) = open::open(&self.folder, self.sync_mode, &self.metrics)?;
        self.files = Some(files);
        Ok((recovered, report))
    }

    /// The messages as of now; `None` when there never were any.
    fn messages(&self) -> Result<Option<ReadOnlyTable<MessageKey, Value>>, Failure> {
        let files = self.files.as_ref().ok_or(Failure::Closed)?;
        match files.database.begin_read()?.open_table(rows::MESSAGES) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(Some(table?)),
        }
    }

    /// A topic that is being deleted has no messages, however many are still there.
    fn is_dropping(&self, group: GroupCode, topic: TopicId) -> Result<bool, Failure> {
        let files = self.files.as_ref().ok_or(Failure::Closed)?;
        if !files.settler.dropping() {
            return Ok(false);
        }
        match files.database.begin_read()?.open_table(rows::DROPPING) {
            Err(TableError::TableDoesNotExist(_)) => Ok(false),
            table => Ok(table?.get((group, topic.0))?.is_some()),
        }
    }

    /// All of `change`, or nothing of it and the end of this store.
    fn change<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&mut Files) -> Result<T, Failure>,
    ) -> Result<T, StorageError> {
        let Some(open) = &mut self.files else { return Err(StorageError::Stopped) };
        let changed = guard(self.folder.path(), doing, || change(open));
        if changed.is_err() {
            self.abandon();
        }
        changed
    }

    /// Lets go of a database that failed: the next start recovers from what is on disk.
    fn abandon(&mut self) {
        let files = self.files.take();
        let dropped = guard(self.folder.path(), "letting go of the store", || {
            drop(files);
            Ok(())
        });
        // The failure that brought us here is the one to tell.
        drop(dropped);
    }

    fn close_files(&mut self) -> Result<(), StorageError> {
        let Some(mut files) = self.files.take() else { return Ok(()) };
        let path = self.folder.path();
        guard(path, "settling the journal", || {
            files.settler.wait()?;
            files.disk.put_off_syncs(false);
            files.settle(false)?;
            files.settler.wait()
        })?;
        let Files { database, settler, disk, mut mark, transaction, .. } = files;
        drop(settler);
        let database = Arc::into_inner(database);
        guard(path, "closing the store", || Ok(database.ok_or(Failure::Closed)?.close()?))?;
        let io_failed = |source| StorageError::from_io(path, "closing the store", source);
        disk.sync_now(&self.metrics).map_err(io_failed)?;
        let signed = mark.write(Mark { number: transaction, closed: true }).and_then(|()| mark.sync());
        signed.map_err(io_failed)
    }
}

impl LogStore for RedbStore {
    fn write(&mut self, batches: Vec<WriteBatch>) -> Result<(), StorageError> {
        let count = batches.len();
        if batches.iter().any(|batch| !batch.writes.is_empty()) {
            let sync = self.sync_mode == SyncMode::Always;
            self.change("writing", |files| write(files, batches, sync))?;
            self.metrics.count_transaction(count);
        }
        Ok(())
    }

    fn has_room(&self, bytes: u64) -> bool {
        let has_room = |files: &Files| {
            files.settler.under_way().is_none() || (files.journals.has_room(bytes) && !files.pending.is_large())
        };
        self.files.as_ref().is_some_and(has_room)
    }

    fn read_messages(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError> {
        let messages = guard(self.folder.path(), "reading messages", || {
            let files = self.files.as_ref().ok_or(Failure::Closed)?;
            let [settling, pending] = files.unsettled().map(|pending| pending?.topic(read.group, read.topic));
            let drops = |topic: Option<&PendingTopic>| topic.is_some_and(|topic| topic.dropped);
            let settling = if drops(pending) { None } else { settling };
            let gone = drops(pending) || drops(settling) || self.is_dropping(read.group.to_code(), read.topic)?;
            let settled = if gone { None } else { self.messages()? };
            let rows = settled.as_ref().map(|table| rows_from(table, read)).transpose()?;
            let looked_at = RefCell::new(Vec::new());
            let rows = rows.into_iter().flatten().map(|row| {
                let (last, value) = row?;
                let looked_at = &looked_at;
                let look = move || {
                    let run = rows::decode_run(read.group.to_code(), read.topic, last, value.value())?;
                    let mut looked_at = looked_at.borrow_mut();
                    if looked_at.len() == ROWS_KEPT_OF_A_READ {
                        looked_at.clear();
                    }
                    looked_at.push(run.clone());
                    Ok(run)
                };
                Ok((last, look))
            });
            let found = read_through::<Failure, _>(read, rows, unsettled(settling, pending, read));
            let messages = found.map_err(|failure| widen(failure, settled.as_ref(), read))?;
            let mut lately = files.lately.borrow_mut();
            looked_at.into_inner().into_iter().for_each(|run| lately.keep(read.group, read.topic, run));
            Ok(messages)
        })?;
        self.metrics.count_read(messages.len());
        Ok(messages)
    }

    fn read_from_memory(&self, read: &ReadMessages) -> Option<Vec<StoredMessage>> {
        let files = self.files.as_ref()?;
        let [settling, pending] = files.unsettled().map(|pending| pending?.topic(read.group, read.topic));
        if [settling, pending].iter().flatten().any(|topic| topic.dropped) {
            return None;
        }
        let lately = files.lately.borrow();
        let messages =
            read_through::<Unreadable, _>(read, lately.rows(read), unsettled(settling, pending, read)).ok()?;
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

    fn sync(&mut self) -> Result<(), StorageError> {
        let Some(files) = &mut self.files else { return Err(StorageError::Stopped) };
        let synced = files.disk.sync_put_off(&self.metrics).and_then(|()| files.journals.sync());
        synced.map_err(|source| StorageError::from_io(self.folder.path(), "syncing", source))
    }

    fn tidy(&mut self) -> Result<bool, StorageError> {
        self.change("deleting a topic", |files| {
            files.settler.wait()?;
            let drops = files.settler.dropping() || files.pending.drops_messages();
            if drops {
                files.settle(true)?;
            }
            Ok(drops)
        })
    }

    fn reopen(&mut self, wipe: bool) -> Result<(Recovered, OpenReport), StorageError> {
        self.close_files()?;
        if wipe {
            self.folder.wipe()?;
        }
        self.open_files()
    }

    fn close(&mut self) -> Result<(), StorageError> {
        self.close_files()
    }
}

impl Drop for RedbStore {
    /// Closes what nobody closed. An error here has nobody to go to; the next start sees an unclean end.
    fn drop(&mut self) {
        drop(self.close_files());
    }
}

/// What the log makes again waits for the tables in memory; everything else is durable on return.
fn write(files: &mut Files, batches: Vec<WriteBatch>, sync: bool) -> Changed {
    files.settler.look()?;
    for write in batches.iter().flat_map(|batch| &batch.writes) {
        if let Write::DropMessages { group, topic } = write {
            files.lately.get_mut().forget(*group, *topic);
        }
    }
    if batches.iter().flat_map(|batch| &batch.writes).all(Write::is_made_again) {
        files.pending.take(batches);
    } else {
        append(files, batches, sync)?;
    }
    if files.pending.is_large() { files.settle(false) } else { Ok(()) }
}

/// One record in the journal, or in the other one, where the first has no room left.
fn append(files: &mut Files, batches: Vec<WriteBatch>, sync: bool) -> Changed {
    let number = files.transaction + 1;
    let settles = batches.iter().flat_map(|batch| &batch.writes).any(Write::settles);
    let mut journaled = !settles && files.journals.append(number, &batches)?;
    if !journaled && !settles && !files.pending.is_empty() {
        files.settle(false)?;
        journaled = files.journals.append(number, &batches)?;
    }
    files.transaction = number;
    files.pending.take(batches);
    if !journaled {
        // With all that was before it, or larger than a journal: straight into the tables.
        files.settle(false)?;
        files.settler.wait()?;
    } else if sync {
        files.journals.sync()?;
    }
    Ok(files.mark.write(Mark { number, closed: false })?)
}

/// The rows of a topic from the first at or behind the read's first offset on, each with the offset of its last message.
fn rows_from<'t>(
    table: &'t ReadOnlyTable<MessageKey, Value>,
    read: &ReadMessages,
) -> Result<impl Iterator<Item = Result<(Offset, AccessGuard<'t, Value>), Failure>>, Failure> {
    let (group, topic) = (read.group.to_code(), read.topic.0);
    let rows = table.range((group, topic, read.from.0)..=(group, topic, u64::MAX))?;
    Ok(rows.map(|row| {
        let (key, value) = row?;
        Ok((Offset(key.value().2), value))
    }))
}

/// A damaged row does not tell where it begins; the one before it does.
fn widen(failure: Failure, table: Option<&ReadOnlyTable<MessageKey, Value>>, read: &ReadMessages) -> Failure {
    let unreadable = match failure {
        Failure::Unreadable(unreadable) => unreadable,
        other => return other,
    };
    let Some(table) = table else { return Failure::Unreadable(unreadable) };
    let (group, topic) = (read.group.to_code(), read.topic.0);
    let before = table.range((group, topic, 0)..(group, topic, unreadable.lost.from.0));
    match before.map(|mut rows| rows.next_back().transpose()) {
        Ok(Ok(before)) => Failure::Unreadable(unreadable.behind(before.map(|(key, _)| Offset(key.value().2)))),
        Ok(Err(error)) | Err(error) => error.into(),
    }
}

/// What the tables may not have of a read: what is on its way there, and what is pending.
fn unsettled<'p>(
    settling: Option<&'p PendingTopic>,
    pending: Option<&'p PendingTopic>,
    read: &ReadMessages,
) -> impl Iterator<Item = &'p StoredMessage> {
    let range = read.from..read.end.max(read.from);
    let [older, newer] = [settling, pending].map(|topic| topic.map_or(&[][..], |topic| topic.range(range.clone())));
    merge(older, newer)
}

/// Both in the order of their offsets; where both have one, the newer.
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

/// Jumps from each topic's first message past its last.
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

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::store::{EntryKind, LogEntry};

    fn entries(number: u64) -> WriteBatch {
        let entry = |index| LogEntry { index, term: 1, kind: EntryKind::Commands, data: vec![7; 1000].into() };
        let entries = (number * 100 + 1..=number * 100 + 100).map(entry).collect();
        WriteBatch { number, writes: vec![Write::Append { group: "010".parse().unwrap(), entries }] }
    }

    #[test]
    fn a_full_disk_is_told_as_one_and_what_was_acknowledged_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let identity = FolderIdentity::new("test", "010".parse().unwrap());
        let (mut store, ..) = RedbStore::open(folder.path(), &identity, SyncMode::Always).unwrap();
        store.files.as_ref().unwrap().disk.limit_capacity(2 << 20);
        let mut acknowledged = 0;
        let error = loop {
            match store.write(vec![entries(acknowledged)]) {
                Ok(()) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StorageError::Full { .. }), "{error}");
        assert!(acknowledged > 0);
        assert!(matches!(store.write(vec![entries(acknowledged)]), Err(StorageError::Stopped)));
        drop(store);

        let (_, recovered, report) = RedbStore::open(folder.path(), &identity, SyncMode::Always).unwrap();
        assert!(report.unclean && !report.lost_something(), "{report}");
        assert_eq!(recovered.groups[0].log.len() as u64, acknowledged * 100);
    }
}
