//! The engine and the simulated disk behave the same: writes, damage and reads have the same results on both.

use std::path::Path;

use cubecast_core::bugs::Bugs;
use cubecast_core::identity::{Incarnation, Member};
use cubecast_core::names::TopicId;
use cubecast_core::records::StoredMessage;
use cubecast_core::store::rows::RowKey;
use cubecast_core::store::*;
use cubecast_node::storage::*;
use cubecast_sim::{Damage, Disk, Lost};

use crate::damage::{rows_of, spoil_row};
use crate::flips::tries;
use crate::support::*;

const GROUPS: [&str; 2] = ["010", "110"];

/// One history on two disks. Each read checks that they agree.
struct Twins {
    folder: tempfile::TempDir,
    /// `None`: closed.
    engine: Option<RedbStore>,
    disk: Disk,
    written: u64,
}

impl Twins {
    fn new() -> Twins {
        let folder = tempfile::tempdir().unwrap();
        let (engine, ..) = try_open_unsynced(folder.path()).unwrap();
        Twins { folder, engine: Some(engine), disk: Disk::new(identity().dimension, Bugs::default()), written: 0 }
    }

    fn with(writes: impl IntoIterator<Item = Write>) -> Twins {
        let mut twins = Twins::new();
        writes.into_iter().for_each(|write| twins.write([write]));
        twins
    }

    fn filled() -> Twins {
        let mut twins = Twins::new();
        filling().into_iter().for_each(|batch| twins.write(batch.writes));
        twins
    }

    fn write(&mut self, writes: impl Into<Vec<Write>>) {
        self.written += 1;
        let batch = batch(self.written, writes);
        self.engine.as_mut().expect("the engine runs").write(vec![batch.clone()]).unwrap();
        self.disk.begin(batch);
        self.disk.finish(self.written).unwrap();
    }

    fn close(&mut self) {
        self.engine.take().into_iter().for_each(|mut engine| engine.close().unwrap());
        self.disk.close().unwrap();
    }

    /// Simulates the death of the process: the next start finds the files as they are now. The tables have the state
    /// of the last start, and of the last cut of a log's end; later writes are too few to be flushed.
    fn kill(&mut self) {
        let left_behind = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), left_behind.path());
        self.engine = None;
        self.disk.lose_unsettled(0);
        self.folder = left_behind;
    }

    fn lose(&mut self, lost: Lost) {
        let files = [("commit-marker", lost.commit_marker), ("journal", lost.journals), ("journal-2", lost.journals)];
        for (file, _) in files.iter().filter(|(_, is_lost)| *is_lost) {
            std::fs::remove_file(self.folder.path().join(file)).unwrap();
        }
        self.disk.lose(lost);
    }

    fn damage(&mut self, what: Damage, random: &mut fastrand::Rng) -> Option<RowKey> {
        self.close();
        let key = self.disk.damage(random, what).expect("every damage is noticed")?;
        match key {
            RowKey::Messages(group, topic, _) => self.damage_all(group, topic, random),
            key => spoil_row(self.folder.path(), key),
        }
        Some(key)
    }

    /// Engines choose the boundaries of rows differently, so all rows of a topic are damaged.
    fn damage_all(&mut self, group: u32, topic: u64, random: &mut fastrand::Rng) {
        for row in rows_of(self.folder.path(), group, topic) {
            for last in row.clone() {
                let key = RowKey::Messages(group, topic, last);
                self.disk.damage(random, Damage::Row(key)).expect("every damage is noticed");
            }
            spoil_row(self.folder.path(), RowKey::Messages(group, topic, *row.end()));
        }
    }

    /// Starts both. `Err`: why both refuse.
    fn start(&mut self) -> Result<Recovered, String> {
        self.close();
        match (try_open_unsynced(self.folder.path()), self.disk.recover()) {
            (Ok((engine, recovered, _)), Ok(simulated)) => {
                assert_eq!(recovered, simulated);
                self.engine = Some(engine);
                Ok(recovered)
            }
            (Err(error @ StorageError::Damaged { .. }), Err(refused)) => {
                let (error, refused) = (error.to_string(), refused.text(identity().dimension));
                assert!(error.contains(&refused), "{error}, but {refused}");
                Err(refused)
            }
            (engine, simulated) => panic!("{:?}, but {simulated:?}", engine.map(|(_, recovered, _)| recovered)),
        }
    }

    /// Reads from both. `Err`: why both fail.
    fn read(&self, read: &ReadMessages) -> Result<Vec<StoredMessage>, String> {
        let engine = self.engine.as_ref().expect("the engine runs");
        match (engine.read_messages(read), self.disk.read(read)) {
            (Ok(found), Ok(simulated)) => {
                assert_eq!(found, simulated, "{read:?}");
                if let Some(remembered) = engine.read_from_memory(read) {
                    assert_eq!(remembered, found, "{read:?} from memory");
                }
                Ok(found)
            }
            (Err(error), Err(ReadFailed { why, .. })) => {
                assert!(error.to_string().contains(&why), "{error}, but {why}");
                Err(why)
            }
            (engine, simulated) => panic!("{read:?}: {engine:?}, but {simulated:?}"),
        }
    }
}

