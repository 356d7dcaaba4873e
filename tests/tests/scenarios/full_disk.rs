//! Real processes on a real file system that is full: no node ends, and everything except publishing still works.
//!
//! The file system is a small tmpfs. Mounting it requires root; without that right the test reports it and checks
//! nothing. The engine's part is tested everywhere by node's storage tests, and the cluster's part by the simulator.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cubecast_core::cube::Vertex;
use cubecast_tests::client::Client;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::wait::{eventually, say};
use serde_json::{Value, json};
use tempfile::TempDir;

/// For all nodes together.
const SIZE: &str = "size=48m";
const BIG: usize = 100_000;
/// The longest series of publishes that may be refused for other reasons.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// A mounted file system; unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` if this user has no right to mount one.
    fn mount() -> Option<SmallDisk> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "cubecast-test"]).arg(folder.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(folder)),
            refused => {
                say(&format!("SKIPPED: no tmpfs of {SIZE} can be mounted, which takes root on Linux: {refused:?}"));
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Another program fills the file system to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).expect("a file is made");
        let piece = [1; 4096];
        while file.write_all(&piece).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.path().join("filler")).expect("the file goes");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}

fn publish(topic: &str, number: usize) -> Value {
    let content = format!("{number} {}", "x".repeat(BIG));
    json!({"action": "publish", "publisher_id": "p1", "topic": topic, "content": content, "sequence": number})
}

async fn count(client: &mut Client, topic: &str) -> u64 {
    let topics = client.must(json!({"action": "topics"})).await;
    let topics = topics["topics"].as_array().expect("a list").iter();
    topics
        .clone()
        .find(|known| known["topic"] == topic)
        .map_or(0, |found| found["messages"].as_u64().expect("a number"))
}

/// Independent of the leader: a full home hands leadership to a member with free space.
async fn wait_until_stored(cluster: &ProcessCluster, topic: &str, messages: usize) {
    eventually(&format!("{messages} messages of {topic} are there"), || async {
        let counted = count(&mut cluster.far_client(topic).await, topic).await;
        if counted == messages as u64 { Ok(()) } else { Err(format!("{counted} are")) }
    })
    .await;
}

async fn storage_state(cluster: &ProcessCluster, vertex: Vertex) -> Value {
    let mut client = cluster.client(vertex).await;
    client.must(json!({"action": "status"})).await["storage"].clone()
}

/// The storage state of a node that is full, if there is one.
async fn full_state(cluster: &ProcessCluster) -> Option<Value> {
    for vertex in cluster.vertices() {
        let state = storage_state(cluster, vertex).await;
        if state["state"] != "ok" {
            return Some(state);
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_file_system_nodes_refuse_publishes_read_delete_start_and_come_back() {
    let Some(disk) = SmallDisk::mount() else { return };
    let plan = Plan { dimension: 2, within: Some(disk.path().into()), ..Plan::default() };
    let cluster = ProcessCluster::start_as(plan).await;
    let mut client = cluster.far_client("big").await;
    client.must(json!({"action": "create_publisher", "publisher_id": "p1"})).await;
    client.must(json!({"action": "create_subscriber", "subscriber_id": "s1"})).await;
    client.must(json!({"action": "create_topic", "publisher_id": "p1", "topic": "big"})).await;

    // Until a publish is refused with the expected code and advice, and a node reports that it is full. (Earlier
    // publishes may be refused because too much data is waiting for the disk.)
    let (mut stored, mut refused_since) = (0, Instant::now());
    let home = cluster.home("big");
    let (refusal, full) = loop {
        let answer = client.ask(publish("big", stored)).await;
        match answer["error"]["code"].as_str() {
            None => stored += 1,
            Some("storage_full") => {
                if let Some(state) = full_state(&cluster).await {
                    break (answer, state);
                }
            }
            Some("unavailable" | "timeout") if refused_since.elapsed() < REFUSED_FOR => continue,
            Some(_) => panic!("{answer}"),
        }
        refused_since = Instant::now();
        assert!(stored < 1000, "48 MiB have an end");
    };
    let message = refusal["error"]["message"].as_str().expect("a text");
    assert!(message.contains("node") && message.contains("Delete topics"), "{message}");
    assert!(stored > 20, "only {stored} of {BIG} bytes found room");
    assert!(full["stored_bytes"].as_u64() > Some(0) && full["free_bytes"].as_u64() > Some(0), "{full}");

    // A killed node restarts in this state, with all its messages.
    cluster.kill(home);
    cluster.start_node(home);
    wait_until_stored(&cluster, "big", stored).await;
    let subscribe = json!({"action": "subscribe", "subscriber_id": "s1", "topic": "big", "from": "beginning"});
    client.must_eventually(subscribe).await;
    let pull = json!({"action": "pull", "subscriber_id": "s1", "topic": "big", "max": 10});
    assert!(!client.must_eventually(pull).await["messages"].as_array().expect("a list").is_empty());

    // All nodes start without a single free byte.
    disk.fill();
    cluster.kill_all();
    cluster.vertices().for_each(|vertex| cluster.start_node(vertex));
    wait_until_stored(&cluster, "big", stored).await;
    let mut client = cluster.far_client("big").await;
    assert_eq!(client.refused(publish("big", stored)).await, "storage_full");
    disk.empty();

    // Deleting frees space.
    client.must_eventually(json!({"action": "delete_topic", "publisher_id": "p1", "topic": "big"})).await;
    client.must_eventually(json!({"action": "create_topic", "publisher_id": "p1", "topic": "big"})).await;
    client.must_eventually(publish("big", 0)).await;
    for vertex in cluster.vertices() {
        eventually(&format!("node {vertex} has room"), || async {
            let storage = storage_state(&cluster, vertex).await;
            if storage["state"] == "ok" { Ok(()) } else { Err(storage.to_string()) }
        })
        .await;
    }
    // No node has ended by itself: each is still running and ends cleanly on request.
    cluster.vertices().for_each(|vertex| cluster.stop(vertex));
}
