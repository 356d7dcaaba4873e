//! Every action.

use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::names::{Offset, Sequence, StartAt};
use cubecast_core::wire::client::*;
use cubecast_core::wire::event::*;
use serde_json::{Value, json};

use super::*;

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
            Action::Admin(Admin::SetLink { from: named("000"), to: named("010"), conditions: LinkConditions::PERFECT }),
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
            Action::Admin(Admin::StopNode { node: Some(named("111")), mode: kind, duration_ms: 3_600_000 }),
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
        (json!({"action": "status", "node": "101"}), Action::Admin(Admin::Status { node: Some(named("101")) })),
        stop("crash", StopMode::Crash),
        stop("wipe", StopMode::Wipe),
        stop("pause", StopMode::Pause),
        (
            json!({"action": "recover_node", "node": "101"}),
            Action::Admin(Admin::RecoverNode { node: Some(named("101")) }),
        ),
        (
            json!({"action": "set_link", "from": "000", "to": "010", "state": "cut", "delay_ms": 5, "jitter_ms": 2, "loss": 0.25}),
            Action::Admin(Admin::SetLink {
                from: named("000"),
                to: named("010"),
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