#[test]
fn damage_means_the_same_to_the_engine_and_to_the_simulated_disk() {
    let code = |home: &str| group(home).code();
    // The damaged rows, why the start refuses, and how many entries are cut off group 010's log of 151 to 203.
    let cases: [(&[RowKey], Option<&str>, usize); 11] = [
        (&[], None, 0),
        (&[RowKey::Log(code("010"), 203)], None, 1),
        (&[RowKey::Log(code("010"), 202), RowKey::Log(code("010"), 203)], None, 2),
        (&[RowKey::Log(code("010"), 202)], None, 2),
        (&[RowKey::Log(code("010"), 151)], None, 53),
        (&[RowKey::Checkpoint(code("010"))], Some("the checkpoint of group 010"), 0),
        (&[RowKey::HardState(code("110"))], Some("the hard state of group 110"), 0),
        (&[RowKey::Record], Some("the node's record"), 0),
        (&[RowKey::Outbox(7)], Some("outbox entry 7"), 0),
        (&[RowKey::Messages(code("010"), 1, 119)], None, 0),
        (&[RowKey::Messages(code("110"), 7, 39), RowKey::Log(code("010"), 203)], None, 1),
    ];
    for (rows, refused, cut) in cases {
        let mut twins = Twins::filled();
        for row in rows {
            assert!(twins.damage(Damage::Row(*row), &mut fastrand::Rng::with_seed(1)).is_some(), "{row:?}");
        }
        match (twins.start(), refused) {
            (Err(why), Some(expected)) => assert!(why.contains(expected), "{why}"),
            (Ok(recovered), None) => {
                let group = &recovered.groups[0];
                assert_eq!((53 - group.log.len(), group.tail_cut), (cut, cut > 0), "{rows:?}");
            }
            (other, _) => panic!("{rows:?}: {other:?}"),
        }
    }
}

#[test]
fn what_is_missing_means_the_same_to_both() {
    let cases = [
        (vec![append("010", 5..=9)], 0),
        (vec![append("010", 1..=3), append("010", 7..=9)], 3),
        (vec![put_checkpoint("010", 5, 9), append("010", 7..=9)], 0),
    ];
    for (writes, left) in cases {
        let group = Twins::with(writes).start().unwrap().groups.remove(0);
        assert_eq!((group.log.len(), group.tail_cut), (left, true));
    }
    let mut twins = Twins::with([append("010", 1..=3), hard_state("010", 5), append("110", 1..=3)]);
    let recovered = twins.start().unwrap();
    assert_eq!((recovered.groups[0].tail_cut, recovered.groups[0].hard_state.commit), (true, 3));
    assert!(!recovered.groups[1].tail_cut);
    assert_eq!(twins.start(), Ok(recovered), "what was cut stays cut");

    twins.write([Write::Identity(NodeRecord { identity: another_identity(), ..record(1) })]);
    assert!(!twins.start().unwrap().groups[0].tail_cut);
}

