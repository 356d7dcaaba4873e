//! The storage thread merges waiting writes, keeps the order, and reports failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver};

use cubecast_core::names::TopicId;
use cubecast_core::records::{LogEntry, StoredMessage};
use cubecast_core::store::*;
use cubecast_node::storage::*;

use crate::engines::*;
use crate::support::*;

#[test]
fn what_waits_is_committed_as_one_and_nothing_of_it_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (thread, events, gate, calls) = gated(open(folder.path()).0);
    thread.submit(write(1)).unwrap();
    gate.at_a_write();
    (2..=300).for_each(|number| assert!(is_queued(thread.submit(write(number)))));
    gate.open_for_good();
    assert_eq!(written(&events), 1);
    assert_eq!(written(&events), 300);
    thread.close().unwrap();

    assert_eq!(calls.lock().unwrap().as_slice(), ["write 1", "write 299"]);
    let (_, recovered, _) = open(folder.path());
    assert_eq!(recovered.groups[0].log.len(), 300);
}

#[test]
fn messages_that_the_log_has_too_go_with_the_next_entries_or_after_a_while() {
    let metrics = Arc::<StorageMetrics>::default();
    let (thread, events) = start_counted(MemoryStore::default(), SyncMode::Always, metrics.clone());
    let stored = |number| StorageCommand::Write(batch(number, [messages("010", 1, number..number + 1)]));
    for number in 1..=3 {
        let began = std::time::Instant::now();
        thread.submit(stored(number)).unwrap();
        assert_eq!(written(&events), number);
        assert!(
            began.elapsed() >= std::time::Duration::from_millis(40),
            "nobody asked for {number}, and nothing came to go with"
        );
    }
    (4..200).step_by(2).for_each(|number| {
        thread.submit(stored(number)).unwrap();
        thread.submit(write(number + 1)).unwrap();
        while written(&events) <= number {}
    });
    thread.submit(stored(200)).unwrap();
    thread.close().unwrap();
    assert_eq!(written(&events), 200, "what lingers is written before the end");
    assert_eq!(metrics.counts().queued_bytes, 0);
}

#[test]
fn a_read_sees_every_write_before_it_and_writes_may_overtake_it() {
    let (thread, events, gate, calls) = gated(MemoryStore::default());
    thread.submit(write(1)).unwrap();
    gate.at_a_write();
    for offset in 0..3 {
        thread.submit(StorageCommand::Write(batch(2 + offset, [messages("010", 1, offset..offset + 1)]))).unwrap();
        thread.submit(StorageCommand::Read(read("010", 1, offset, offset + 1))).unwrap();
    }
    gate.open_for_good();
    assert_eq!((written(&events), written(&events)), (1, 4));
    for offset in 0..3 {
        assert_eq!(read_back(&events), (ReadId(offset), vec![message(offset)]));
    }
    thread.close().unwrap();
    assert_eq!(calls.lock().unwrap().as_slice(), ["write 1", "write 3", "read", "read", "read"]);
}

#[test]
fn a_read_sees_the_messages_that_a_later_write_deletes() {
    let (thread, events, gate, calls) = gated(MemoryStore::default());
    thread.submit(write(1)).unwrap();
    gate.at_a_write();
    thread.submit(StorageCommand::Write(batch(2, [messages("010", 1, 0..5)]))).unwrap();
    thread.submit(StorageCommand::Read(read("010", 1, 0, 5))).unwrap();
    thread.submit(StorageCommand::Write(batch(3, [drop_messages("010", 1)]))).unwrap();
    thread.submit(StorageCommand::Read(ReadMessages { read: ReadId(9), ..read("010", 1, 0, 5) })).unwrap();
    gate.open_for_good();
    assert_eq!((written(&events), written(&events)), (1, 2));
    assert_eq!(read_back(&events).1.len(), 5);
    assert_eq!(written(&events), 3);
    assert_eq!(read_back(&events), (ReadId(9), vec![]));
    thread.close().unwrap();
    assert_eq!(calls.lock().unwrap().as_slice(), ["write 1", "write 1", "read", "write 1", "read"]);
}

