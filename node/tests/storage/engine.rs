//! Written data comes back after a close and after a kill, and only in its own folder.

use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::LogEntry;
use cubecast_core::store::*;
use cubecast_node::storage::*;

use crate::support::*;

#[test]
fn a_new_folder_is_created_and_empty() {
    let parent = tempfile::tempdir().unwrap();
    let (_store, recovered, report) = open(&parent.path().join("deep/down"));
    assert_eq!(recovered, Recovered::default());
    assert!(report.new && !report.unclean && !report.lost_something(), "{report}");
}

#[test]
fn a_closed_store_comes_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    fill(&mut store);
    store.close().unwrap();
    drop(store);

    let (store, recovered, report) = open(folder.path());
    assert_eq!(everything(&store, recovered).unwrap(), filled());
    assert!(!report.new && !report.unclean && !report.lost_something(), "{report}");
}

#[test]
fn a_killed_store_comes_back_with_all_that_the_log_does_not_make_again_in_every_sync_mode() {
    for mode in [SyncMode::Always, SyncMode::IntervalMs(60_000), SyncMode::Never] {
        let (folder, early, late) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut store, ..) = RedbStore::open(folder.path(), &identity(), mode).unwrap();
        fill(&mut store);
        copy_folder(folder.path(), early.path());
        // From here on everything is in the tables.
        store.reopen(false).unwrap();
        store.write(vec![batch(14, [append("110", 51..=60), messages("110", 7, 400..440)])]).unwrap();
        copy_folder(folder.path(), late.path());
        let mut later = filled();
        later.recovered.groups[1].log = (1..=60).map(entry).collect();
        for (left_behind, expected) in [(early, filled_and_killed()), (late, later)] {
            let (killed, recovered, report) = open(left_behind.path());
            assert_eq!(everything(&killed, recovered).unwrap(), expected, "{mode}");
            assert!(report.unclean && !report.lost_something(), "{mode}: {report}");
        }
    }
}

#[test]
fn a_store_killed_at_any_write_holds_whole_batches_and_all_that_were_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    let mut flushed = 0;
    for number in 1..=20 {
        let writes =
            [append("010", number..=number), hard_state("010", number), messages("010", 1, number - 1..number)];
        store.write(vec![batch(number, writes)]).unwrap();
        if number == 8 {
            store.reopen(false).unwrap();
            flushed = number;
        }
        let left_behind = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), left_behind.path());
        let (killed, recovered, _) = open(left_behind.path());
        let group = &recovered.groups[0];
        assert_eq!((group.hard_state.commit, group.log.len() as u64), (number, number));
        assert_eq!(killed.read_messages(&read("010", 1, 0, 100)).unwrap().len() as u64, flushed);
    }
}

#[test]
fn a_checkpoint_outlives_a_kill_only_with_the_messages_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.write(vec![batch(1, [append("010", 1..=9), messages("010", 1, 0..9)])]).unwrap();
    store.write(vec![batch(2, [put_checkpoint("010", 5, 9)]), batch(3, [append("010", 10..=12)])]).unwrap();
    let look = |expected: (Option<u64>, u64, usize)| {
        let left_behind = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), left_behind.path());
        let (killed, recovered, report) = open(left_behind.path());
        assert!(!report.lost_something(), "{report}");
        let group = &recovered.groups[0];
        let at = group.checkpoint.as_ref().map(|checkpoint| checkpoint.index);
        let messages = killed.read_messages(&read("010", 1, 0, 100)).unwrap().len();
        assert_eq!((at, group.log[0].index, messages), expected);
        assert_eq!(group.log.last(), Some(&entry(12)));
    };
    look((None, 1, 0));
    store.reopen(false).unwrap();
    look((Some(5), 6, 9));
}

