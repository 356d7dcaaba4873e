//! Stories of whole clusters, in virtual time.

use std::collections::BTreeSet;
use std::time::Duration;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::names::{Offset, PublisherId, Sequence, SubscriberId, TopicName};
use cubecast_core::placement;
use cubecast_core::sim::{Cluster, ClusterConfig, Damage, EdgeConditions};
use cubecast_core::store::rows::RowKey;
use cubecast_core::wire::answer::{Done, ErrorCode, Failure, NodeState, ServerFrame};
use cubecast_core::wire::client::{Ack, Action, LinkConditions, ReadLevel, StartAt, StopMode};
use cubecast_core::wire::event::Event;

const NEWS: &str = "news";

fn vertex(text: &str) -> Vertex {
    text.parse().unwrap()
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn publisher() -> PublisherId {
    PublisherId::new("publisher1").unwrap()
}

fn subscriber() -> SubscriberId {
    SubscriberId::new("subscriber1").unwrap()
}

/// A settled cluster with a publisher, a subscriber and the topic `news` (home 100), subscribed to.
fn cluster(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(Dimension::new(3).unwrap(), seed);
    let at = vertex("011");
    let settled = cluster.run_until(Duration::from_secs(10), |cluster| led_by_homes(cluster, at));
    assert!(settled, "every home leads its group within ten seconds");
    cluster.must(at, Action::CreatePublisher { publisher: publisher() }).unwrap();
    cluster.must(at, Action::CreateSubscriber { subscriber: subscriber() }).unwrap();
    cluster.must(at, Action::CreateTopic { publisher: publisher(), topic: topic(NEWS) }).unwrap();
    cluster
        .must(at, Action::Subscribe { subscriber: subscriber(), topic: topic(NEWS), from: None, push: false })
        .unwrap();
    cluster
}

fn led_by_homes(cluster: &mut Cluster, at: Vertex) -> bool {
    cluster.run_for(Duration::from_millis(100));
    match cluster.must(at, Action::Cluster) {
        Ok(Done::Cluster(view)) => view
            .nodes
            .iter()
            .all(|node| node.state == NodeState::Up && node.leads.contains(&node.node) && node.leads.len() == 1),
        _ => false,
    }
}

fn publish(content: &str, ack: Ack, sequence: Option<u64>) -> Action {
    Action::Publish {
        publisher: publisher(),
        topic: topic(NEWS),
        content: content.into(),
        ack,
        sequence: sequence.map(Sequence),
    }
}

fn pull(read: ReadLevel, commit: bool) -> Action {
    Action::Pull { subscriber: subscriber(), topic: topic(NEWS), max: 10_000, read, commit }
}

fn contents(result: Result<Done, Failure>) -> Vec<String> {
    match result {
        Ok(Done::Pulled { messages, .. }) => {
            assert!(
                messages
                    .iter()
                    .zip(messages.first().map_or(0, |m| m.offset.0)..)
                    .all(|(m, offset)| m.offset == Offset(offset))
            );
            messages.into_iter().map(|message| message.content.to_string()).collect()
        }
        other => panic!("not a pull's answer: {other:?}"),
    }
}

fn code(result: Result<Done, Failure>) -> ErrorCode {
    result.expect_err("this must fail").code
}

#[test]
fn a_message_published_anywhere_is_pulled_anywhere() {
    let mut cluster = cluster(1);
    for (i, node) in cluster.dimension().vertices().enumerate() {
        let done = cluster.must(node, publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
        let Done::Published { offset, holders, repeated, .. } = done else { panic!("{done:?}") };
        assert_eq!((offset, repeated), (Some(Offset(i as u64)), false));
        assert!(holders.len() >= 3, "a quorum of four is three: {holders:?}");
    }
    for node in cluster.dimension().vertices() {
        assert_eq!(contents(cluster.must(node, pull(ReadLevel::Leader, false))).len(), 8, "read through {node}");
    }
    assert_eq!(contents(cluster.must(vertex("000"), pull(ReadLevel::Leader, true))).len(), 8);
    assert!(contents(cluster.must(vertex("111"), pull(ReadLevel::Leader, true))).is_empty(), "the cursor has moved");
}

#[test]
fn ack_all_is_held_by_all_four() {
    let mut cluster = cluster(2);
    let done = cluster.must(vertex("001"), publish("x", Ack::All, None)).unwrap();
    let Done::Published { holders, .. } = done else { panic!("{done:?}") };
    assert_eq!(holders, ["100", "101", "110", "000"].map(vertex));
}

#[test]
fn a_lone_commit_is_told_at_once_and_of_many_most_with_the_entries_that_follow() {
    let mut cluster = cluster(2);
    let home = vertex("100");
    let frames = |cluster: &mut Cluster, publishes: u32, told_within: Duration| {
        cluster.run_for(Duration::from_millis(20));
        let before = cluster.traffic().replication;
        for number in 0..publishes {
            cluster.must(home, publish(&number.to_string(), Ack::Quorum, None)).unwrap();
        }
        assert!(cluster.run_until(told_within, |cluster| all_have_applied_the_same(cluster, home)));
        cluster.traffic().replication - before
    };
    // Entries, their acknowledgements, and the news, for each of three followers.
    assert_eq!(frames(&mut cluster, 1, Duration::from_micros(200)), 9);
    // A publish takes a millisecond here, so at most every tenth one is told alone.
    let many = frames(&mut cluster, 100, Duration::from_millis(11));
    assert!((600..650).contains(&many), "{many}");
}

fn all_have_applied_the_same(cluster: &mut Cluster, home: Vertex) -> bool {
    let applied: BTreeSet<_> = placement::members(home)
        .map(|member| cluster.node(member).and_then(|node| node.group(home)).map(|group| group.applied_index()))
        .collect();
    applied.len() == 1
}

#[test]
fn a_request_that_is_lost_with_a_node_on_its_way_is_asked_again_at_once() {
    let mut cluster = cluster(2);
    let client = cluster.connect_client(vertex("011"));
    let request = cluster.send(client, publish("x", Ack::Quorum, Some(1)));
    // From 011 to the home, 100, by way of 010 and 000: an edge takes 100 us.
    cluster.run_for(Duration::from_micros(150));
    cluster.kill(vertex("000"));
    let answered =
        |cluster: &mut Cluster| cluster.take_answer(client, request).is_some_and(|answer| answer.result.is_ok());
    assert!(cluster.run_until(Duration::from_millis(500), answered));
}

#[test]
fn a_repeated_sequence_is_stored_once() {
    let mut cluster = cluster(3);
    cluster.must(vertex("001"), publish("once", Ack::Quorum, Some(7))).unwrap();
    let done = cluster.must(vertex("010"), publish("once", Ack::Quorum, Some(7))).unwrap();
    assert!(matches!(done, Done::Published { offset: Some(Offset(0)), repeated: true, .. }), "{done:?}");
    assert_eq!(contents(cluster.must(vertex("000"), pull(ReadLevel::Leader, false))), ["once"]);
}

#[test]
fn errors_say_what_is_unknown() {
    let mut cluster = cluster(4);
    let at = vertex("010");
    let nobody = || PublisherId::new("nobody").unwrap();
    let unknown = Action::Publish {
        publisher: nobody(),
        topic: topic(NEWS),
        content: "x".into(),
        ack: Ack::Quorum,
        sequence: None,
    };
    assert_eq!(code(cluster.must(at, unknown)), ErrorCode::UnknownPublisher);
    let absent = Action::Publish {
        publisher: publisher(),
        topic: topic("absent"),
        content: "x".into(),
        ack: Ack::Quorum,
        sequence: None,
    };
    assert_eq!(code(cluster.must(at, absent)), ErrorCode::UnknownTopic);
    let exists = Action::CreateTopic { publisher: publisher(), topic: topic(NEWS) };
    assert_eq!(code(cluster.must(at, exists)), ErrorCode::TopicExists);
    let replica = Action::ReplicaPull { subscriber: subscriber(), topic: topic(NEWS), max: 1, from: None };
    assert_eq!(code(cluster.must(vertex("011"), replica)), ErrorCode::NotReplica);
}

#[test]
fn a_killed_home_is_replaced_and_leads_again_when_it_is_back() {
    let mut cluster = cluster(5);
    cluster.must(vertex("001"), publish("before", Ack::Quorum, None)).unwrap();
    cluster.kill(vertex("100"));
    let began = cluster.now();
    cluster.must(vertex("001"), publish("meanwhile", Ack::Quorum, None)).unwrap();
    let outage = cluster.now().since(began);
    assert!(outage < Duration::from_secs(1), "publishing went on after {outage:?} of virtual time");
    cluster.start(vertex("100"));
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, vertex("001"))));
    let replica = Action::ReplicaPull { subscriber: subscriber(), topic: topic(NEWS), max: 10, from: Some(Offset(0)) };
    assert_eq!(contents(cluster.must(vertex("100"), replica)), ["before", "meanwhile"]);
}

