//! The engine: a journal for writes, and tables in [redb](https://docs.rs/redb), a copy-on-write B-tree file.
//!
//! A write is one record in a [journal](super::journal), without the parts that are replayable from the log. When the
//! journal is full, the [flusher](super::flusher) writes everything [memtable](super::memtable) to the tables in one
//! transaction, while writes go on in [the other journal](super::journals). Reads use the tables and everything that
//! may not be in them yet. [Recently](super::row_cache) read rows come from memory.
//!
//! After a crash the tables have the state of one moment. For the time since then the journals have the log, from
//! which core rebuilds messages and checkpoints.
//!
//! redb checks every page of the file at every start. Damage that occurs later is found by the checksum in each row
//! (see [`super::rows`]).

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::iter;
use std::path::Path;
use std::sync::Arc;

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::StoredMessage;
use cubecast_core::store::reading::{Unreadable, read_through};
use cubecast_core::store::{ReadMessages, Recovered, Space, Write, WriteBatch};
use redb::{AccessGuard, ReadOnlyTable, ReadableDatabase, TableError};

use super::LogStore;
use super::commit_marker::CommitMarker;
use super::error::StorageError;
use super::folder::Folder;
use super::folder_identity::FolderIdentity;
use super::guard::guard;
use super::memtable::{Memtable, MemtableTopic};
use super::metrics::StorageMetrics;
use super::open::{self, Files};
use super::report::OpenReport;
use super::room::RoomRules;
use super::rows::{self, GroupCode, MessageKey, Value};
use super::sync_mode::SyncMode;
use super::write::{Changed, Failure};

/// The number of rows of each read that are cached, counted from its end, because a continued read begins there.
const ROWS_KEPT_OF_A_READ: usize = 4;

/// A store in a data folder, which it keeps locked.
#[derive(Debug)]
pub struct RedbStore {
    /// `None` after closing and after a failure. Dropped before the folder's lock.
    files: Option<Files>,
    folder: Folder,
    sync_mode: SyncMode,
    rules: RoomRules,
    metrics: Arc<StorageMetrics>,
}

impl RedbStore {
    /// Opens the data folder, or creates it if it is missing, and reads the state that a node needs to start.
    pub fn open(
        folder: &Path,
        identity: &FolderIdentity,
        sync_mode: SyncMode,
    ) -> Result<(RedbStore, Recovered, OpenReport), StorageError> {
        RedbStore::open_with(folder, identity, sync_mode, RoomRules::default())
    }

    /// Like [`RedbStore::open`], with other rules for the space on the disk.
    pub fn open_with(
        folder: &Path,
        identity: &FolderIdentity,
        sync_mode: SyncMode,
        rules: RoomRules,
    ) -> Result<(RedbStore, Recovered, OpenReport), StorageError> {
        let folder = Folder::lock(folder, identity)?;
        let mut store = RedbStore { files: None, folder, sync_mode, rules, metrics: Arc::default() };
        let (recovered, report) = store.open_files()?;
        Ok((store, recovered, report))
    }

    /// The sync mode given at opening.
    pub fn sync_mode(&self) -> SyncMode {
        self.sync_mode
    }

    /// The engine's counters.
    pub fn metrics(&self) -> Arc<StorageMetrics> {
        self.metrics.clone()
    }

    /// The topics of a group that have messages on disk, including topics that the group has already deleted.
    pub fn topics_on_disk(&self, group: Vertex) -> Result<Vec<TopicId>, StorageError> {
        guard(self.folder.path(), "listing topics", || {
            let files = self.files.as_ref().ok_or(Failure::Closed)?;
            let flushed = self.messages()?.map(|messages| list_topics(&messages, group.to_code())).transpose()?;
            let unflushed = files.unflushed().into_iter().flatten().flat_map(|pending| pending.topics(group));
            let topics: BTreeSet<_> = flushed.into_iter().flatten().chain(unflushed).collect();
            Ok(topics.into_iter().collect())
        })
    }