#[test]
fn what_ends_a_log_is_durable_with_all_that_was_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.write(vec![batch(1, [append("010", 1..=9), append("110", 1..=2), messages("010", 1, 0..9)])]).unwrap();
    store.write(vec![batch(2, [messages("010", 1, 9..20)]), batch(3, [replace_log("010", 30)])]).unwrap();
    store.write(vec![batch(4, [append("010", 31..=33), messages("010", 1, 20..25)])]).unwrap();
    let left_behind = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), left_behind.path());
    let (killed, recovered, report) = open(left_behind.path());
    assert!(!report.lost_something(), "{report}");
    let [one, other] = recovered.groups.as_slice() else { panic!("{recovered:?}") };
    assert_eq!(one.checkpoint.as_ref().map(|checkpoint| checkpoint.index), Some(30));
    assert_eq!((one.log.as_slice(), other.log.len()), ([entry(31), entry(32), entry(33)].as_slice(), 2));
    assert_eq!(killed.read_messages(&read("010", 1, 0, 100)).unwrap(), (0..20).map(message).collect::<Vec<_>>());
}

#[test]
fn an_append_replaces_the_log_from_its_first_index_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    let newer = LogEntry { term: 99, ..entry(4) };
    let replace = Write::Append { group: group("010"), entries: vec![newer.clone()] };
    store
        .write(vec![batch(1, [append("010", 1..=9), append("011", 1..=2), hard_state("010", 3)]), batch(2, [replace])])
        .unwrap();
    let (recovered, _) = store.reopen(false).unwrap();
    assert_eq!(recovered.groups[0].log, [entry(1), entry(2), entry(3), newer]);
    assert_eq!(recovered.groups[1].log, [entry(1), entry(2)]);
}

#[test]
fn a_checkpoint_drops_the_log_that_it_covers_or_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    let cleared =
        Write::Checkpoint { group: group("011"), checkpoint: checkpoint(50, 10), drop_log_through: 0, clear_log: true };
    let appends = [append("010", 1..=9), append("011", 1..=9)];
    store.write(vec![batch(1, appends), batch(2, [put_checkpoint("010", 7, 3_000_000), cleared])]).unwrap();
    let (recovered, _) = store.reopen(false).unwrap();
    assert_eq!(recovered.groups[0].log, [entry(8), entry(9)]);
    assert_eq!(recovered.groups[0].checkpoint, Some(checkpoint(7, 3_000_000)));
    assert_eq!(recovered.groups[1].log, []);
}

#[test]
fn a_read_stops_at_its_limits_but_gives_at_least_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store
        .write(vec![batch(1, [messages("010", 1, 0..50), messages("010", 2, 0..1), messages("011", 1, 0..9)])])
        .unwrap();
    let offsets = |limited: ReadMessages| -> Vec<u64> {
        store.read_messages(&limited).unwrap().into_iter().map(|message| message.offset.0).collect()
    };
    let all = read("010", 1, 10, 14);
    assert_eq!(offsets(all.clone()), [10, 11, 12, 13]);
    assert_eq!(offsets(ReadMessages { max_messages: 2, ..all.clone() }), [10, 11]);
    assert_eq!(offsets(ReadMessages { max_messages: 0, ..all.clone() }), [10]);
    assert_eq!(offsets(ReadMessages { max_bytes: 0, ..all.clone() }), [10]);
    assert_eq!(offsets(ReadMessages { max_bytes: 30, ..all.clone() }), [10, 11]);
    assert_eq!(offsets(ReadMessages { from: Offset(48), end: Offset(90), ..all.clone() }), [48, 49]);
    assert!(offsets(ReadMessages { from: Offset(50), end: Offset(90), ..all.clone() }).is_empty());
    assert!(offsets(ReadMessages { from: Offset(5), end: Offset(5), ..all.clone() }).is_empty());
    assert!(offsets(ReadMessages { from: Offset(6), end: Offset(5), ..all }).is_empty());
    assert!(offsets(read("011", 5, 0, 9)).is_empty());
}

