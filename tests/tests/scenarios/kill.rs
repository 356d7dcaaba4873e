//! SIGKILL: of the leader, of each node in turn, of all at once.

use std::time::Duration;

use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::holders::assert_holders_equal_and_complete;
use cubecast_tests::publishing::Publishing;

/// No measurement: a bound on being stuck.
const STUCK: Duration = Duration::from_secs(10);

#[tokio::test]
async fn sigkill_of_the_leader_under_a_stream_of_publishes_loses_and_doubles_nothing() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    let mut publishing =
        Publishing::begin(&cluster, home.across(0).across(1).across(2), "publisher1", "news", "quorum");
    publishing.wait_for_more(50).await;
    cluster.kill(home);
    publishing.wait_for_more(50).await;
    cluster.start_node(home);
    cluster.wait_until_settled().await;
    publishing.wait_for_more(50).await;
    let published = publishing.end().await;
    println!("longest gap between acknowledgements: {:?}, {} retries", published.longest_gap, published.retries);
    assert!(published.longest_gap < STUCK, "publishing stood still for {:?}", published.longest_gap);
    let stored = assert_holders_equal_and_complete(&cluster, "news", &published.acknowledged).await;
    assert_eq!(stored, published.acknowledged, "one publisher's messages are stored in its order");
}
