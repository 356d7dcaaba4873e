//! Deliberate damage to single rows, and lost files: a log is cut at its damage, damage that cannot be distinguished
//! from loss makes a new member, and everything else refuses to start.

use std::ops::RangeInclusive;
use std::path::Path;

use cubecast_core::identity::{Incarnation, Member};
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::store::rows::{RowKey, decode_run};
use cubecast_core::store::*;
use cubecast_node::storage::*;
use redb::{Database, ReadableDatabase, TableDefinition};

use crate::support::*;

type Bytes = &'static [u8];
const META: TableDefinition<'static, u8, Bytes> = TableDefinition::new("meta");
const HARD_STATE: TableDefinition<'static, u32, Bytes> = TableDefinition::new("hard_state");
const CHECKPOINT: TableDefinition<'static, u32, Bytes> = TableDefinition::new("checkpoint");
const LOG: TableDefinition<'static, (u32, u64), Bytes> = TableDefinition::new("log");
const MESSAGES: TableDefinition<'static, (u32, u64, u64), Bytes> = TableDefinition::new("messages");
const OUTBOX: TableDefinition<'static, u64, Bytes> = TableDefinition::new("outbox");

/// Flips a bit in a row's value, so that redb finds no error.
fn spoil<K: redb::Key + 'static>(
    folder: &Path,
    table: TableDefinition<'static, K, Bytes>,
    key: impl for<'a> std::borrow::Borrow<K::SelfType<'a>>,
) {
    let database = Database::create(folder.join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(table).unwrap();
        let mut value =
            redb::ReadableTable::get(&table, key.borrow()).unwrap().expect("the row is there").value().to_vec();
        let middle = value.len() / 2;
        value[middle] ^= 0x10;
        table.insert(key.borrow(), value.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

/// Flips a bit in the row with this key.
pub fn spoil_row(folder: &Path, key: RowKey) {
    match key {
        RowKey::Owner | RowKey::Transaction | RowKey::Record | RowKey::Usage => spoil(folder, META, key.meta()),
        RowKey::HardState(group) => spoil(folder, HARD_STATE, group),
        RowKey::Checkpoint(group) => spoil(folder, CHECKPOINT, group),
        RowKey::Log(group, index) => spoil(folder, LOG, (group, index)),
        RowKey::Messages(group, topic, last) => spoil(folder, MESSAGES, (group, topic, last)),
        RowKey::Outbox(id) => spoil(folder, OUTBOX, id),
    }
}

/// The offsets in each of a topic's intact rows. The engine chooses the boundaries of rows.
pub fn rows_of(folder: &Path, group: u32, topic: u64) -> Vec<RangeInclusive<u64>> {
    let database = Database::create(folder.join("store.redb")).unwrap();
    let transaction = database.begin_read().unwrap();
    let Ok(table) = transaction.open_table(MESSAGES) else { return Vec::new() };
    let rows = table.range((group, topic, 0)..=(group, topic, u64::MAX)).unwrap().filter_map(|row| {
        let (key, value) = row.unwrap();
        let last = key.value().2;
        let run = decode_run(group, TopicId(topic), Offset(last), value.value()).ok()?;
        Some(run[0].offset.0..=last)
    });
    rows.collect()
}

fn filled_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(folder.path());
    fill(&mut store);
    store.close().unwrap();
    folder
}

fn refuses(folder: &Path, names: &str) {
    let error = try_open(folder).unwrap_err();
    assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(names) && text.contains("then fetches its data from its neighbours"), "{text}");
}

fn code(home: &str) -> u32 {
    group(home).code()
}

#[test]
fn a_damaged_end_of_a_log_is_cut_and_said() {
    let folder = filled_folder();
    spoil(folder.path(), LOG, (code("010"), 202));
    spoil(folder.path(), LOG, (code("010"), 203));
    let (store, recovered, report) = open(folder.path());

    let mut expected = filled();
    let cut = &mut expected.recovered.groups[0];
    cut.log.truncate(cut.log.len() - 2);
    cut.tail_cut = true;
    cut.hard_state.commit = 201;
    assert_eq!(everything(&store, recovered).unwrap(), expected);
    assert_eq!(report.cut.len(), 1);
    assert_eq!((report.cut[0].group, report.cut[0].from_index), (group("010"), 202));
    let text = report.to_string();
    assert!(text.contains("log entry 202 of group 010 has a wrong checksum"), "{text}");
    assert!(text.contains("truncated at entry 202"), "{text}");
}

#[test]
fn a_cut_is_remembered_until_the_node_takes_another_identity() {
    let folder = filled_folder();
    spoil(folder.path(), LOG, (code("010"), 203));
    let (mut store, recovered, _) = open(folder.path());
    assert!(recovered.groups[0].tail_cut);
    assert!(!recovered.groups[1].tail_cut);

    store.write(vec![batch(1, [Write::Identity(record(2))])]).unwrap();
    let (recovered, report) = store.reopen(false).unwrap();
    assert!(recovered.groups[0].tail_cut, "the same identity keeps the mistrust");
    assert!(report.cut.is_empty(), "nothing is cut twice");

    let identity = Some(Member { host: host("010"), incarnation: Incarnation(7) });
    store.write(vec![batch(2, [Write::Identity(NodeRecord { identity, ..record(2) })])]).unwrap();
    let (recovered, _) = store.reopen(false).unwrap();
    assert!(!recovered.groups[0].tail_cut);
}

#[test]
fn a_missing_end_of_a_log_is_a_cut_when_it_was_committed() {
    let folder = filled_folder();
    remove_log(folder.path(), 203);
    let (_, recovered, report) = open(folder.path());
    assert!(recovered.groups[0].tail_cut);
    assert_eq!(recovered.groups[0].hard_state.commit, 202);
    assert_eq!(report.cut[0].from_index, 203);
}

#[test]
fn a_log_is_cut_at_a_damaged_or_missing_entry_with_good_ones_behind_it() {
    type Damage = fn(&Path, u64);
    let damaged: [(u64, Damage, &str); 3] = [
        (
            202,
            |folder, index| spoil(folder, LOG, (code("010"), index)),
            "log entry 202 of group 010 has a wrong checksum",
        ),
        (160, remove_log, "log entry 160 of group 010 is missing"),
        (151, remove_log, "entries 151 to 151 are missing"),
    ];
    for (index, damage, why) in damaged {
        let folder = filled_folder();
        damage(folder.path(), index);
        let (mut store, recovered, report) = open(folder.path());
        assert_eq!(recovered.groups[0].log, (151..index).map(entry).collect::<Vec<_>>());
        assert!(recovered.groups[0].tail_cut && !recovered.groups[1].tail_cut);
        assert_eq!(recovered.groups[0].hard_state.commit, index - 1);
        let text = report.to_string();
        assert!(text.contains(why) && text.contains("rejoins as a new member"), "{text}");
        // The entries after the cut are gone from the disk too, and the log continues.
        store.write(vec![batch(20, [append("010", index..=index + 3), hard_state("010", index)])]).unwrap();
        let (recovered, _) = store.reopen(false).unwrap();
        assert_eq!(recovered.groups[0].log, (151..=index + 3).map(entry).collect::<Vec<_>>());
    }
}

#[test]
fn a_damaged_checkpoint_hard_state_record_or_outbox_refuses_to_start() {
    let folder = filled_folder();
    spoil(folder.path(), CHECKPOINT, code("010"));
    refuses(folder.path(), "the checkpoint of group 010");

    let folder = filled_folder();
    spoil(folder.path(), HARD_STATE, code("110"));
    refuses(folder.path(), "the hard state of group 110");

    let folder = filled_folder();
    spoil(folder.path(), OUTBOX, 7u64);
    refuses(folder.path(), "outbox entry 7");

    for (key, name) in [(0u8, "the owner's record"), (1, "the transaction number"), (2, "the node's record")] {
        let folder = filled_folder();
        spoil(folder.path(), META, key);
        refuses(folder.path(), name);
    }
}

#[test]
fn a_damaged_row_of_messages_fails_its_reads_and_no_others() {
    let folder = filled_folder();
    let rows = rows_of(folder.path(), code("110"), 7);
    let hit = rows[rows.len() / 2].clone();
    assert!(rows.len() > 2 && *rows[rows.len() - 1].end() == 399, "{rows:?}");
    spoil(folder.path(), MESSAGES, (code("110"), 7, *hit.end()));
    let (mut store, ..) = open(folder.path());
    for from in [hit.start() - 1, *hit.start(), *hit.end()] {
        let error = store.read_messages(&read("110", 7, from, 400)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("message {} of topic number 7 in group 110", hit.end())), "{text}");
        let StorageError::Unreadable { lost, .. } = error else { panic!("{text}") };
        assert_eq!(
            (lost.from.0, lost.end.0),
            (*hit.start(), hit.end() + 1),
            "all of the row, wherever the read begins"
        );
    }
    assert_eq!(store.read_messages(&read("110", 7, 0, *hit.start())).unwrap().len() as u64, *hit.start());
    assert_eq!(store.read_messages(&read("110", 7, hit.end() + 1, 400)).unwrap().len() as u64, 399 - hit.end());

    let repair = Write::Repair { group: group("110"), topic: TopicId(7), messages: hit.map(message).collect() };
    store.write(vec![batch(14, [repair])]).unwrap();
    let killed = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), killed.path());
    let (repaired, ..) = open(killed.path());
    let all = (0..400).map(message).collect::<Vec<_>>();
    assert_eq!(repaired.read_messages(&read("110", 7, 0, 400)).unwrap(), all, "a repair outlives a kill");
    for _ in 0..2 {
        assert_eq!(store.read_messages(&read("110", 7, 0, 400)).unwrap(), (0..400).map(message).collect::<Vec<_>>());
        store.reopen(false).unwrap();
    }
}

