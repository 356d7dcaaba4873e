//! A node's reports about the usability of its groups are true: a group reported as usable takes a publish through that
//! node, and a group that takes none is not reported as usable.

use std::collections::BTreeMap;
use std::time::Duration;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::placement;
use cubecast_core::states::{NodeState, Obstacle};
use cubecast_core::wire::answer::GroupStatus;
use cubecast_core::wire::client::{Ack, Action, Admin, Write};
use cubecast_core::wire::usability::{NodeReason, UnreadyReason};
use cubecast_sim::Cluster;

use super::support::*;

/// By then every node has detected the faults, and every group with a majority has elected a leader.
const SETTLED: Duration = Duration::from_secs(3);
/// The deadline of a request.
const A_PUBLISH: Duration = Duration::from_secs(5);

#[test]
fn in_a_whole_cluster_every_group_is_usable_and_every_node_ready() {
    let cluster = cluster(21);
    for node in cluster.nodes() {
        let status = cluster.node(node).unwrap().status();
        assert_eq!(status.unready(), [], "{node}");
        for group in status.groups {
            assert!(group.usable && group.voters_up == 4 && group.voters_needed == 3, "{group:?}");
        }
    }
}

#[test]
fn a_lone_new_node_is_not_ready_for_it_does_not_know_its_place() {
    let mut cluster = Cluster::new(Dimension::new(3).unwrap(), 22);
    let all: Vec<HostId> = cluster.nodes().collect();
    // All nodes have started, and no frame has arrived yet.
    cluster.run_for(Duration::from_micros(1));
    all[1..].iter().for_each(|node| cluster.kill(*node));
    cluster.run_for(SETTLED);
    let unready = cluster.node(all[0]).unwrap().status().unready();
    assert_eq!(unready[0].reason, UnreadyReason::Node(NodeReason::Joining), "{unready:?}");
}

#[test]
fn with_five_of_eight_killed_each_survivor_names_its_groups_without_a_majority() {
    let mut cluster = cluster(23);
    for node in ["011", "101", "110", "111", "100"] {
        cluster.kill(host(node));
    }
    cluster.run_for(SETTLED);
    let usable = |node: &str| -> Vec<bool> {
        cluster.node(host(node)).unwrap().status().groups.iter().map(|group| group.usable).collect()
    };
    // The group of 000 has three of its four members left.
    assert_eq!(usable("000"), [true, false, false, false]);
    assert_eq!(usable("001"), [true, false, false, false]);
    let status = cluster.node(host("010")).unwrap().status();
    let why = status.groups[1].why_unusable().unwrap();
    assert_eq!(
        why,
        "the replica group of 010 does not accept publishes: 2 of its 4 voters are reachable; 3 are needed"
    );
    assert_eq!(status.unready().len(), 3);
}

#[test]
fn an_isolated_leader_says_within_an_election_timeout_that_it_is_not_usable() {
    let mut cluster = cluster(24);
    let alone = host("100");
    let conditions = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    for peer in ["101", "110", "000"].map(host) {
        cluster.must(alone, Action::Admin(Admin::SetLink { from: alone, to: peer, conditions })).unwrap();
        cluster.must(peer, Action::Admin(Admin::SetLink { from: peer, to: alone, conditions })).unwrap();
    }
    cluster.run_for(Duration::from_millis(1_100));
    let status = cluster.node(alone).unwrap().status();
    for group in &status.groups {
        assert_eq!((group.usable, group.obstacle, group.voters_up), (false, Some(Obstacle::NoQuorum), 1), "{group:?}");
    }
    cluster.run_for(SETTLED);
    for peer in ["101", "110", "000"].map(host) {
        let groups = cluster.node(peer).unwrap().status().groups;
        assert!(groups.iter().all(|group| group.usable), "{peer}: {groups:?}");
    }
}

#[test]
fn a_wiped_voter_that_is_back_counts_only_when_it_votes_again() {
    let mut cluster = cluster(25);
    for node in ["101", "110"] {
        cluster.kill(host(node));
        cluster.wipe(host(node));
    }
    cluster.run_for(Duration::from_secs(1));
    cluster.start(host("101"));
    cluster.run_for(SETTLED);
    let status = cluster.node(host("000")).unwrap().status();
    let group = status.groups.iter().find(|group| group.home == vertex("100")).unwrap();
    assert!(!group.usable && group.voters_up == 2, "{group:?}");
}

