//! Shared parts of the storage tests: sample content, and a view of everything in a store.

use std::fs;
use std::path::Path;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::{GroupId, HostId, Member, RequestKey};
use cubecast_core::names::{Offset, PublisherId, Sequence, TopicId, TopicName};
use cubecast_core::records::{EntryKind, LogEntry, StoredMessage};
use cubecast_core::store::*;
use cubecast_core::time::Timestamp;
use cubecast_core::topics::command::{Command, Op};
use cubecast_node::storage::*;

/// A vertex from its bits.
pub fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

/// The group of this home.
pub fn group(home: &str) -> GroupId {
    GroupId::of(home.parse().unwrap())
}

/// The owner of the test folders.
pub fn identity() -> FolderIdentity {
    FolderIdentity::new("test", host("010"), Dimension::new(3).unwrap())
}

/// Opens a store that syncs always; panics on an error.
pub fn open(folder: &Path) -> (RedbStore, Recovered, OpenReport) {
    try_open(folder).unwrap_or_else(|error| panic!("{error}"))
}

/// Opens a store that syncs always.
pub fn try_open(folder: &Path) -> Result<(RedbStore, Recovered, OpenReport), StorageError> {
    RedbStore::open(folder, &identity(), SyncMode::Always)
}

/// A batch with these writes.
pub fn batch(number: u64, writes: impl Into<Vec<Write>>) -> WriteBatch {
    WriteBatch { number, writes: writes.into() }
}

/// The record of node 010 after this many starts.
pub fn record(starts: u64) -> NodeRecord {
    let me = host("010");
    NodeRecord {
        identity: Some(Member::founding(me)),
        host: me,
        starts,
        met: vec![(host("011"), Member::founding(me).incarnation)],
    }
}

/// The log entry with this index.
pub fn entry(index: u64) -> LogEntry {
    LogEntry {
        index,
        term: 1 + index / 10,
        kind: EntryKind::Commands,
        data: format!("entry {index} ").repeat(9).into_bytes().into(),
    }
}

/// A write that appends the entries with these indexes.
pub fn append(home: &str, indexes: impl Iterator<Item = u64>) -> Write {
    Write::Append { group: group(home), entries: indexes.map(entry).collect() }
}

/// A write of a hard state with this commit index.
pub fn hard_state(home: &str, commit: u64) -> Write {
    Write::HardState { group: group(home), state: HardState { term: 9, vote: 0, commit } }
}

/// A checkpoint with a state of `bytes` bytes.
pub fn checkpoint(index: u64, bytes: usize) -> Checkpoint {
    let state = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
    Checkpoint { index, term: 1, voters: vec![Member::founding(host("010"))], learners: vec![], state }
}

/// A write of a checkpoint that drops the log through its index.
pub fn put_checkpoint(home: &str, index: u64, bytes: usize) -> Write {
    let checkpoint = checkpoint(index, bytes);
    Write::Checkpoint { group: group(home), checkpoint, drop_log_through: index, clear_log: false }
}

/// A write as a snapshot makes it: the checkpoint replaces the log.
pub fn replace_log(home: &str, index: u64) -> Write {
    Write::Checkpoint { group: group(home), checkpoint: checkpoint(index, 9), drop_log_through: index, clear_log: true }
}

/// The message with this offset.
pub fn message(offset: u64) -> StoredMessage {
    StoredMessage {
        offset: Offset(offset),
        publisher: PublisherId::new("pia").unwrap(),
        sequence: Some(Sequence(offset)),
        time: Timestamp(1_700_000_000_000_000 + offset),
        content: format!("message {offset}: {}", "x".repeat(offset as usize % 97)).into(),
    }
}

/// A write of the messages with these offsets.
pub fn messages(home: &str, topic: u64, offsets: impl Iterator<Item = u64>) -> Write {
    Write::Messages { group: group(home), topic: TopicId(topic), messages: offsets.map(message).collect() }
}

/// A write that deletes a topic's messages.
pub fn drop_messages(home: &str, topic: u64) -> Write {
    Write::DropMessages { group: group(home), topic: TopicId(topic) }
}

