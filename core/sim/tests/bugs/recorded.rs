//! The checks of a replayed incident find deliberate bugs, too, from the recordings of the nodes alone.

use std::collections::BTreeSet;
use std::time::Duration;

use cubecast_core::bugs::Bug;
use cubecast_core::recording::promises::{Finding, Promises};
use cubecast_core::recording::replay::Replay;
use cubecast_sim::Simulation;

use super::{for_each, schedule_of};

/// Bugs that the checks of incidents find, the seed that showed it last, and the check that must find it. As with
/// `SEEN`, further seeds are tried if a change of behaviour requires it.
const FOUND: &[(Bug, u64, &str)] = &[
    (Bug::VoteIsForgotten, 16, "leaders"),
    (Bug::AcknowledgesBeforeSync, 7, "prefixes"),
    (Bug::ConflictIsKept, 0, "complete"),
    (Bug::TopicNumbersAreUsedAgain, 0, "replicas"),
    (Bug::RepeatsUseUpOffsets, 0, "offsets"),
    (Bug::SnapshotComesWithoutMessages, 2, "offsets"),
    (Bug::TimesFollowTheClock, 1, "times"),
    (Bug::SnapshotForgetsRepeats, 1, "once"),
    (Bug::AcknowledgesWithoutFollowers, 2, "acknowledged"),
    (Bug::PushSkipsToTheEnd, 2, "deliveries"),
    (Bug::PushRepeatsWhatWasFetched, 9, "deliveries"),
    (Bug::PullsTakeNoTurns, 4, "queues"),
];

/// Most further seeds for each bug.
const MORE_SEEDS: u64 = 20;

/// The findings in the incident of a run, which ends a few seconds after everything was healed.
fn findings(bug: Bug, seed: u64) -> Vec<Finding> {
    let mut simulation = Simulation::recorded_with_bug(&schedule_of(bug).scenario(), seed, bug);
    simulation.advance(simulation.ends());
    simulation.heal();
    simulation.advance(simulation.now() + Duration::from_secs(5));
    let incident = simulation.cluster().incident(Duration::from_secs(3_600));
    let (mut replay, mut promises) = (Replay::open(&incident).unwrap(), Promises::default());
    while let Some(step) = replay.step().unwrap() {
        promises.observe(&step, &replay);
    }
    promises.conclude(&replay)
}

#[test]
fn the_checks_of_incidents_find_bugs() {
    let missed = for_each(FOUND, |(bug, seed, check)| {
        let is_broken = |finding: &Finding| finding.name == *check && finding.violations > 0;
        let is_found = |seed: u64| findings(*bug, seed).iter().any(is_broken);
        let mut seeds = std::iter::once(*seed).chain(0..MORE_SEEDS);
        (!seeds.any(is_found)).then(|| format!("{}: `{check}` does not find it", bug.name()))
    });
    let missed: Vec<String> = missed.into_iter().flatten().collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_check_of_incidents_finds_some_bug() {
    let expected: BTreeSet<&str> = FOUND.iter().map(|(_, _, check)| *check).collect();
    let (bug, seed, _) = FOUND[0];
    let all: BTreeSet<&str> = findings(bug, seed).iter().map(|finding| finding.name).collect();
    assert_eq!(expected, all);
}
