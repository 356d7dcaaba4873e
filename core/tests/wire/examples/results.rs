//! Every kind of result.

use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, TopicId};
use cubecast_core::states::{NodeState, Obstacle, Role, StorageState};
use cubecast_core::wire::answer::*;
use serde_json::{Value, json};

use super::*;

/// Results, each with the fields that its answer has besides `ok`, `message` and `served_by`.
pub fn done() -> Vec<(Done, Value)> {
    let (topic, home, neighbours) = (topic(), named("100"), all_named(["101", "110", "000"]));
    let node: HostId = named("100");
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
                replicas: all_named(["101", "110", "000"]),
                repeated: true,
            },
            json!({"topic": "news", "offset": 7, "replicas": ["101", "110", "000"], "repeated": true}),
        ),
        (
            Done::Published { topic: topic.clone(), offset: None, replicas: vec![node], repeated: false },
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
                missing: vec![named("011")],
            },
            json!({"topics": [{"topic": "news", "publisher_id": "ann", "home": "100", "leader": null, "messages": 9, "subscribers": 2}],
                "missing": ["011"]}),
        ),
        cluster(),
        status(),
        (
            Done::NodeStopped { node, mode: StopMode::Wipe, duration_ms: 10_000 },
            json!({"node": "100", "mode": "wipe", "duration_ms": 10_000}),
        ),
        (Done::NodeRecovered { node }, json!({"node": "100"})),
        (
            Done::LinkSet { from: node, to: named("101"), conditions },
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
        home: named("100"),
        neighbours: all_named(["101", "110", "000"]),
        leader: Some(named("100")),
        members: vec![Replica {
            node: named("100"),
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
    let node: HostId = named("100");
    let view = ClusterView {
        dimension: cube(),
        nodes: vec![NodeView {
            node,
            address: "127.0.0.1:8004".into(),
            state: NodeState::Recovering,
            incarnation: 2,
            leads: vec![named("100")],
        }],
        links: vec![LinkView { from: node, to: named("101"), up: false }],
    };
    let json = json!({"dimension": 3, "links": [{"from": "100", "to": "101", "up": false}],
        "nodes": [{"node": "100", "address": "127.0.0.1:8004", "state": "recovering", "incarnation": 2, "leads": ["100"]}]});
    (Done::Cluster(view), json)
}

fn status() -> (Done, Value) {
    let node: HostId = named("100");
    let group = GroupStatus {
        home: named("100"),
        role: Role::Learner,
        term: 4,
        leader: None,
        usable: false,
        obstacle: Some(Obstacle::NoQuorum),
        voters_up: 1,
        voters_needed: 2,
        voters: all_named(["101", "110"]),
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
    let link = LinkStatus { to: named("101"), hears: true, heard: false, round_trip_us: Some(80), conditions };
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