/// The command with this number.
pub fn command(number: u64) -> Command {
    Command {
        key: RequestKey { coordinator: Member::founding(host("010")), number },
        time: Timestamp(number),
        op: Op::Publish {
            publisher: PublisherId::new("pia").unwrap(),
            topic: TopicName::new("cricket").unwrap(),
            sequence: None,
            content: format!("kept {number}").into(),
        },
    }
}

/// A read of the messages `from..end` without other limits.
pub fn read(home: &str, topic: u64, from: u64, end: u64) -> ReadMessages {
    ReadMessages {
        read: ReadId(from),
        group: group(home),
        topic: TopicId(topic),
        from: Offset(from),
        end: Offset(end),
        max_messages: u32::MAX,
        max_bytes: u64::MAX,
    }
}

/// Writes of all kinds, in several transactions: two groups, two topics, a checkpoint, an outbox.
pub fn filling() -> Vec<WriteBatch> {
    let rounds = (0..10).map(|round| {
        let (from, to) = (round * 20, round * 20 + 20);
        let writes = [
            append("010", from + 1..=to),
            hard_state("010", to),
            messages("010", 1, from..to),
            append("110", from / 4 + 1..=to / 4),
            hard_state("110", to / 4),
            messages("110", 7, from * 2..to * 2),
            Write::OutboxPut { id: round, command: command(round) },
        ];
        batch(2 + round, writes)
    });
    let last = [
        batch(12, [put_checkpoint("010", 150, 20_000), Write::OutboxRemove { id: 3 }]),
        batch(13, [append("010", 201..=203), hard_state("010", 203)]),
    ];
    [batch(1, [Write::Identity(record(1))])].into_iter().chain(rounds).chain(last).collect()
}

/// Writes [`filling`].
pub fn fill(store: &mut RedbStore) {
    filling().into_iter().for_each(|batch| store.write(vec![batch]).unwrap());
}

/// Everything in a store.
#[derive(Clone, PartialEq, Debug)]
pub struct Everything {
    /// The recovered state.
    pub recovered: Recovered,
    /// The messages, by group and topic.
    pub messages: Vec<(GroupId, TopicId, Vec<StoredMessage>)>,
}

/// Reads everything. `Err`: the store reports unreadable data.
pub fn everything(store: &RedbStore, recovered: Recovered) -> Result<Everything, StorageError> {
    let mut found = Vec::new();
    for name in ["010", "110"] {
        let group = self::group(name);
        for topic in store.topics_on_disk(group)? {
            let all = ReadMessages { topic, ..read(name, 0, 0, u64::MAX) };
            found.push((group, topic, store.read_messages(&all)?));
        }
    }
    Ok(Everything { recovered, messages: found })
}

/// The content of a store that was killed before anything of [`fill`] reached the tables. The rest is replayable from
/// the log.
pub fn filled_and_killed() -> Everything {
    let mut left = filled();
    left.recovered.groups[0].checkpoint = None;
    left.recovered.groups[0].log = (1..=203).map(entry).collect();
    left.messages.clear();
    left
}

/// The content of a store after [`fill`].
pub fn filled() -> Everything {
    let recovered = |name: &str, commit, checkpoint, log: std::ops::RangeInclusive<u64>| RecoveredGroup {
        group: group(name),
        hard_state: HardState { term: 9, vote: 0, commit },
        checkpoint,
        log: log.map(entry).collect(),
        tail_cut: false,
    };
    Everything {
        recovered: Recovered {
            record: Some(record(1)),
            groups: vec![
                recovered("010", 203, Some(checkpoint(150, 20_000)), 151..=203),
                recovered("110", 50, None, 1..=50),
            ],
            outbox: (0..10).filter(|id| *id != 3).map(|id| (id, command(id))).collect(),
        },
        messages: vec![
            (group("010"), TopicId(1), (0..200).map(message).collect()),
            (group("110"), TopicId(7), (0..400).map(message).collect()),
        ],
    }
}

/// Copies the files as they are now, which is the state that a killed process leaves.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
