//! The simulator as started by a user: every scenario of `core/sim/scenarios` with its own seeds and some fixed others.
//! `make sim` tries new seeds.
//!
//! A failure prints the seed and the command that reproduces it.

use std::path::Path;
use std::process::Command;

use cubecast_core::recording::promises::Promises;
use cubecast_core::recording::replay::Replay;
use cubecast_node::recording::collect;
use cubecast_sim::FaultClass;
use cubecast_sim::check::CHECKERS;
use serde_json::Value;

/// Seeds for each scenario beside its own: their number, and the first one. `CUBECAST_SEEDS` and `CUBECAST_FIRST_SEED`
/// choose others.
const SEEDS: u64 = 8;
const FIRST_SEED: u64 = 1;

#[test]
fn every_scenario_keeps_every_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../core/sim/scenarios");
    let number = |variable, default: u64| std::env::var(variable).unwrap_or_else(|_| default.to_string());
    let (seeds, first) = (number("CUBECAST_SEEDS", SEEDS), number("CUBECAST_FIRST_SEED", FIRST_SEED));
    let output = Command::new(env!("CARGO_BIN_EXE_cubecast-lab"))
        .args(["sim", "--format", "json", "--seeds", &seeds, "--from", &first])
        .arg("--scenario")
        .arg(&folder)
        .output()
        .expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("no report ({error}): {said}"));
    assert_eq!(report["failed_runs"], 0, "first seed {}: {}\n{said}", report["first_seed"], report["failures"]);
    assert!(output.status.success(), "{said}");

    // Runs without faults would prove nothing.
    for class in FaultClass::ALL {
        assert!(report["totals"]["faults"][class.name()].as_u64() > Some(0), "no fault of class {class}");
    }
    for checker in CHECKERS {
        assert!(report["totals"]["checked"][checker.name].as_u64() > Some(0), "`{}` saw nothing", checker.name);
    }
    let show = |what: &str| report[what].to_string();
    println!(
        "{} runs, {} virtual hours, {} s, first seed {}",
        show("runs"),
        show("virtual_hours"),
        show("seconds"),
        show("first_seed")
    );
}

#[test]
fn a_seed_makes_the_same_run_again() {
    let trace = || {
        let args = ["sim", "--seed", "5", "--format", "json"];
        let output = Command::new(env!("CARGO_BIN_EXE_cubecast-lab")).args(args).output().expect("the binary starts");
        let report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
        report["totals"].to_string()
    };
    assert_eq!(trace(), trace());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_run() {
    for (args, why) in [
        (vec!["--faults", "lightning"], "there is no fault class `lightning`"),
        (vec!["--scenario", "/nowhere/at/all.toml"], "/nowhere/at/all.toml"),
        (vec!["--dimension", "9"], "9 is not in 1..=6"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cubecast-lab"));
        let output = command.arg("sim").args(args).output().expect("the binary starts");
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_run_is_written_as_an_incident_that_is_replayed_exactly_and_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("run.incident");
    let output = Command::new(env!("CARGO_BIN_EXE_cubecast-lab"))
        .args(["sim", "--seed", "5", "--faults", "kill,partition", "--incident"])
        .arg(&file)
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let incident = collect::decode(&std::fs::read(&file).expect("it was written")).expect("it is an incident");
    assert!(incident.missing.is_empty() && incident.hosts.len() == incident.seating.dimension().size());
    let (mut replay, mut promises) = (Replay::open(&incident).expect("it begins"), Promises::default());
    while let Some(step) = replay.step().expect("it goes on") {
        promises.observe(&step, &replay);
    }
    assert!(replay.comparisons().all(|(_, comparison)| comparison.is_equal() && comparison.turns > 100));
    let findings = promises.conclude(&replay);
    assert!(findings.iter().all(|found| found.violations == 0), "{findings:?}");
    assert!(findings.iter().any(|found| found.name == "acknowledged" && found.checked > 0), "{findings:?}");
}
