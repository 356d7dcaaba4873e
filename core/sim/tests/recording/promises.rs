//! The promises hold in every incident without a bug, and each check has something to compare. That the checks find
//! bugs is shown in `bugs/recorded.rs`.

use std::collections::BTreeMap;

use cubecast_core::recording::incident::Incident;
use cubecast_core::recording::promises::{Finding, Promises};
use cubecast_core::recording::replay::Replay;
use cubecast_sim::{Reduction, Scenario, Simulation};

use super::support::*;

fn check(incident: &Incident) -> Vec<Finding> {
    let (mut replay, mut promises) = (Replay::open(incident).unwrap(), Promises::default());
    while let Some(step) = replay.step().unwrap() {
        promises.observe(&step, &replay);
    }
    promises.conclude(&replay)
}

#[test]
fn without_a_bug_every_promise_is_kept_and_every_check_compares() {
    let scenario = Scenario { seconds: 8, ..Scenario::default() };
    let mut checked: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..16 {
        let mut recorded = Simulation::recorded(&scenario, seed, &Reduction::default());
        recorded.advance(recorded.ends());
        for finding in check(&recorded.cluster().incident(ALL)) {
            assert_eq!(finding.first, None, "seed {seed}: {}", finding.name);
            *checked.entry(finding.name).or_default() += finding.checked;
        }
    }
    assert_eq!(checked.len(), 10);
    for (name, checked) in checked {
        assert!(checked >= 50, "`{name}` compared only {checked} facts");
    }
}

#[test]
fn what_is_not_recorded_is_not_held_against_anybody() {
    let scenario = Scenario { seconds: 8, dimensions: vec![3], ..Scenario::default() };
    let mut recorded = Simulation::recorded(&scenario, 1, &Reduction::default());
    recorded.advance(recorded.ends());
    let whole = recorded.cluster().incident(ALL);
    let acknowledged = |incident: &Incident| {
        let findings = check(incident);
        assert!(findings.iter().all(|finding| finding.violations == 0), "{findings:?}");
        let found = findings.into_iter().find(|finding| finding.name == "acknowledged").unwrap();
        (found.checked, found.not_covered)
    };
    let (checked, _) = acknowledged(&whole);
    // Each node alone: its clients were told of messages that it does not store itself.
    let alone = whole.hosts.iter().map(|recording| Incident { hosts: vec![recording.clone()], ..whole.clone() });
    let alone: Vec<(u64, u64)> = alone.map(|incident| acknowledged(&incident)).collect();
    assert!(alone.iter().map(|(checked, _)| checked).sum::<u64>() < checked);
    assert!(alone.iter().any(|(_, not_covered)| *not_covered > 0), "{alone:?}");
}