    fn open_files(&mut self) -> Result<(Recovered, OpenReport), StorageError> {
        let (files, recovered, report) = open::open(&self.folder, self.sync_mode, self.rules, &self.metrics)?;
        self.files = Some(files);
        Ok((recovered, report))
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

    /// Performs `change`. A failure closes this store and `change` has no effect. [`StorageError::WaitsForRoom`] is
    /// no failure: the change is completed when there is space.
    fn change<T>(
        &mut self,
        doing: &'static str,
        change: impl FnOnce(&mut Files) -> Result<T, Failure>,
    ) -> Result<T, StorageError> {
        let Some(open) = &mut self.files else { return Err(StorageError::Stopped) };
        let changed = guard(self.folder.path(), doing, || change(open));
        match changed {
            Ok(_) | Err(StorageError::WaitsForRoom { .. }) => {}
            Err(_) => self.abandon(),
        }
        changed
    }

    /// Drops a failed database. The next start recovers from the disk.
    fn abandon(&mut self) {
        let files = self.files.take();
        let dropped = guard(self.folder.path(), "releasing the store", || {
            drop(files);
            Ok(())
        });
        // The caller reports the failure that led here.
        drop(dropped);
    }

    /// Flushes and closes the files. If there is no space to flush, the end is unclean, and the journals keep the
    /// acknowledged writes.
    fn close_files(&mut self) -> Result<(), StorageError> {
        let Some(mut files) = self.files.take() else { return Ok(()) };
        let path = self.folder.path();
        files.room.give_up();
        let flushed = guard(path, "flushing the journal to the tables", || {
            files.flusher.wait(&files.room)?;
            files.disk.put_off_syncs(false);
            files.flush(false)?;
            files.flusher.wait(&files.room)
        });
        match flushed {
            Err(StorageError::Full { .. } | StorageError::WaitsForRoom { .. }) => {
                self.files = Some(files);
                self.abandon();
                return Ok(());
            }
            flushed => flushed?,
        }
        let Files { database, flusher, disk, mut commit_marker, transaction, .. } = files;
        drop(flusher);
        let database = Arc::into_inner(database);
        guard(path, "closing the store", || Ok(database.ok_or(Failure::Closed)?.close()?))?;
        let io_failed = |source| StorageError::from_io(path, "closing the store", source);
        disk.sync_now(&self.metrics).map_err(io_failed)?;
        let signed =
            commit_marker.write(CommitMarker { number: transaction, closed: true }).and_then(|()| commit_marker.sync());
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

    fn retry(&mut self) -> Result<(), StorageError> {
        self.change("writing", |files| {
            files.pay()?;
            Ok(files.commit_marker.write(CommitMarker { number: files.transaction, closed: false })?)
        })
    }

    fn space(&self) -> Space {
        let Some(files) = &self.files else { return Space::default() };
        files.room.restore();
        let usage = files.flusher.usage();
        let unflushed: u64 = files.unflushed().into_iter().flatten().map(Memtable::bytes).sum();
        Space {
            free: files.room.free().saturating_sub(unflushed),
            reusable: usage.reusable(),
            stored: files.room.stored().saturating_sub(usage.reusable()),
            reserve: files.room.sizes().reserve,
            stuck: files.owes,
            shared_by: files.room.shared_by(),
        }
    }

    fn has_room(&self, bytes: u64) -> bool {
        let has_room = |files: &Files| {
            let flushes = files.flusher.under_way().is_some();
            !files.owes && (!flushes || (files.journals.has_room(bytes) && !files.memtable.is_large()))
        };
        self.files.as_ref().is_some_and(has_room)
    }

    fn read_messages(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, StorageError> {
        let messages = guard(self.folder.path(), "reading messages", || {
            let files = self.files.as_ref().ok_or(Failure::Closed)?;
            let [flushing, pending] = files.unflushed().map(|pending| pending?.topic(read.group, read.topic));
            let drops = |topic: Option<&MemtableTopic>| topic.is_some_and(|topic| topic.dropped);
            let flushing = if drops(pending) { None } else { flushing };
            let gone = drops(pending) || drops(flushing) || self.is_dropping(read.group.to_code(), read.topic)?;
            let flushed = if gone { None } else { self.messages()? };
            let rows = flushed.as_ref().map(|table| rows_from(table, read)).transpose()?;
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
            let found = read_through::<Failure, _>(read, rows, unflushed(flushing, pending, read));
            let messages = found.map_err(|failure| widen(failure, flushed.as_ref(), read))?;
            let mut row_cache = files.row_cache.borrow_mut();
            looked_at.into_inner().into_iter().for_each(|run| row_cache.keep(read.group, read.topic, run));
            Ok(messages)
        })?;
        self.metrics.count_read(messages.len());
        Ok(messages)
    }

    fn read_from_memory(&self, read: &ReadMessages) -> Option<Vec<StoredMessage>> {
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

    fn sync(&mut self) -> Result<(), StorageError> {
        let Some(files) = &mut self.files else { return Err(StorageError::Stopped) };
        let synced = files.disk.sync_put_off(&self.metrics).and_then(|()| files.journals.sync());
        synced.map_err(|source| StorageError::from_io(self.folder.path(), "syncing", source))
    }

    fn tidy(&mut self) -> Result<bool, StorageError> {
        self.change("deleting a topic", |files| {
            files.flusher.wait(&files.room)?;
            let drops = files.flusher.dropping() || files.memtable.drops_messages();
            if drops {
                files.flush(true)?;
            } else if files.can_be_compacted() {
                files.compact()?;
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
    /// Closes a store that was not closed. The error cannot be returned; the next start finds an unclean end.
    fn drop(&mut self) {
        drop(self.close_files());
    }
}

/// Writes batches. Writes that are replayable from the log wait for the tables in memory; all others are durable on
/// return.
fn write(files: &mut Files, batches: Vec<WriteBatch>, sync: bool) -> Changed {
    files.flusher.look()?;
    for write in batches.iter().flat_map(|batch| &batch.writes) {
        if let Write::DropMessages { group, topic } = write {
            files.row_cache.get_mut().forget(*group, *topic);
        }
    }
    if batches.iter().flat_map(|batch| &batch.writes).all(Write::is_made_again) {
        files.memtable.take(batches);
    } else {
        append(files, batches, sync)?;
    }
    if files.owes {
        return Err(Failure::WaitsForRoom);
    }
    match if files.memtable.is_large() { files.flush(false) } else { Ok(()) } {
        // It can wait, because it is replayable from the log.
        Err(Failure::WaitsForRoom) => Ok(()),
        flushed => flushed,
    }
}

/// Appends one record to the journal, or to the other journal if the first has no space.
fn append(files: &mut Files, batches: Vec<WriteBatch>, sync: bool) -> Changed {
    let number = files.transaction + 1;
    if files.owes {
        // It goes into the tables together with the earlier writes that wait for space.
        files.transaction = number;
        files.memtable.take(batches);
        return Ok(());
    }
    let flushes = batches.iter().flat_map(|batch| &batch.writes).any(Write::flushes);
    let mut journaled = !flushes && files.journals.append(number, &batches)?;
    if !journaled && !flushes && !files.memtable.is_empty() {
        journaled = match files.flush(false) {
            Ok(()) => files.journals.append(number, &batches)?,
            Err(Failure::WaitsForRoom) => false,
            Err(failure) => return Err(failure),
        };
    }
    files.transaction = number;
    files.memtable.take(batches);
    if !journaled {
        // The batches require that everything before them is flushed, or fit into no journal: they go straight into
        // the tables, with all earlier writes.
        files.owes = true;
        files.pay()?;
    } else if sync {
        files.journals.sync()?;
    }
    Ok(files.commit_marker.write(CommitMarker { number, closed: false })?)
}

/// The rows of a topic from the read's first offset on, each with the offset of its last message.
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

/// Extends the damaged range to the end of the row before it, because the start of a damaged row is unknown.
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

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::records::{EntryKind, LogEntry};
    use cubecast_core::store::ReadId;
    use cubecast_core::time::Timestamp;

    #[test]
    fn on_a_full_disk_writes_wait_for_room_reads_go_on_and_a_start_finds_what_was_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let identity = FolderIdentity::new("test", "010".parse().unwrap());
        let open = || RedbStore::open(folder.path(), &identity, SyncMode::Always).unwrap();
        let (mut store, ..) = open();
        let room = store.files.as_ref().unwrap().room.clone();
        let taken = room.taken();
        room.limit_capacity(taken + (2 << 20));
        let (acknowledged, error) = write_until_refused(&mut store, 0);
        assert!(matches!(error, StorageError::WaitsForRoom { .. }), "{error}");
        assert!(acknowledged > 10, "{acknowledged} batches found room in what was kept for them");
        assert!(store.space().stuck);
        assert_eq!(read_all(&store), acknowledged + 1, "what waits for room is read too");
        let waits = store.write(vec![numbered(acknowledged + 1)]);
        assert!(matches!(waits, Err(StorageError::WaitsForRoom { .. })), "{waits:?}");
        assert!(matches!(store.retry(), Err(StorageError::WaitsForRoom { .. })));

        room.limit_capacity(u64::MAX);
        retry_until_done(&mut store);
        assert!(!store.space().stuck);
        assert_eq!(read_all(&store), acknowledged + 2);

        room.limit_capacity(room.taken());
        let (acknowledged, _) = write_until_refused(&mut store, acknowledged + 2);
        drop(store);
        let (_, recovered, report) = open();
        assert!(report.unclean && !report.lost_something(), "{report}");
        assert!(recovered.groups[0].log.len() as u64 >= acknowledged, "{acknowledged} were acknowledged");
    }

    #[test]
    fn what_is_deleted_can_be_used_again_and_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let identity = FolderIdentity::new("test", "010".parse().unwrap());
        let (mut store, ..) = RedbStore::open(folder.path(), &identity, SyncMode::Never).unwrap();
        let group: Vertex = "010".parse().unwrap();
        for number in 0..60 {
            store.write(vec![WriteBatch { number, writes: vec![messages(number)] }]).unwrap();
        }
        while store.tidy().unwrap() {}
        let files = |store: &mut RedbStore| {
            let files = store.files.as_mut().unwrap();
            files.flush(false).and_then(|()| files.flusher.wait(&files.room)).unwrap();
        };
        files(&mut store);
        let before = store.space();
        assert!(before.stored > 60 * 100_000 && before.reusable == 0, "{before:?}");
        store
            .write(vec![WriteBatch { number: 60, writes: vec![Write::DropMessages { group, topic: TopicId(1) }] }])
            .unwrap();
        while store.tidy().unwrap() {}
        files(&mut store);
        let after = store.space();
        assert!(after.stored < before.stored / 4, "{before:?}, {after:?}");
    }

    /// A batch with an entry, and the message that the entry produces.
    fn numbered(number: u64) -> WriteBatch {
        let entry = LogEntry { index: number + 1, term: 1, kind: EntryKind::Commands, data: vec![7; 100_000].into() };
        let group = "010".parse().unwrap();
        WriteBatch { number, writes: vec![Write::Append { group, entries: vec![entry] }, messages(number)] }
    }

    fn messages(number: u64) -> Write {
        let message = StoredMessage {
            offset: Offset(number),
            publisher: "pia".parse().unwrap(),
            sequence: None,
            time: Timestamp(0),
            content: "x".repeat(100_000).into(),
        };
        Write::Messages { group: "010".parse().unwrap(), topic: TopicId(1), messages: vec![message] }
    }

    fn write_until_refused(store: &mut RedbStore, from: u64) -> (u64, StorageError) {
        for number in from..10_000 {
            if let Err(error) = store.write(vec![numbered(number)]) {
                return (number, error);
            }
        }
        panic!("the disk is not full");
    }

    fn read_all(store: &RedbStore) -> u64 {
        let read = ReadMessages {
            read: ReadId(1),
            group: "010".parse().unwrap(),
            topic: TopicId(1),
            from: Offset(0),
            end: Offset(u64::MAX),
            max_messages: u32::MAX,
            max_bytes: u64::MAX,
        };
        store.read_messages(&read).unwrap().len() as u64
    }

    fn retry_until_done(store: &mut RedbStore) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while let Err(error) = store.retry() {
            assert!(matches!(error, StorageError::WaitsForRoom { .. }), "{error}");
            assert!(std::time::Instant::now() < until, "there is room now");
        }
    }
}
