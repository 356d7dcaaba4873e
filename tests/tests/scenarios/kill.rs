//! SIGKILL of the leader, of each node in turn, and of all nodes at once.

use std::time::Duration;

use cubecast_core::names::SubscriberId;
use cubecast_node::client::CubecastClient;
use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::publishing::Publishing;
use cubecast_tests::replicas::assert_replicas_equal_and_complete;
use cubecast_tests::wait::{PATIENCE, say};
use tokio::time::timeout;

/// Not a measurement: the limit above which the cluster counts as stuck.
const STUCK: Duration = Duration::from_secs(10);

#[tokio::test]
async fn sigkill_of_the_leader_under_a_stream_of_publishes_loses_and_doubles_nothing() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    let opposite = home.across(0).across(1).across(2);
    let mut publishing = Publishing::begin(&cluster, opposite, "publisher1", "news", "quorum");
    publishing.wait_for_more(50).await;
    for _ in 0..3 {
        let leader = cluster.wait_for_leader(opposite, home, None).await;
        cluster.kill(leader);
        publishing.wait_for_more(50).await;
        cluster.start_node(leader);
        cluster.wait_until_settled().await;
        publishing.wait_for_more(20).await;
    }
    let published = publishing.end().await;
    say(&format!(
        "leader killed by SIGKILL: the longest gap between acknowledgements was {:?}, with {} retries",
        published.longest_gap, published.retries
    ));
    assert!(published.longest_gap < STUCK, "publishing stood still for {:?}", published.longest_gap);
    let stored = assert_replicas_equal_and_complete(&cluster, "news", &published.acknowledged).await;
    assert_eq!(stored, published.acknowledged, "one publisher's messages are stored in its order");
}

#[tokio::test]
async fn sigkill_of_each_node_in_turn_under_a_stream_of_publishes_loses_and_doubles_nothing() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    cluster.far_client("news").await.set_up("publisher1", "subscriber1", "news").await;
    let mut publishing = Publishing::begin(&cluster, home, "publisher1", "news", "quorum");
    for vertex in cluster.vertices() {
        publishing.wait_for_more(10).await;
        cluster.kill(vertex);
        publishing.wait_for_more(20).await;
        cluster.start_node(vertex);
        cluster.wait_until_settled().await;
    }
    let published = publishing.end().await;
    say(&format!(
        "each node killed in turn: the longest gap between acknowledgements was {:?}, with {} retries",
        published.longest_gap, published.retries
    ));
    assert!(published.longest_gap < STUCK, "publishing stood still for {:?}", published.longest_gap);
    assert_replicas_equal_and_complete(&cluster, "news", &published.acknowledged).await;
}

#[tokio::test]
async fn sigkill_of_all_nodes_at_once_loses_nothing_acknowledged() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    cluster.far_client("news").await.set_up("publisher1", "subscriber1", "news").await;
    let mut publishing = Publishing::begin(&cluster, home, "publisher1", "news", "quorum");
    publishing.wait_for_more(100).await;
    cluster.kill_all();
    for vertex in cluster.vertices() {
        cluster.start_node(vertex);
    }
    cluster.wait_until_settled().await;
    publishing.wait_for_more(20).await;
    let published = publishing.end().await;
    say(&format!(
        "all nodes killed at once: the longest gap between acknowledgements was {:?}, with {} retries",
        published.longest_gap, published.retries
    ));
    let stored = assert_replicas_equal_and_complete(&cluster, "news", &published.acknowledged).await;
    assert_eq!(stored, published.acknowledged);
}

#[tokio::test]
async fn a_frozen_leader_is_replaced_and_follows_when_it_thaws() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    cluster.far_client("news").await.set_up("publisher1", "subscriber1", "news").await;
    let opposite = home.across(0).across(1).across(2);
    let mut publishing = Publishing::begin(&cluster, opposite, "publisher1", "news", "quorum");
    publishing.wait_for_more(20).await;
    // SIGSTOP: the node's sockets stay open, so only missing heartbeats reveal the failure.
    cluster.pause(home);
    cluster.wait_for_leader(opposite, home, Some(home)).await;
    publishing.wait_for_more(50).await;
    cluster.resume(home);
    cluster.wait_until_settled().await;
    let published = publishing.end().await;
    say(&format!("leader frozen by SIGSTOP: the longest gap between acknowledgements was {:?}", published.longest_gap));
    assert!(published.longest_gap < STUCK, "publishing stood still for {:?}", published.longest_gap);
    let stored = assert_replicas_equal_and_complete(&cluster, "news", &published.acknowledged).await;
    assert_eq!(stored, published.acknowledged);
}

/// With the native client of users: it fails over to replicas, and its push subscription continues where it stopped.
#[tokio::test]
async fn a_push_subscription_of_the_native_client_has_no_gap_and_no_double_when_its_node_is_killed() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    cluster.far_client("news").await.set_up("publisher1", "subscriber1", "news").await;
    let seeds: Vec<String> = cluster.vertices().map(|vertex| cluster.address(vertex)).collect();
    let client = CubecastClient::connect(&seeds);
    let subscriber: SubscriberId = "subscriber1".parse().expect("a good name");
    let topic = "news".parse().expect("a good name");
    let mut deliveries = client.listen(&subscriber, &topic, None).await.expect("it is subscribed").value;

    let mut publishing = Publishing::begin(&cluster, home.across(0).across(1), "publisher1", "news", "quorum");
    publishing.wait_for_more(30).await;
    cluster.kill(home);
    publishing.wait_for_more(60).await;
    cluster.start_node(home);
    cluster.wait_until_settled().await;
    publishing.wait_for_more(30).await;
    let published = publishing.end().await;

    let mut delivered = Vec::new();
    while delivered.len() < published.acknowledged.len() {
        let next = timeout(PATIENCE, deliveries.next()).await.expect("deliveries go on");
        let message = next.expect("deliveries do not end").expect("the subscription stands");
        assert_eq!(message.offset.0, delivered.len() as u64, "in order, without gap and without double");
        delivered.push(message.content.to_string());
    }
    assert_eq!(delivered, published.acknowledged);
}