#[test]
fn a_wiped_home_refills_from_its_neighbours_before_it_leads() {
    let mut cluster = cluster(6);
    for i in 0..20 {
        cluster.must(vertex("001"), publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
    }
    let stop = Action::StopNode { node: None, mode: StopMode::Wipe, duration_ms: 1000 };
    cluster.must(vertex("100"), stop).unwrap();
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| {
        cluster.now().since(cubecast_core::time::Instant(0)) > Duration::from_secs(8)
            && led_by_homes(cluster, vertex("001"))
    }));
    let replica = Action::ReplicaPull { subscriber: subscriber(), topic: topic(NEWS), max: 100, from: Some(Offset(0)) };
    assert_eq!(contents(cluster.must(vertex("100"), replica)).len(), 20);
}

#[test]
fn a_wiped_node_is_filled_as_soon_as_it_is_back() {
    let (dimension, wiped) = (Dimension::new(3).unwrap(), vertex("100"));
    let mut cluster = Cluster::with(ClusterConfig { keep_events: true, ..ClusterConfig::new(dimension, 5) });
    cluster.run_for(Duration::from_secs(5));
    cluster.kill(wiped);
    cluster.wipe(wiped);
    cluster.take_events();
    cluster.start(wiped);
    // Its own group has to find a leader first.
    cluster.run_for(Duration::from_millis(20));
    let filled = cluster.take_events().into_iter().filter_map(|told| match told.event {
        Event::CaughtUp { group, .. } => Some(group),
        _ => None,
    });
    assert_eq!(filled.collect::<BTreeSet<_>>(), BTreeSet::from(["000", "101", "110"].map(vertex)));
}

