//! Clean shutdown and restart, and starts that must be refused.

use std::net::TcpListener;

use cubecast_core::address::Host;
use cubecast_core::cube::Vertex;
use cubecast_node::cluster::ports::{self, BasePort};
use cubecast_tests::client::pull_until;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::process::{Ended, run};
use cubecast_tests::replicas::assert_replicas_equal_and_complete;
use cubecast_tests::wait::eventually;
use serde_json::json;

/// Exit codes, as listed by `cubecast --help`.
const USAGE: Option<i32> = Some(2);
const PORT: Option<i32> = Some(3);
const STORAGE: Option<i32> = Some(4);

#[tokio::test]
async fn topics_messages_and_cursors_survive_sigterm_of_all_and_a_restart() {
    let cluster = ProcessCluster::start().await;
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    let mut all = Vec::new();
    for number in 0..20 {
        all.push(format!("m{number}"));
        far.publish("publisher1", "news", &all[number]).await;
    }
    let first = far.must(json!({"action": "pull", "subscriber_id": "subscriber1", "topic": "news", "max": 12})).await;
    assert_eq!(first["cursor"], 12, "{first}");
    for vertex in cluster.vertices() {
        cluster.stop(vertex);
    }
    for vertex in cluster.vertices() {
        cluster.start_node(vertex);
    }
    cluster.wait_until_settled().await;
    assert_eq!(assert_replicas_equal_and_complete(&cluster, "news", &all).await, all);
    let mut far = cluster.far_client("news").await;
    let rest: Vec<&str> = all[12..].iter().map(String::as_str).collect();
    pull_until(&mut far, "subscriber1", "news", &rest).await;
    let exists = far.refused(json!({"action": "create_topic", "publisher_id": "publisher1", "topic": "news"})).await;
    assert_eq!(exists, "topic_exists");
    let existed = far.must(json!({"action": "create_publisher", "publisher_id": "publisher1"})).await;
    assert_eq!(existed["existed"], true, "{existed}");
}

#[tokio::test]
async fn a_second_process_on_a_data_folder_is_refused_and_the_first_goes_on() {
    let cluster = ProcessCluster::shared().await;
    let vertex = cluster.home("second");
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let ended = node(&cluster, vertex, &["--listen", &listen]).await;
    assert_refused(&ended, STORAGE, &["is in use by another node (process ", "stop that node first"]);
    cluster.client(vertex).await.must(json!({"action": "topics"})).await;
}

#[tokio::test]
async fn another_nodes_folder_and_another_cubes_are_refused_by_name() {
    let cluster = ProcessCluster::prepare(&Plan::default());
    let [mine, other]: [Vertex; 2] = ["010", "011"].map(|name| name.parse().expect("a vertex"));
    cluster.start_node(mine);
    eventually("the node has its folder", || async {
        cluster.data_folder(mine).join("owner.json").is_file().then_some(()).ok_or("not yet".into())
    })
    .await;
    cluster.stop(mine);
    let folder = cluster.data_folder(mine).display().to_string();

    let ended = node(&cluster, other, &["--data", &folder]).await;
    assert_refused(&ended, STORAGE, &["belongs to node 010", "this node is node 011", "its own folder"]);
    let ended = node(&cluster, mine, &["--cluster", "another"]).await;
    assert_refused(&ended, STORAGE, &["belongs to node 010 of cluster `tested`", "cluster `another`"]);

    let small = ProcessCluster::prepare(&Plan { dimension: 2, ..Plan::default() });
    let ended = node(&small, "10".parse().expect("a vertex"), &["--data", &folder]).await;
    assert_refused(&ended, STORAGE, &["(dimension 3)", "(dimension 2)"]);
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let cluster = ProcessCluster::prepare(&Plan::default());
    let vertex: Vertex = "000".parse().expect("a vertex");
    let held = TcpListener::bind(cluster.address(vertex)).expect("the port is free");
    let port = held.local_addr().expect("a bound port").port().to_string();
    let ended = node(&cluster, vertex, &[]).await;
    assert_refused(&ended, PORT, &[&format!("Port {port} is in use"), "give this node another address"]);

    let data = cluster.folder().join("up");
    let ended = run(&["up", "--base-port", &port, "--data", &data.display().to_string()]).await;
    assert_refused(&ended, PORT, &[&format!("port {port}"), "--base-port auto"]);
}

#[tokio::test]
async fn dimensions_0_and_7_are_refused_by_node_and_by_up() {
    let cluster = ProcessCluster::prepare(&Plan::default());
    let data = cluster.folder().join("up").display().to_string();
    for dimension in ["0", "7"] {
        let expected = [format!("dimension {dimension} is not supported by real processes"), "use 1 to 6".into()];
        let expected = expected.each_ref().map(String::as_str);
        let ended = node(&cluster, "000".parse().expect("a vertex"), &["--dimension", dimension]).await;
        assert_refused(&ended, USAGE, &expected);
        let ended = run(&["up", "--dimension", dimension, "--base-port", "auto", "--data", &data]).await;
        assert_refused(&ended, USAGE, &expected);
    }
}

#[tokio::test]
async fn up_refuses_a_folder_of_another_dimension() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).expect("a folder is made");
    std::fs::write(data.join("cluster.toml"), "dimension = 2\ncluster = \"small\"\n").expect("a file is written");
    let ended = run(&["up", "--base-port", "auto", "--data", &data.display().to_string()]).await;
    assert_refused(&ended, USAGE, &["belongs to a cube of dimension 2 (4 nodes), not 3", "--dimension 2"]);
}

fn free_port() -> u16 {
    ports::choose(&Host::LOOPBACK, BasePort::Auto, &[], 1).expect("there is a free port")[0]
}

/// Runs a node of this cluster with other flags, to its end.
async fn node(cluster: &ProcessCluster, vertex: Vertex, flags: &[&str]) -> Ended {
    let config = cluster.config_file(vertex).display().to_string();
    let mut arguments = vec!["node", "--config", &config];
    arguments.extend(flags);
    run(&arguments).await
}

#[track_caller]
fn assert_refused(ended: &Ended, code: Option<i32>, words: &[&str]) {
    assert_eq!(ended.code, code, "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "`{word}` is not in: {}", ended.stderr);
    }
}
