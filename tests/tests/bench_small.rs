//! `cubecast bench`, as people run it, but short: that every case that is run was done, that nothing failed, and that the page is
//! written. What it measures here means nothing.

use std::process::{Command, Stdio};

use cubecast_tests::artifacts::cubecast;
use serde_json::Value;

#[test]
fn a_short_measure_does_all_that_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("bench.html");
    let results = bench(&["--only", "apis,reads,delay", "--seconds", "0.1", "--repeat", "1", "--page"], &page);
    let rows = results["rows"].as_array().expect("rows");
    let cases: Vec<&str> = rows.iter().filter_map(|row| row["case"].as_str()).collect();
    for case in ["create_topic", "delete_topic", "publish", "replica_pull", "50 ms each way, 256 B, all"] {
        assert!(cases.contains(&case), "{case} in {cases:?}");
    }
    for row in rows {
        for figures in row["repetitions"].as_array().expect("repetitions") {
            assert_eq!(figures["failed"], 0, "{row}");
        }
    }
    let done =
        |case: &str| rows.iter().find(|row| row["case"] == case).map(|row| row["repetitions"][0]["done"].clone());
    assert!(done("locate").and_then(|done| done.as_u64()) > Some(0), "{rows:?}");
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("<svg") && page.contains("replica_pull"));
}

fn bench(arguments: &[&str], page: &std::path::Path) -> Value {
    let mut command = Command::new(cubecast());
    command.args(["bench", "--format", "json"]).args(arguments).arg(page);
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no results ({error}): {said}"))
}
