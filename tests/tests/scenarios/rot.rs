//! Disks and networks that alter data.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::GroupId;
use cubecast_core::records::{EntryKind, LogEntry};
use cubecast_core::seating::Seating;
use cubecast_core::store::{Write, WriteBatch};
use cubecast_node::storage::{FolderIdentity, LogStore, RedbStore, SyncMode};
use cubecast_tests::cluster::{CLUSTER, Plan, ProcessCluster};
use cubecast_tests::relay::Relay;
use cubecast_tests::replicas::{assert_replicas_equal_and_complete, read_replica};
use cubecast_tests::wait::eventually;
use serde_json::json;

/// More than a store caches of its tables and of recently read rows.
const MESSAGES: usize = 400;
const MESSAGE_BYTES: usize = 64 << 10;

#[tokio::test]
async fn a_rotten_row_under_the_running_leader_is_read_from_another_node_and_repaired() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    let mut published = Vec::new();
    for number in 0..MESSAGES {
        let mark = format!("message-{number:04}-");
        let content = mark.repeat(MESSAGE_BYTES / mark.len());
        far.publish("publisher1", "news", &content).await;
        published.push(content);
    }
    let store = cluster.data_folder(home).join("store.redb");
    eventually("the first message lies in the tables", || async { flip(&store, "message-0000-") }).await;

    let mut pushed = cluster.client(home).await;
    pushed.must(json!({"action": "create_subscriber", "subscriber_id": "subscriber2"})).await;
    let subscribe = json!({"action": "subscribe", "subscriber_id": "subscriber2", "topic": "news", "from": "beginning",
        "push": true});
    pushed.must(subscribe).await;
    let first = pushed.event().await;
    assert_eq!(first["content"], json!(published[0]), "a push brings what another replica has");

    for at in [home, home.across(0), home.across(0).across(1).across(2)] {
        let pull =
            json!({"action": "pull", "subscriber_id": "subscriber1", "topic": "news", "max": 3, "commit": false});
        let read = cluster.client(at).await.contents(pull).await;
        assert_eq!(read, published[..3], "a linearizable read through {at}");
    }
    let status = cluster.client(home).await.must(json!({"action": "status"})).await;
    assert_eq!(status["state"], "up");
    let counters = &status["counters"];
    assert!(counters["damaged"].as_u64() > Some(0), "{counters}");
    assert_eq!(counters["damaged"], counters["repaired"], "{counters}");
    assert_eq!(lines(&cluster, home, "are damaged on the disk").len(), 1);
    assert_eq!(lines(&cluster, home, "are repaired on node").len(), 1);

    // The repair survives a kill.
    cluster.kill(home);
    cluster.start_node(home);
    cluster.wait_until_settled().await;
    assert_replicas_equal_and_complete(&cluster, "news", &published).await;
    let status = cluster.client(home).await.must(json!({"action": "status"})).await;
    assert_eq!(status["counters"]["damaged"], 0, "nothing is damaged any more");
}

#[tokio::test]
async fn a_folder_that_lost_its_commit_marker_and_journals_does_not_outvote_what_was_acknowledged() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let [away_for_long, away_for_a_moment, spoilt] = [0, 1, 2].map(|bit| home.across(bit));
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    cluster.kill(away_for_long);
    eventually("the vote of the one that is away for long is taken", || async {
        let status = cluster.client(home).await.must(json!({"action": "status"})).await;
        let groups = status["groups"].as_array().ok_or("no groups")?.clone();
        let own = groups.into_iter().find(|group| group["home"] == json!(home)).ok_or("no group of its own")?;
        if own["voters"].as_array().is_some_and(|voters| voters.len() == 3) { Ok(()) } else { Err(own.to_string()) }
    })
    .await;
    cluster.kill(away_for_a_moment);
    let mut published = Vec::new();
    for number in 0..5 {
        let content = format!("acknowledged {number}");
        far.publish("publisher1", "news", &content).await;
        published.push(content);
    }
    cluster.kill(spoilt);
    cluster.kill(home);
    for file in ["commit-marker", "journal", "journal-2"] {
        std::fs::remove_file(cluster.data_folder(spoilt).join(file)).expect("the file is there");
    }
    cluster.start_node(spoilt);
    cluster.start_node(away_for_a_moment);
    cluster.wait_until_seen(away_for_a_moment, spoilt, "recovering").await;
    let told = lines(&cluster, spoilt, "the commit marker is missing or damaged");
    assert!(told.len() == 1 && told[0].contains("rejoins as a new member"), "{told:?}");
    let pull = json!({"action": "pull", "subscriber_id": "subscriber1", "topic": "news", "commit": false});
    let refused = far.refused(pull.clone()).await;
    assert_eq!(refused, "unavailable", "one that is behind and one that forgot are no majority");

    cluster.start_node(home);
    cluster.start_node(away_for_long);
    cluster.wait_until_settled().await;
    assert_eq!(far.contents(pull).await, published);
    assert_replicas_equal_and_complete(&cluster, "news", &published).await;
}

