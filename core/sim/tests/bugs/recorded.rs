//! The checks of a replayed incident find deliberate bugs, too: from the recordings of the nodes alone.

use cubecast_core::bugs::Bug;
use cubecast_core::recording::promises::{Finding, Promises};
use cubecast_core::recording::replay::Replay;
use cubecast_sim::Simulation;

use super::{ALL_OF_IT, MOST_SEEDS, for_each, schedule_of, seen_with};

/// For each check of an incident a bug that it finds.
const FOUND_IN_INCIDENTS: &[(Bug, &str)] = &[(Bug::VoteIsForgotten, "leaders"), (Bug::ConflictIsKept, "prefixes")];

/// The broken promises in the incident of a run with a bug.
fn broken(bug: Bug, seed: u64) -> Vec<Finding> {
    let mut simulation = Simulation::recorded_with_bug(&schedule_of(bug).scenario(), seed, bug);
    simulation.advance(simulation.ends());
    simulation.heal();
    simulation.advance(simulation.now() + std::time::Duration::from_secs(5));
    let incident = simulation.cluster().incident(ALL_OF_IT);
    let (mut replay, mut promises) = (Replay::open(&incident).unwrap(), Promises::default());
    while let Some(step) = replay.step().unwrap() {
        promises.observe(&step, &replay);
    }
    assert!(replay.comparisons().all(|(_, comparison)| comparison.is_equal()), "the replay has the bug, too");
    promises.conclude(&replay).into_iter().filter(|finding| finding.violations > 0).collect()
}

#[test]
#[ignore = "search"]
fn search() {
    let bugs = Bug::ALL.to_vec();
    let lines = for_each(&bugs, |bug| {
        let mut out = format!("{:<31}", bug.name());
        for seed in seen_with(*bug).into_iter().chain(0..6) {
            let found = std::panic::catch_unwind(|| broken(*bug, seed));
            match found {
                Ok(found) => out += &format!(" {seed}:{:?}", found.iter().map(|f| f.name).collect::<Vec<_>>()),
                Err(_) => out += &format!(" {seed}:panic"),
            }
        }
        eprintln!("{out}");
        out
    });
    let _ = (lines, MOST_SEEDS, FOUND_IN_INCIDENTS);
}
