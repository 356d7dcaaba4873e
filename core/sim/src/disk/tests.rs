use cubecast_core::cube::{Dimension, VertexId};
use cubecast_core::identity::{GroupId, HostId, Incarnation, Member, RequestKey};
use cubecast_core::names::{Offset, PublisherId, Sequence, TopicName};
use cubecast_core::records::{EntryKind, LogEntry};
use cubecast_core::store::{Checkpoint, Damaged, HardState, NodeRecord};
use cubecast_core::time::Timestamp;
use cubecast_core::topics::command::{Command, Op};

use super::*;

/// Number of seeds for each random test.
const SEEDS: u64 = 300;

#[test]
fn what_was_finished_outlives_every_crash_and_the_rest_is_there_in_order_or_not_at_all() {
    let (mut counts, mut settled) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disk = Disk::new(cube(), Bugs::default());
        (1..=6).for_each(|number| disk.begin(publish(number)));
        disk.finish(2).unwrap();
        let left = disk.crash(&mut random).unwrap();
        assert_eq!(left.survived + left.lost, 4, "seed {seed}");
        counts.insert(left.survived);

        let there = 2 + left.survived;
        let group = disk.recover().unwrap().groups.remove(0);
        assert_eq!((group.hard_state.commit, group.log.len() as u64, group.tail_cut), (there, there, false));
        let messages = offsets(disk.read(&read(0, 99))).unwrap();
        assert_eq!(messages, (0..messages.len() as u64).collect::<Vec<_>>(), "seed {seed}");
        assert!(messages.len() as u64 <= there, "seed {seed}");
        settled.insert(messages.len());
    }
    assert_eq!(counts, (0..=4).collect(), "chance leaves nothing, all, and everything between");
    assert_eq!(settled, (0..=6).collect(), "the log makes any of the newest messages again");
}

#[test]
fn a_checkpoint_outlives_a_crash_only_with_the_messages_before_it() {
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..SEEDS {
        let mut disk = filled();
        (11..=15).for_each(|number| disk.begin(publish(number)));
        disk.begin(batch(16, [put_checkpoint(15, false)]));
        disk.begin(batch(17, publish(16).writes));
        disk.finish(17).unwrap();
        disk.crash(&mut fastrand::Rng::with_seed(seed)).unwrap();
        let group = disk.recover().unwrap().groups.remove(0);
        let messages = offsets(disk.read(&read(0, 99))).unwrap().len();
        let at = group.checkpoint.expect("there was one before").index;
        assert_eq!(at, if messages >= 15 && group.log.len() == 1 { 15 } else { 3 }, "seed {seed}");
        assert_eq!(group.log.last().map(|entry| entry.index), Some(16), "seed {seed}");
        found.insert((at, messages));
    }
    assert!(found.iter().any(|(at, _)| *at == 15) && found.iter().any(|(at, _)| *at == 3), "{found:?}");
}

#[test]
fn what_ends_a_log_is_durable_with_all_that_was_before_it() {
    for seed in 0..SEEDS {
        let mut disk = filled();
        disk.begin(batch(20, [messages(10..40)]));
        disk.begin(batch(21, [put_checkpoint(50, true)]));
        disk.finish(21).unwrap();
        disk.crash(&mut fastrand::Rng::with_seed(seed)).unwrap();
        let group = disk.recover().unwrap().groups.remove(0);
        assert_eq!((group.checkpoint.map(|at| at.index), group.log.len()), (Some(50), 0), "seed {seed}");
        assert_eq!(offsets(disk.read(&read(0, 99))).map(|found| found.len()), Ok(40), "seed {seed}");
    }
}

#[test]
fn a_frame_that_is_cut_anywhere_is_noticed_whatever_lies_behind() {
    let batch = publish(7);
    let whole = frame::encode(&batch);
    assert_eq!(frame::decode(&whole), Some(batch.clone()));
    assert_eq!(frame::decode(&[whole.as_slice(), b"behind"].concat()), Some(batch));
    for cut in 0..whole.len() {
        for behind in [vec![], vec![0; whole.len()], vec![0xFF; whole.len()], whole.clone()] {
            let found = [&whole[..cut], &behind].concat();
            assert!(found.starts_with(&whole) || frame::decode(&found).is_none(), "cut at {cut}");
        }
    }
}

