//! Unused names expire if the nodes' owner configured it.

use std::time::{Duration, Instant};

use cubecast_tests::client::Client;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::wait::PATIENCE;
use serde_json::{Value, json};

#[tokio::test]
async fn an_unused_name_expires_and_a_used_one_stays() {
    let cluster = ProcessCluster::prepare(&Plan { dimension: 1, ..Plan::default() });
    for vertex in cluster.vertices() {
        let file = cluster.config_file(vertex);
        let config = std::fs::read_to_string(&file).expect("the configuration is read");
        std::fs::write(file, format!("{config}\n[limits]\nnames_expire_after = \"2s\"\n")).expect("it is written");
        cluster.start_node(vertex);
    }
    cluster.wait_until_settled().await;
    let mut client = cluster.client("0".parse().expect("a vertex")).await;
    let create = |name: &str| json!({"action": "create_publisher", "publisher_id": name});
    for name in ["idle", "busy"] {
        client.must(create(name)).await;
    }
    client.must(json!({"action": "create_topic", "publisher_id": "busy", "topic": "news"})).await;
    // A request counts as use, so the pause grows with each attempt.
    let mut pause = Duration::from_secs(3);
    let began = Instant::now();
    while client.must(create("idle")).await["existed"] == Value::Bool(true) || pause == Duration::from_secs(3) {
        assert!(began.elapsed() < PATIENCE, "the name that nobody uses is still there");
        publish_for(&mut client, pause).await;
        pause *= 2;
    }
    assert_eq!(client.must(create("busy")).await["existed"], Value::Bool(true));
}

async fn publish_for(client: &mut Client, pause: Duration) {
    let began = Instant::now();
    while began.elapsed() < pause {
        client.publish("busy", "news", "x").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
