//! Two of four replicas are down: there is no majority.

use cubecast_core::cube::Vertex;
use cubecast_tests::client::{Client, contents};
use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::replicas::assert_replicas_equal_and_complete;
use serde_json::{Value, json};

#[tokio::test]
async fn with_two_of_four_replicas_down_reads_go_on_quorum_is_unavailable_and_one_arrives_once() {
    let cluster = ProcessCluster::start().await;
    let (mut far, down) = without_a_majority(&cluster).await;
    let left: Vec<Vertex> = cluster.replicas("news").into_iter().filter(|replica| !down.contains(replica)).collect();

    for replica in &left {
        let mut client = cluster.client(*replica).await;
        let any =
            json!({"action": "pull", "subscriber_id": "subscriber1", "topic": "news", "read": "any", "commit": false});
        assert_eq!(client.contents(any).await, ["first"], "replica {replica} serves what it has");
        let replica = json!({"action": "replica_pull", "subscriber_id": "subscriber1", "topic": "news", "from": 0});
        assert_eq!(client.contents(replica).await, ["first"]);
    }
    assert_eq!(far.refused(publish("nobody knows", "quorum", 1)).await, "unavailable");
    let leader =
        json!({"action": "pull", "subscriber_id": "subscriber1", "topic": "news", "read": "leader", "commit": false});
    assert_eq!(far.refused(leader).await, "unavailable", "a linearizable read needs a majority");

    let answer = far.must(publish("later", "one", 2)).await;
    assert_eq!(answer["offset"], Value::Null, "{answer}");
    let again = far.must(publish("later", "one", 2)).await;
    assert_eq!(again["offset"], Value::Null, "{again}");
    assert_healed(&cluster, &down, &["first", "later"]).await;
}

#[tokio::test]
async fn a_publish_by_one_survives_sigkill_of_the_node_that_keeps_it_and_arrives_once() {
    let cluster = ProcessCluster::start().await;
    let (mut far, down) = without_a_majority(&cluster).await;
    let answer = far.must(publish("later", "one", 2)).await;
    let keeper: Vertex = answer["served_by"].as_str().expect("a node").parse().expect("a vertex");
    assert_eq!(answer["replicas"], json!([keeper]), "{answer}");
    cluster.kill(keeper);
    cluster.start_node(keeper);
    assert_healed(&cluster, &down, &["first", "later"]).await;
}

/// Creates the topic `news` with one message, and kills two of its replicas, including its home. Returns a client of a
/// node that is not a replica, and the killed nodes.
async fn without_a_majority(cluster: &ProcessCluster) -> (Client, Vec<Vertex>) {
    let home = cluster.home("news");
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    let first =
        json!({"action": "publish", "publisher_id": "publisher1", "topic": "news", "content": "first", "ack": "all"});
    far.must(first).await;
    let down = vec![home, home.across(0)];
    for vertex in &down {
        cluster.kill(*vertex);
    }
    for vertex in &down {
        cluster.wait_until_seen(home.across(1).across(2), *vertex, "failed").await;
    }
    (far, down)
}

fn publish(content: &str, ack: &str, sequence: u64) -> Value {
    json!({
        "action": "publish", "publisher_id": "publisher1", "topic": "news", "content": content, "ack": ack,
        "sequence": sequence,
    })
}

/// Asserts that refused messages are absent, and that acknowledged messages exist once.
async fn assert_healed(cluster: &ProcessCluster, down: &[Vertex], expected: &[&str]) {
    for vertex in down {
        cluster.start_node(*vertex);
    }
    cluster.wait_until_settled().await;
    let mut reader = cluster.far_client("news").await;
    cubecast_tests::client::pull_until(&mut reader, "subscriber1", "news", expected).await;
    // A later message is ordered after everything that was still in transit.
    let last = publish("last", "all", 9);
    reader.must_eventually(last).await;
    let mut all: Vec<String> = expected.iter().map(|content| (*content).into()).collect();
    all.push("last".into());
    assert_eq!(assert_replicas_equal_and_complete(cluster, "news", &all).await, all);
    let pull = json!({"action": "pull", "subscriber_id": "subscriber1", "topic": "news"});
    assert_eq!(contents(&reader.must_eventually(pull).await), all);
}
