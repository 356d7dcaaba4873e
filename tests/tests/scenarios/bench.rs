//! A short run of `cubecast-lab bench`: every selected case is run, nothing fails, and the page and the graphs are
//! written. Its figures mean nothing.

use std::process::{Command, Stdio};

use cubecast_tests::artifacts::{cubecast, lab};
use serde_json::Value;

#[test]
fn a_short_measure_does_all_that_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("bench.html");
    let few = ["--only", "apis,publish,reads,delay,failures", "--seconds", "0.1", "--repeat", "1", "--kills", "1"];
    let results =
        bench(Command::new(lab()).arg("bench").args(few).arg("--page").arg(&page).arg("--graphs").arg(folder.path()));
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
    let paces = |case: &str| rows.iter().filter(|row| row["case"] == case && row["group"] == "APIs").count();
    assert_eq!((paces("publish"), paces("status")), (3, 3), "one at a time, many under way, a fixed rate");
    let bounds =
        |case: &str| rows.iter().find(|row| row["case"] == case).and_then(|row| row["bounds"].as_array().cloned());
    let bounds = bounds("256 B, quorum").expect("bounds");
    assert_eq!(bounds.len(), 2, "an echo, and an append: {bounds:?}");
    assert!(bounds.iter().any(|bound| bound["p50_us"].as_f64() > Some(0.0)), "{bounds:?}");
    let histories = results["histories"].as_array().expect("histories");
    assert_eq!(histories.len(), 2, "with and without a copy to spare: {histories:?}");
    for history in histories {
        assert_eq!((&history["failed"], history["marks"].as_array().map(Vec::len)), (&0.into(), Some(2)), "{history}");
        assert_eq!(history["timeline"]["per_second"].as_array().map(Vec::len), Some(40), "{history}");
    }
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("<svg") && page.contains("replica_pull"));
    for graph in ["bench-apis-rate.svg", "bench-publishes-latency.svg", "bench-failures-over-time.svg"] {
        let graph = std::fs::read_to_string(folder.path().join(graph)).expect(graph);
        assert!(graph.starts_with("<svg xmlns=") && graph.trim_end().ends_with("</svg>"), "{graph}");
    }
}

fn bench(command: &mut Command) -> Value {
    let output = command.args(["--format", "json", "--cubecast"]).arg(cubecast()).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no results ({error}): {said}"))
}