#[test]
fn a_lost_disk_is_noticed_by_those_who_met_it() {
    let mut cluster = cluster(7);
    cluster.must(vertex("001"), publish("kept", Ack::Quorum, None)).unwrap();
    cluster.kill(vertex("100"));
    cluster.wipe(vertex("100"));
    cluster.run_for(Duration::from_secs(1));
    cluster.start(vertex("100"));
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| led_by_homes(cluster, vertex("001"))));
    let Ok(Done::Status(status)) = cluster.must(vertex("100"), Action::Status { node: None }) else { panic!() };
    assert!(status.incarnation > 1, "it came back as somebody new");
    assert_eq!(contents(cluster.must(vertex("010"), pull(ReadLevel::Leader, false))), ["kept"]);
}

#[test]
fn a_member_is_filled_though_the_leaders_disk_is_damaged() {
    let mut cluster = cluster(8);
    let (home, wiped) = (vertex("100"), vertex("110"));
    // So many that a checkpoint takes the place of the first ones' log entries.
    for i in 0..50 {
        cluster.must(vertex("001"), publish(&format!("{i} {}", "x".repeat(50_000)), Ack::Quorum, None)).unwrap();
    }
    let number = cluster.node(home).unwrap().group(home).unwrap().topics().topic(&topic(NEWS)).unwrap().id;
    for node in [home, wiped] {
        cluster.kill(node);
        if node == wiped {
            cluster.wipe(node);
        } else {
            cluster.damage_disk(node, Damage::Row(RowKey::Messages(home.to_code(), number.0, 3)));
        }
        cluster.run_for(Duration::from_secs(1));
        cluster.start(node);
        assert!(cluster.run_until(Duration::from_secs(30), |cluster| led_by_homes(cluster, vertex("001"))));
    }
    assert!(cluster.disk(home).has_bad_row(), "nothing has replaced the damaged row");
    let replica = Action::ReplicaPull { subscriber: subscriber(), topic: topic(NEWS), max: 100, from: Some(Offset(0)) };
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| {
        cluster.run_for(Duration::from_millis(100));
        cluster.must(wiped, replica.clone()).is_ok_and(|done| contents(Ok(done)).len() == 50)
    }));
    assert!(cluster.run_until(Duration::from_secs(30), |cluster| led_by_homes(cluster, vertex("001"))));
}

