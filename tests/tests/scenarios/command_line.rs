//! The command line, as used by people and by scripts.

use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::process::{Ended, run};
use cubecast_tests::wait::eventually;
use futures_util::future::join;
use serde_json::{Value, json};
use tokio::sync::Mutex;

const DONE: Option<i32> = Some(0);
const REFUSED: Option<i32> = Some(1);
const USAGE: Option<i32> = Some(2);
const UNAVAILABLE: Option<i32> = Some(3);

#[tokio::test]
async fn what_pub_publishes_sub_and_pull_print() {
    let cluster = ProcessCluster::shared().await;
    let created = json_lines(&done(&cluster, &["topic", "create", "cli-news", "--as", "cli-p"]).await);
    let home = cluster.home("cli-news");
    assert_eq!(created[0]["home"], json!(home), "{created:?}");
    assert_eq!(created[0]["replicas"], json!(home.neighbours().collect::<Vec<_>>()), "{created:?}");

    for (number, content) in ["eins", "zwei", "drei"].iter().enumerate() {
        let published = json_lines(&done(&cluster, &["pub", "cli-news", content, "--as", "cli-p"]).await);
        assert_eq!(published[0]["offset"], number, "{published:?}");
    }
    let heard = json_lines(&done(&cluster, &["sub", "cli-news", "--as", "cli-s", "--create", "--count", "2"]).await);
    assert_eq!(contents(&heard), ["eins", "zwei"], "{heard:?}");
    let heard = json_lines(&done(&cluster, &["sub", "cli-news", "--as", "cli-s", "--count", "1"]).await);
    assert_eq!(contents(&heard), ["drei"], "it goes on where it stopped");
    let pulled = done(&cluster, &["pull", "cli-news", "--as", "cli-r", "--subscribe", "--max", "2"]).await;
    assert!(
        pulled.stdout.contains("eins") && pulled.stdout.contains("zwei") && !pulled.stdout.contains("drei"),
        "{pulled:?}"
    );
    let pulled = done(&cluster, &["pull", "cli-news", "--as", "cli-r"]).await;
    assert!(pulled.stdout.contains("drei") && !pulled.stdout.contains("zwei"), "{pulled:?}");

    let topics = done(&cluster, &["topic", "list"]).await;
    assert!(topics.stdout.contains("cli-news"), "{topics:?}");
    done(&cluster, &["topic", "delete", "cli-news", "--as", "cli-p"]).await;
    let topics = done(&cluster, &["topic", "list"]).await;
    assert!(!topics.stdout.contains("cli-news"), "{topics:?}");
}

#[tokio::test]
async fn names_are_deleted_and_registered_again() {
    let cluster = ProcessCluster::shared().await;
    done(&cluster, &["topic", "create", "cli-kept", "--as", "cli-leaves"]).await;
    done(&cluster, &["subscriber", "create", "cli-leaver"]).await;
    let deleted = json_lines(&done(&cluster, &["publisher", "delete", "cli-leaves"]).await);
    assert_eq!(deleted[0]["publisher_id"], "cli-leaves", "{deleted:?}");
    let deleted = json_lines(&done(&cluster, &["subscriber", "delete", "cli-leaver"]).await);
    assert_eq!(deleted[0]["subscriber_id"], "cli-leaver", "{deleted:?}");
    let again = cubecast(&cluster, &["publisher", "delete", "cli-leaves"]).await;
    assert_eq!(again.code, REFUSED, "{again:?}");
    assert!(again.stderr.contains("there is no publisher `cli-leaves`"), "{again:?}");
    eventually("the topic's home has noticed that the publisher is gone", || async {
        let published = cubecast(&cluster, &["pub", "cli-kept", "x", "--as", "cli-leaves"]).await;
        let is_refused = published.code == REFUSED && published.stderr.contains("there is no publisher `cli-leaves`");
        if is_refused { Ok(()) } else { Err(format!("{published:?}")) }
    })
    .await;

    let created = json_lines(&done(&cluster, &["publisher", "create", "cli-leaves"]).await);
    assert_eq!(created[0]["existed"], false, "{created:?}");
    done(&cluster, &["pub", "cli-kept", "x", "--as", "cli-leaves"]).await;
}

