//! The state of replicas, and the reads that they serve.

use std::collections::BTreeSet;
use std::time::Duration;

use cubecast_core::cube::Vertex;
use cubecast_core::names::{Offset, StartAt, SubscriberId};
use cubecast_core::wire::answer::{Done, ServerFrame};
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel, Write};
use cubecast_sim::{Cluster, EdgeConditions};

use super::support::*;

#[test]
fn a_lone_commit_is_told_at_once_and_of_many_most_with_the_entries_that_follow() {
    let mut cluster = cluster(2);
    let home = host("100");
    let frames = |cluster: &mut Cluster, publishes: u32, told_within: Duration| {
        cluster.run_for(Duration::from_millis(20));
        let before = cluster.traffic().replication;
        for number in 0..publishes {
            cluster.must(home, publish(&number.to_string(), Ack::Quorum, None)).unwrap();
        }
        assert!(cluster.run_until(told_within, |cluster| all_have_applied_the_same(cluster, vertex("100"))));
        cluster.traffic().replication - before
    };
    // Entries, their acknowledgements and the commit news, for each of three followers.
    assert_eq!(frames(&mut cluster, 1, Duration::from_micros(200)), 9);
    // A publish takes a millisecond here, so at most every tenth commit is announced separately.
    let many = frames(&mut cluster, 100, Duration::from_millis(11));
    assert!((600..650).contains(&many), "{many}");
}

fn all_have_applied_the_same(cluster: &mut Cluster, home: Vertex) -> bool {
    let applied: BTreeSet<_> = cluster
        .members(home)
        .into_iter()
        .map(|member| cluster.group(member, home).map(|group| group.applied_index()))
        .collect();
    applied.len() == 1
}

#[test]
fn a_push_subscriber_gets_everything_once_and_in_order_wherever_it_is() {
    let mut cluster = cluster(10);
    for node in ["100", "101", "011", "111"].map(host) {
        let connection = cluster.connect_client(node);
        let name = SubscriberId::new(format!("s{node}")).unwrap();
        cluster.must(node, Action::Write(Write::CreateSubscriber { subscriber: name.clone() })).unwrap();
        cluster.send(
            connection,
            Action::Write(Write::Subscribe { subscriber: name, topic: topic(NEWS), from: None, push: true }),
        );
        cluster.run_for(Duration::from_millis(200));
        let before = cluster.frames(connection).iter().filter(|frame| matches!(frame, ServerFrame::Message(_))).count();
        for i in 0..30 {
            cluster.must(host("010"), publish(&format!("m{i}"), Ack::Quorum, None)).unwrap();
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
    let (home, mut expected) = (host("100"), Vec::new());
    for (seed, count) in [(20, 1), (21, 2), (22, 9)] {
        let mut cluster = cluster(seed);
        expected.clear();
        // One immediately after another, so that the news of each would wait for the next.
        for number in 0..count {
            cluster.must(home, publish(&number.to_string(), Ack::All, None)).unwrap();
            expected.push(number.to_string());
        }
        cluster.kill(home);
        for replica in ["101", "110", "000"].map(host) {
            let pulled = cluster.must(replica, pull(ReadLevel::Any, false));
            assert_eq!(contents(pulled), expected, "of {replica}, with seed {seed}");
        }
    }
}

#[test]
fn many_at_once_that_all_are_to_acknowledge_share_a_confirmation() {
    let mut cluster = cluster(23);
    let home = host("100");
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
        assert!(matches!(answer.unwrap().result, Ok(Done::Published { replicas, .. }) if replicas.len() == 4));
    }
    let frames = cluster.traffic().replication - before;
    // Six for the entries of each publish, which are sent one by one here; confirmations are few.
    assert!((600..650).contains(&frames), "{frames}");
}

/// The slow replica has the entries that the leader's confirmation request covered, but not those committed since.
#[test]
fn a_slow_replica_is_asked_again_when_it_has_the_rest() {
    let mut cluster = cluster(24);
    let (home, slow) = (host("100"), host("101"));
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

/// A commit index that grew without other writes is not on disk, so the replica's confirmations from before its restart
/// no longer count.
#[test]
fn a_replica_that_is_back_serves_what_all_acknowledge_from_then_on() {
    let mut cluster = cluster(25);
    let (home, away) = (host("100"), host("101"));
    let read = Action::Read(Read::ReplicaPull {
        subscriber: subscriber(),
        topic: topic(NEWS),
        max: 1_000,
        from: Some(Offset(0)),
    });
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
    let replicas = cluster.members(vertex("100"));
    cluster.must(host("011"), publish("there", Ack::All, None)).unwrap();
    for (number, through) in replicas.iter().chain(&replicas).enumerate() {
        let (subscriber, topic) = (SubscriberId::new(format!("new{number}")).unwrap(), topic(NEWS));
        cluster.must(*through, Action::Write(Write::CreateSubscriber { subscriber: subscriber.clone() })).unwrap();
        let subscribe = Action::Write(Write::ReplicaSubscribe {
            subscriber: subscriber.clone(),
            topic: topic.clone(),
            from: Some(StartAt::Beginning),
            push: false,
        });
        cluster.must(*through, subscribe).unwrap();
        let pull = Action::Read(Read::ReplicaPull { subscriber, topic, max: 10, from: None });
        assert_eq!(contents(cluster.must(*through, pull)), ["there"], "{number}: through {through}");
    }
}