#[test]
fn a_node_that_fails_while_it_joins_goes_on_joining() {
    for mode in [StopMode::Pause, StopMode::Crash, StopMode::Wipe] {
        let mut cluster = Cluster::new(Dimension::new(3).unwrap(), 13);
        cluster.run_for(Duration::ZERO);
        // All others wait for this one, so none of them has an identity yet.
        cluster.kill(vertex("111"));
        cluster.run_for(Duration::from_secs(1));
        cluster.must(vertex("010"), Action::StopNode { node: None, mode, duration_ms: 300 }).unwrap();
        cluster.run_for(Duration::from_secs(1));
        cluster.start(vertex("111"));
        assert!(
            cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, vertex("011"))),
            "after {mode:?}"
        );
        let Ok(Done::Status(status)) = cluster.must(vertex("010"), Action::Status { node: None }) else { panic!() };
        assert_eq!(status.incarnation, 1, "after {mode:?} it is a founding member: nobody ever met it");
    }
}

#[test]
fn what_a_committing_pull_reads_reaches_its_client_though_answers_are_lost() {
    let mut cluster = cluster(14);
    // 011 is no member, so all that it asks crosses edges; on the way back two thirds are lost.
    for from in vertex("011").neighbours() {
        let conditions = LinkConditions { loss: 0.6, ..LinkConditions::PERFECT };
        cluster.must(from, Action::SetLink { from, to: vertex("011"), conditions }).unwrap();
    }
    let mut published = 0;
    let mut read = Vec::new();
    for _ in 0..40 {
        cluster.must(vertex("000"), publish(&format!("m{published}"), Ack::Quorum, None)).unwrap();
        published += 1;
        if let Ok(done) = cluster.must(vertex("011"), pull(ReadLevel::Leader, true)) {
            read.extend(contents(Ok(done)));
        }
    }
    read.extend(contents(cluster.must(vertex("000"), pull(ReadLevel::Leader, true))));
    read.dedup();
    assert_eq!(read, (0..published).map(|i| format!("m{i}")).collect::<Vec<_>>());
}

