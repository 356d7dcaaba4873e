use super::*;
use cubecast_core::cube::{Dimension, VertexId};
use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::{EntryKind, LogEntry};
use cubecast_core::store::ReadId;
use cubecast_core::time::Timestamp;

#[test]
fn on_a_full_disk_writes_wait_for_room_reads_go_on_and_a_start_finds_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let identity = FolderIdentity::new("test", "010".parse().unwrap(), Dimension::new(3).unwrap());
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
    let identity = FolderIdentity::new("test", "010".parse().unwrap(), Dimension::new(3).unwrap());
    let (mut store, ..) = RedbStore::open(folder.path(), &identity, SyncMode::Never).unwrap();
    let group = GroupId::Home(VertexId(2));
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
    let group = GroupId::Home(VertexId(2));
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
    Write::Messages { group: GroupId::Home(VertexId(2)), topic: TopicId(1), messages: vec![message] }
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
        group: GroupId::Home(VertexId(2)),
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
