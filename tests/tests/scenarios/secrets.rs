//! The files of a cluster that other users of the machine can read, and the defaults of `up` on an open network.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cubecast_node::private;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::process::{Process, Signal, client, run};
use cubecast_tests::wait::eventually;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

/// Files and folders below this one that users other than their owner can access. The group may read logs.
fn exposed(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is read") {
        let path = entry.expect("an entry").path();
        let allowed = if path.extension().is_some_and(|extension| extension == "log") { 0o640 } else { 0o700 };
        if mode(&path) & !allowed != 0 {
            found.push(format!("{} has mode {:o}", path.display(), mode(&path)));
        }
        if path.is_dir() {
            found.extend(exposed(&path));
        }
    }
    found
}

#[tokio::test]
async fn all_that_up_and_its_nodes_write_is_closed_to_other_users() {
    let within = tempfile::tempdir().expect("a temporary folder");
    let data = within.path().join("data");
    let log = within.path().join("up.log");
    let folder = data.to_str().expect("a path in words");
    // The usual umask, with which everybody can read new files.
    let up = ["up", "--dimension", "1", "--base-port", "auto", "--format", "json", "--data", folder];
    let mut process = Process::start(&up, &log);
    eventually("the cluster is ready", || async {
        let said = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
        if said.contains("\"event\":\"ready\"") { Ok(()) } else { Err(said) }
    })
    .await;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("secret")), 0o600);
    assert!(data.join("0/store/store.redb").is_file() && data.join("logs/0.log").is_file());
    assert_eq!(exposed(&data), Vec::<String>::new());
    process.signal(Signal::Terminate);
    assert!(process.wait().success());
}

#[tokio::test]
async fn a_node_refuses_a_secret_that_others_can_read_and_names_the_cure() {
    let cluster = ProcessCluster::prepare(&Plan { dimension: 1, ..Plan::default() });
    let secret = cluster.folder().join("secret");
    let config = cluster.config_file("0".parse().expect("a vertex"));
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("the mode is set");
    let refused = run(&["node", "--config", config.to_str().expect("a path in words")]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("(mode 0644); run: chmod 600 "), "{refused:?}");
    assert!(!cluster.data_folder("0".parse().expect("a vertex")).exists(), "nothing was made");

    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("the mode is set");
    private::write(&secret, "too short").expect("it is written");
    let refused = run(&["node", "--config", config.to_str().expect("a path in words")]).await;
    assert!(refused.code == Some(2) && refused.stderr.contains("at least 16 bytes"), "{refused:?}");
}

/// The first output of `up` as JSON, until it is ready; and whether its nodes allow faults.
async fn up_on(host: &str, more: &[&str]) -> (Vec<Value>, bool) {
    let data = tempfile::tempdir().expect("a temporary folder");
    let folder = data.path().to_str().expect("a path in words").to_owned();
    let mut arguments = vec!["up", "--dimension", "1", "--base-port", "auto", "--format", "json", "--data", &folder];
    arguments.extend(["--host", host]);
    arguments.extend(more);
    let mut up = client(&arguments).spawn().expect("the binary can be run");
    let mut lines = BufReader::new(up.stdout.take().expect("it is piped")).lines();
    let mut said: Vec<Value> = Vec::new();
    while !said.last().is_some_and(|event| event["event"] == "ready") {
        let line = lines.next_line().await.expect("a line").expect("`up` runs until it is ready");
        said.push(serde_json::from_str(&line).expect("an event is JSON"));
    }
    up.kill().await.expect("it is killed");
    let config = std::fs::read_to_string(data.path().join("0/config.toml")).expect("a configuration");
    (said, config.contains("allow_faults = true"))
}

fn remarks(said: &[Value]) -> Vec<&str> {
    said.iter().filter(|event| event["event"] == "remark").filter_map(|event| event["message"].as_str()).collect()
}

#[tokio::test]
async fn on_an_open_network_faults_are_off_unless_asked_for_and_one_line_says_so() {
    let (said, allowed) = up_on("0.0.0.0", &[]).await;
    let [remark] = remarks(&said)[..] else { panic!("{said:?}") };
    assert!(!allowed && remark.contains("off") && remark.contains("--faults on"), "{remark}");

    let (said, allowed) = up_on("0.0.0.0", &["--faults", "on"]).await;
    let [remark] = remarks(&said)[..] else { panic!("{said:?}") };
    assert!(allowed && remark.contains("every client that reaches 0.0.0.0 can stop nodes"), "{remark}");

    let (said, allowed) = up_on("127.0.0.1", &[]).await;
    assert!(allowed && remarks(&said).is_empty(), "{said:?}");
    let (said, allowed) = up_on("127.0.0.1", &["--faults", "off"]).await;
    assert!(!allowed && remarks(&said).is_empty(), "{said:?}");
}
