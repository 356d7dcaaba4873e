//! Every action and every kind of answer and event once, as types and as JSON.

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicId, TopicName};
use cubecast_core::states::{NodeState, Obstacle, Role, StorageState};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::*;
use cubecast_core::wire::client::*;
use cubecast_core::wire::event::*;
use serde_json::{Value, json};

pub fn cube() -> Dimension {
    Dimension::new(3).unwrap()
}

pub fn vertex(text: &str) -> Vertex {
    text.parse().unwrap()
}

pub fn vertices<const N: usize>(texts: [&str; N]) -> Vec<Vertex> {
    texts.map(vertex).to_vec()
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

/// Each action in its shortest JSON with the values of its defaults, and then with every field.
pub fn actions() -> Vec<(Value, Action)> {
    [shortest_actions(), fullest_actions()].concat()
}

fn shortest_actions() -> Vec<(Value, Action)> {
    let (publisher, subscriber, topic) = (publisher(), subscriber(), topic());
    vec![
        (
            json!({"action": "create_publisher", "publisher_id": "ann"}),
            Action::Write(Write::CreatePublisher { publisher: publisher.clone() }),
        ),
        (
            json!({"action": "create_subscriber", "subscriber_id": "sub"}),
            Action::Write(Write::CreateSubscriber { subscriber: subscriber.clone() }),
        ),
        (
            json!({"action": "delete_publisher", "publisher_id": "ann"}),
            Action::Write(Write::DeletePublisher { publisher: publisher.clone() }),
        ),
        (
            json!({"action": "delete_subscriber", "subscriber_id": "sub"}),
            Action::Write(Write::DeleteSubscriber { subscriber: subscriber.clone() }),
        ),
        (
            json!({"action": "create_topic", "publisher_id": "ann", "topic": "news"}),
            Action::Write(Write::CreateTopic { publisher: publisher.clone(), topic: topic.clone() }),
        ),
        (
            json!({"action": "delete_topic", "publisher_id": "ann", "topic_name": "news"}),
            Action::Write(Write::DeleteTopic { publisher: publisher.clone(), topic: topic.clone() }),
        ),
        (
            json!({"action": "publish", "publisher_id": "ann", "topic": "news", "content": ""}),
            Action::Write(Write::Publish {
                publisher,
                topic: topic.clone(),
                content: "".into(),
                ack: Ack::Quorum,
                sequence: None,
            }),
        ),
        (
            json!({"action": "subscribe", "subscriber_id": "sub", "topic": "news"}),
            Action::Write(Write::Subscribe {
                subscriber: subscriber.clone(),
                topic: topic.clone(),
                from: None,
                push: false,
            }),
        ),
        (
            json!({"action": "unsubscribe", "subscriber_id": "sub", "topic": "news"}),
            Action::Write(Write::Unsubscribe { subscriber: subscriber.clone(), topic: topic.clone() }),
        ),
        (
            json!({"action": "pull", "subscriber_id": "sub", "topic": "news"}),
            Action::Read(Read::Pull {
                subscriber: subscriber.clone(),
                topic: topic.clone(),
                max: 100,
                read: ReadLevel::Leader,
                commit: true,
            }),
        ),
        (
            json!({"action": "commit", "subscriber_id": "sub", "topic": "news", "offset": 0}),
            Action::Write(Write::Commit { subscriber: subscriber.clone(), topic: topic.clone(), offset: Offset(0) }),
        ),
        (
            json!({"action": "replica_subscribe", "subscriber_id": "sub", "topic": "news"}),
            Action::Write(Write::ReplicaSubscribe {
                subscriber: subscriber.clone(),
                topic: topic.clone(),
                from: None,
                push: false,
            }),
        ),
        (
            json!({"action": "replica_pull", "subscriber_id": "sub", "topic": "news"}),
            Action::Read(Read::ReplicaPull { subscriber, topic: topic.clone(), max: 100, from: None }),
        ),
        (json!({"action": "locate", "topic": "news"}), Action::Query(Query::Locate { topic })),
        (json!({"action": "topics"}), Action::Query(Query::Topics)),
        (json!({"action": "cluster"}), Action::Local(Local::Cluster)),
        (json!({"action": "status"}), Action::Admin(Admin::Status { node: None })),
        (
            json!({"action": "stop_node", "flag": true}),
            Action::Admin(Admin::StopNode { node: None, mode: StopMode::Crash, duration_ms: 10_000 }),
        ),
        (json!({"action": "recover_node"}), Action::Admin(Admin::RecoverNode { node: None })),
        (
            json!({"action": "set_link", "from": "000", "to": "010"}),
            Action::Admin(Admin::SetLink {
                from: vertex("000"),
                to: vertex("010"),
                conditions: LinkConditions::PERFECT,
            }),
        ),
        (json!({"action": "watch"}), Action::Local(Local::Watch { kinds: vec![], sample: 1 })),
    ]
}

fn fullest_actions() -> Vec<(Value, Action)> {
    let (publisher, subscriber, topic) = (publisher(), subscriber(), topic());
    let publish = |ack: &str, kind: Ack| {
        (
            json!({"action": "publish", "publisher_id": "ann", "topic": "news", "content": "hi\n", "ack": ack, "sequence": u64::MAX}),
            Action::Write(Write::Publish {
                publisher: publisher.clone(),
                topic: topic.clone(),
                content: "hi\n".into(),
                ack: kind,
                sequence: Some(Sequence(u64::MAX)),
            }),
        )
    };
    let subscribe = |from: Value, start: StartAt| {
        (
            json!({"action": "subscribe", "subscriber_id": "sub", "topic": "news", "from": from, "push": true}),
            Action::Write(Write::Subscribe {
                subscriber: subscriber.clone(),
                topic: topic.clone(),
                from: Some(start),
                push: true,
            }),
        )
    };
    let stop = |mode: &str, kind: StopMode| {
        (
            json!({"action": "stop_node", "node": "111", "mode": mode, "duration_ms": 3_600_000}),
            Action::Admin(Admin::StopNode { node: Some(vertex("111")), mode: kind, duration_ms: 3_600_000 }),
        )
    };
    vec![
        publish("one", Ack::One),
        publish("quorum", Ack::Quorum),
        publish("all", Ack::All),
        subscribe(json!("beginning"), StartAt::Beginning),
        subscribe(json!("latest"), StartAt::Latest),
        subscribe(json!(17), StartAt::Offset(Offset(17))),
        (
            json!({"action": "pull", "subscriber_id": "sub", "topic": "news", "max": 10_000, "read": "any", "commit": false}),
            Action::Read(Read::Pull {
                subscriber: subscriber.clone(),
                topic: topic.clone(),
                max: 10_000,
                read: ReadLevel::Any,
                commit: false,
            }),
        ),
        (
            json!({"action": "replica_subscribe", "subscriber_id": "sub", "topic": "news", "from": 3, "push": true}),
            Action::Write(Write::ReplicaSubscribe {
                subscriber: subscriber.clone(),
                topic: topic.clone(),
                from: Some(StartAt::Offset(Offset(3))),
                push: true,
            }),
        ),
        (
            json!({"action": "replica_pull", "subscriber_id": "sub", "topic": "news", "max": 1, "from": 3}),
            Action::Read(Read::ReplicaPull {
                subscriber: subscriber.clone(),
                topic: topic.clone(),
                max: 1,
                from: Some(Offset(3)),
            }),
        ),
        (json!({"action": "status", "node": "101"}), Action::Admin(Admin::Status { node: Some(vertex("101")) })),
        stop("crash", StopMode::Crash),
        stop("wipe", StopMode::Wipe),
        stop("pause", StopMode::Pause),
        (
            json!({"action": "recover_node", "node": "101"}),
            Action::Admin(Admin::RecoverNode { node: Some(vertex("101")) }),
        ),
        (
            json!({"action": "set_link", "from": "000", "to": "010", "state": "cut", "delay_ms": 5, "jitter_ms": 2, "loss": 0.25}),
            Action::Admin(Admin::SetLink {
                from: vertex("000"),
                to: vertex("010"),
                conditions: LinkConditions { cut: true, delay_ms: 5, jitter_ms: 2, loss: 0.25 },
            }),
        ),
        (
            json!({"action": "watch", "sample": 10, "kinds":
                ["states", "links", "messages", "commits", "elections", "deliveries", "requests", "warnings"]}),
            Action::Local(Local::Watch {
                kinds: vec![
                    EventKind::States,
                    EventKind::Links,
                    EventKind::Messages,
                    EventKind::Commits,
                    EventKind::Elections,
                    EventKind::Deliveries,
                    EventKind::Requests,
                    EventKind::Warnings,
                ],
                sample: 10,
            }),
        ),
    ]
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

/// Results, each with the fields that its answer has besides `ok`, `message` and `served_by`.
pub fn done() -> Vec<(Done, Value)> {
    let (topic, home, neighbours) = (topic(), vertex("100"), vertices(["101", "110", "000"]));
    let conditions = LinkConditions { cut: true, delay_ms: 5, jitter_ms: 2, loss: 0.1 };
    vec![
        (
            Done::PublisherCreated { publisher: publisher(), existed: false },
            json!({"publisher_id": "ann", "existed": false}),
        ),
        (
            Done::SubscriberCreated { subscriber: subscriber(), existed: true },
            json!({"subscriber_id": "sub", "existed": true}),
        ),
        (
            Done::TopicCreated { topic: topic.clone(), home, neighbours: neighbours.clone() },
            json!({"topic": "news", "home": "100", "replicas": ["101", "110", "000"]}),
        ),
        (
            Done::TopicDeleted { topic: topic.clone(), home, neighbours: neighbours.clone() },
            json!({"topic": "news", "home": "100", "replicas": ["101", "110", "000"]}),
        ),
        (
            Done::Published {
                topic: topic.clone(),
                offset: Some(Offset(7)),
                replicas: neighbours.clone(),
                repeated: true,
            },
            json!({"topic": "news", "offset": 7, "replicas": ["101", "110", "000"], "repeated": true}),
        ),
        (
            Done::Published { topic: topic.clone(), offset: None, replicas: vec![home], repeated: false },
            json!({"topic": "news", "offset": null, "replicas": ["100"], "repeated": false}),
        ),
        (
            Done::Subscribed { topic: topic.clone(), topic_id: TopicId(5), cursor: Offset(3), original_node: None },
            json!({"topic": "news", "topic_id": 5, "cursor": 3}),
        ),
        (
            Done::Subscribed {
                topic: topic.clone(),
                topic_id: TopicId(5),
                cursor: Offset(3),
                original_node: Some(home),
            },
            json!({"topic": "news", "topic_id": 5, "cursor": 3, "original_node": "100"}),
        ),
        (Done::Unsubscribed { topic: topic.clone() }, json!({"topic": "news"})),
        (
            Done::Pulled {
                topic: topic.clone(),
                messages: vec![message()],
                cursor: Offset(8),
                end: Offset(9),
                behind: Some(2),
                original_node: Some(home),
            },
            json!({"topic": "news", "messages": [message_json()], "cursor": 8, "end": 9, "behind": 2, "original_node": "100"}),
        ),
        (
            Done::Pulled {
                topic: topic.clone(),
                messages: vec![],
                cursor: Offset(8),
                end: Offset(9),
                behind: None,
                original_node: None,
            },
            json!({"topic": "news", "messages": [], "cursor": 8, "end": 9}),
        ),
        (Done::Committed { topic: topic.clone(), cursor: Offset(3) }, json!({"topic": "news", "cursor": 3})),
        located(),
        (
            Done::Topics {
                topics: vec![TopicSummary {
                    topic,
                    owner: publisher(),
                    home,
                    leader: None,
                    messages: 9,
                    subscribers: 2,
                }],
                missing: vec![vertex("011")],
            },
            json!({"topics": [{"topic": "news", "publisher_id": "ann", "home": "100", "leader": null, "messages": 9, "subscribers": 2}],
                "missing": ["011"]}),
        ),
        cluster(),
        status(),
        (
            Done::NodeStopped { node: home, mode: StopMode::Wipe, duration_ms: 10_000 },
            json!({"node": "100", "mode": "wipe", "duration_ms": 10_000}),
        ),
        (Done::NodeRecovered { node: home }, json!({"node": "100"})),
        (
            Done::LinkSet { from: home, to: vertex("101"), conditions },
            json!({"from": "100", "to": "101", "state": "cut", "delay_ms": 5, "jitter_ms": 2, "loss": 0.1}),
        ),
        (Done::Watching, json!({})),
        (Done::PublisherDeleted { publisher: publisher() }, json!({"publisher_id": "ann"})),
        (Done::SubscriberDeleted { subscriber: subscriber() }, json!({"subscriber_id": "sub"})),
    ]
}

fn located() -> (Done, Value) {
    let location = Location {
        topic: topic(),
        exists: true,
        home: vertex("100"),
        neighbours: vertices(["101", "110", "000"]),
        leader: Some(vertex("100")),
        members: vec![Replica {
            node: vertex("100"),
            alive: true,
            last_offset: Some(Offset(4)),
            lag: None,
            voter: true,
        }],
    };
    let json = json!({"topic": "news", "exists": true, "home": "100", "replicas": ["101", "110", "000"], "leader": "100",
        "members": [{"node": "100", "alive": true, "last_offset": 4, "lag": null, "voter": true}]});
    (Done::Located(location), json)
}

fn cluster() -> (Done, Value) {
    let node = vertex("100");
    let view = ClusterView {
        dimension: cube(),
        nodes: vec![NodeView {
            node,
            address: "127.0.0.1:8004".into(),
            state: NodeState::Recovering,
            incarnation: 2,
            leads: vec![node],
        }],
        links: vec![LinkView { from: node, to: vertex("101"), up: false }],
    };
    let json = json!({"dimension": 3, "links": [{"from": "100", "to": "101", "up": false}],
        "nodes": [{"node": "100", "address": "127.0.0.1:8004", "state": "recovering", "incarnation": 2, "leads": ["100"]}]});
    (Done::Cluster(view), json)
}

fn status() -> (Done, Value) {
    let node = vertex("100");
    let group = GroupStatus {
        home: node,
        role: Role::Learner,
        term: 4,
        leader: None,
        usable: false,
        obstacle: Some(Obstacle::NoQuorum),
        voters_up: 1,
        voters_needed: 2,
        voters: vertices(["101", "110"]),
        learners: vec![node],
        last_index: 9,
        commit_index: 8,
        applied_index: 7,
        log_entries: 6,
        log_bytes: 500,
        topics: 3,
        messages: 2,
    };
    let conditions = LinkConditions::PERFECT;
    let link = LinkStatus { to: vertex("101"), hears: true, heard: false, round_trip_us: Some(80), conditions };
    let status = NodeStatus {
        node,
        incarnation: 2,
        state: NodeState::Up,
        version: "0.1.0".into(),
        sync: "always".into(),
        uptime_ms: 5,
        faults_allowed: true,
        storage: StorageStatus {
            state: StorageState::Full,
            stored_bytes: 40,
            free_bytes: 30,
            reusable_bytes: 20,
            reserve_bytes: 60,
        },
        groups: vec![group],
        links: vec![link],
        counters: Counters { requests: 1, ..Counters::default() },
    };
    let json = json!({"node": "100", "incarnation": 2, "state": "up", "version": "0.1.0", "sync": "always", "uptime_ms": 5,
        "faults_allowed": true,
        "storage": {"state": "full", "stored_bytes": 40, "free_bytes": 30, "reusable_bytes": 20, "reserve_bytes": 60},
        "groups": [{"home": "100", "role": "learner", "term": 4, "leader": null, "usable": false, "obstacle": "no_quorum",
            "voters_up": 1, "voters_needed": 2, "voters": ["101", "110"], "learners": ["100"],
            "last_index": 9, "commit_index": 8, "applied_index": 7, "log_entries": 6, "log_bytes": 500, "topics": 3, "messages": 2}],
        "links": [{"to": "101", "hears": true, "heard": false, "round_trip_us": 80,
            "conditions": {"cut": false, "delay_ms": 0, "jitter_ms": 0, "loss": 0.0}}],
        "counters": {"requests": 1, "publishes": 0, "deliveries": 0, "frames_sent": 0, "frames_received": 0,
            "frames_forwarded": 0, "frames_dropped": 0, "elections": 0, "outbox": 0, "clients": 0,
            "frames_altered": 0, "damaged": 0, "repaired": 0}});
    (Done::Status(Box::new(status)), json)
}

/// Events, each with the fields that it has besides `node`, `time`, `at_us` and `trace`.
pub fn events() -> Vec<(Event, Value)> {
    let (group, other, topic, conditions) = (vertex("100"), vertex("101"), topic(), LinkConditions::PERFECT);
    let some = || Some("news".to_string());
    vec![
        (
            Event::NodeState { subject: group, state: NodeState::Failed },
            json!({"event": "node_state", "subject": "100", "state": "failed"}),
        ),
        (
            Event::LinkState { from: group, to: other, up: false },
            json!({"event": "link_state", "from": "100", "to": "101", "up": false}),
        ),
        (
            Event::LinkConditions { from: group, to: other, conditions },
            json!({"event": "link_conditions", "from": "100", "to": "101", "state": "up", "delay_ms": 0, "jitter_ms": 0, "loss": 0.0}),
        ),
        (
            Event::RoleChanged { group, role: Role::Leader, term: 3, leader: Some(group) },
            json!({"event": "role_changed", "group": "100", "role": "leader", "term": 3, "leader": "100"}),
        ),
        (
            Event::MembersChanged { group, voters: vec![group], learners: vec![other] },
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