#[test]
fn every_flipped_bit_of_a_frame_is_noticed() {
    let whole = frame::encode(&publish(7));
    for bit in 0..whole.len() * 8 {
        let mut bad = [whole.as_slice(), &whole].concat();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(frame::decode(&bad), None, "bit {bit}");
    }
}

#[test]
fn every_flipped_bit_of_any_row_is_noticed() {
    for what in Damage::KINDS {
        for seed in 0..SEEDS {
            let hit = filled().damage(&mut fastrand::Rng::with_seed(seed), what);
            assert!(matches!(hit, Ok(Some(_))), "{what:?}, seed {seed}: {hit:?}");
        }
    }
}

#[test]
fn chance_damages_every_kind_of_row() {
    let names = (0..SEEDS).map(|seed| {
        let hit = filled().damage(&mut fastrand::Rng::with_seed(seed), Damage::Any).unwrap().expect("there are rows");
        hit.name(cube()).split(|c: char| c.is_numeric()).next().unwrap_or_default().to_owned()
    });
    let names: std::collections::BTreeSet<_> = names.collect();
    assert_eq!(names.len(), 6, "{names:?}");
}

#[test]
fn damage_hits_only_what_is_there() {
    for what in Damage::KINDS.into_iter().chain([Damage::Any]) {
        assert_eq!(
            Disk::new(cube(), Bugs::default()).damage(&mut fastrand::Rng::with_seed(1), what),
            Ok(None),
            "{what:?}"
        );
    }
    let mut disk = filled();
    assert_eq!(spoil(&mut disk, Damage::Record), RowKey::Record);
    assert_eq!(disk.damage(&mut fastrand::Rng::with_seed(1), Damage::Record), Ok(None), "a bad row stays as it is");
}

#[test]
fn a_damaged_message_fails_the_reads_that_touch_it_until_it_is_written_anew() {
    let mut disk = filled();
    spoil(&mut disk, Damage::Row(RowKey::Messages(home().code(), 1, 4)));
    let failed = disk.read(&read(4, 6)).unwrap_err();
    assert!(failed.why.contains("message 4 of topic number 1"));
    assert_eq!(failed.damaged, Some(Damaged { from: Offset(4), end: Offset(5) }));
    assert_eq!(disk.read(&read(2, 6)).unwrap_err().damaged, failed.damaged);
    assert_eq!(offsets(disk.read(&read(0, 4))), Ok(vec![0, 1, 2, 3]));
    assert_eq!(offsets(disk.read(&read(5, 7))), Ok(vec![5, 6]));
    assert_eq!(disk.rows.messages().count(), 9);
    disk.recover().expect("messages are looked at when they are read");

    let Write::Messages { group, topic, messages } = messages(4..5) else { unreachable!() };
    disk.begin(batch(20, [Write::Repair { group, topic, messages }]));
    assert_eq!(offsets(disk.read(&read(2, 6))), Ok(vec![2, 3, 4, 5]), "a rewrite on its way counts");
    disk.close().unwrap();
    assert_eq!(disk.rows.messages().count(), 10);
}

#[test]
fn a_damaged_log_end_is_cut_and_mistrusted_until_the_node_takes_another_identity() {
    let mut disk = filled();
    assert_eq!(spoil(&mut disk, Damage::LogTail), RowKey::Log(home().code(), 10));
    assert_eq!(spoil(&mut disk, Damage::LogTail), RowKey::Log(home().code(), 9));
    for start in 0..2 {
        let group = disk.recover().unwrap().groups.remove(0);
        assert_eq!((group.log.len(), group.hard_state.commit, group.tail_cut), (5, 8, true), "start {start}");
        disk.begin(batch(20 + start, [Write::Identity(record(1))]));
        disk.close().unwrap();
    }
    disk.begin(batch(30, [Write::Identity(record(2))]));
    disk.close().unwrap();
    assert!(!disk.recover().unwrap().groups[0].tail_cut);
}