#[test]
fn messages_that_are_there_already_make_no_second_row() {
    let folder = filled_folder();
    let rows = rows_of(folder.path(), code("110"), 7);
    let (mut store, ..) = open(folder.path());
    let again = [messages("110", 7, 10..350), messages("110", 7, 390..405)];
    store.write(vec![batch(14, again)]).unwrap();
    assert_eq!(store.read_messages(&read("110", 7, 0, 500)).unwrap(), (0..405).map(message).collect::<Vec<_>>());
    store.close().unwrap();
    drop(store);
    assert_eq!(rows_of(folder.path(), code("110"), 7), [rows, vec![400..=404]].concat());
}

#[test]
fn a_gap_between_messages_fails_the_read() {
    let folder = filled_folder();
    let gap = rows_of(folder.path(), code("110"), 7)[1].clone();
    let database = Database::create(folder.path().join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(MESSAGES).unwrap().remove((code("110"), 7, *gap.end())).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let (store, ..) = open(folder.path());
    for from in [gap.start() - 1, *gap.start(), *gap.end()] {
        let missing = from.max(*gap.start());
        let error = store.read_messages(&read("110", 7, from, 400)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("message {missing} of topic number 7 in group 110 is missing")), "{text}");
        let StorageError::Unreadable { lost, .. } = error else { panic!("{text}") };
        assert_eq!((lost.from.0, lost.end.0), (*gap.start(), gap.end() + 1));
    }
}

