//! A slow reader affects only itself.

use cubecast_tests::client::Client;
use cubecast_tests::cluster::ProcessCluster;
use serde_json::json;

const MESSAGES: usize = 600;
/// Bytes. All messages together exceed the queues and socket buffers between the node and the reader.
const CONTENT: usize = 32 << 10;

#[tokio::test]
async fn a_slow_push_subscriber_does_not_disturb_others_and_loses_nothing() {
    let cluster = ProcessCluster::shared().await;
    let topic = "slow";
    let home = cluster.home(topic);
    let mut publisher = cluster.client(home).await;
    publisher.set_up("slow-p", "slow-s", topic).await;
    // Both at the same node.
    let mut slow = subscriber(&cluster, "slow-slow", topic).await;
    let mut quick = subscriber(&cluster, "slow-quick", topic).await;

    let reader = tokio::spawn(async move {
        read_all(&mut quick).await;
    });
    for number in 0..MESSAGES {
        let content = format!("{number:0width$}", width = CONTENT);
        publisher.publish("slow-p", topic, &content).await;
    }
    reader.await.expect("the quick one gets all while the slow one reads nothing");
    read_all(&mut slow).await;
}

async fn subscriber(cluster: &ProcessCluster, name: &str, topic: &str) -> Client {
    let mut client = cluster.client(cluster.home(topic)).await;
    client.must_eventually(json!({"action": "create_subscriber", "subscriber_id": name})).await;
    client.must(json!({"action": "subscribe", "subscriber_id": name, "topic": topic, "push": true})).await;
    client
}

async fn read_all(client: &mut Client) {
    for expected in 0..MESSAGES {
        let event = client.event().await;
        assert_eq!(event["offset"], expected, "in order, without gap and without double");
        assert_eq!(event["content"].as_str().map(str::len), Some(CONTENT));
    }
}