#[test]
fn files_that_are_lost_mean_the_same_to_both() {
    let identity = |incarnation| {
        let identity = Some(Member { host: host("010"), incarnation: Incarnation(incarnation) });
        Write::Identity(NodeRecord { identity, ..record(1) })
    };
    for (commit_marker, journals) in [(false, false), (true, false), (false, true), (true, true)] {
        let only_identity = (vec![identity(1)], 1);
        let with_logs = (vec![identity(1), replace_log("010", 3), append("110", 1..=3)], 4);
        for (first, from) in [only_identity, with_logs] {
            let mut twins = Twins::with(first);
            twins.start().unwrap();
            twins.write([append("010", from..=9), hard_state("010", 9)]);
            twins.kill();
            twins.lose(Lost { commit_marker, journals });
            let recovered = twins.start().unwrap();
            let cut = recovered.groups.iter().all(|group| group.tail_cut);
            assert_eq!(
                cut,
                commit_marker || journals,
                "commit marker {commit_marker}, journals {journals}: {recovered:?}"
            );
            assert_eq!(twins.start().unwrap(), recovered, "and at the next start as well");
        }
    }
}

#[test]
fn a_log_that_is_cut_before_its_checkpoint_goes_on_behind_it_on_both() {
    let checkpoint =
        Write::Checkpoint { group: group("010"), checkpoint: checkpoint(9, 50), drop_log_through: 4, clear_log: false };
    let mut twins = Twins::with([append("010", 1..=9), hard_state("010", 9), checkpoint]);
    twins.damage(Damage::LogTail, &mut fastrand::Rng::with_seed(1)).unwrap();
    let group = twins.start().unwrap().groups.remove(0);
    assert_eq!((group.log.as_slice(), group.hard_state.commit, group.tail_cut), ([].as_slice(), 9, true));

    twins.write([append("010", 10..=12)]);
    assert_eq!(twins.start().unwrap().groups[0].log, [entry(10), entry(11), entry(12)]);
}

#[test]
fn a_read_ends_and_fails_at_the_same_message_on_both() {
    let mut twins = Twins::with([messages("010", 1, 0..50), messages("010", 1, 52..60), messages("010", 2, 0..3)]);
    let look = |twins: &Twins| {
        let all = read("010", 1, 0, 20);
        assert_eq!(twins.read(&all).unwrap().len(), 20);
        for (max_messages, max_bytes) in [(0, 0), (1, 9), (3, 9), (5, 12), (5, 11), (20, 240), (20, 241)] {
            twins.read(&ReadMessages { max_messages, max_bytes, ..all.clone() }).unwrap();
        }
        for (from, end, fails) in [(0, 50, false), (0, 52, false), (20, 99, true), (21, 53, true), (50, 53, true)] {
            assert_eq!(twins.read(&read("010", 1, from, end)).is_err(), fails, "{from} to {end}");
        }
        for (from, end) in [(50, 52), (60, 99), (5, 5), (6, 5)] {
            assert_eq!(twins.read(&read("010", 1, from, end)), Ok(vec![]), "{from} to {end}");
        }
    };
    look(&twins);
    twins.start().unwrap();
    look(&twins);
    twins.damage(Damage::Row(RowKey::Messages(group("010").code(), 1, 49)), &mut fastrand::Rng::with_seed(1));
    twins.start().unwrap();
    for (from, end) in [(0, 1), (20, 99), (49, 50), (50, 53), (55, 60)] {
        assert!(twins.read(&read("010", 1, from, end)).is_err(), "{from} to {end}");
    }
    for (topic, from, end) in [(1, 60, 99), (1, 5, 5), (2, 3, 9)] {
        assert_eq!(twins.read(&read("010", topic, from, end)), Ok(vec![]), "{from} to {end}");
    }
    assert_eq!(twins.read(&read("010", 2, 0, 3)).unwrap().len(), 3);
}

#[test]
fn random_histories_with_random_damage_read_the_same_on_both() {
    for seed in 0..tries().div_ceil(2) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut twins, mut author) = (Twins::new(), Author::default());
        for _ in 0..3 {
            (0..random.u64(1..20)).for_each(|_| twins.write(author.some_writes(&mut random)));
            look_around(&twins, &mut random);
            if random.bool() {
                twins.kill();
                let Ok(recovered) = twins.start() else { break };
                author.go_on_from(&recovered);
            }
            for _ in 0..random.u64(0..3) {
                let what = random.choice([Damage::Messages, Damage::LogTail, Damage::LogTail, Damage::Any]).unwrap();
                twins.damage(what, &mut random);
            }
            let Ok(recovered) = twins.start() else { break };
            look_around(&twins, &mut random);
            author.go_on_from(&recovered);
        }
        println!(
            "history {seed}: {} batches, {}",
            twins.written,
            if twins.engine.is_some() { "good" } else { "refused" }
        );
    }
}