#[test]
fn a_reopen_comes_after_all_before_it_and_gives_back_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let (thread, events) = start(open(folder.path()).0, SyncMode::Always);
    thread.submit(write(1)).unwrap();
    thread.submit(StorageCommand::Read(read("010", 1, 0, 1))).unwrap();
    thread.submit(StorageCommand::Reopen { wipe: false }).unwrap();
    thread.submit(StorageCommand::Reopen { wipe: true }).unwrap();
    thread.submit(write(1)).unwrap();
    assert_eq!(written(&events), 1);
    read_back(&events);
    let (recovered, report) = reopened(&events);
    assert_eq!(recovered.groups[0].log, [entry(1)]);
    assert!(!report.new && !report.lost_something(), "{report}");
    let (recovered, report) = reopened(&events);
    assert_eq!(recovered, Recovered::default());
    assert!(report.new, "{report}");
    assert_eq!(written(&events), 1);
    thread.close().unwrap();
    assert_eq!(open(folder.path()).1.groups[0].log, [entry(1)]);
}

#[test]
fn closing_finishes_what_was_queued_and_frees_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (thread, events) = start(open(folder.path()).0, SyncMode::Always);
    for number in 1..=100 {
        thread.submit(write(number)).unwrap();
    }
    thread.close().unwrap();
    assert!(matches!(events.iter().last(), Some(StorageEvent::Written { number: 100 })));
    let (_, recovered, report) = open(folder.path());
    assert_eq!(recovered.groups[0].log.len(), 100);
    assert!(!report.unclean, "{report}");
}

#[test]
fn an_interval_syncs_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mode = SyncMode::IntervalMs(1);
    let (store, ..) = RedbStore::open(folder.path(), &identity(), mode).unwrap();
    let (thread, events, gate, calls) = gated_with(store, mode);
    gate.open_for_good();
    thread.submit(write(1)).unwrap();
    assert_eq!(written(&events), 1);
    gate.at_a_sync();
    thread.close().unwrap();
    assert_eq!(calls.lock().unwrap()[..2], ["write 1", "sync"]);
}

#[test]
fn a_large_topic_is_deleted_while_nothing_else_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = open(folder.path());
    let (thread, events) = start(store, SyncMode::Always);
    thread.submit(StorageCommand::Write(batch(1, [messages("010", 1, 0..10_000)]))).unwrap();
    thread.submit(StorageCommand::Write(batch(2, [drop_messages("010", 1)]))).unwrap();
    thread.close().unwrap();
    assert!(matches!(events.iter().last(), Some(StorageEvent::Written { number: 2 })));
    assert_eq!(open(folder.path()).0.topics_on_disk(group("010")).unwrap(), []);
}

#[test]
fn topics_that_are_deleted_one_after_the_other_are_tidied_away_together() {
    let (thread, events, gate, _) = gated(MemoryStore::default());
    gate.open_for_good();
    for number in 1..=50 {
        thread.submit(StorageCommand::Write(batch(number, [drop_messages("010", number)]))).unwrap();
        assert_eq!(written(&events), number);
    }
    thread.close().unwrap();
    let tidied = gate.tidied.load(Relaxed);
    assert!((1..10).contains(&tidied), "tidied {tidied} times");
}

#[test]
fn a_write_that_waits_for_nothing_is_done_when_it_is_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = RedbStore::open(folder.path(), &identity(), SyncMode::Never).unwrap();
    let (thread, events) = start(store, SyncMode::Never);
    for number in 1..=5 {
        let done = thread.submit(write(number)).unwrap();
        assert!(matches!(done, Submitted::Done(StorageEvent::Written { number: told }) if told == number), "{done:?}");
    }
    let large = batch(6, [messages("010", 1, 0..2_000)]);
    assert!(is_queued(thread.submit(StorageCommand::Write(large))), "too much to copy meanwhile");
    thread.submit(StorageCommand::Read(read("010", 1, 0, 9))).unwrap();
    assert_eq!(written(&events), 6);
    assert_eq!(read_back(&events).1.len(), 9);
    thread.close().unwrap();
    assert!(events.recv().is_err(), "nobody is told twice");
    let (_, recovered, _) = open(folder.path());
    assert_eq!(recovered.groups[0].log.len(), 5);
}