#[tokio::test]
async fn an_entry_that_cannot_be_decoded_makes_a_new_member_and_no_crash_loop() {
    let cluster = ProcessCluster::start().await;
    let home = cluster.home("news");
    let damaged = home.across(0);
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    let mut published = Vec::new();
    for number in 0..20 {
        let content = format!("message {number}");
        far.publish("publisher1", "news", &content).await;
        published.push(content);
    }
    cluster.kill(damaged);
    put_nonsense(&cluster, damaged, home);
    cluster.start_node(damaged);
    cluster.wait_until_settled().await;
    let told = lines(&cluster, damaged, "is damaged, or was written by another version");
    assert!(told.len() == 1 && told[0].contains(&format!("of group {home}")), "{told:?}");
    assert_replicas_equal_and_complete(&cluster, "news", &published).await;
}

/// Data altered by a relay never becomes a message, at any read level.
#[tokio::test]
async fn what_is_altered_between_two_nodes_is_never_shown_and_is_sent_again() {
    let cluster = ProcessCluster::prepare(&Plan::default());
    let home = cluster.home("news");
    // The neighbour with the smaller index dials, and the data that it receives is not masked.
    let follower = home.neighbours().min().expect("a vertex has neighbours");
    assert!(follower < home);
    let relay = Relay::begin(cluster.address(home), b"AAAAAAAA", b"BBBBBBBB").await;
    cluster.redirect(follower, home, relay.address());
    for vertex in cluster.vertices() {
        cluster.start_node(vertex);
    }
    cluster.wait_until_settled().await;
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    let published = vec!["before".to_owned(), "AAAAAAAA".repeat(10), "behind".to_owned()];
    for content in &published {
        far.publish("publisher1", "news", content).await;
    }
    assert_replicas_equal_and_complete(&cluster, "news", &published).await;
    assert_eq!(contents_of(&read_replica(&cluster, follower, "news").await.expect("it serves")), published);
    assert!(relay.altered() > 0, "the relay has altered something");
    let status = cluster.client(follower).await.must(json!({"action": "status"})).await;
    assert!(status["counters"]["frames_altered"].as_u64() > Some(0), "{}", status["counters"]);
    assert_eq!(lines(&cluster, follower, "was altered in transit to node").len(), 1, "it is told once");
}

fn contents_of(messages: &[serde_json::Value]) -> Vec<String> {
    cubecast_tests::client::contents(&json!({"messages": messages}))
}

/// The lines of a node's log that contain this text.
fn lines(cluster: &ProcessCluster, node: Vertex, text: &str) -> Vec<String> {
    let log = std::fs::read_to_string(cluster.log_file(node)).expect("a node has a log");
    log.lines().filter(|line| line.contains(text)).map(ToOwned::to_owned).collect()
}

/// Flips a bit at each place where the text begins for the first time in a row.
fn flip(file: &std::path::Path, text: &str) -> Result<(), String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let text = text.as_bytes();
    let begins = |at: &usize| {
        bytes[*at..].starts_with(text) && (*at < text.len() || !bytes[at - text.len()..].starts_with(text))
    };
    let places: Vec<usize> = (0..bytes.len().saturating_sub(text.len())).filter(begins).collect();
    if places.is_empty() {
        return Err("it is not in the file".into());
    }
    let file = OpenOptions::new().write(true).open(file).map_err(|error| error.to_string())?;
    places.iter().try_for_each(|at| file.write_all_at(&[bytes[*at] ^ 1], *at as u64)).map_err(|error| error.to_string())
}

/// Replaces the last entry of a group's log with one that has correct checksums but is not a list of commands.
fn put_nonsense(cluster: &ProcessCluster, node: Vertex, group: Vertex) {
    let seating = Seating::founding(node.dimension());
    let (group, identity) =
        (GroupId::of(group), FolderIdentity::new(CLUSTER, seating.host_of(node), seating.dimension()));
    let (mut store, recovered, _) =
        RedbStore::open(&cluster.data_folder(node), &identity, SyncMode::Always).expect("the folder is whole");
    let found = recovered.groups.iter().find(|found| found.group == group).expect("it is a member");
    let last = found.log.last().expect("its log has entries");
    let nonsense = LogEntry { kind: EntryKind::Commands, data: b"no list of commands".to_vec().into(), ..last.clone() };
    let writes = vec![Write::Append { group, entries: vec![nonsense] }];
    store.write(vec![WriteBatch { number: 1, writes }]).expect("it is written");
    store.close().expect("it is closed");
}