/// These tests kill no process, so nothing must be synced.
fn try_open_unsynced(folder: &Path) -> Result<(RedbStore, Recovered, OpenReport), StorageError> {
    RedbStore::open(folder, &identity(), SyncMode::Never)
}

fn look_around(twins: &Twins, random: &mut fastrand::Rng) {
    for _ in 0..20 {
        let (from, length) = (random.u64(0..40), random.u64(0..40));
        let topic = TopicId(random.u64(1..3));
        let limited = ReadMessages {
            topic,
            max_bytes: random.u64(0..2000),
            ..read(random.choice(GROUPS).unwrap(), 0, from, from + length)
        };
        drop(twins.read(&limited));
    }
}

fn another_identity() -> Option<Member> {
    Some(Member { host: host("010"), incarnation: Incarnation(7) })
}

/// Produces writes like those of a node.
#[derive(Default)]
struct Author {
    logs: [LogShape; 2],
    /// The next offset, by group and topic.
    offsets: [[u64; 2]; 2],
    starts: u64,
}

#[derive(Clone, Copy, Default)]
struct LogShape {
    checkpoint: u64,
    last: u64,
}

impl Author {
    fn some_writes(&mut self, random: &mut fastrand::Rng) -> Vec<Write> {
        (0..random.u64(1..4)).map(|_| self.some_write(random)).collect()
    }

    fn some_write(&mut self, random: &mut fastrand::Rng) -> Write {
        let at = random.usize(0..2);
        let home = GROUPS[at];
        let log = &mut self.logs[at];
        match random.u8(0..12) {
            0..4 => {
                let from = (log.last + 1).saturating_sub(random.u64(0..3)).max(log.checkpoint + 1);
                log.last = from + random.u64(0..5);
                append(home, from..=log.last)
            }
            4 => hard_state(home, random.u64(log.checkpoint..=log.last)),
            5 => {
                log.checkpoint = random.u64(log.checkpoint..=log.last);
                let drop_log_through = log.checkpoint.saturating_sub(random.u64(0..4));
                let checkpoint = checkpoint(log.checkpoint, 30);
                Write::Checkpoint { group: group(home), checkpoint, drop_log_through, clear_log: false }
            }
            6 => {
                log.last += 5;
                log.checkpoint = log.last;
                let checkpoint = checkpoint(log.last, 30);
                Write::Checkpoint { group: group(home), checkpoint, drop_log_through: 0, clear_log: true }
            }
            7..10 => {
                let topic = random.usize(0..2);
                let next = &mut self.offsets[at][topic];
                let from = next.saturating_sub(random.u64(0..3));
                *next = from.max(*next) + random.u64(0..5);
                messages(home, topic as u64 + 1, from..*next)
            }
            10 => {
                let topic = random.usize(0..2);
                self.offsets[at][topic] = 0;
                drop_messages(home, topic as u64 + 1)
            }
            _ => match random.u8(0..4) {
                0 => {
                    self.starts += 1;
                    let identity = if random.bool() { another_identity() } else { record(0).identity };
                    Write::Identity(NodeRecord { identity, ..record(self.starts) })
                }
                1 => Write::OutboxRemove { id: random.u64(0..3) },
                _ => Write::OutboxPut { id: random.u64(0..3), command: command(random.u64(0..9)) },
            },
        }
    }

    /// Logs may have lost their ends.
    fn go_on_from(&mut self, recovered: &Recovered) {
        for (name, log) in GROUPS.iter().zip(&mut self.logs) {
            let found = recovered.groups.iter().find(|found| found.group == group(name));
            let last = found.and_then(|group| group.log.last()).map_or(log.checkpoint, |entry| entry.index);
            log.last = last.max(log.checkpoint);
        }
    }
}
