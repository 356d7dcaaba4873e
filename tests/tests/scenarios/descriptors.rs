//! A node with a low limit of file descriptors: idle connections of strangers use only their share.

use cubecast_core::cube::Vertex;
use cubecast_tests::client::Client;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::stranger::http_get;
use cubecast_tests::wait::eventually;
use serde_json::json;
use tokio::net::TcpStream;

/// 192 are reserved for files and neighbours, and 256 for connections that have not sent a request; the rest is left
/// for clients.
const DESCRIPTORS: u32 = 500;
const CLIENTS: usize = 500 - 192 - 256;

#[tokio::test]
async fn with_few_descriptors_idle_connections_shut_nobody_out() {
    let cluster = ProcessCluster::prepare(&Plan { dimension: 1, ..Plan::default() });
    let [poor, other]: [Vertex; 2] = cluster.vertices().collect::<Vec<_>>().try_into().expect("two nodes");
    cluster.start_node_with_descriptors(poor, DESCRIPTORS);
    cluster.start_node(other);
    cluster.wait_until_settled().await;
    let address = cluster.address(poor);

    // Silent connections, more than there are descriptors.
    let mut silent = Vec::new();
    for _ in 0..2 * DESCRIPTORS {
        silent.push(TcpStream::connect(&address).await.expect("the system's queue takes it"));
    }
    let (status, text) = http_get(&address, "/healthz").await.expect("somebody who asks is heard");
    assert_eq!(status, 200, "{text}");
    let mut honest = cluster.client(poor).await;
    honest.set_up("p", "s", "t").await;

    // Idle clients get their share of connections; further ones are refused.
    let mut clients = Vec::new();
    let refused = loop {
        match Client::connect(address.clone()).await {
            Ok(client) => clients.push(client),
            Err(refused) => break refused,
        }
        assert!(clients.len() <= CLIENTS, "more clients than the descriptors allow");
    };
    assert!(refused.contains("503"), "{refused}");
    honest.publish("p", "t", "still here").await;
    let mut far = cluster.client(other).await;
    let view = far.must(json!({"action": "cluster"})).await;
    let states: Vec<_> = view["nodes"].as_array().expect("nodes").iter().map(|node| node["state"].clone()).collect();
    assert_eq!(states, ["up", "up"], "{view}");

    drop(clients);
    eventually("places of clients that left are free", || async { Client::connect(address.clone()).await.map(drop) })
        .await;
    drop(silent);
}