#[test]
fn a_log_that_is_damaged_in_its_middle_is_cut_there() {
    for seed in 0..SEEDS {
        let mut disk = filled();
        let hit = disk.damage(&mut fastrand::Rng::with_seed(seed), Damage::LogMiddle).unwrap();
        let Some(RowKey::Log(_, index)) = hit else { panic!("{hit:?}") };
        let group = disk.recover().unwrap().groups.remove(0);
        assert_eq!((group.log.len() as u64, group.tail_cut), (index - 4, true), "entry {index}");
        disk.recover().expect("what lay behind is gone");
    }
}

#[test]
fn a_lost_commit_marker_or_journal_is_mistrusted_until_the_node_takes_another_identity() {
    for (commit_marker, journals) in [(true, false), (false, true), (true, true)] {
        let mut disk = filled();
        disk.begin(publish(11));
        disk.finish(11).unwrap();
        disk.lose_unsettled(0);
        disk.lose(Lost { commit_marker, journals });
        for _ in 0..2 {
            let group = disk.recover().unwrap().groups.remove(0);
            assert_eq!((group.hard_state.commit, group.tail_cut), (if journals { 10 } else { 11 }, true));
        }
        disk.begin(batch(30, [Write::Identity(record(2))]));
        disk.close().unwrap();
        assert!(!disk.recover().unwrap().groups[0].tail_cut);
    }
    let mut disk = filled();
    disk.lose(Lost { commit_marker: false, journals: true });
    assert!(!disk.recover().unwrap().groups[0].tail_cut, "an empty journal is no loss");
}

#[test]
fn other_damage_refuses_the_start_until_the_disk_is_wiped() {
    for (what, name) in [
        (Damage::Checkpoint, "the checkpoint of group 010"),
        (Damage::HardState, "the hard state of group 010"),
        (Damage::Record, "the node's record"),
        (Damage::Outbox, "outbox entry 5"),
    ] {
        let mut disk = filled();
        spoil(&mut disk, what);
        for _ in 0..2 {
            let refused = disk.recover().unwrap_err().text(cube());
            assert!(refused.contains(name), "{refused}");
        }
        disk.wipe();
        assert_eq!(disk.recover(), Ok(Recovered::default()));
    }
}

#[test]
fn what_replaces_a_damaged_row_heals_it() {
    let append = Write::Append { group: home(), entries: (4..=10).map(entry).collect() };
    let state = Write::HardState { group: home(), state: HardState { term: 3, vote: 0, commit: 10 } };
    for (what, heals) in [
        (Damage::LogMiddle, append),
        (Damage::LogMiddle, put_checkpoint(10, false)),
        (Damage::Checkpoint, put_checkpoint(3, false)),
        (Damage::HardState, state),
        (Damage::Outbox, Write::OutboxRemove { id: 5 }),
    ] {
        let mut disk = filled();
        spoil(&mut disk, what);
        disk.begin(batch(20, [heals]));
        disk.close().unwrap();
        assert!(!disk.recover().unwrap().groups[0].tail_cut, "{what:?}");
    }
}

#[test]
fn a_record_that_cannot_be_compared_ends_the_process() {
    let mut disk = filled();
    spoil(&mut disk, Damage::Record);
    disk.begin(batch(20, [Write::Identity(record(1))]));
    disk.begin(batch(21, [messages(10..11)]));
    assert!(matches!(disk.finish(21), Err(WriteFailed::Bad(_))));
    let left = disk.crash(&mut fastrand::Rng::with_seed(3)).unwrap();
    assert_eq!(left, CrashLeft { survived: 0, lost: 2 }, "nothing overtakes a batch that failed");
}