#[test]
fn what_a_replicas_read_moves_past_has_reached_its_client_though_answers_are_lost() {
    let mut cluster = cluster(14);
    for from in vertex("011").neighbours() {
        let conditions = LinkConditions { loss: 0.6, ..LinkConditions::PERFECT };
        cluster.must(from, Action::SetLink { from, to: vertex("011"), conditions }).unwrap();
    }
    let (mut read, mut answers) = (0, 0);
    for _ in 0..40 {
        cluster.must(vertex("000"), publish("m", Ack::Quorum, None)).unwrap();
        if let Ok(Done::Pulled { messages, .. }) = cluster.must(vertex("011"), pull(ReadLevel::Any, true))
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
    let home = placement::home("stranger", cluster.dimension());
    for member in placement::members(home).skip(1).take(2) {
        cluster.kill(member);
    }
    let at = home;
    let stranger = PublisherId::new("stranger").unwrap();
    let action =
        Action::Publish { publisher: stranger, topic: topic(NEWS), content: "x".into(), ack: Ack::One, sequence: None };
    assert_eq!(code(cluster.must(at, action)), ErrorCode::Unavailable);
}

#[test]
fn a_restart_that_was_never_recorded_does_not_use_its_numbers_again() {
    let mut cluster = cluster(16);
    let origin = vertex("011");
    for content in ["first", "second"] {
        cluster.kill(origin);
        cluster.run_for(Duration::from_secs(1));
        cluster.slow_disk(origin, Duration::from_secs(2));
        cluster.start(origin);
        cluster.run_for(Duration::from_millis(500));
        // Perhaps it does not answer yet. If it does, then for good.
        let answer = cluster.ask(origin, publish(content, Ack::Quorum, None), Duration::from_secs(1));
        let stored = contents(cluster.must(vertex("000"), pull(ReadLevel::Leader, false)));
        let acknowledged = answer.is_some_and(|answer| answer.result.is_ok());
        assert!(!acknowledged || stored.iter().any(|found| found == content), "{content} was acknowledged: {stored:?}");
    }
}

#[test]
fn what_waited_in_the_outbox_is_stored_though_much_else_came_first() {
    let mut cluster = cluster(17);
    let at = vertex("010");
    cluster.kill(vertex("100"));
    cluster.kill(vertex("101"));
    cluster.run_for(Duration::from_secs(2));
    let connection = cluster.connect_client(at);
    let waiting: Vec<u64> =
        (0..300).map(|i| cluster.send(connection, publish(&format!("one{i}"), Ack::One, None))).collect();
    cluster.run_for(Duration::from_secs(2));
    for id in waiting {
        assert!(cluster.take_answer(connection, id).is_some_and(|answer| answer.result.is_ok()));
    }
    cluster.start(vertex("100"));
    cluster.start(vertex("101"));
    let back = cluster.run_until(Duration::from_secs(20), |cluster| {
        cluster
            .ask(at, publish("probe", Ack::Quorum, None), Duration::from_secs(10))
            .is_some_and(|answer| answer.result.is_ok())
    });
    assert!(back);
    for i in 0..1100 {
        cluster.send(connection, publish(&format!("quorum{i}"), Ack::Quorum, None));
        // Takes a number too, so that those of the topic are not consecutive.
        cluster.send(connection, Action::Cluster);
    }
    cluster.run_for(Duration::from_secs(10));
    let mut stored = contents(cluster.must(at, pull(ReadLevel::Leader, false)));
    stored.retain(|content| content.starts_with("one"));
    stored.sort();
    let mut expected: Vec<String> = (0..300).map(|i| format!("one{i}")).collect();
    expected.sort();
    assert_eq!(stored, expected);
}

#[test]
fn a_holder_that_is_catching_up_does_not_deny_what_exists() {
    let mut cluster = cluster(18);
    cluster.must(vertex("001"), publish("there", Ack::All, None)).unwrap();
    cluster.must(vertex("100"), Action::StopNode { node: None, mode: StopMode::Wipe, duration_ms: 200 }).unwrap();
    for _ in 0..60 {
        cluster.run_for(Duration::from_millis(25));
        // At 100 itself, and at 010, which would ask 100 first.
        for at in ["100", "010"].map(vertex) {
            match cluster.must(at, pull(ReadLevel::Any, false)) {
                Ok(done) => assert_eq!(contents(Ok(done)), ["there"], "at {at}"),
                Err(failure) => assert!(failure.code.is_transient(), "at {at}: {failure:?}"),
            }
        }
    }
}

#[test]
fn with_two_of_four_down_reads_go_on_and_one_waits_in_the_outbox() {
    let mut cluster = cluster(8);
    cluster.must(vertex("011"), publish("first", Ack::All, None)).unwrap();
    cluster.kill(vertex("100"));
    cluster.kill(vertex("101"));
    assert_eq!(contents(cluster.must(vertex("010"), pull(ReadLevel::Any, false))), ["first"]);
    assert_eq!(code(cluster.must(vertex("010"), publish("no quorum", Ack::Quorum, Some(1)))), ErrorCode::Unavailable);
    let done = cluster.must(vertex("010"), publish("later", Ack::One, Some(2))).unwrap();
    assert!(matches!(done, Done::Published { offset: None, .. }), "{done:?}");
    cluster.start(vertex("100"));
    cluster.start(vertex("101"));
    let arrived = cluster.run_until(Duration::from_secs(20), |cluster| {
        cluster.run_for(Duration::from_millis(100));
        cluster
            .ask(vertex("010"), pull(ReadLevel::Leader, false), Duration::from_secs(10))
            .is_some_and(|answer| answer.result.is_ok_and(|done| contents(Ok(done)) == ["first", "later"]))
    });
    assert!(arrived, "what was acknowledged with `one` is in the log, once");
    cluster.run_for(Duration::from_secs(5));
    assert_eq!(contents(cluster.must(vertex("010"), pull(ReadLevel::Leader, false))), ["first", "later"]);
}

#[test]
fn everything_survives_the_death_of_all() {
    let mut cluster = cluster(9);
    for i in 0..50 {
        cluster.must(vertex("001"), publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
    }
    for node in cluster.dimension().vertices() {
        cluster.kill(node);
    }
    for node in cluster.dimension().vertices() {
        cluster.start(node);
    }
    assert!(cluster.run_until(Duration::from_secs(20), |cluster| led_by_homes(cluster, vertex("011"))));
    assert_eq!(contents(cluster.must(vertex("011"), pull(ReadLevel::Leader, false))).len(), 50);
}

#[test]
fn a_push_subscriber_gets_everything_once_and_in_order_wherever_it_is() {
    let mut cluster = cluster(10);
    for node in ["100", "101", "011", "111"].map(vertex) {
        let connection = cluster.connect_client(node);
        let name = SubscriberId::new(format!("s{node}")).unwrap();
        cluster.must(node, Action::CreateSubscriber { subscriber: name.clone() }).unwrap();
        cluster.send(connection, Action::Subscribe { subscriber: name, topic: topic(NEWS), from: None, push: true });
        cluster.run_for(Duration::from_millis(200));
        let before = cluster.frames(connection).iter().filter(|frame| matches!(frame, ServerFrame::Message(_))).count();
        for i in 0..30 {
            cluster.must(vertex("010"), publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
        }
        let mut offsets = Vec::new();
        let complete = cluster.run_until(Duration::from_secs(5), |cluster| {
            offsets.extend(cluster.frames(connection).into_iter().filter_map(|frame| match frame {
                ServerFrame::Message(delivery) => Some(delivery.message.offset.0),
                _ => None,
            }));
            offsets.len() == 30
        });
        assert!(complete, "through {node}: {offsets:?}");
        let first = before as u64;
        assert_eq!(offsets, (first..first + 30).collect::<Vec<_>>(), "through {node}");
    }
}

#[test]
fn what_all_have_acknowledged_is_served_by_every_replica_though_the_leader_fails_at_once() {
    let (home, mut expected) = (vertex("100"), Vec::new());
    for (seed, count) in [(20, 1), (21, 2), (22, 9)] {
        let mut cluster = cluster(seed);
        expected.clear();
        // One right after the other, so that the news of each would wait for the next.
        for number in 0..count {
            cluster.must(home, publish(&number.to_string(), Ack::All, None)).unwrap();
            expected.push(number.to_string());
        }
        cluster.kill(home);
        for replica in home.neighbours() {
            let pulled = cluster.must(replica, pull(ReadLevel::Any, false));
            assert_eq!(contents(pulled), expected, "of {replica}, with seed {seed}");
        }
    }
}

#[test]
fn many_at_once_that_all_are_to_acknowledge_share_a_confirmation() {
    let mut cluster = cluster(23);
    let home = vertex("100");
    let client = cluster.connect_client(home);
    cluster.run_for(Duration::from_millis(20));
    let before = cluster.traffic().replication;
    let asked: Vec<u64> =
        (0..100).map(|number| cluster.send(client, publish(&number.to_string(), Ack::All, None))).collect();
    for id in asked {
        let mut answer = None;
        assert!(cluster.run_until(Duration::from_secs(5), |cluster| {
            answer = cluster.take_answer(client, id);
            answer.is_some()
        }));
        assert!(matches!(answer.unwrap().result, Ok(Done::Published { holders, .. }) if holders.len() == 4));
    }
    let frames = cluster.traffic().replication - before;
    // Six for the entries of each, which come one by one here; what confirms them is few.
    assert!((600..650).contains(&frames), "{frames}");
}

/// It has what one leader's question said that all have, and not what is committed by then.
#[test]
fn a_slow_replica_is_asked_again_when_it_has_the_rest() {
    let mut cluster = cluster(24);
    let (home, slow) = (vertex("100"), vertex("101"));
    cluster.set_edge(home, slow, Some(EdgeConditions { delay_us: 5_000, ..EdgeConditions::default() }));
    let client = cluster.connect_client(home);
    for apart in (0..40).map(|step| Duration::from_micros(step * 250)) {
        cluster.run_for(Duration::from_millis(50));
        let began = cluster.now();
        let first = cluster.send(client, publish("first", Ack::All, None));
        cluster.run_for(apart);
        let second = cluster.send(client, publish("second", Ack::All, None));
        let mut answered = BTreeSet::new();
        assert!(cluster.run_until(Duration::from_secs(5), |cluster| {
            answered.extend([first, second].into_iter().filter(|id| cluster.take_answer(client, *id).is_some()));
            answered.len() == 2
        }));
        let took = cluster.now().since(began).saturating_sub(apart);
        assert!(took < Duration::from_millis(40), "{took:?}, {apart:?} apart");
    }
}

/// A commit index that grew alone is not on its disk: what it said before it went counts no longer.
#[test]
fn a_replica_that_is_back_serves_what_all_acknowledge_from_then_on() {
    let mut cluster = cluster(25);
    let (home, away) = (vertex("100"), vertex("101"));
    let read = Action::ReplicaPull { subscriber: subscriber(), topic: topic(NEWS), max: 1_000, from: Some(Offset(0)) };
    let (mut expected, mut seen) = (Vec::new(), 0);
    for number in 0..40_u64 {
        cluster.must(home, publish(&number.to_string(), Ack::All, None)).unwrap();
        expected.push(number.to_string());
        cluster.kill(away);
        cluster.run_for(Duration::from_millis(5));
        cluster.start(away);
        cluster.run_for(Duration::from_millis(number * 10));
        let is_seen = cluster.node(home).is_some_and(|node| node.sees(away));
        let more = format!("{number}, and more");
        cluster.must(home, publish(&more, Ack::All, None)).unwrap();
        expected.push(more);
        if is_seen {
            seen += 1;
            assert_eq!(contents(cluster.must(away, read.clone())), expected, "round {number}");
        }
    }
    assert!((10..40).contains(&seen), "{seen}");
}

#[test]
fn whoever_has_subscribed_through_a_replica_may_pull_from_it_at_once() {
    let mut cluster = cluster(26);
    let holders: Vec<Vertex> = placement::members(vertex("100")).collect();
    cluster.must(vertex("011"), publish("there", Ack::All, None)).unwrap();
    for (number, through) in holders.iter().chain(&holders).enumerate() {
        let (subscriber, topic) = (SubscriberId::new(format!("new{number}")).unwrap(), topic(NEWS));
        cluster.must(*through, Action::CreateSubscriber { subscriber: subscriber.clone() }).unwrap();
        let subscribe = Action::ReplicaSubscribe {
            subscriber: subscriber.clone(),
            topic: topic.clone(),
            from: Some(StartAt::Beginning),
            push: false,
        };
        cluster.must(*through, subscribe).unwrap();
        let pull = Action::ReplicaPull { subscriber, topic, max: 10, from: None };
        assert_eq!(contents(cluster.must(*through, pull)), ["there"], "{number}: through {through}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut cluster = cluster(seed);
        cluster.must(vertex("001"), publish("x", Ack::Quorum, None)).unwrap();
        cluster.kill(vertex("100"));
        cluster.run_for(Duration::from_secs(3));
        cluster.trace()
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}

/// Each leader's heartbeats take along its pings and its answers to its neighbours': a node wakes when one comes, and its own leaves then.
#[test]
fn idle_nodes_sleep_between_heartbeats() {
    let dimension = Dimension::new(3).unwrap();
    let mut cluster =
        Cluster::with(ClusterConfig { gather_turns: true, keep_events: false, ..ClusterConfig::new(dimension, 7) });
    assert!(cluster.run_until(Duration::from_secs(10), |cluster| led_by_homes(cluster, vertex("000"))));
    cluster.run_for(Duration::from_secs(2));
    let (turns, traffic) = (cluster.turns(), cluster.traffic());
    cluster.run_for(Duration::from_secs(30));
    let per_node_and_second = |count: u64| count as f64 / 8.0 / 30.0;
    let heartbeats = per_node_and_second((cluster.traffic() - traffic).heartbeats);
    assert!((28.0..34.0).contains(&heartbeats), "{heartbeats}: to three followers, and answers to three leaders");
    let turns = per_node_and_second(cluster.turns() - turns);
    assert!(
        turns < 18.0,
        "{turns}: one for each of the three heartbeats that come, every 200 ms; its own leaves in one of them"
    );
}

#[test]
fn the_time_that_a_leader_hangs_is_nobodys_absence() {
    let [leader, gone] = ["10", "00"].map(vertex);
    let mut cluster = Cluster::new(Dimension::new(2).unwrap(), 3);
    assert!(cluster.run_until(Duration::from_secs(10), |cluster| led_by_homes(cluster, leader)));
    cluster.kill(gone);
    cluster.run_for(Duration::from_secs(3));
    cluster.hang(leader, cluster.now() + Duration::from_secs(4));
    cluster.run_for(Duration::from_secs(5));
    let voters = cluster.node(leader).unwrap().group(leader).unwrap().voters();
    assert_eq!(voters.len(), 3, "it was seen to be away for four seconds, not for eight");
    cluster.run_for(Duration::from_secs(3));
    let voters = cluster.node(leader).unwrap().group(leader).unwrap().voters();
    assert_eq!(voters.len(), 2, "five seconds are enough");
}

#[test]
fn what_reaches_a_node_that_hangs_waits_in_order_however_often_it_is_stopped() {
    let mut cluster = cluster(41);
    let hung = vertex("110");
    let now = cluster.now();
    cluster.hang(hung, now + Duration::from_millis(2_000));
    cluster.hang(hung, now + Duration::from_millis(500));
    cluster.break_edge(hung, vertex("100"));
    cluster.run_for(Duration::from_millis(1_000));
    assert!(cluster.is_hung(hung), "the first stop is not over");
    cluster.hang(hung, now + Duration::from_millis(3_000));
    cluster.break_edge(hung, vertex("100"));
    cluster.run_for(Duration::from_secs(4));
    let settled = cluster.run_until(Duration::from_secs(10), |cluster| led_by_homes(cluster, vertex("011")));
    assert!(settled, "its edges stand again");
    let view = cluster.must(hung, Action::Status { node: None }).unwrap();
    let Done::Status(status) = view else { panic!("{view:?}") };
    assert!(status.links.iter().all(|link| link.hears && link.heard), "{:?}", status.links);
}
