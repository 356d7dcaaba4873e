//! A short run of `cubecast-lab chaos`: it injects faults, every checker has data, and no promise is broken.
//!
//! A separate program, so that it does not share the machine with other scenarios.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use cubecast_tests::artifacts::{cubecast, lab};
use serde_json::Value;

/// Visible only in a simulation: lengths of queues, changes of members as leaders propose them, and disks of limited
/// size.
const SEEN_IN_SIMULATION: &[&str] = &["queues", "changes", "storage"];

#[test]
fn twenty_bad_seconds_break_much_and_no_promise() {
    let report = chaos(&["--minutes", "0.35", "--seed", "3", "--dimension", "2", "--clients", "6"]);
    assert_eq!(report["violations"], serde_json::json!([]), "{}", story(&report));
    assert_eq!(report["passed"], true);
    let messages = &report["messages"];
    assert_eq!((&messages["lost"], &messages["doubled"]), (&0.into(), &0.into()), "{messages}");
    assert!(messages["acknowledged_to_stay"].as_u64() > Some(20), "{messages}");
    let faults = counts(&report["faults"]);
    assert!(faults.len() >= 4, "only these faults came: {faults:?}; {}", story(&report));
    let checked = counts(&report["checked"]);
    let idle = checked.iter().filter(|(name, facts)| **facts == 0 && !SEEN_IN_SIMULATION.contains(&name.as_str()));
    assert_eq!(idle.count(), 0, "some checkers had nothing to look at: {checked:?}; {}", story(&report));
    assert!(checked.len() >= 7, "{checked:?}");
}

/// Runs it; returns its report.
fn chaos(arguments: &[&str]) -> Value {
    let trace = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(lab());
    command.args(["chaos", "--format", "json", "--cubecast"]).arg(cubecast()).args(arguments);
    command.arg("--trace").arg(trace.path().join("evidence.json"));
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no report ({error}): {said}"))
}

fn counts(object: &Value) -> BTreeMap<String, u64> {
    let fields = object.as_object().unwrap_or_else(|| panic!("not an object: {object}"));
    fields.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap_or_default())).collect()
}

fn story(report: &Value) -> String {
    let told = report["story"].as_array().into_iter().flatten().filter_map(Value::as_str);
    format!("{}\n{}", report["violations"], told.collect::<Vec<_>>().join("\n"))
}