#[tokio::test]
async fn json_on_a_terminal_commands_nothing_and_means_what_was_published() {
    let cluster = ProcessCluster::shared().await;
    let content = "\u{9b}2J \u{202e}txt.exe \u{7f} plain";
    done(&cluster, &["pub", "cli-hidden", content, "--as", "cli-p", "--create"]).await;
    let pull = done(&cluster, &["pull", "cli-hidden", "--as", "cli-h", "--subscribe"]).await;
    let sub = done(&cluster, &["sub", "cli-hidden", "--as", "cli-i", "--create", "--count", "1"]).await;
    for heard in [&pull, &sub] {
        assert!(!heard.stdout.contains(['\u{9b}', '\u{202e}', '\u{7f}']), "{heard:?}");
    }
    assert_eq!(contents(&json_lines(&sub)), [content]);
    assert_eq!(json_lines(&pull)[0]["messages"][0]["content"], content);
}

#[tokio::test]
async fn sub_ends_and_says_why_when_somebody_deletes_the_topic_or_ends_the_subscription() {
    let cluster = ProcessCluster::shared().await;
    done(&cluster, &["topic", "create", "cli-gone", "--as", "cli-p"]).await;
    let delete = || async { drop(done(&cluster, &["topic", "delete", "cli-gone", "--as", "cli-p"]).await) };
    let unsubscribe = || async {
        let mut other = cluster.client("111".parse().expect("a vertex")).await;
        other.must(json!({"action": "unsubscribe", "subscriber_id": "cli-g", "topic": "cli-gone"})).await;
    };
    let (ended, ()) = join(cubecast(&cluster, LISTEN), listened_to(&cluster, unsubscribe)).await;
    assert_eq!(ended.code, REFUSED, "{ended:?}");
    assert!(ended.stderr.contains("subscriber `cli-g` was unsubscribed from topic `cli-gone`"), "{ended:?}");
    let (ended, ()) = join(cubecast(&cluster, LISTEN), listened_to(&cluster, delete)).await;
    assert_eq!(ended.code, REFUSED, "{ended:?}");
    assert!(ended.stdout.contains("heard") && ended.stderr.contains("topic `cli-gone` was deleted"), "{ended:?}");
}

const LISTEN: &[&str] = &["sub", "cli-gone", "--as", "cli-g", "--create"];

/// Publishes once there is a subscriber, waits until it has committed, and then runs `then`.
async fn listened_to<F: Future<Output = ()>>(cluster: &ProcessCluster, then: impl FnOnce() -> F) {
    let at = cluster.home("cli-gone");
    let asking = Mutex::new(cluster.client(at).await);
    eventually("somebody subscribes", || async {
        let topics = asking.lock().await.must(json!({"action": "topics"})).await;
        let listed = topics["topics"].as_array().into_iter().flatten();
        let subscribed = |topic: &Value| topic["topic"] == "cli-gone" && topic["subscribers"] == 1;
        if listed.into_iter().any(subscribed) { Ok(()) } else { Err(topics.to_string()) }
    })
    .await;
    let published = done(cluster, &["pub", "cli-gone", "heard", "--as", "cli-p"]).await;
    let next = json_lines(&published)[0]["offset"].as_u64().expect("an offset") + 1;
    eventually("the subscriber has it", || async {
        let pull = json!({"action": "pull", "subscriber_id": "cli-g", "topic": "cli-gone", "commit": false});
        let pulled = asking.lock().await.must(pull).await;
        if pulled["cursor"] == next && pulled["messages"] == json!([]) { Ok(()) } else { Err(pulled.to_string()) }
    })
    .await;
    then().await;
}