#[test]
fn an_older_file_than_was_acknowledged_is_noticed() {
    let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut store, ..) = open(folder.path());
    fill(&mut store);
    copy_folder(folder.path(), older.path());
    store.write(vec![batch(14, [append("010", 204..=204)])]).unwrap();
    store.close().unwrap();
    drop(store);
    for file in ["store.redb", "journal", "journal-2"] {
        std::fs::copy(older.path().join(file), folder.path().join(file)).unwrap();
    }

    let (mut store, recovered, report) = open(folder.path());
    let lost = report.rolled_back.expect("the loss is said");
    assert_eq!(lost.acknowledged, lost.found + 1);
    assert!(recovered.groups.iter().all(|group| group.tail_cut));
    assert!(report.to_string().contains("were lost by damage"), "{report}");
    // The next start still reports the loss, although nothing more is missing.
    let (recovered, report) = store.reopen(false).unwrap();
    assert!(recovered.groups.iter().all(|group| group.tail_cut));
    assert_eq!(report.rolled_back, None);
}

#[test]
fn a_missing_or_emptied_store_is_never_taken_for_a_new_one() {
    for spoil in [|path: &Path| std::fs::remove_file(path).unwrap(), |path: &Path| std::fs::write(path, "").unwrap()] {
        let folder = filled_folder();
        spoil(&folder.path().join("store.redb"));
        refuses(folder.path(), "the store is gone or empty");
    }
}

