//! `cubecast up` with real processes: they start, are restarted, and never outlive it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// A test fails if an awaited event does not occur within this time.
const GUARD: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_killed_node_is_started_again_and_sigterm_ends_all_cleanly() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(data.path()).await;
    kill("-KILL", up.nodes[1].pid).await;
    let ended = up.event("the end of the node", |event| event["event"] == "ended").await;
    assert_eq!((&ended["node"], &ended["how"]), (&"1".into(), &"ended by signal 9".into()));
    let started = up.event("its new start", |event| event["event"] == "started").await;
    assert_eq!((&started["node"], &started["restarts"]), (&"1".into(), &1.into()));
    up.event("its return", |event| event["event"] == "state" && event["node"] == "1" && event["state"] == "up").await;

    kill("-TERM", up.process.id().unwrap().into()).await;
    let mut ended = 0;
    while ended < 2 {
        let event = up.event("the end of a node", |event| event["event"] == "ended" && event["node"].is_string()).await;
        assert_eq!((&event["how"], &event["asked"]), (&"ended".into(), &true.into()), "{event}");
        ended += 1;
    }
    let status = timeout(GUARD, up.process.wait()).await.expect("`up` ends").unwrap();
    assert_eq!(status.code(), Some(0));
    up.ports_become_free().await;
    assert!(std::fs::read_to_string(data.path().join("logs/0.log")).unwrap().contains("Node 0 has ended"));
}

#[tokio::test]
async fn a_cluster_forms_on_an_ipv6_address() {
    if let Err(error) = TcpListener::bind("[::1]:0") {
        return eprintln!("this machine has no IPv6: {error}");
    }
    let data = tempfile::tempdir().unwrap();
    let arguments = ["up", "--dimension", "1", "--base-port", "auto", "--host", "::1", "--format", "json", "--data"];
    let mut up = Up::spawn(cubecast().args(arguments).arg(data.path()));
    let ready = up.event("all nodes to be ready", |event| event["event"] == "ready").await;
    let addresses: Vec<&str> =
        ready["nodes"].as_array().unwrap().iter().filter_map(|node| node["address"].as_str()).collect();
    assert!(addresses.len() == 2 && addresses.iter().all(|address| address.starts_with("[::1]:")), "{ready}");
    let listed = run(&["topic", "list", "--cluster", addresses[1]]).await;
    assert!(listed.status.success(), "{listed:?}");
    up.process.kill().await.unwrap();
}

#[tokio::test]
async fn no_node_outlives_a_killed_up() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(data.path()).await;
    up.process.kill().await.unwrap();
    up.ports_become_free().await;
}

#[tokio::test]
async fn a_folder_in_use_and_one_of_another_dimension_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(data.path()).await;
    let second = run(&["up", "--dimension", "1", "--base-port", "auto", "--data", &text(data.path())]).await;
    assert_refused(&second, 4, "is in use by another `cubecast up`");
    up.process.kill().await.unwrap();
    up.ports_become_free().await;
    let other = run(&["up", "--dimension", "2", "--base-port", "auto", "--data", &text(data.path())]).await;
    assert_refused(&other, 2, "belongs to a cube of dimension 1 (2 nodes), not 2");
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_starts() {
    let data = tempfile::tempdir().unwrap();
    let folder = text(data.path());
    for dimension in ["0", "7"] {
        let refused = run(&["up", "--dimension", dimension, "--data", &folder]).await;
        assert_refused(&refused, 2, "choose 1 to 6");
    }
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let refused = run(&["up", "--dimension", "1", "--ports", &format!("{port},1"), "--data", &folder]).await;
    assert_refused(&refused, 3, &format!("port {port} on 127.0.0.1"));
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_node_names_what_its_configuration_lacks_or_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.toml");
    std::fs::write(&file, "node = \"0\"\ndimenson = 1\n").unwrap();
    assert_refused(&run(&["node", "--config", &text(&file)]).await, 2, "unknown field `dimenson`");
    assert_refused(&run(&["node", "--node", "0"]).await, 2, "`dimension` is missing");
    let none = text(&folder.path().join("none.toml"));
    assert_refused(&run(&["node", "--config", &none]).await, 2, "cannot be read");
}

#[tokio::test]
async fn a_node_that_cannot_start_says_why_on_the_screen_of_up() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(data.path().join("1")).unwrap();
    std::fs::write(data.path().join("1/store"), "no folder").unwrap();
    let folder = text(data.path());
    let up = ["up", "--dimension", "1", "--base-port", "auto", "--no-restart", "--data", &folder];
    let mut up = Up::spawn(cubecast().args(up).args(["--format", "json"]));
    let ended = up.event("the end of the node", |event| event["event"] == "ended" && event["node"] == "1").await;
    assert_eq!(ended["how"], "failed with exit code 4");
    let reason = ended["reason"].as_str().unwrap();
    assert!(reason.contains("1/store") && !reason.contains("cubecast:"), "{reason}");
    let log = std::fs::read_to_string(ended["log"].as_str().unwrap()).unwrap();
    assert!(log.contains(&format!("cubecast: {reason}\n")), "{log}");
}

