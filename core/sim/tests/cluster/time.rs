//! Idle nodes, and nodes that stall.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Ack, Action, Admin};
use cubecast_sim::{Cluster, ClusterConfig};

use super::support::*;

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut cluster = cluster(seed);
        cluster.must(host("001"), publish("x", Ack::Quorum, None)).unwrap();
        cluster.kill(host("100"));
        cluster.run_for(Duration::from_secs(3));
        cluster.trace()
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}

/// Each leader's heartbeats carry its pings and its answers to its neighbours' heartbeats. A node wakes when one
/// arrives, and then sends its own.
#[test]
fn idle_nodes_sleep_between_heartbeats() {
    let dimension = Dimension::new(3).unwrap();
    let mut cluster =
        Cluster::with(ClusterConfig { gather_turns: true, keep_events: false, ..ClusterConfig::new(dimension, 7) });
    assert!(cluster.run_until(Duration::from_secs(10), |cluster| led_by_homes(cluster, host("000"))));
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
    let [leader, gone] = ["10", "00"].map(host);
    let mut cluster = Cluster::new(Dimension::new(2).unwrap(), 3);
    assert!(cluster.run_until(Duration::from_secs(10), |cluster| led_by_homes(cluster, leader)));
    cluster.kill(gone);
    cluster.run_for(Duration::from_secs(3));
    cluster.hang(leader, cluster.now() + Duration::from_secs(4));
    cluster.run_for(Duration::from_secs(5));
    let voters = cluster.node(leader).unwrap().group(group("10")).unwrap().voters();
    assert_eq!(voters.len(), 3, "it was seen to be away for four seconds, not for eight");
    cluster.run_for(Duration::from_secs(3));
    let voters = cluster.node(leader).unwrap().group(group("10")).unwrap().voters();
    assert_eq!(voters.len(), 2, "five seconds are enough");
}

#[test]
fn what_reaches_a_node_that_hangs_waits_in_order_however_often_it_is_stopped() {
    let mut cluster = cluster(41);
    let hung = host("110");
    let now = cluster.now();
    cluster.hang(hung, now + Duration::from_millis(2_000));
    cluster.hang(hung, now + Duration::from_millis(500));
    cluster.break_edge(hung, host("100"));
    cluster.run_for(Duration::from_millis(1_000));
    assert!(cluster.is_hung(hung), "the first stop is not over");
    cluster.hang(hung, now + Duration::from_millis(3_000));
    cluster.break_edge(hung, host("100"));
    cluster.run_for(Duration::from_secs(4));
    let settled = cluster.run_until(Duration::from_secs(10), |cluster| led_by_homes(cluster, host("011")));
    assert!(settled, "its edges stand again");
    let view = cluster.must(hung, Action::Admin(Admin::Status { node: None })).unwrap();
    let Done::Status(status) = view else { panic!("{view:?}") };
    assert!(status.links.iter().all(|link| link.hears && link.heard), "{:?}", status.links);
}
