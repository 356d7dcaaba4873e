//! Cut links: a home is reachable only by its clients.

use cubecast_core::cube::Vertex;
use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::publishing::Publishing;
use cubecast_tests::replicas::assert_replicas_equal_and_complete;
use cubecast_tests::wait::say;
use serde_json::json;

#[tokio::test]
async fn an_isolated_home_is_replaced_and_leads_again_after_the_links_heal() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    cluster.far_client("news").await.set_up("publisher1", "subscriber1", "news").await;
    let opposite = home.across(0).across(1).across(2);
    let mut publishing = Publishing::begin(&cluster, opposite, "publisher1", "news", "quorum");
    publishing.wait_for_more(30).await;

    set_links(&cluster, home, "cut").await;
    cluster.wait_until_seen(opposite, home, "failed").await;
    cluster.wait_for_leader(opposite, home, Some(home)).await;
    publishing.wait_for_more(50).await;

    // The isolated home accepts no publish with `quorum`.
    let mut alone = cluster.client(home).await;
    let publish = json!({
        "action": "publish", "publisher_id": "publisher1", "topic": "news", "content": "alone", "ack": "quorum",
        "sequence": 1_000_000,
    });
    let refused = alone.refused(publish).await;
    assert!(["unavailable", "timeout"].contains(&refused.as_str()), "{refused}");
    let read =
        json!({"action": "pull", "subscriber_id": "subscriber1", "topic": "news", "read": "leader", "commit": false});
    assert_eq!(alone.refused(read).await, "unavailable");

    set_links(&cluster, home, "up").await;
    cluster.wait_until_settled().await;
    publishing.wait_for_more(30).await;
    let published = publishing.end().await;
    say(&format!(
        "home isolated by cut links: the longest gap between acknowledgements was {:?}",
        published.longest_gap
    ));
    assert_replicas_equal_and_complete(&cluster, "news", &published.acknowledged).await;
}

#[tokio::test]
async fn a_link_cut_in_one_direction_harms_nobody() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    cluster.far_client("news").await.set_up("publisher1", "subscriber1", "news").await;
    let mut publishing = Publishing::begin(&cluster, home.across(0), "publisher1", "news", "quorum");
    publishing.wait_for_more(20).await;
    let (from, to) = (home, home.across(0));
    cluster.client(from).await.must(json!({"action": "set_link", "from": from, "to": to, "state": "cut"})).await;
    publishing.wait_for_more(100).await;
    cluster.client(from).await.must(json!({"action": "set_link", "from": from, "to": to, "state": "up"})).await;
    cluster.wait_until_settled().await;
    let published = publishing.end().await;
    assert_replicas_equal_and_complete(&cluster, "news", &published.acknowledged).await;
}

/// Sets both directions of all edges of a node, each at the sending node.
async fn set_links(cluster: &ProcessCluster, node: Vertex, state: &str) {
    for neighbour in node.neighbours() {
        for (from, to) in [(node, neighbour), (neighbour, node)] {
            let request = json!({"action": "set_link", "from": from, "to": to, "state": state});
            cluster.client(from).await.must(request).await;
        }
    }
}