#[test]
fn what_was_read_from_the_tables_is_read_again_from_memory_until_its_topic_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    let offsets = |from: std::ops::Range<u64>| from.map(message).collect::<Vec<_>>();
    let ten_from = |from| ReadMessages { max_messages: 10, ..read("010", 1, from, 30) };
    store.write(vec![batch(1, [messages("010", 1, 0..30), messages("010", 2, 0..30)])]).unwrap();
    assert_eq!(store.read_from_memory(&ten_from(5)), Some(offsets(5..15)), "not flushed yet");
    store.reopen(false).unwrap();
    assert_eq!(store.read_from_memory(&ten_from(5)), None, "nobody has read it since");
    assert_eq!(store.read_messages(&ten_from(5)).unwrap(), offsets(5..15));
    assert_eq!(store.read_from_memory(&ten_from(5)), Some(offsets(5..15)));
    assert_eq!(store.read_from_memory(&ten_from(25)), Some(offsets(25..30)), "the rest of the same row");
    assert_eq!(store.read_from_memory(&read("010", 1, 22, 40)), None, "the tables may have more");
    assert_eq!(store.read_from_memory(&read("010", 2, 0, 10)), None, "another topic");

    store.write(vec![batch(2, [messages("010", 1, 30..35)])]).unwrap();
    let over_the_edge = ReadMessages { max_messages: 10, ..read("010", 1, 22, 35) };
    assert_eq!(store.read_from_memory(&over_the_edge), Some(offsets(22..32)), "with what is not flushed yet");
    assert_eq!(store.read_from_memory(&read("010", 1, 22, 40)), None, "the tables may have more");

    store.write(vec![batch(3, [drop_messages("010", 1)])]).unwrap();
    assert_eq!(store.read_from_memory(&ten_from(5)), None);
    while store.tidy().unwrap() {}
    assert_eq!(store.read_from_memory(&ten_from(5)), None, "flushed");
}

#[test]
fn what_is_written_late_stands_before_what_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    let all = read("010", 1, 0, 30);
    store.write(vec![batch(1, [messages("010", 1, 0..30)])]).unwrap();
    store.reopen(false).unwrap();
    store
        .write(vec![batch(2, [messages("010", 1, 15..20), messages("010", 1, 5..10), messages("010", 1, 8..16)])])
        .unwrap();
    assert_eq!(
        store.read_from_memory(&ReadMessages { from: Offset(5), ..all.clone() }),
        None,
        "not all lies in memory"
    );
    assert_eq!(store.read_from_memory(&read("010", 1, 6, 19)), Some((6..19).map(message).collect()));
    assert_eq!(store.read_messages(&all).unwrap(), (0..30).map(message).collect::<Vec<_>>());
    store.reopen(false).unwrap();
    assert_eq!(store.read_messages(&all).unwrap(), (0..30).map(message).collect::<Vec<_>>());
}

#[test]
fn a_dropped_topic_is_gone_at_once_and_leaves_the_disk_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.write(vec![batch(1, [messages("010", 1, 0..10_000), messages("010", 2, 0..3)])]).unwrap();
    store.reopen(false).unwrap();
    store.write(vec![batch(2, [drop_messages("010", 1)])]).unwrap();
    assert_eq!(store.read_messages(&read("010", 1, 9_000, 9_001)).unwrap(), []);
    assert_eq!(store.topics_on_disk(group("010")).unwrap(), [TopicId(1), TopicId(2)]);

    store.reopen(false).unwrap();
    assert_eq!(store.read_messages(&read("010", 1, 9_000, 9_001)).unwrap(), []);
    while store.tidy().unwrap() {}
    assert_eq!(store.topics_on_disk(group("010")).unwrap(), [TopicId(2)]);
    assert_eq!(store.read_messages(&read("010", 2, 0, 9)).unwrap().len(), 3);
    assert!(!store.tidy().unwrap());
}

#[test]
fn messages_written_to_a_topic_that_is_being_dropped_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.write(vec![batch(1, [messages("010", 1, 0..10_000)])]).unwrap();
    store.reopen(false).unwrap();
    store.write(vec![batch(2, [drop_messages("010", 1), messages("010", 1, 0..5)])]).unwrap();
    assert_eq!(store.read_messages(&read("010", 1, 0, 99)).unwrap().len(), 5);
    while store.tidy().unwrap() {}
    assert_eq!(store.read_messages(&read("010", 1, 0, 99)).unwrap().len(), 5);
}

