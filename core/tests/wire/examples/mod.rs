//! Every action and every kind of answer and event once, as types and as JSON.

mod actions;
mod results;

use std::fmt::Debug;
use std::str::FromStr;

use cubecast_core::cube::Dimension;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, PublisherId, SubscriberId, TopicName};
use cubecast_core::states::{NodeState, Role, StorageState};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::*;
use cubecast_core::wire::client::*;
use cubecast_core::wire::event::*;
use serde_json::{Value, json};

pub use actions::actions;
pub use results::done;

pub fn cube() -> Dimension {
    Dimension::new(3).unwrap()
}

/// A node or a vertex: both are named by bits.
pub fn named<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub fn all_named<T: FromStr<Err: Debug>, const N: usize>(texts: [&str; N]) -> Vec<T> {
    texts.map(named).into()
}

pub fn topic() -> TopicName {
    TopicName::new("news").unwrap()
}

pub fn publisher() -> PublisherId {
    PublisherId::new("ann").unwrap()
}

pub fn subscriber() -> SubscriberId {
    SubscriberId::new("sub").unwrap()
}

/// 2026-11-22T20:23:20.123456Z
pub const TIME: Timestamp = Timestamp(1_795_379_000_123_456);

pub fn message() -> Message {
    Message { offset: Offset(7), publisher: publisher(), content: "h\"i\n\u{1F600}".into(), time: TIME }
}

pub fn message_json() -> Value {
    json!({"offset": 7, "publisher_id": "ann", "content": "h\"i\n\u{1F600}", "time": "2026-11-22T20:23:20.123456Z"})
}

/// The ids that JSON can represent.
pub fn ids() -> Vec<(Value, Option<RequestId>)> {
    vec![
        (Value::Null, None),
        (json!(7), Some(RequestId::Unsigned(7))),
        (json!(u64::MAX), Some(RequestId::Unsigned(u64::MAX))),
        (json!(-7), Some(RequestId::Signed(-7))),
        (json!(1.5), Some(RequestId::Number("1.5".into()))),
        (json!("a\"b"), Some(RequestId::Text("a\"b".into()))),
    ]
}

/// Events, each with the fields that it has besides `node`, `time`, `at_us` and `trace`.
pub fn events() -> Vec<(Event, Value)> {
    let (group, topic, conditions) = (named("100"), topic(), LinkConditions::PERFECT);
    let [node, other]: [HostId; 2] = ["100", "101"].map(named);
    let some = || Some("news".to_string());
    vec![
        (
            Event::NodeState { subject: node, state: NodeState::Failed },
            json!({"event": "node_state", "subject": "100", "state": "failed"}),
        ),
        (
            Event::LinkState { from: node, to: other, up: false },
            json!({"event": "link_state", "from": "100", "to": "101", "up": false}),
        ),
        (
            Event::LinkConditions { from: node, to: other, conditions },
            json!({"event": "link_conditions", "from": "100", "to": "101", "state": "up", "delay_ms": 0, "jitter_ms": 0, "loss": 0.0}),
        ),
        (
            Event::RoleChanged { group, role: Role::Leader, term: 3, leader: Some(node) },
            json!({"event": "role_changed", "group": "100", "role": "leader", "term": 3, "leader": "100"}),
        ),
        (
            Event::MembersChanged { group, voters: vec![node], learners: vec![other] },
            json!({"event": "members_changed", "group": "100", "voters": ["100"], "learners": ["101"]}),
        ),
        (Event::Committed { group, index: 9 }, json!({"event": "committed", "group": "100", "index": 9})),
        (
            Event::FrameSent { to: other, what: FrameKind::Append, group: None },
            json!({"event": "frame_sent", "to": "101", "what": "append", "group": null}),
        ),
        (
            Event::FrameDropped { to: other, what: FrameKind::Overlay, why: DropReason::HopLimit },
            json!({"event": "frame_dropped", "to": "101", "what": "overlay", "why": "hop_limit"}),
        ),
        (
            Event::RequestReceived { action: "publish".into(), subject: some() },
            json!({"event": "request_received", "action": "publish", "subject": "news"}),
        ),
        (
            Event::RequestAnswered { action: "publish".into(), subject: some(), error: None, message: "m".into() },
            json!({"event": "request_answered", "action": "publish", "subject": "news", "error": null, "message": "m"}),
        ),
        (
            Event::ReplicaStored { topic: topic.clone(), group, offset: Offset(1) },
            json!({"event": "replica_stored", "topic": "news", "group": "100", "offset": 1}),
        ),
        (
            Event::TopicCreated { topic: topic.clone(), group },
            json!({"event": "topic_created", "topic": "news", "group": "100"}),
        ),
        (
            Event::TopicDeleted { topic: topic.clone(), group },
            json!({"event": "topic_deleted", "topic": "news", "group": "100"}),
        ),
        (
            Event::Delivered { topic: topic.clone(), subscriber: subscriber(), offset: Offset(1) },
            json!({"event": "delivered", "topic": "news", "subscriber_id": "sub", "offset": 1}),
        ),
        (
            Event::Stopped { mode: StopMode::Pause, duration_ms: 5 },
            json!({"event": "stopped", "mode": "pause", "duration_ms": 5}),
        ),
        (Event::Returned { incarnation: 2 }, json!({"event": "returned", "incarnation": 2})),
        (Event::CaughtUp { group, applied: 4 }, json!({"event": "caught_up", "group": "100", "applied": 4})),
        (
            Event::SnapshotProgress { group, received: 1, total: 2 },
            json!({"event": "snapshot_progress", "group": "100", "received": 1, "total": 2}),
        ),
        (Event::OutboxStored { topic: topic.clone() }, json!({"event": "outbox_stored", "topic": "news"})),
        (Event::OutboxDrained { topic }, json!({"event": "outbox_drained", "topic": "news"})),
        (Event::Warning { text: "hot".into() }, json!({"event": "warning", "text": "hot"})),
        (
            Event::StorageState { state: StorageState::Exhausted, free_bytes: 5, reserve_bytes: 60 },
            json!({"event": "storage_state", "state": "exhausted", "free_bytes": 5, "reserve_bytes": 60}),
        ),
    ]
}