#[test]
fn a_file_that_is_no_database_is_damage() {
    let folder = filled_folder();
    std::fs::write(folder.path().join("store.redb"), "not a database at all".repeat(1000)).unwrap();
    refuses(folder.path(), "opening the store");
}

#[test]
fn a_lost_or_damaged_commit_marker_makes_a_new_member_of_what_is_there() {
    let spoils: [fn(&Path); 4] = [
        |commit_marker| std::fs::remove_file(commit_marker).unwrap(),
        |commit_marker| std::fs::write(commit_marker, "").unwrap(),
        |commit_marker| std::fs::write(commit_marker, "no commit marker at all, but long enough").unwrap(),
        |commit_marker| {
            let mut bytes = std::fs::read(commit_marker).unwrap();
            bytes[9] ^= 1;
            std::fs::write(commit_marker, bytes).unwrap();
        },
    ];
    for spoil in spoils {
        let folder = filled_folder();
        spoil(&folder.path().join("commit-marker"));
        let (mut store, recovered, report) = open(folder.path());
        assert!(report.commit_marker_lost && report.lost_something(), "{report}");
        let text = report.to_string();
        assert!(
            text.contains("the commit marker is missing or damaged") && text.contains("rejoins as a new member"),
            "{text}"
        );
        let mut expected = filled();
        expected.recovered.groups.iter_mut().for_each(|group| group.tail_cut = true);
        assert_eq!(everything(&store, recovered).unwrap(), expected);

        // The next start finds a commit marker and still reports the loss.
        let (recovered, report) = store.reopen(false).unwrap();
        assert!(!report.commit_marker_lost && recovered.groups.iter().all(|group| group.tail_cut), "{report}");
    }
}

/// The effect of each lost file, and of each two lost files, on the folder of a killed node.
#[test]
fn whatever_files_are_lost_no_vote_outlives_what_was_promised() {
    #[derive(PartialEq, Debug)]
    enum Verdict {
        Whole,
        /// It comes back as a new member with the remaining data.
        NewMember,
        /// It starts empty and asks the others whether they met it.
        Empty,
        Refused,
    }
    let killed = tempfile::tempdir().unwrap();
    let (mut store, ..) = open(killed.path());
    fill(&mut store);
    store.reopen(false).unwrap();
    // The first journal has the following entries; the second one is empty.
    store.write(vec![batch(20, [append("010", 204..=209), hard_state("010", 209)])]).unwrap();
    let left_behind = tempfile::tempdir().unwrap();
    copy_folder(killed.path(), left_behind.path());
    drop(store);

    let verdict = |lost: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(left_behind.path(), folder.path());
        lost.iter().for_each(|file| std::fs::remove_file(folder.path().join(file)).unwrap());
        match try_open(folder.path()) {
            Err(StorageError::Damaged { .. }) => Verdict::Refused,
            Err(other) => panic!("{lost:?}: {other}"),
            Ok((_, recovered, _)) if recovered == Recovered::default() => Verdict::Empty,
            Ok((_, recovered, report)) if recovered.groups.iter().all(|group| group.tail_cut) => {
                assert!(report.lost_something(), "{report}");
                Verdict::NewMember
            }
            Ok((_, recovered, _)) => {
                assert_eq!(recovered.groups[0].log.last(), Some(&entry(209)));
                Verdict::Whole
            }
        }
    };
    use Verdict::{Empty, NewMember, Refused, Whole};
    let files = ["lock", "owner.json", "commit-marker", "journal", "journal-2", "store.redb"];
    let alone = [Whole, Refused, NewMember, NewMember, Whole, Refused];
    for (file, expected) in files.iter().zip(&alone) {
        assert_eq!(verdict(&[file]), *expected, "{file}");
    }
    for (at, one) in files.iter().enumerate() {
        for other in &files[at + 1..] {
            let expected = match (*one, *other) {
                ("commit-marker", "store.redb") => Empty,
                ("owner.json", _) | (_, "owner.json" | "store.redb") => Refused,
                ("commit-marker" | "journal", _) | (_, "commit-marker" | "journal") => NewMember,
                _ => Whole,
            };
            assert_eq!(verdict(&[one, other]), expected, "{one} and {other}");
        }
    }
}

fn remove_log(folder: &Path, index: u64) {
    let database = Database::create(folder.join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(LOG).unwrap().remove((code("010"), index)).unwrap();
    transaction.commit().unwrap();
}