#[test]
fn a_wipe_keeps_nothing_but_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    fill(&mut store);
    let (recovered, report) = store.reopen(true).unwrap();
    assert_eq!(recovered, Recovered::default());
    assert!(report.new, "{report}");
    assert_eq!(store.topics_on_disk(group("010")).unwrap(), []);
    assert!(matches!(try_open(folder.path()), Err(StorageError::InUse { .. })));

    fill(&mut store);
    let (recovered, report) = store.reopen(false).unwrap();
    assert_eq!(everything(&store, recovered).unwrap(), filled());
    assert!(!report.lost_something(), "{report}");
}

#[test]
fn a_folder_in_use_is_refused_until_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = open(folder.path());
    let error = try_open(folder.path()).unwrap_err();
    assert!(matches!(&error, StorageError::InUse { pid: Some(_), .. }), "{error}");
    drop(store);
    open(folder.path());
}

#[test]
fn another_nodes_folder_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    fill(&mut store);
    drop(store);
    let stranger = FolderIdentity::new("test", host("011"), identity().dimension);
    let error = RedbStore::open(folder.path(), &stranger, SyncMode::Always).unwrap_err();
    assert!(matches!(error, StorageError::ForeignFolder { .. }), "{error}");
    let (store, recovered, report) = open(folder.path());
    assert_eq!(everything(&store, recovered).unwrap(), filled());
    assert!(!report.unclean, "{report}");
}

#[test]
fn a_folder_that_cannot_be_made_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = try_open(&file.join("data")).unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn an_empty_write_costs_no_transaction_and_a_full_one_costs_one_sync() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    let metrics = store.metrics();
    let before = metrics.counts();
    store.write(vec![]).unwrap();
    store.write(vec![batch(1, [])]).unwrap();
    assert_eq!(metrics.counts(), before);
    let batches: Vec<_> = (2..100).map(|number| batch(number, [append("010", number - 1..=number - 1)])).collect();
    store.write(batches).unwrap();
    let after = metrics.counts();
    assert_eq!(after.transactions - before.transactions, 1);
    assert_eq!(after.batches - before.batches, 98);
    assert_eq!(after.syncs - before.syncs, 1);
}

#[test]
fn a_put_off_sync_happens_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = RedbStore::open(folder.path(), &identity(), SyncMode::Never).unwrap();
    let metrics = store.metrics();
    let before = metrics.counts().syncs;
    fill(&mut store);
    assert_eq!(metrics.counts().syncs, before);
    store.sync().unwrap();
    assert_eq!(metrics.counts().syncs, before + 1);
}

#[test]
fn a_memory_store_answers_as_the_disk_does() {
    let folder = tempfile::tempdir().unwrap();
    let (mut disk, ..) = open(folder.path());
    let mut memory = MemoryStore::default();
    let writes = [
        Write::Identity(record(4)),
        append("010", 1..=9),
        append("010", 5..=6),
        hard_state("010", 5),
        put_checkpoint("010", 3, 100),
        messages("010", 1, 0..20),
        messages("010", 2, 0..20),
        drop_messages("010", 2),
        Write::OutboxPut { id: 1, command: command(1) },
        Write::OutboxPut { id: 2, command: command(2) },
        Write::OutboxRemove { id: 1 },
    ];
    for (store, name) in [(&mut disk as &mut dyn LogStore, "disk"), (&mut memory, "memory")] {
        store.write(vec![batch(1, writes.clone())]).unwrap();
        let some = ReadMessages { max_bytes: 40, ..read("010", 1, 3, 12) };
        assert_eq!(store.read_messages(&some).unwrap().len(), 3, "{name}");
        assert_eq!(store.read_messages(&read("010", 2, 0, 20)).unwrap(), [], "{name}");
    }
    assert_eq!(disk.reopen(false).unwrap().0, memory.reopen(false).unwrap().0);
    assert_eq!(disk.reopen(true).unwrap().0, memory.reopen(true).unwrap().0);
}