#[test]
fn a_full_disk_takes_nothing_more_and_keeps_what_was_finished() {
    let mut disk = Disk::new(cube(), Bugs::default());
    disk.begin(publish(1));
    disk.finish(1).unwrap();
    disk.limit(Some(0));
    assert_eq!((disk.space().free, disk.space().stuck), (0, false));
    let large = LogEntry { data: vec![7; 100_000].into(), ..entry(2) };
    disk.begin(batch(2, [Write::Append { group: home(), entries: vec![large] }]));
    assert_eq!(disk.finish(2), Err(WriteFailed::Full));
    assert!(disk.space().stuck);
    let left = disk.clone().crash(&mut fastrand::Rng::with_seed(0));
    assert_eq!(left, Ok(CrashLeft { survived: 0, lost: 1 }), "what found no room is lost with its process");

    disk.limit(None);
    disk.finish(2).unwrap();
    disk.close().unwrap();
    assert!(!disk.space().stuck && disk.space().free > 1 << 40);
    assert_eq!(disk.recover().unwrap().groups[0].log.last().unwrap().data.len(), 100_000);
}

#[test]
fn what_is_deleted_gives_its_room_back_and_small_things_find_room_on_a_full_disk() {
    let mut disk = Disk::new(cube(), Bugs::default());
    disk.begin(batch(1, [messages(0..300)]));
    disk.finish(1).unwrap();
    disk.limit(Some(0));
    let stored = disk.space().stored;
    assert!(stored >= 300 * 128);
    disk.begin(batch(2, [Write::DropMessages { group: home(), topic: TopicId(1) }]));
    disk.close().unwrap();
    assert_eq!((disk.space().stored, disk.space().free), (0, stored));
}

#[test]
fn what_the_log_makes_again_finds_room_on_a_disk_that_was_filled_meanwhile() {
    let mut disk = Disk::new(cube(), Bugs::default());
    disk.begin(batch(1, [messages(0..300)]));
    disk.finish(1).unwrap();
    disk.lose_unsettled(0);
    disk.limit(Some(0));
    disk.recover().unwrap();
    disk.begin(batch(1, [messages(0..300)]));
    disk.finish(1).expect("it was there before");
    let (free, more) = (disk.space().free, messages(300..600));
    disk.begin(batch(2, [more]));
    assert_eq!((free, disk.finish(2)), (0, Err(WriteFailed::Full)));
}

#[test]
fn a_read_sees_all_that_was_begun_before_it() {
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disk = Disk::new(cube(), Bugs::default());
        let mut next = 0;
        for number in 1..=random.u64(1..12) {
            let write = match random.u8(0..5) {
                0 => {
                    next = 0;
                    Write::DropMessages { group: home(), topic: TopicId(1) }
                }
                _ => {
                    let from = next - next.min(random.u64(0..3));
                    next = from.max(next) + random.u64(0..4);
                    messages(from..next)
                }
            };
            disk.begin(batch(number, [write]));
            if random.bool() {
                disk.finish(random.u64(0..=number)).unwrap();
            }
        }
        let read = ReadMessages { max_messages: random.u32(1..9), ..read(0, random.u64(0..9)) };
        let before = disk.read(&read);
        disk.close().unwrap();
        assert_eq!(before, disk.read(&read), "seed {seed}");
        assert!(before.is_ok(), "seed {seed}: {before:?}");
    }
}

#[test]
fn a_later_batch_takes_nothing_away_from_a_read_that_is_under_way() {
    let mut disk = filled();
    disk.begin(batch(20, [messages(10..12)]));
    disk.begin_read(ReadMessages { read: ReadId(1), ..read(8, 99) });
    disk.begin(batch(21, [Write::DropMessages { group: home(), topic: TopicId(1) }]));
    disk.begin_read(ReadMessages { read: ReadId(2), ..read(8, 99) });
    disk.finish(21).unwrap();
    assert_eq!(offsets(disk.finish_read(ReadId(1))), Ok(vec![8, 9, 10, 11]));
    assert_eq!(offsets(disk.finish_read(ReadId(2))), Ok(vec![]));
}

#[test]
fn a_gap_between_messages_fails_the_read() {
    let mut disk = filled();
    disk.begin(batch(20, [messages(12..14)]));
    let failed = disk.read(&read(11, 14)).unwrap_err();
    assert!(failed.why.contains("message 11 of topic number 1 in group 010 is missing"), "{failed}");
    disk.close().unwrap();
    let failed = disk.read(&read(11, 14)).unwrap_err();
    assert_eq!(failed.damaged, Some(Damaged { from: Offset(10), end: Offset(12) }), "all of the gap");
    assert_eq!(disk.read(&read(9, 14)).unwrap_err().damaged, failed.damaged);
    assert_eq!(offsets(disk.read(&read(9, 12))), Ok(vec![9]));
}

