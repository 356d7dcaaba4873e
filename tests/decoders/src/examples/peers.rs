//! Every frame between neighbours, and every content of packets.

use cubecast_core::identity::{GroupId, Incarnation, Member, TraceId};
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::records::{EntryKind, LogEntry};
use cubecast_core::route::Trail;
use cubecast_core::states::{NodeState, StorageState};
use cubecast_core::topics::command::encode_commands;
use cubecast_core::wire::answer::{Answer, Done, EndReason, TopicSummary};
use cubecast_core::wire::client::{Action, Registry};
use cubecast_core::wire::peer::*;

use super::stored;
use super::wire::{actions, all_named, message, named, publisher, subscriber, topic};

fn group(home: &str) -> GroupId {
    GroupId::of(named(home))
}

/// Every frame once.
pub fn frames() -> Vec<PeerFrame> {
    let state = LinkState {
        node: Member::founding(named("001")),
        version: 300,
        state: NodeState::Recovering,
        hears: 0b101,
        leads: vec![(group("001"), 4), (group("101"), 5)],
        storage: StorageState::Full,
    };
    let bodies = rafts().into_iter().chain(snapshots()).chain(asks()).chain(replies()).chain(introductions());
    let mut frames = vec![
        PeerFrame::Ping { sent_us: 300, link_states_digest: 1 },
        PeerFrame::Pong { sent_us: 300, held_us: 200 },
        PeerFrame::LinkStates(vec![state]),
    ];
    frames.extend(bodies.map(packet));
    frames
}

fn packet(body: Body) -> PeerFrame {
    let trail = Trail { path: all_named(["000", "001"]), dead_ends: all_named(["010"]), hops: 4 };
    PeerFrame::Packet(Box::new(Packet { from: named("000"), to: named("111"), trail, trace: Some(TraceId(9)), body }))
}

/// An append that uses every field of a raft message.
pub fn raft() -> RaftMessage {
    let entry = |index, kind, data| LogEntry { index, term: 3, kind, data };
    let [change, ..] = stored::changes();
    RaftMessage {
        kind: 3,
        from: Member::founding(named("000")),
        to: Member { host: named("001"), incarnation: Incarnation(2) },
        term: 3,
        log_term: 2,
        index: 300,
        entries: vec![
            entry(301, EntryKind::Commands, encode_commands(&stored::commands()).into()),
            entry(302, EntryKind::MemberChange, stored::change_to_bytes(change).into()),
        ],
        commit: 299,
        commit_term: 2,
        snapshot: None,
        request_snapshot: 0,
        reject: true,
        reject_hint: 5,
        context: vec![1, 2, 3],
        priority: -1,
    }
}

fn rafts() -> Vec<Body> {
    let head = SnapshotHead {
        index: 300,
        term: 2,
        voters: vec![Member::founding(named("000"))],
        learners: vec![Member::founding(named("001"))],
    };
    let snapshot = RaftMessage { snapshot: Some(Box::new(head)), entries: vec![], ..raft() };
    [raft(), snapshot].map(|message| Body::Raft { group: group("000"), message }).into()
}

fn snapshots() -> Vec<Body> {
    let (transfer, topic, from) = (7, TopicId(1), Offset(300));
    let messages = vec![stored::message()];
    let frames = [
        SnapshotFrame::Offer { transfer, message: Box::new(raft()), state_bytes: 1_000 },
        SnapshotFrame::FetchState { transfer, from_byte: 500 },
        SnapshotFrame::State { transfer, from_byte: 500, bytes: vec![1; 20] },
        SnapshotFrame::FetchMessages { transfer, topic, from },
        SnapshotFrame::Messages { transfer, topic, from, messages },
        SnapshotFrame::Done { transfer, installed: true },
        SnapshotFrame::Gone { transfer },
    ];
    frames.map(|frame| Body::Snapshot { group: group("100"), frame }).into()
}

fn asks() -> Vec<Body> {
    let key = stored::key(6);
    let (name, linearizable) = ("ann".to_string(), true);
    let subscription = Subscription { group: group("100"), topic: TopicId(1), subscriber: subscriber(), since: 300 };
    let others = vec![
        Call::Fetch { subscription, from: Offset(7), max_bytes: 1_000 },
        Call::IsRegistered { kind: Registry::Publisher, name: name.clone(), linearizable },
        Call::Use { kind: Registry::Subscriber, name },
        Call::Holding { topic: topic() },
        Call::ListTopics { group: group("011") },
        Call::Advance { key, subscriber: subscriber(), topic: topic(), from: Offset(7), to: Offset(9) },
    ];
    let of_clients = actions().into_iter().filter_map(|(_, action)| match action {
        Action::Write(write) => Some(Call::Write { key, write }),
        Action::Read(read) => Some(Call::Read { key, read }),
        Action::Admin(admin) => Some(Call::Admin { admin }),
        Action::Query(_) | Action::Local(_) => None,
    });
    of_clients.chain(others).map(|call| Body::Ask { token: 300, call }).collect()
}

fn replies() -> Vec<Body> {
    let answer = Answer { id: None, served_by: named("100"), hops: Some(vec![]), result: Ok(Done::Watching) };
    let summary = TopicSummary {
        topic: topic(),
        owner: publisher(),
        home: named("100"),
        leader: None,
        messages: 9,
        subscribers: 2,
    };
    let replies = [
        Reply::Answer(Box::new(answer.clone())),
        Reply::Subscribed { answer: Box::new(answer), index: 300 },
        Reply::Registered(true),
        Reply::Fetched { messages: vec![message()] },
        Reply::SubscriptionEnded { reason: EndReason::TopicDeleted },
        Reply::Stored { messages: vec![stored::message()] },
        Reply::Unreadable { why: "damaged".into() },
        Reply::Holding { end: Some(Offset(8)), votes: true },
        Reply::Topics(vec![summary]),
        Reply::NotLeader { leader: Some(named("101")), proposed: false },
        Reply::Unavailable { why: "no quorum".into() },
    ];
    replies.map(|reply| Body::Reply { token: 300, reply }).into()
}

fn introductions() -> Vec<Body> {
    let incarnation = Some(Incarnation(2));
    vec![Body::Introduce { nonce: 300 }, Body::Introduced { nonce: 300, met: true, incarnation }]
}
