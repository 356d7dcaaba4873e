//! Loss of a disk: injected, and real.

use cubecast_core::cube::Vertex;
use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::publishing::Publishing;
use cubecast_tests::replicas::{assert_replicas_equal_and_complete, read_replica};
use serde_json::json;

#[tokio::test]
async fn a_home_wiped_on_request_refills_and_leads_again() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let publishing = prepared(&cluster, home).await;
    let before = incarnation(&cluster, home).await;
    let stop = json!({"action": "stop_node", "flag": true, "mode": "wipe", "duration_ms": 500});
    cluster.client(home).await.must(stop).await;
    cluster.wait_until_seen(home.across(0), home, "failed").await;
    assert_refilled(&cluster, home, before, publishing).await;
}

#[tokio::test]
async fn a_home_whose_data_folder_is_lost_refills_and_leads_again() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let publishing = prepared(&cluster, home).await;
    let before = incarnation(&cluster, home).await;
    cluster.kill(home);
    cluster.wipe(home);
    cluster.wait_until_seen(home.across(0), home, "failed").await;
    cluster.start_node(home);
    assert_refilled(&cluster, home, before, publishing).await;
}

#[tokio::test]
async fn every_replica_in_turn_may_lose_its_disk() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let mut publishing = prepared(&cluster, home).await;
    for replica in cluster.replicas("news") {
        let before = incarnation(&cluster, replica).await;
        cluster.kill(replica);
        cluster.wipe(replica);
        cluster.start_node(replica);
        cluster.wait_until_settled().await;
        assert!(incarnation(&cluster, replica).await > before, "node {replica} came back as somebody new");
        wait_until_it_votes(&cluster, home, replica).await;
        publishing.wait_for_more(10).await;
    }
    let published = publishing.end().await;
    assert_replicas_equal_and_complete(&cluster, "news", &published.acknowledged).await;
}

/// Creates a topic with messages, and a publisher that continues.
async fn prepared(cluster: &ProcessCluster, home: Vertex) -> Publishing {
    cluster.far_client("news").await.set_up("publisher1", "subscriber1", "news").await;
    let opposite = home.across(0).across(1).across(2);
    let mut publishing = Publishing::begin(cluster, opposite, "publisher1", "news", "quorum");
    publishing.wait_for_more(200).await;
    publishing
}

async fn assert_refilled(cluster: &ProcessCluster, home: Vertex, before: u64, mut publishing: Publishing) {
    publishing.wait_for_more(50).await;
    cluster.wait_until_settled().await;
    assert!(incarnation(cluster, home).await > before, "it came back as somebody new");
    publishing.wait_for_more(50).await;
    let published = publishing.end().await;
    let stored = assert_replicas_equal_and_complete(cluster, "news", &published.acknowledged).await;
    assert_eq!(stored, published.acknowledged);
    let own = read_replica(cluster, home, "news").await.expect("the home serves its replica");
    assert_eq!(own.len(), stored.len(), "the home serves everything itself");
}

async fn incarnation(cluster: &ProcessCluster, vertex: Vertex) -> u64 {
    let status = cluster.client(vertex).await.must(json!({"action": "status"})).await;
    status["incarnation"].as_u64().expect("an incarnation is a number")
}

/// A node that lost its disk may vote again only after it has caught up; until then a second loss would be one too
/// many.
async fn wait_until_it_votes(cluster: &ProcessCluster, home: Vertex, replica: Vertex) {
    let home_client = tokio::sync::Mutex::new(cluster.client(home).await);
    cubecast_tests::wait::eventually(&format!("{replica} votes in its groups"), || async {
        let status = home_client.lock().await.must(json!({"action": "status"})).await;
        let groups = status["groups"].as_array().ok_or("no groups")?;
        let own = groups.iter().find(|group| group["home"] == json!(home)).ok_or("no group of its own")?;
        let votes = own["voters"].as_array().is_some_and(|voters| voters.len() == 4);
        if votes { Ok(()) } else { Err(own.to_string()) }
    })
    .await;
}