#[test]
fn a_node_that_fails_on_request_calls_nothing_usable() {
    let mut cluster = cluster(26);
    let stop = Action::Admin(Admin::StopNode { node: None, mode: StopMode::Pause, duration_ms: 5_000 });
    cluster.must(host("100"), stop).unwrap();
    cluster.run_for(Duration::from_millis(100));
    let status = cluster.node(host("100")).unwrap().status();
    assert_eq!(status.state, NodeState::Failed);
    assert!(status.groups.iter().all(|group| !group.usable));
    assert_eq!(status.unready()[0].reason, UnreadyReason::Node(NodeReason::NodeFailed));
}

#[test]
fn whatever_is_broken_a_group_called_usable_takes_a_publish() {
    for seed in 0..40 {
        breaks_at_random(seed);
    }
}

/// Breaks parts of a cluster and compares every node's reports with publishes through it.
fn breaks_at_random(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cluster = cluster(seed);
    let topics = a_topic_for_each_group(&mut cluster);
    for _ in 0..random.u8(1..=4) {
        break_something(&mut cluster, &mut random);
    }
    cluster.run_for(SETTLED);
    let runs = |cluster: &Cluster, node: HostId| cluster.node(node).is_some() && !cluster.is_hung(node);
    for node in cluster.nodes().filter(|node| runs(&cluster, *node)).collect::<Vec<_>>() {
        let groups = cluster.seating().groups_of(node);
        for home in groups.map(|group| group.home(cluster.dimension()).unwrap()).collect::<Vec<_>>() {
            let before = said(&cluster, node, home);
            let (publisher, topic) = topics[&home].clone();
            let publish = Action::Write(Write::Publish {
                publisher,
                topic,
                content: "x".into(),
                ack: Ack::Quorum,
                sequence: None,
            });
            let done = cluster.ask(node, publish, A_PUBLISH + Duration::from_secs(1)).map(|answer| answer.result);
            let after = said(&cluster, node, home);
            let taken = matches!(done, Some(Ok(_)));
            let usable = |said: &Option<GroupStatus>| said.as_ref().is_some_and(|group| group.usable);
            assert!(
                taken || !usable(&before),
                "seed {seed}: {node} called group {home} usable ({before:?}), and a publish came to {done:?}"
            );
            assert!(
                !taken || usable(&before) || usable(&after),
                "seed {seed}: {node} called group {home} not usable ({before:?}), and it took a publish"
            );
        }
    }
}

fn said(cluster: &Cluster, node: HostId, home: Vertex) -> Option<GroupStatus> {
    cluster.node(node)?.status().groups.into_iter().find(|group| group.home == home)
}

/// For each group a publisher and a topic whose home is that group's, so that a publish needs only that group.
fn a_topic_for_each_group(cluster: &mut Cluster) -> BTreeMap<Vertex, (PublisherId, TopicName)> {
    let mut topics = BTreeMap::new();
    for home in cluster.dimension().vertices() {
        let host = cluster.seating().host_of(home);
        let at_home = |name: &String| placement::home(name, home.dimension()) == home;
        let publisher = PublisherId::new((0..).map(|i| format!("p{i}")).find(at_home).unwrap()).unwrap();
        let topic = topic(&(0..).map(|i| format!("t{i}")).find(at_home).unwrap());
        cluster.must(host, Action::Write(Write::CreatePublisher { publisher: publisher.clone() })).unwrap();
        cluster
            .must(host, Action::Write(Write::CreateTopic { publisher: publisher.clone(), topic: topic.clone() }))
            .unwrap();
        topics.insert(home, (publisher, topic));
    }
    topics
}

fn break_something(cluster: &mut Cluster, random: &mut fastrand::Rng) {
    let node = cluster.nodes().nth(random.usize(..8)).unwrap();
    let peer = cluster.seating().across(node, random.u8(..3));
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    match random.u8(..5) {
        0 | 1 => cluster.kill(node),
        2 => cluster.hang(node, cluster.now() + Duration::from_secs(3_600)),
        3 if cluster.node(node).is_some() && !cluster.is_hung(node) => {
            // One direction of an edge; the answer does not cross it.
            let connection = cluster.connect_client(node);
            cluster.send(connection, Action::Admin(Admin::SetLink { from: node, to: peer, conditions: cut }));
        }
        _ => {
            for peer in cluster.seating().neighbours(node) {
                for (from, to) in [(node, peer), (peer, node)] {
                    if cluster.node(from).is_some() {
                        let connection = cluster.connect_client(from);
                        cluster.send(connection, Action::Admin(Admin::SetLink { from, to, conditions: cut }));
                    }
                }
            }
        }
    }
    cluster.run_for(Duration::from_millis(random.u64(..200)));
}
