//! Requests to any node, and their results.

use std::time::Duration;

use cubecast_core::faults::LinkConditions;
use cubecast_core::names::{Offset, PublisherId};
use cubecast_core::placement;
use cubecast_core::wire::answer::{Done, ErrorCode};
use cubecast_core::wire::client::{Ack, Action, Admin, Local, Read, ReadLevel, Write};
use cubecast_sim::Cluster;

use super::support::*;

#[test]
fn a_message_published_anywhere_is_pulled_anywhere() {
    let mut cluster = cluster(1);
    for (i, node) in cluster.nodes().enumerate() {
        let done = cluster.must(node, publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
        let Done::Published { offset, replicas, repeated, .. } = done else { panic!("{done:?}") };
        assert_eq!((offset, repeated), (Some(Offset(i as u64)), false));
        assert!(replicas.len() >= 3, "a quorum of four is three: {replicas:?}");
    }
    for node in cluster.nodes() {
        assert_eq!(contents(cluster.must(node, pull(ReadLevel::Leader, false))).len(), 8, "read through {node}");
    }
    assert_eq!(contents(cluster.must(host("000"), pull(ReadLevel::Leader, true))).len(), 8);
    assert!(contents(cluster.must(host("111"), pull(ReadLevel::Leader, true))).is_empty(), "the cursor has moved");
}

#[test]
fn ack_all_is_held_by_all_four() {
    let mut cluster = cluster(2);
    let done = cluster.must(host("001"), publish("x", Ack::All, None)).unwrap();
    let Done::Published { replicas, .. } = done else { panic!("{done:?}") };
    assert_eq!(replicas, ["100", "101", "110", "000"].map(host));
}

#[test]
fn a_request_that_is_lost_with_a_node_on_its_way_is_asked_again_at_once() {
    let mut cluster = cluster(2);
    let client = cluster.connect_client(host("011"));
    let request = cluster.send(client, publish("x", Ack::Quorum, Some(1)));
    // The route from 011 to the home 100 crosses 010 and 000. An edge takes 100 us.
    cluster.run_for(Duration::from_micros(150));
    cluster.kill(host("000"));
    let answered =
        |cluster: &mut Cluster| cluster.take_answer(client, request).is_some_and(|answer| answer.result.is_ok());
    assert!(cluster.run_until(Duration::from_millis(500), answered));
}

#[test]
fn a_repeated_sequence_is_stored_once() {
    let mut cluster = cluster(3);
    cluster.must(host("001"), publish("once", Ack::Quorum, Some(7))).unwrap();
    let done = cluster.must(host("010"), publish("once", Ack::Quorum, Some(7))).unwrap();
    assert!(matches!(done, Done::Published { offset: Some(Offset(0)), repeated: true, .. }), "{done:?}");
    assert_eq!(contents(cluster.must(host("000"), pull(ReadLevel::Leader, false))), ["once"]);
}

#[test]
fn errors_say_what_is_unknown() {
    let mut cluster = cluster(4);
    let at = host("010");
    let nobody = || PublisherId::new("nobody").unwrap();
    let unknown = Action::Write(Write::Publish {
        publisher: nobody(),
        topic: topic(NEWS),
        content: "x".into(),
        ack: Ack::Quorum,
        sequence: None,
    });
    assert_eq!(code(cluster.must(at, unknown)), ErrorCode::UnknownPublisher);
    let absent = Action::Write(Write::Publish {
        publisher: publisher(),
        topic: topic("absent"),
        content: "x".into(),
        ack: Ack::Quorum,
        sequence: None,
    });
    assert_eq!(code(cluster.must(at, absent)), ErrorCode::UnknownTopic);
    let exists = Action::Write(Write::CreateTopic { publisher: publisher(), topic: topic(NEWS) });
    assert_eq!(code(cluster.must(at, exists)), ErrorCode::TopicExists);
    let replica = Action::Read(Read::ReplicaPull { subscriber: subscriber(), topic: topic(NEWS), max: 1, from: None });
    assert_eq!(code(cluster.must(host("011"), replica)), ErrorCode::NotReplica);
}

#[test]
fn what_a_committing_pull_reads_reaches_its_client_though_answers_are_lost() {
    let mut cluster = cluster(14);
    // 011 is no member, so all its asks cross edges. Most of the replies to it are lost.
    for from in ["010", "001", "111"].map(host) {
        let conditions = LinkConditions { loss: 0.6, ..LinkConditions::PERFECT };
        cluster.must(from, Action::Admin(Admin::SetLink { from, to: host("011"), conditions })).unwrap();
    }
    let mut published = 0;
    let mut read = Vec::new();
    for _ in 0..40 {
        cluster.must(host("000"), publish(&format!("m{published}"), Ack::Quorum, None)).unwrap();
        published += 1;
        if let Ok(done) = cluster.must(host("011"), pull(ReadLevel::Leader, true)) {
            read.extend(contents(Ok(done)));
        }
    }
    read.extend(contents(cluster.must(host("000"), pull(ReadLevel::Leader, true))));
    read.dedup();
    assert_eq!(read, (0..published).map(|i| format!("m{i}")).collect::<Vec<_>>());
}

#[test]
fn what_a_replicas_read_moves_past_has_reached_its_client_though_answers_are_lost() {
    let mut cluster = cluster(14);
    for from in ["010", "001", "111"].map(host) {
        let conditions = LinkConditions { loss: 0.6, ..LinkConditions::PERFECT };
        cluster.must(from, Action::Admin(Admin::SetLink { from, to: host("011"), conditions })).unwrap();
    }
    let (mut read, mut answers) = (0, 0);
    for _ in 0..40 {
        cluster.must(host("000"), publish("m", Ack::Quorum, None)).unwrap();
        if let Ok(Done::Pulled { messages, .. }) = cluster.must(host("011"), pull(ReadLevel::Any, true))
            && let (Some(first), Some(last)) = (messages.first(), messages.last())
        {
            assert!(first.offset.0 <= read, "read from {} on, and only {read} messages had come", first.offset);
            read = last.offset.0 + 1;
            answers += 1;
        }
    }
    assert!(answers > 10, "{answers} answers");
}

#[test]
fn nobody_publishes_unregistered_while_the_registry_has_no_leader() {
    let mut cluster = cluster(15);
    let members = cluster.members(placement::home("stranger", cluster.dimension()));
    for member in &members[1..3] {
        cluster.kill(*member);
    }
    let at = members[0];
    let stranger = PublisherId::new("stranger").unwrap();
    let action = Action::Write(Write::Publish {
        publisher: stranger,
        topic: topic(NEWS),
        content: "x".into(),
        ack: Ack::One,
        sequence: None,
    });
    assert_eq!(code(cluster.must(at, action)), ErrorCode::Unavailable);
}

#[test]
fn a_restart_that_was_never_recorded_does_not_use_its_numbers_again() {
    let mut cluster = cluster(16);
    let coordinator = host("011");
    for content in ["first", "second"] {
        cluster.kill(coordinator);
        cluster.run_for(Duration::from_secs(1));
        cluster.slow_disk(coordinator, Duration::from_secs(2));
        cluster.start(coordinator);
        cluster.run_for(Duration::from_millis(500));
        // It may not answer yet. If it acknowledges, the message must stay stored.
        let answer = cluster.ask(coordinator, publish(content, Ack::Quorum, None), Duration::from_secs(1));
        let stored = contents(cluster.must(host("000"), pull(ReadLevel::Leader, false)));
        let acknowledged = answer.is_some_and(|answer| answer.result.is_ok());
        assert!(!acknowledged || stored.iter().any(|found| found == content), "{content} was acknowledged: {stored:?}");
    }
}

#[test]
fn what_waited_in_the_outbox_is_stored_though_much_else_came_first() {
    let mut cluster = cluster(17);
    let at = host("010");
    cluster.kill(host("100"));
    cluster.kill(host("101"));
    cluster.run_for(Duration::from_secs(2));
    let connection = cluster.connect_client(at);
    let waiting: Vec<u64> =
        (0..300).map(|i| cluster.send(connection, publish(&format!("one{i}"), Ack::One, None))).collect();
    cluster.run_for(Duration::from_secs(2));
    for id in waiting {
        assert!(cluster.take_answer(connection, id).is_some_and(|answer| answer.result.is_ok()));
    }
    cluster.start(host("100"));
    cluster.start(host("101"));
    let back = cluster.run_until(Duration::from_secs(20), |cluster| {
        cluster
            .ask(at, publish("probe", Ack::Quorum, None), Duration::from_secs(10))
            .is_some_and(|answer| answer.result.is_ok())
    });
    assert!(back);
    for i in 0..1100 {
        cluster.send(connection, publish(&format!("quorum{i}"), Ack::Quorum, None));
        // Uses a number too, so that the topic's numbers are not consecutive.
        cluster.send(connection, Action::Local(Local::Cluster));
    }
    cluster.run_for(Duration::from_secs(10));
    let mut stored = contents(cluster.must(at, pull(ReadLevel::Leader, false)));
    stored.retain(|content| content.starts_with("one"));
    stored.sort();
    let mut expected: Vec<String> = (0..300).map(|i| format!("one{i}")).collect();
    expected.sort();
    assert_eq!(stored, expected);
}