#[tokio::test]
async fn locate_and_status_tell_where_and_how() {
    let cluster = ProcessCluster::shared().await;
    let located = json_lines(&done(&cluster, &["locate", "cricket"]).await);
    assert_eq!(
        (&located[0]["home"], &located[0]["replicas"]),
        (&json!("111"), &json!(["110", "101", "011"])),
        "{located:?}"
    );
    let status = json_lines(&done(&cluster, &["status"]).await);
    let nodes = status[0]["cluster"]["nodes"].as_array().expect("a cluster has nodes");
    assert_eq!(nodes.iter().filter(|node| node["state"] == "up").count(), 8, "{nodes:?}");
    let status = json_lines(&done(&cluster, &["status", "101"]).await);
    assert_eq!((&status[0]["node"], &status[0]["state"]), (&json!("101"), &json!("up")), "{status:?}");

    let table = cubecast(&cluster, &["status"]).await;
    assert_eq!(table.code, DONE, "{table:?}");
    assert!(cluster.vertices().all(|vertex| table.stdout.contains(&vertex.to_string())), "{}", table.stdout);
}

#[tokio::test]
async fn a_node_fails_and_recovers_from_the_command_line() {
    let cluster = ProcessCluster::start().await;
    done(&cluster, &["fail", "111", "--for", "10m"]).await;
    let seen_from = "000".parse().expect("a vertex");
    cluster.wait_until_seen(seen_from, "111".parse().expect("a vertex"), "failed").await;
    done(&cluster, &["recover", "111"]).await;
    cluster.wait_until_settled().await;
    done(&cluster, &["link", "000", "001", "--cut", "--both"]).await;
    done(&cluster, &["link", "000", "001", "--up", "--both"]).await;
    cluster.wait_until_settled().await;
}

#[tokio::test]
async fn exit_codes_tell_what_went_wrong() {
    let cluster = ProcessCluster::shared().await;
    let unknown = cubecast(&cluster, &["pub", "cli-nowhere", "x", "--as", "cli-nobody"]).await;
    assert_eq!(unknown.code, REFUSED, "{unknown:?}");
    assert!(unknown.stderr.contains("unknown_publisher") && unknown.stdout.is_empty(), "{unknown:?}");
    let foreign = cubecast(&cluster, &["topic", "delete", "cli-nowhere", "--as", "cli-nobody"]).await;
    assert_eq!(foreign.code, REFUSED, "{foreign:?}");
    for wrong in [&["pub"][..], &["status", "12"], &["sub", "a b", "--as", "x"], &["dance"]] {
        let ended = cubecast(&cluster, wrong).await;
        assert_eq!(ended.code, USAGE, "{wrong:?}: {ended:?}");
    }
    // A cluster that does not run: nothing listens on its ports.
    let absent = ProcessCluster::prepare(&Default::default());
    let ended = cubecast(&absent, &["status", "--timeout", "500ms"]).await;
    assert_eq!(ended.code, UNAVAILABLE, "{ended:?}");
    assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{ended:?}");
}

/// Runs `cubecast ARGUMENTS --cluster ...`, as people type it.
async fn cubecast(cluster: &ProcessCluster, arguments: &[&str]) -> Ended {
    // Any node accepts the request; a distant one must forward it.
    let address = cluster.address("011".parse().expect("a vertex"));
    let mut all = arguments.to_vec();
    all.extend(["--cluster", &address]);
    run(&all).await
}

/// Runs a command with JSON output, as scripts do; it must succeed.
async fn done(cluster: &ProcessCluster, arguments: &[&str]) -> Ended {
    let mut all = arguments.to_vec();
    all.extend(["--format", "json"]);
    let ended = cubecast(cluster, &all).await;
    assert_eq!(ended.code, DONE, "{arguments:?}: {ended:?}");
    ended
}

fn json_lines(ended: &Ended) -> Vec<Value> {
    ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn contents(lines: &[Value]) -> Vec<&str> {
    lines.iter().filter_map(|line| line["content"].as_str()).collect()
}
