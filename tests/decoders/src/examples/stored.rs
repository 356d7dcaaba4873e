//! The stored data of a group: commands, changes of members, states, messages.

use cubecast_core::cube::VertexId;
use cubecast_core::group::MemberChange;
use cubecast_core::identity::{GroupId, Member, RequestKey};
use cubecast_core::names::{Offset, Sequence, StartAt, TopicId};
use cubecast_core::records::{EntryKind, LogEntry, StoredMessage};
use cubecast_core::store::{Checkpoint, HardState, NodeRecord, Write};
use cubecast_core::topics::Topics;
use cubecast_core::topics::command::{Command, Op, encode_commands};
use cubecast_node::storage::FolderIdentity;

use super::wire::{TIME, named, publisher, subscriber, topic};
use crate::cube;
use crate::stored::row_bytes;

/// The key of request `number` of node 000.
pub fn key(number: u64) -> RequestKey {
    RequestKey { coordinator: Member::founding(named("000")), number }
}

/// The life of a topic and its users; contains every command.
pub fn commands() -> Vec<Command> {
    let publish = |sequence, content: &str| Op::Publish {
        publisher: publisher(),
        topic: topic(),
        sequence,
        content: content.into(),
    };
    let subscribe = |from| Op::Subscribe { subscriber: subscriber(), topic: topic(), from };
    let ops = [
        Op::CreatePublisher { publisher: publisher() },
        Op::CreateSubscriber { subscriber: subscriber() },
        Op::CreateTopic { publisher: publisher(), topic: topic() },
        publish(Some(Sequence(300)), "hi"),
        publish(None, "there"),
        subscribe(Some(StartAt::Latest)),
        subscribe(Some(StartAt::Offset(Offset(1)))),
        Op::Commit { subscriber: subscriber(), topic: topic(), offset: Offset(2) },
        Op::Advance { subscriber: subscriber(), topic: topic(), from: Offset(2), to: Offset(4) },
        Op::Unsubscribe { subscriber: subscriber(), topic: topic() },
        subscribe(None),
        publish(Some(Sequence(302)), "again"),
        Op::DeleteTopic { publisher: publisher(), topic: topic() },
        Op::DeletePublisher { publisher: publisher() },
        Op::DeleteSubscriber { subscriber: subscriber() },
        Op::CreatePublisher { publisher: publisher() },
    ];
    ops.into_iter().zip(1..).map(|(op, number)| Command { key: key(number), time: TIME, op }).collect()
}

/// The states after each of the commands.
pub fn topics() -> Vec<Topics> {
    let mut topics = Topics::default();
    let mut states = vec![topics.clone()];
    for command in commands() {
        topics.apply(&command);
        states.push(topics.clone());
    }
    states
}

/// Every kind of change of members.
pub fn changes() -> [MemberChange; 3] {
    let node = Member::founding(named("001"));
    [MemberChange::AddVoter(node), MemberChange::AddLearner(node), MemberChange::Remove(node)]
}

/// The encoded change, as it stands in a log entry.
pub fn change_to_bytes(change: MemberChange) -> Vec<u8> {
    change.encode()
}

/// Every kind of change of members, encoded.
pub fn change_bytes() -> Vec<Vec<u8>> {
    changes().map(change_to_bytes).into()
}

fn node() -> Member {
    Member::founding(named("100"))
}

fn record() -> NodeRecord {
    let met = vec![(named("101"), node().incarnation)];
    NodeRecord { identity: Some(node()), host: named("100"), starts: 3, met }
}

fn hard_state() -> HardState {
    HardState { term: 1, vote: node().to_raft(), commit: 3 }
}

fn checkpoint() -> Checkpoint {
    let state = topics().swap_remove(6).encode();
    Checkpoint { index: 2, term: 1, voters: vec![node()], learners: vec![], state }
}

fn entry(index: u64) -> LogEntry {
    LogEntry { index, term: 1, kind: EntryKind::Commands, data: encode_commands(&commands()[..1]).into() }
}

/// Each row separately, a store with all of them, and a store whose log is damaged at its end.
pub fn rows() -> Vec<Vec<u8>> {
    let entry_row = |index: u8| row_bytes(5, index, &entry(index.into()));
    let all = [
        row_bytes(0, 0, &FolderIdentity::new("demo", named("100"), cube())),
        row_bytes(1, 0, &300u64),
        row_bytes(2, 0, &record()),
        row_bytes(3, 0, &hard_state()),
        row_bytes(4, 0, &checkpoint()),
        entry_row(2),
        entry_row(3),
        entry_row(4),
        row_bytes(6, 7, &[StoredMessage { offset: Offset(7), ..message() }]),
        row_bytes(7, 9, &commands()[0]),
    ];
    let mut damaged = entry_row(4);
    damaged[0] |= 128;
    let torn = [entry_row(2), entry_row(3), damaged.clone()].concat();
    let holed = [entry_row(2), damaged, entry_row(5)].concat();
    all.iter().cloned().chain([all.concat(), torn, holed]).collect()
}

/// Every kind of write.
pub fn writes() -> Vec<Write> {
    let (group, topic) = (GroupId::Home(VertexId(4)), TopicId(3));
    vec![
        Write::Identity(record()),
        Write::HardState { group, state: hard_state() },
        Write::Append { group, entries: vec![entry(2), entry(3)] },
        Write::Checkpoint { group, checkpoint: checkpoint(), drop_log_through: 1, clear_log: false },
        Write::Messages { group, topic, messages: vec![message()] },
        Write::Repair { group, topic, messages: vec![message()] },
        Write::DropMessages { group, topic },
        Write::OutboxPut { id: 9, command: commands().swap_remove(3) },
        Write::OutboxRemove { id: 9 },
    ]
}

/// A stored message.
pub fn message() -> StoredMessage {
    StoredMessage {
        offset: Offset(300),
        publisher: publisher(),
        sequence: Some(Sequence(5)),
        time: TIME,
        content: "hi".into(),
    }
}
