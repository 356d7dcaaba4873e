//! The journal: its content survives a kill, its earlier content does not reappear, and its end is detected.

use std::fs;
use std::path::Path;

use cubecast_node::storage::*;

use crate::support::*;

const JOURNALS: [&str; 2] = ["journal", "journal-2"];

/// Writes entries and their messages until a journal has restarted this many times, and a few more. Returns their
/// number.
fn write_past_the_journal(store: &mut RedbStore, folder: &Path, times: usize) -> u64 {
    let mut writer = Writer { next: 0 };
    (0..times).for_each(|_| writer.write_until_a_turn(store, folder));
    writer.next
}

/// Writes entries and their messages, and counts them.
struct Writer {
    next: u64,
}

impl Writer {
    fn write(&mut self, store: &mut RedbStore) {
        let offsets = self.next..self.next + 500;
        self.next = offsets.end;
        let entries = append("010", offsets.start + 1..=offsets.end);
        store.write(vec![batch(1, [entries, messages("010", 1, offsets)])]).unwrap();
    }

    /// Ends with the first write that goes into another journal than the one before.
    fn write_until_a_turn(&mut self, store: &mut RedbStore, folder: &Path) {
        self.write(store);
        let before = journal_starts(folder);
        while journal_starts(folder) == before {
            self.write(store);
        }
    }
}

/// The header of the first record of each journal, which changes when the journal restarts.
fn journal_starts(folder: &Path) -> [Vec<u8>; 2] {
    JOURNALS.map(|name| fs::read(folder.join(name)).unwrap().into_iter().take(16).collect())
}

fn killed(folder: &Path) -> tempfile::TempDir {
    let left_behind = tempfile::tempdir().unwrap();
    copy_folder(folder, left_behind.path());
    left_behind
}

#[test]
fn a_journal_that_began_anew_has_nothing_of_its_earlier_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    let count = write_past_the_journal(&mut store, folder.path(), 3);
    store.write(vec![batch(0, [append("010", count + 1..=count + 1), messages("010", 1, count..count + 1)])]).unwrap();
    let all = read("010", 1, 0, u64::MAX);
    assert_eq!(store.read_messages(&all).unwrap().len() as u64, count + 1);

    let left_behind = killed(folder.path());
    let (killed, recovered, report) = open(left_behind.path());
    assert!(report.unclean && !report.lost_something(), "{report}");
    assert_eq!(recovered.groups[0].log, (1..=count + 1).map(entry).collect::<Vec<_>>());
    let flushed = killed.read_messages(&all).unwrap();
    assert!(!flushed.is_empty() && flushed.len() as u64 <= count);
    assert_eq!(flushed, (0..flushed.len() as u64).map(message).collect::<Vec<_>>());
}

/// The node was killed before the content of both journals was in the tables.
#[test]
fn what_both_journals_have_comes_back_whichever_is_the_older() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.reopen(false).unwrap();
    let mut writer = Writer { next: 0 };
    for older in JOURNALS {
        // Waits until the content of the other journal is in the tables.
        assert!(!store.tidy().unwrap());
        let tables = killed(folder.path());
        writer.write_until_a_turn(&mut store, folder.path());
        let with_old_tables = || {
            let left_behind = killed(folder.path());
            fs::copy(tables.path().join("store.redb"), left_behind.path().join("store.redb")).unwrap();
            left_behind
        };

        let left_behind = with_old_tables();
        let (_, recovered, report) = open(left_behind.path());
        assert!(report.unclean && !report.lost_something(), "{report}");
        let expected: Vec<_> = (1..=writer.next).map(entry).collect();
        assert_eq!(recovered.groups[0].log, expected);

        // If the older journal ends too early, the newer one does not continue it.
        let damaged = with_old_tables();
        let path = damaged.path().join(older);
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[last / 2] ^= 1;
        fs::write(path, bytes).unwrap();
        let (_, recovered, report) = open(damaged.path());
        assert!(report.rolled_back.is_some() && recovered.groups[0].tail_cut, "{report}");
        let found = &recovered.groups[0].log;
        assert!(found.len() < expected.len());
        assert_eq!(found[..], expected[..found.len()]);
    }
}

