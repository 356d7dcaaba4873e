//! Requests to a starting node wait for it, up to the deadline of every request.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::wire::answer::{Done, ErrorCode};
use cubecast_core::wire::client::{Ack, Action, Admin, Local, Query, ReadLevel, Write};
use cubecast_sim::Cluster;

use super::support::{NEWS, cluster, code, contents, host, publish, publisher, pull, subscriber, topic, vertex};

/// All nodes wait for 111, so none of them knows its identity.
fn a_new_cluster_without_111() -> Cluster {
    let mut cluster = Cluster::new(Dimension::new(3).unwrap(), 13);
    cluster.run_for(Duration::ZERO);
    cluster.kill(host("111"));
    cluster.run_for(Duration::from_millis(200));
    cluster
}

#[test]
fn what_comes_before_a_node_knows_its_place_is_done_when_it_does() {
    let mut cluster = a_new_cluster_without_111();
    let connection = cluster.connect_client(host("010"));
    let waiting = [
        Action::Write(Write::CreatePublisher { publisher: publisher() }),
        Action::Write(Write::CreateSubscriber { subscriber: subscriber() }),
        Action::Query(Query::Topics),
        Action::Query(Query::Locate { topic: topic(NEWS) }),
    ]
    .map(|action| cluster.send(connection, action));
    cluster.run_for(Duration::from_secs(1));
    for id in waiting {
        assert_eq!(cluster.take_answer(connection, id), None);
    }
    cluster.start(host("111"));
    cluster.run_for(Duration::from_secs(3));
    for id in waiting {
        let answer = cluster.take_answer(connection, id).expect("it was done when the last node had come");
        assert!(answer.result.is_ok(), "{answer:?}");
    }
}

#[test]
fn what_needs_no_place_is_answered_at_once() {
    let mut cluster = a_new_cluster_without_111();
    let other = Some(host("001"));
    let at_once = [
        Action::Admin(Admin::Status { node: None }),
        Action::Admin(Admin::Status { node: other }),
        Action::Local(Local::Cluster),
        Action::Local(Local::Watch { kinds: vec![], sample: 1 }),
    ];
    for action in at_once {
        let answer = cluster.ask(host("010"), action, Duration::from_millis(100)).expect("it is answered at once");
        assert!(answer.result.is_ok(), "{answer:?}");
    }
}

#[test]
fn what_cannot_begin_in_time_is_unavailable_and_names_who_is_awaited() {
    let mut cluster = a_new_cluster_without_111();
    let began = cluster.now();
    let failure =
        cluster.must(host("101"), Action::Write(Write::CreatePublisher { publisher: publisher() })).unwrap_err();
    assert_eq!(failure.code, ErrorCode::Unavailable);
    assert!(failure.message.contains("is waiting for 111"), "{failure}");
    let waited = cluster.now().since(began);
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&waited), "{waited:?}");
}

/// Request numbers restart on an empty disk, under another identity.
#[test]
fn what_a_wiped_node_takes_in_before_it_knows_its_place_is_not_taken_for_a_repeat() {
    let mut cluster = cluster(21);
    let home = host("100");
    let before: Vec<String> = (0..30).map(|i| format!("before{i}")).collect();
    for content in &before {
        cluster.must(home, publish(content, Ack::All, None)).unwrap();
    }
    cluster.kill(home);
    cluster.wipe(home);
    cluster.start(home);
    cluster.run_for(Duration::ZERO);
    let connection = cluster.connect_client(home);
    let after: Vec<String> = (0..30).map(|i| format!("after{i}")).collect();
    let sent: Vec<u64> =
        after.iter().map(|content| cluster.send(connection, publish(content, Ack::Quorum, None))).collect();
    assert_eq!(incarnation(&mut cluster, home), 0, "it does not know its place yet");
    cluster.run_for(Duration::from_secs(5));
    for id in sent {
        let answer = cluster.take_answer(connection, id).expect("every request is answered");
        assert!(matches!(answer.result, Ok(Done::Published { repeated: false, .. })), "{answer:?}");
    }
    assert_eq!(contents(cluster.must(host("011"), pull(ReadLevel::Leader, false))), [before, after].concat());
}

fn incarnation(cluster: &mut Cluster, node: HostId) -> u32 {
    match cluster.must(node, Action::Admin(Admin::Status { node: None })) {
        Ok(Done::Status(status)) => status.incarnation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cluster_that_starts_again_does_not_deny_what_it_has() {
    let mut cluster = cluster(22);
    for node in cluster.nodes() {
        cluster.kill(node);
    }
    for node in cluster.nodes() {
        cluster.start(node);
    }
    cluster.run_for(Duration::ZERO);
    // 011 holds no replica of the topic.
    let at = host("011");
    let connection = cluster.connect_client(at);
    let [topics, location, published] = [
        Action::Query(Query::Topics),
        Action::Query(Query::Locate { topic: topic(NEWS) }),
        publish("a", Ack::Quorum, None),
    ]
    .map(|action| cluster.send(connection, action));
    cluster.run_for(Duration::from_secs(5));
    let mut answer_to = |id| cluster.take_answer(connection, id).expect("every request is answered").result;
    match answer_to(topics) {
        Ok(Done::Topics { topics, missing }) => assert_eq!((topics.len(), missing), (1, vec![])),
        other => panic!("{other:?}"),
    }
    match answer_to(location) {
        Ok(Done::Located(location)) => assert!(location.exists, "{location:?}"),
        other => panic!("{other:?}"),
    }
    assert!(answer_to(published).is_ok());
}

#[test]
fn groups_of_which_nobody_is_left_are_named_after_a_moment() {
    let mut cluster = cluster(23);
    for node in ["100", "101", "110", "000"] {
        cluster.kill(host(node));
    }
    match cluster.must(host("011"), Action::Query(Query::Locate { topic: topic(NEWS) })) {
        Ok(Done::Located(location)) => assert!(location.members.iter().all(|replica| !replica.alive), "{location:?}"),
        other => panic!("{other:?}"),
    }
    match cluster.must(host("011"), Action::Query(Query::Topics)) {
        Ok(Done::Topics { missing, .. }) => assert!(missing.contains(&vertex("100")), "{missing:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(code(cluster.must(host("011"), publish("a", Ack::Quorum, None))), ErrorCode::Unavailable);
}
