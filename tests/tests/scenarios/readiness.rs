//! The probes while nodes are missing: `/healthz` reports that the process serves, `/readyz` whether its groups can be
//! written.

use cubecast_core::cube::Vertex;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::stranger::http_get;
use cubecast_tests::wait::eventually;

#[tokio::test]
async fn a_new_node_alone_is_healthy_and_not_ready_until_it_knows_its_place() {
    let cluster = ProcessCluster::prepare(&Plan::default());
    let alone = cluster.vertices().next().expect("a node");
    cluster.start_node(alone);
    wait_for(&cluster, alone, "/healthz", 200, "").await;
    wait_for(&cluster, alone, "/readyz", 503, "joining").await;
    for other in cluster.vertices().skip(1) {
        cluster.start_node(other);
    }
    for node in cluster.vertices() {
        wait_for(&cluster, node, "/readyz", 200, "").await;
    }
}

#[tokio::test]
async fn with_five_of_eight_killed_the_others_are_healthy_and_not_ready() {
    let cluster = ProcessCluster::start().await;
    let nodes: Vec<Vertex> = cluster.vertices().collect();
    let (left, killed) = nodes.split_at(3);
    killed.iter().for_each(|node| cluster.kill(*node));
    for node in left {
        wait_for(&cluster, *node, "/readyz", 503, "no_quorum").await;
        wait_for(&cluster, *node, "/healthz", 200, "").await;
    }
    killed.iter().for_each(|node| cluster.start_node(*node));
    for node in nodes {
        wait_for(&cluster, node, "/readyz", 200, "").await;
    }
}

async fn wait_for(cluster: &ProcessCluster, node: Vertex, path: &str, status: u16, says: &str) {
    eventually(&format!("{path} of node {node} answers {status} {says}"), || async {
        match http_get(&cluster.address(node), path).await? {
            (found, text) if found == status && text.contains(says) => Ok(()),
            (found, text) => Err(format!("{found}: {text}")),
        }
    })
    .await;
}