#[test]
fn a_write_goes_behind_what_is_queued_and_waits_where_it_is_to_be_synced() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = RedbStore::open(folder.path(), &identity(), SyncMode::Never).unwrap();
    let (thread, events, gate, calls) = gated_with(store, SyncMode::Never);
    let deletion = Write::DropMessages { group: group("010"), topic: TopicId(1) };
    thread.submit(StorageCommand::Write(batch(1, [deletion]))).unwrap();
    gate.at_a_write();
    assert!(is_queued(thread.submit(write(2))));
    gate.open_for_good();
    assert_eq!((written(&events), written(&events)), (1, 2));
    thread.close().unwrap();
    assert_eq!(calls.lock().unwrap()[..2], ["write 1", "write 1"]);

    for mode in [SyncMode::Always, SyncMode::IntervalMs(60_000)] {
        let folder = tempfile::tempdir().unwrap();
        let (store, ..) = RedbStore::open(folder.path(), &identity(), mode).unwrap();
        let (thread, events) = start(store, mode);
        assert!(is_queued(thread.submit(write(1))), "{mode}");
        assert_eq!(written(&events), 1, "{mode}");
    }
}

#[test]
fn a_read_of_what_lies_in_memory_is_done_when_it_is_submitted() {
    let folder = tempfile::tempdir().unwrap();
    let (thread, events) = start(open(folder.path()).0, SyncMode::Always);
    let write_of = |number, writes: Vec<Write>| {
        thread.submit(StorageCommand::Write(batch(number, writes))).unwrap();
        assert_eq!(written(&events), number);
    };
    // The thread may still use the store after it has reported a write.
    let at_once = |read: &ReadMessages| loop {
        match thread.submit(StorageCommand::Read(read.clone())).unwrap() {
            Submitted::Done(StorageEvent::MessagesRead { result, .. }) => break Some(result.unwrap()),
            Submitted::Queued if !read_back(&events).1.is_empty() => {}
            Submitted::Queued => break None,
            done => panic!("{done:?}"),
        }
    };
    write_of(1, vec![messages("010", 1, 0..20), append("010", 1..2)]);
    assert_eq!(at_once(&read("010", 1, 5, 8)), Some((5..8).map(message).collect()));
    assert_eq!(at_once(&read("010", 1, 18, 20)), Some((18..20).map(message).collect()));
    assert_eq!(at_once(&read("010", 1, 20, 99)), None, "there is none, which only the tables can tell");
    assert_eq!(at_once(&read("010", 2, 0, 9)), None);
    write_of(2, vec![drop_messages("010", 1)]);
    assert_eq!(at_once(&read("010", 1, 5, 8)), None);
    thread.close().unwrap();
}

#[test]
fn what_finds_no_room_is_told_when_there_is_some_and_reads_do_not_wait_for_it() {
    for mode in [SyncMode::Always, SyncMode::Never] {
        let (tell, events) = mpsc::channel();
        let has_room = Arc::<AtomicBool>::default();
        let store = Cramped { store: MemoryStore::default(), has_room: has_room.clone() };
        let thread = StorageThread::spawn(store, mode, Arc::default(), move |event| drop(tell.send(event))).unwrap();
        let stored = |number| batch(number, [append("010", number..=number), messages("010", 1, number..number + 1)]);
        assert!(is_queued(thread.submit(StorageCommand::Write(stored(1)))));
        thread.submit(StorageCommand::Write(stored(2))).unwrap();
        thread.submit(StorageCommand::Read(read("010", 1, 1, 3))).unwrap();
        let mut told = Vec::new();
        let read = loop {
            match events.recv().unwrap() {
                StorageEvent::MessagesRead { result, .. } => break result.unwrap(),
                other => told.push(other),
            }
        };
        assert_eq!(read.len(), 2, "{mode}: what waits for room is read");
        assert!(!told.iter().any(|event| matches!(event, StorageEvent::Written { .. })), "{mode}: {told:?}");
        assert!(told.iter().any(|event| matches!(event, StorageEvent::Measured { space } if space.stuck)), "{told:?}");
        has_room.store(true, Relaxed);
        let written = events.iter().find(|event| matches!(event, StorageEvent::Written { .. }));
        assert!(matches!(written, Some(StorageEvent::Written { number: 2 })), "{mode}: {written:?}");
        thread.close().unwrap();
    }
}

