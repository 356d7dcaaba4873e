//! The final check of every failure scenario: all replicas of a topic have the same messages, including all
//! acknowledged ones.

use std::collections::BTreeSet;

use cubecast_core::cube::Vertex;
use serde_json::{Value, json};

use crate::client::{Client, contents};
use crate::cluster::ProcessCluster;
use crate::wait::eventually;

/// Messages per read.
const PAGE: usize = 10_000;
/// A separate subscriber, so that no test's cursor moves.
const AUDITOR: &str = "auditor";

/// Waits until all replicas are equal, reading from each replica itself. Asserts that every acknowledged content
/// exists exactly once, that no content exists twice, and that offsets are consecutive from 0. Returns the contents.
pub async fn assert_replicas_equal_and_complete(
    cluster: &ProcessCluster,
    topic: &str,
    acknowledged: &[String],
) -> Vec<String> {
    let replicas = cluster.replicas(topic);
    subscribe_auditor(cluster, topic).await;
    let logs = wait_until_equal(cluster, &replicas, topic).await;
    let stored = contents(&json!({"messages": logs}));
    let first = logs.first().map(|message| &message["offset"]);
    assert!(first.is_none_or(|offset| offset == 0), "topic {topic} begins at offset {first:?}");

    let distinct: BTreeSet<&String> = stored.iter().collect();
    let doubled: Vec<_> =
        distinct.iter().filter(|content| stored.iter().filter(|other| other == *content).count() > 1).collect();
    assert!(distinct.len() == stored.len(), "stored more than once in {topic}: {doubled:?}");
    let lost: Vec<_> = acknowledged.iter().filter(|content| !distinct.contains(content)).collect();
    assert!(lost.is_empty(), "acknowledged in {topic} and lost: {lost:?}");
    stored
}

async fn subscribe_auditor(cluster: &ProcessCluster, topic: &str) {
    let mut client = cluster.client(cluster.home(topic)).await;
    client.must_eventually(json!({"action": "create_subscriber", "subscriber_id": AUDITOR})).await;
    client.must_eventually(json!({"action": "subscribe", "subscriber_id": AUDITOR, "topic": topic})).await;
}

/// The messages of all replicas, once they are equal.
async fn wait_until_equal(cluster: &ProcessCluster, replicas: &[Vertex], topic: &str) -> Vec<Value> {
    eventually(&format!("the replicas {replicas:?} of {topic} have the same"), || async move {
        let mut logs = Vec::new();
        for replica in replicas {
            logs.push(read_replica(cluster, *replica, topic).await?);
        }
        if logs.windows(2).all(|pair| pair[0] == pair[1]) {
            return Ok(logs.swap_remove(0));
        }
        let lengths: Vec<_> =
            replicas.iter().zip(&logs).map(|(replica, log)| format!("{replica} has {}", log.len())).collect();
        Err(format!("{}; {}", lengths.join(", "), first_difference(&logs)))
    })
    .await
}

fn first_difference(logs: &[Vec<Value>]) -> String {
    let longest = logs.iter().map(Vec::len).max().unwrap_or(0);
    let differs = |at: &usize| logs.windows(2).any(|pair| pair[0].get(*at) != pair[1].get(*at));
    match (0..longest).find(differs) {
        Some(at) => {
            format!("at offset {at} they have {:?}", logs.iter().map(|log| log.get(at)).collect::<Vec<_>>())
        }
        None => "no message differs".into(),
    }
}

/// All messages of one replica.
pub async fn read_replica(cluster: &ProcessCluster, replica: Vertex, topic: &str) -> Result<Vec<Value>, String> {
    let mut client = Client::connect(cluster.address(replica)).await?;
    let mut messages: Vec<Value> = Vec::new();
    loop {
        let request = json!({
            "action": "replica_pull", "subscriber_id": AUDITOR, "topic": topic, "max": PAGE, "from": messages.len(),
        });
        let answer = client.try_ask(request).await?;
        let page = answer["messages"].as_array().ok_or_else(|| format!("replica {replica}: {answer}"))?;
        assert_eq!(answer["served_by"], json!(replica), "a replica is read where it was asked for: {answer}");
        if page.is_empty() {
            return Ok(messages);
        }
        messages.extend(page.iter().cloned());
    }
}