#[tokio::test]
async fn an_up_whose_nodes_have_all_failed_has_failed() {
    let data = tempfile::tempdir().unwrap();
    for node in ["0", "1"] {
        std::fs::create_dir_all(data.path().join(node)).unwrap();
        std::fs::write(data.path().join(node).join("store"), "no folder").unwrap();
    }
    let folder = text(data.path());
    let ended = run(&["up", "--dimension", "1", "--base-port", "auto", "--no-restart", "--data", &folder]).await;
    assert_refused(&ended, 1, "all nodes have ended");
    let shown = String::from_utf8_lossy(&ended.stdout);
    let told = shown.lines().find(|line| line.starts_with("Node 1: failed with exit code 4: ")).unwrap_or_default();
    assert!(told.contains("1/store") && told.contains("it stays down") && told.contains("logs/1.log"), "{shown}");
}

#[tokio::test]
async fn sighup_ends_all_cleanly_with_an_exit_code_of_its_own_and_is_ignored_under_nohup() {
    let data = tempfile::tempdir().unwrap();
    let mut up = Up::start(data.path()).await;
    kill("-HUP", up.process.id().unwrap().into()).await;
    let status = timeout(GUARD, up.process.wait()).await.expect("`up` ends").unwrap();
    assert_eq!(status.code(), Some(129));
    up.ports_become_free().await;
    assert!(std::fs::read_to_string(data.path().join("logs/0.log")).unwrap().contains("Node 0 has ended"));

    let mut nohup = Command::new("nohup");
    nohup.arg(env!("CARGO_BIN_EXE_cubecast")).stdin(Stdio::null()).kill_on_drop(true);
    let mut up = Up::start_with(nohup, data.path()).await;
    kill("-HUP", up.process.id().unwrap().into()).await;
    kill("-HUP", up.nodes[0].pid).await;
    // Several signals of one process may arrive in any order, but a request to end would arrive before the next kill
    // is noticed.
    kill("-KILL", up.nodes[1].pid).await;
    up.event("its new start", |event| event["event"] == "started" && event["node"] == "1").await;
    kill("-TERM", up.process.id().unwrap().into()).await;
    let status = timeout(GUARD, up.process.wait()).await.expect("`up` ends").unwrap();
    assert_eq!(status.code(), Some(0));
    let log = std::fs::read_to_string(data.path().join("logs/0.log")).unwrap();
    assert_eq!(log.matches("Node 0 starts").count(), 2, "{log}");
}

/// A running `cubecast up` with two nodes.
struct Up {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    nodes: Vec<Node>,
}

struct Node {
    address: String,
    pid: u64,
}

impl Up {
    /// Starts it and waits until all nodes answer.
    async fn start(data: &Path) -> Up {
        Up::start_with(cubecast(), data).await
    }

    async fn start_with(mut command: Command, data: &Path) -> Up {
        let data = text(data);
        command.args(["up", "--dimension", "1", "--base-port", "auto", "--format", "json", "--data", &data]);
        let mut up = Up::spawn(&mut command);
        let ready = up.event("all nodes to be ready", |event| event["event"] == "ready").await;
        let node = |node: &Value| Node {
            address: node["address"].as_str().unwrap().to_owned(),
            pid: node["pid"].as_u64().unwrap(),
        };
        up.nodes = ready["nodes"].as_array().unwrap().iter().map(node).collect();
        up
    }

    fn spawn(command: &mut Command) -> Up {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Up { process, lines, nodes: Vec::new() }
    }

    async fn event(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = timeout(GUARD, async {
            loop {
                let line = self.lines.next_line().await.unwrap().unwrap_or_else(|| panic!("`up` ended before {what}"));
                let event: Value = serde_json::from_str(&line).unwrap();
                if wanted(&event) {
                    return event;
                }
            }
        });
        found.await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// Waits until the ports are free, which proves that the processes have ended.
    async fn ports_become_free(&self) {
        let free = || self.nodes.iter().all(|node| TcpListener::bind(&node.address).is_ok());
        let waiting = async {
            while !free() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(GUARD, waiting).await.expect("the nodes end");
    }
}

fn cubecast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cubecast"));
    command.env_remove("CUBECAST_LOG").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(arguments: &[&str]) -> Output {
    timeout(GUARD, cubecast().args(arguments).output()).await.expect("it ends").unwrap()
}

async fn kill(signal: &str, pid: u64) {
    let killed = Command::new("kill").args([signal, &pid.to_string()]).status().await.unwrap();
    assert!(killed.success());
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, reason: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(error.contains(reason), "{error}");
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
