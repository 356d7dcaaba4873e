//! An incident on real processes: saved with one command, replayed exactly, and opened in a browser without any node.

use cubecast_node::recording::collect;
use cubecast_tests::artifacts;
use cubecast_tests::browser::Browser;
use cubecast_tests::cluster::{Plan, ProcessCluster};
use cubecast_tests::process::{Ended, run};
use cubecast_tests::publishing::Publishing;
use cubecast_tests::static_site::StaticSite;
use cubecast_tests::wait::say;
use serde_json::Value;

#[tokio::test]
async fn a_killed_leader_and_a_cut_home_are_saved_with_one_command_and_replayed_exactly() {
    let cluster = ProcessCluster::start_as(Plan { record: true, ..Plan::default() }).await;
    let home = cluster.home("news");
    let mut far = cluster.far_client("news").await;
    far.set_up("publisher1", "subscriber1", "news").await;
    let opposite = home.across(0).across(1).across(2);
    let mut publishing = Publishing::begin(&cluster, opposite, "publisher1", "news", "quorum");
    publishing.wait_for_more(100).await;
    cluster.kill(home);
    publishing.wait_for_more(100).await;
    cluster.start_node(home);
    cluster.wait_until_settled().await;
    // The home is cut off: nothing leaves it, and nothing arrives.
    for neighbour in home.neighbours() {
        let (home, neighbour) = (home.to_string(), neighbour.to_string());
        done(&cluster, &["link", &home, &neighbour, "--cut", "--both"]).await;
    }
    cluster.wait_for_leader(opposite, home, Some(home)).await;
    publishing.wait_for_more(100).await;
    publishing.end().await;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("outage.incident");
    let name = file.display().to_string();
    let saved = done(&cluster, &["incident", "save", "--to", &name]).await;
    assert!(saved.stdout.contains("8 of 8 nodes"), "{saved:?}");

    let (story, result) = replay(&name).await;
    let says =
        |text: String| story.iter().any(|line| line["text"].as_str().is_some_and(|told| told.starts_with(&text)));
    assert!(says(format!("node {home} is gone")) && says(format!("node {home} runs")), "{story:?}");
    let successor = home.neighbours().any(|neighbour| says(format!("node {neighbour} leads group {home}")));
    assert!(successor, "{story:?}");
    assert_eq!(compared(&result, "/turns"), 8);
    for promise in result["promises"].as_array().expect("a list") {
        assert_eq!(promise["violations"], 0, "{promise}");
    }
    let checked = |name: &str| {
        let promises = result["promises"].as_array().expect("a list");
        promises.iter().find(|promise| promise["name"] == name).and_then(|promise| promise["checked"].as_u64())
    };
    assert!(checked("acknowledged") > Some(300) && checked("prefixes") > Some(300), "{result}");
    say(&format!("{} bytes, {} lines of story", file.metadata().map_or(0, |file| file.len()), story.len()));

    // Without contents: the same story.
    let redacted = folder.path().join("redacted.incident");
    let redacted_name = redacted.display().to_string();
    let saved = done(&cluster, &["incident", "save", "--redact", "contents", "--to", &redacted_name]).await;
    assert!(saved.stdout.contains("8 of 8 nodes, contents redacted"), "{saved:?}");
    assert!(contains(&file, "publisher1/") && !contains(&redacted, "publisher1/"), "contents begin with this");
    let (_, result) = replay(&redacted_name).await;
    for what in ["/turns", "/redaction/original/turns", "/redaction/masked/turns"] {
        assert_eq!(compared(&result, what), 8);
    }

    open_in_a_browser(&file, home).await;
}

/// Replays a file without a difference: what happened, and the result.
async fn replay(file: &str) -> (Vec<Value>, Value) {
    let replayed = run(&["incident", "replay", file, "--format", "json"]).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let mut lines: Vec<Value> = replayed.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let result = lines.pop().expect("the result is the last line");
    (lines, result)
}

/// The number of nodes for which many turns were compared, all of which were equal. `turns`: where their number is.
fn compared(result: &Value, turns: &str) -> usize {
    let of = turns.trim_end_matches("/turns");
    let nodes = result["nodes"].as_array().expect("a list").iter();
    let is_equal = |node: &&Value| {
        let number = |name: &str| node.pointer(&format!("{of}/{name}")).and_then(Value::as_u64);
        number("turns") > Some(50) && [number("different_turns"), number("different_states")] == [Some(0); 2]
    };
    nodes.filter(is_equal).count()
}

fn contains(file: &std::path::Path, text: &str) -> bool {
    let compressed = std::fs::read(file).expect("it was written");
    let incident = collect::decode(&compressed).expect("it is an incident").encode();
    incident.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Without any node: the page needs only the file.
async fn open_in_a_browser(file: &std::path::Path, home: cubecast_core::cube::Vertex) {
    let site = StaticSite::serve(artifacts::dashboard()).await;
    let browser = Browser::start().await;
    browser.open(&site.url("/incident/index.html")).await;
    browser.wait_for_text("incident-page", "Replay an incident").await;
    browser.hand_over("incident-file", file).await;
    browser.wait_for_text("remarks", "8 of 8 nodes").await;
    browser.wait_for_state("transport", "paused").await;
    browser.type_into("topic-input", "news").await;
    browser.choose("speed", "4×").await;
    browser.click("play").await;
    browser.wait_for_state(&format!("node-{home}"), "failed").await;
    browser.click("play").await;
    browser.wait_for_state("transport", "paused").await;
    browser.wait_for_state("comparison", "good").await;
    browser.wait_for_text("comparison", "turns replayed").await;
    say(&format!("picture: {}", browser.save_picture("incident").await.display()));
    browser.close().await;
}

#[tokio::test]
async fn what_is_no_incident_and_what_is_not_recorded_is_said() {
    let cluster = ProcessCluster::shared().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let name = folder.path().join("none.incident").display().to_string();
    let saved = cubecast(&cluster, &["incident", "save", "--to", &name]).await;
    assert_eq!(saved.code, Some(1), "{saved:?}");
    assert!(saved.stderr.contains("no node has a recording; start them with --record 5m"), "{saved:?}");
    std::fs::write(&name, "something else").expect("a file is written");
    let replayed = run(&["incident", "replay", &name]).await;
    assert_eq!(replayed.code, Some(1), "{replayed:?}");
    assert!(replayed.stderr.contains("this is not an incident of Cubecast"), "{replayed:?}");
}

async fn cubecast(cluster: &ProcessCluster, words: &[&str]) -> Ended {
    let seeds: Vec<String> = cluster.vertices().map(|vertex| cluster.address(vertex)).collect();
    run(&[words, &["--cluster", &seeds.join(",")]].concat()).await
}

async fn done(cluster: &ProcessCluster, words: &[&str]) -> Ended {
    let ended = cubecast(cluster, words).await;
    assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
    ended
}