#[test]
fn everything_is_read_while_some_of_it_is_on_its_way_into_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    let mut writer = Writer { next: 0 };
    for _ in 0..4 {
        writer.write_until_a_turn(&mut store, folder.path());
        // Overwrites entries that are being flushed now, across their end, and after it.
        let next = writer.next;
        store
            .write(vec![batch(
                2,
                [messages("010", 1, next - 2_000..next - 1_900), messages("010", 1, next - 600..next)],
            )])
            .unwrap();
        for (from, end) in [(0, next), (next - 2_500, next - 1_950), (next - 1_901, next - 300), (next - 501, next + 9)]
        {
            let found = store.read_messages(&read("010", 1, from, end)).unwrap();
            assert_eq!(found, (from..end.min(next)).map(message).collect::<Vec<_>>(), "{from} to {end}");
        }
    }
    store.write(vec![batch(3, [drop_messages("010", 1), messages("010", 1, 0..3)])]).unwrap();
    assert_eq!(store.read_messages(&read("010", 1, 0, u64::MAX)).unwrap(), (0..3).map(message).collect::<Vec<_>>());
}

#[test]
fn a_write_larger_than_the_journal_is_as_durable_as_others() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.write(vec![batch(1, [append("010", 1..=3)])]).unwrap();
    store.write(vec![batch(2, [append("010", 4..=50_000)])]).unwrap();
    store.write(vec![batch(3, [append("010", 50_001..=50_001)])]).unwrap();
    let left_behind = killed(folder.path());
    let (_, recovered, report) = open(left_behind.path());
    assert!(!report.lost_something(), "{report}");
    assert_eq!(recovered.groups[0].log, (1..=50_001).map(entry).collect::<Vec<_>>());
}

#[test]
fn a_torn_record_that_nobody_was_told_of_is_left_out_in_silence() {
    let (folder, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut store, ..) = open(folder.path());
    store.write(vec![batch(1, [append("010", 1..=3)])]).unwrap();
    copy_folder(folder.path(), before.path());
    store.write(vec![batch(2, [append("010", 4..=9)])]).unwrap();
    let (old, new) =
        (fs::read(before.path().join("journal")).unwrap(), fs::read(folder.path().join("journal")).unwrap());
    let from = old.iter().zip(&new).position(|(old, new)| old != new).expect("a record was written");
    let to = new.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for end in from..to {
        let torn = killed(before.path());
        let bytes = [&new[..end], &old[end..]].concat();
        fs::write(torn.path().join("journal"), bytes).unwrap();
        let (_, recovered, report) = open(torn.path());
        assert!(!report.lost_something(), "{report}");
        assert_eq!(recovered.groups[0].log, [entry(1), entry(2), entry(3)], "torn at {end}");
    }
}

#[test]
fn a_record_that_was_acknowledged_and_is_damaged_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.write(vec![batch(1, [append("010", 1..=3)])]).unwrap();
    store.write(vec![batch(2, [append("010", 4..=9)])]).unwrap();
    let damaged = killed(folder.path());
    let path = damaged.path().join("journal");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[last] ^= 1;
    fs::write(path, bytes).unwrap();
    let (_, recovered, report) = open(damaged.path());
    assert_eq!(report.rolled_back.map(|lost| lost.acknowledged - lost.found), Some(1));
    assert_eq!(recovered.groups[0].log, [entry(1), entry(2), entry(3)]);
    assert!(recovered.groups[0].tail_cut);
}

#[test]
fn a_journal_that_is_gone_is_said_and_one_beside_no_store_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.reopen(false).unwrap();
    store.write(vec![batch(1, [append("010", 1..=3)])]).unwrap();
    store.reopen(false).unwrap();
    store.write(vec![batch(2, [append("010", 4..=9)])]).unwrap();
    let without_journal = killed(folder.path());
    fs::remove_file(without_journal.path().join("journal")).unwrap();
    let (_, recovered, report) = open(without_journal.path());
    assert!(report.rolled_back.is_some() && recovered.groups[0].tail_cut, "{report}");

    // The state after an interrupted wipe.
    let without_store = killed(folder.path());
    for file in ["store.redb", "commit-marker"] {
        fs::remove_file(without_store.path().join(file)).unwrap();
    }
    let (_, recovered, report) = open(without_store.path());
    assert!(report.new && recovered.groups.is_empty(), "{report}");
}

#[test]
fn a_replacing_message_is_read_instead_of_the_one_in_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    store.write(vec![batch(1, [messages("010", 1, 0..10)])]).unwrap();
    store.reopen(false).unwrap();
    store.write(vec![batch(2, [messages("010", 1, 3..5), messages("010", 1, 8..12)])]).unwrap();
    for (from, end) in [(0, 12), (2, 4), (4, 9), (9, 12), (5, 8), (11, 20)] {
        let found = store.read_messages(&read("010", 1, from, end)).unwrap();
        assert_eq!(found, (from..end.min(12)).map(message).collect::<Vec<_>>(), "{from} to {end}");
    }
}