#[test]
fn the_same_seed_gives_the_same_damage() {
    let spoilt = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disk = filled();
        disk.begin(publish(20));
        disk.begin(publish(21));
        let left = disk.crash(&mut random).unwrap();
        let hits = Damage::KINDS.map(|what| disk.damage(&mut random, what).unwrap());
        (left, hits, random.u64(..))
    };
    assert_eq!(spoilt(5), spoilt(5));
    assert_ne!(spoilt(5), spoilt(6));
}

fn cube() -> Dimension {
    Dimension::new(3).unwrap()
}

fn host() -> HostId {
    "010".parse().unwrap()
}

fn home() -> GroupId {
    GroupId::Home(VertexId(2))
}

fn batch(number: u64, writes: impl Into<Vec<Write>>) -> WriteBatch {
    WriteBatch { number, writes: writes.into() }
}

/// The writes of a publish: an entry, its commit, its message.
fn publish(number: u64) -> WriteBatch {
    let state = HardState { term: 3, vote: 0, commit: number };
    let entries = vec![entry(number)];
    batch(
        number,
        [
            Write::Append { group: home(), entries },
            Write::HardState { group: home(), state },
            messages(number - 1..number),
        ],
    )
}

/// A disk with a record, a checkpoint at 3, log entries 4 to 10, ten messages and an outbox entry.
fn filled() -> Disk {
    let mut disk = Disk::new(cube(), Bugs::default());
    (1..=10).for_each(|number| disk.begin(publish(number)));
    let kept = Command {
        key: RequestKey { coordinator: Member::founding(host()), number: 5 },
        time: Timestamp(5),
        op: Op::CreateTopic { publisher: PublisherId::new("pia").unwrap(), topic: TopicName::new("news").unwrap() },
    };
    disk.begin(batch(
        11,
        [Write::Identity(record(1)), put_checkpoint(3, false), Write::OutboxPut { id: 5, command: kept }],
    ));
    disk.close().unwrap();
    disk
}

fn record(incarnation: u32) -> NodeRecord {
    let identity = Member { host: host(), incarnation: Incarnation(incarnation) };
    NodeRecord { identity: Some(identity), host: host(), starts: 1, met: Vec::new() }
}

fn put_checkpoint(index: u64, clear_log: bool) -> Write {
    Write::Checkpoint { group: home(), checkpoint: checkpoint(index), drop_log_through: index, clear_log }
}

fn checkpoint(index: u64) -> Checkpoint {
    Checkpoint { index, term: 3, voters: vec![Member::founding(host())], learners: Vec::new(), state: vec![9; 40] }
}

fn entry(index: u64) -> LogEntry {
    LogEntry { index, term: 3, kind: EntryKind::Commands, data: vec![7; 30].into() }
}

fn messages(offsets: std::ops::Range<u64>) -> Write {
    let message = |offset| StoredMessage {
        offset: Offset(offset),
        publisher: PublisherId::new("pia").unwrap(),
        sequence: Some(Sequence(offset)),
        time: Timestamp(offset),
        content: format!("message {offset}").into(),
    };
    Write::Messages { group: home(), topic: TopicId(1), messages: offsets.map(message).collect() }
}

fn read(from: u64, end: u64) -> ReadMessages {
    ReadMessages {
        read: ReadId(0),
        group: home(),
        topic: TopicId(1),
        from: Offset(from),
        end: Offset(end),
        max_messages: u32::MAX,
        max_bytes: u64::MAX,
    }
}

fn offsets(answer: ReadAnswer) -> Result<Vec<u64>, ReadFailed> {
    Ok(answer?.into_iter().map(|message| message.offset.0).collect())
}

/// Damages a row that must exist.
fn spoil(disk: &mut Disk, what: Damage) -> RowKey {
    disk.damage(&mut fastrand::Rng::with_seed(7), what).unwrap().expect("there is such a row")
}