#[test]
fn a_failed_write_is_the_last_word() {
    let (thread, events) = start(Broken, SyncMode::Always);
    thread.submit(write(1)).unwrap();
    let first = events.recv().unwrap();
    assert!(matches!(&first, StorageEvent::Failed(StorageError::Full { .. })), "{first:?}");
    assert!(events.recv().is_err(), "nothing comes after it");
    assert!(matches!(thread.submit(write(2)), Err(StorageError::Stopped)));
    assert!(matches!(thread.close(), Err(StorageError::Stopped)));
}

#[test]
fn a_queue_that_grows_past_its_limit_is_refused() {
    let (thread, _events, gate, _) = gated(MemoryStore::default());
    thread.submit(write(1)).unwrap();
    gate.at_a_write();
    let mut number = 1;
    let big = |number| {
        let data = vec![0; 16 << 20].into();
        let entries = vec![LogEntry { data, ..entry(number) }];
        StorageCommand::Write(batch(number, [Write::Append { group: group("010"), entries }]))
    };
    assert!(!thread.is_behind());
    let refused = loop {
        number += 1;
        match thread.submit(big(number)) {
            Ok(_) => assert!(number < 1000, "the queue has no end"),
            Err(error) => break error,
        }
    };
    assert!(thread.is_behind());
    assert!(matches!(refused, StorageError::QueueFull { limit: StorageThread::MAX_QUEUED_BYTES, .. }), "{refused}");
    gate.open_for_good();
    thread.close().unwrap();
}

#[test]
fn the_queues_bytes_are_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = open(folder.path());
    let metrics = store.metrics();
    let (thread, events) = start_counted(store, SyncMode::Always, metrics.clone());
    for number in 1..=50 {
        thread.submit(write(number)).unwrap();
    }
    thread.submit(StorageCommand::Read(read("010", 1, 0, 1))).unwrap();
    thread.submit(StorageCommand::Reopen { wipe: false }).unwrap();
    thread.close().unwrap();
    drop(events);
    assert_eq!(metrics.counts().queued_bytes, 0);
    assert_eq!(metrics.counts().batches, 50);
}

fn write(number: u64) -> StorageCommand {
    StorageCommand::Write(batch(number, [append("010", number..=number)]))
}

fn is_queued(submitted: Result<Submitted, StorageError>) -> bool {
    matches!(submitted.unwrap(), Submitted::Queued)
}

fn written(events: &Receiver<StorageEvent>) -> u64 {
    match events.recv().unwrap() {
        StorageEvent::Written { number } => number,
        other => panic!("expected a write's end, not {other:?}"),
    }
}

fn read_back(events: &Receiver<StorageEvent>) -> (ReadId, Vec<StoredMessage>) {
    match events.recv().unwrap() {
        StorageEvent::MessagesRead { read, result } => (read, result.unwrap()),
        other => panic!("expected messages, not {other:?}"),
    }
}

fn reopened(events: &Receiver<StorageEvent>) -> (Recovered, OpenReport) {
    match events.recv().unwrap() {
        StorageEvent::Reopened { recovered, report } => (recovered, report),
        other => panic!("expected an open store, not {other:?}"),
    }
}
