//! Proof that the checkers can fail. Each deliberate bug is enabled in every node of simulated clusters, one at a time,
//! and one of its expected checkers must report it. Without bugs the same runs are clean.
//!
//! `cargo test -p cubecast-sim --test bugs`, and in release builds `--features bugs` too. The table bypasses the test
//! harness's output capture, so it is always shown. Each bug is first tried with the seed that detected it last.
//! `-- --ignored` counts the seeds that each bug needs from seed 0 on, and also searches in the scenario with every
//! fault, where some take longer to show.

mod expected;
mod recorded;

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use cubecast_core::bugs::Bug;
use cubecast_core::cube::Dimension;
use cubecast_core::seating::Seating;
use cubecast_sim::check::Violation;
use cubecast_sim::check::workload::Load;
use cubecast_sim::{EdgeConditions, Fault, FaultClass, Reduction, Scenario, Scripted, Simulation, run};

use expected::caught_by;

const _: () = assert!(cfg!(any(feature = "bugs", debug_assertions)), "release builds need --features bugs");

/// Most runs per bug. A bug that is not reported by then reveals a gap in the workload, the faults or the checkers.
const MOST_SEEDS: u64 = 1_000;

/// The result for each bug in the scenario where it shows soonest; computed once for both tests.
static CAUGHT: LazyLock<Vec<Caught>> = LazyLock::new(|| {
    let caught = for_each(Bug::ALL, |bug| catch(*bug, schedule_of(*bug), seen_with(*bug)));
    show(&caught);
    caught
});

#[test]
fn every_bug_is_noticed_by_a_checker_that_should() {
    assert_noticed(&CAUGHT);
}

#[test]
fn without_a_bug_the_same_seeds_are_clean() {
    let tried = |caught: &'static Caught| caught.tried.iter().map(|seed| (caught.schedule, *seed));
    let runs: BTreeSet<(FaultSchedule, u64)> = CAUGHT.iter().flat_map(tried).collect();
    let runs: Vec<(FaultSchedule, u64)> = runs.into_iter().collect();
    let unclean: Vec<String> = for_each(&runs, |(schedule, seed)| {
        let report = run(&schedule.scenario(), *seed, &Reduction::default());
        report.findings.violations.iter().map(|violation| format!("{schedule:?}, seed {seed}: {violation}")).collect()
    })
    .into_iter()
    .flat_map(|found: Vec<String>| found)
    .collect();
    assert!(unclean.is_empty(), "{} runs without a bug:\n{}", runs.len(), unclean.join("\n"));
}

#[test]
#[ignore = "takes minutes: counts the seeds that each bug needs"]
fn every_bug_is_noticed_by_the_seeds_from_the_first_on() {
    let caught = for_each(Bug::ALL, |bug| catch(*bug, schedule_of(*bug), None));
    show(&caught);
    assert_noticed(&caught);
}

#[test]
#[ignore = "takes minutes: some bugs need rare coincidences there"]
fn every_bug_is_noticed_where_anything_may_break() {
    let caught = for_each(Bug::ALL, |bug| catch(*bug, FaultSchedule::Anything, None));
    show(&caught);
    assert_noticed(&caught);
}

#[test]
fn every_checker_is_expected_to_notice_some_bug() {
    for checker in cubecast_sim::check::CHECKERS {
        let noticed = |bug: &Bug| caught_by(*bug).contains(&checker.name);
        assert!(Bug::ALL.iter().any(noticed), "no bug is there for `{}`", checker.name);
    }
}

/// The result of the search for one bug.
struct Caught {
    bug: Bug,
    schedule: FaultSchedule,
    /// The seeds that were run.
    tried: Vec<u64>,
    /// The findings of the last run. Empty: the bug was not detected.
    violations: Vec<Violation>,
}

/// Tries the seed that showed the bug last, where there is one, and then all seeds from 0 on.
fn catch(bug: Bug, schedule: FaultSchedule, seen_with: Option<u64>) -> Caught {
    let scenario = schedule.scenario();
    let mut tried = Vec::new();
    for seed in seen_with.into_iter().chain(0..MOST_SEEDS) {
        tried.push(seed);
        let mut simulation = Simulation::with_bug(&scenario, seed, bug);
        simulation.advance(simulation.ends());
        let violations = simulation.finish().findings.violations;
        if !violations.is_empty() {
            return Caught { bug, schedule, tried, violations };
        }
    }
    Caught { bug, schedule, tried, violations: Vec::new() }
}

fn assert_noticed(caught: &[Caught]) {
    let wrong: Vec<String> = caught.iter().filter_map(Caught::complaint).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Caught {
    fn complaint(&self) -> Option<String> {
        let Caught { bug, schedule, tried, violations } = self;
        if violations.iter().any(|violation| caught_by(*bug).contains(&violation.checker.as_str())) {
            return None;
        }
        let found: Vec<String> = violations.iter().map(ToString::to_string).collect();
        let found = if found.is_empty() { "nothing was noticed".into() } else { found.join("\n    ") };
        Some(format!(
            "{} should be noticed by {:?}; {schedule:?}, {} seeds: {found}",
            bug.name(),
            caught_by(*bug),
            tried.len()
        ))
    }

    /// The checkers that reported the bug, the expected ones first.
    fn noticed_by(&self) -> String {
        let mut names: Vec<&str> = self.violations.iter().map(|violation| violation.checker.as_str()).collect();
        names.sort_by_key(|name| !caught_by(self.bug).contains(name));
        if names.is_empty() { "nobody".into() } else { names.join(", ") }
    }
}

fn show(caught: &[Caught]) {
    let mut table = format!("\n{:<31} {:>5} {:>5}  {:<12} {}\n", "bug", "seeds", "last", "scenario", "noticed by");
    for one in caught {
        let scenario = format!("{:?}", one.schedule);
        let (seeds, last) = (one.tried.len(), one.tried.last().copied().unwrap_or_default());
        table += &format!("{:<31} {seeds:>5} {last:>5}  {scenario:<12} {}\n", one.bug.name(), one.noticed_by());
        table += &format!("    {}\n", one.bug.about());
    }
    let seeds: usize = caught.iter().map(|one| one.tried.len()).sum();
    table += &format!("{} bugs, {seeds} runs\n", caught.len());
    std::io::stderr().write_all(table.as_bytes()).expect("there is somewhere to write to");
}

/// Applies `work` to all items, on as many threads as there are processors. Returns the results in the order of the
/// items.
fn for_each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let take_turns = || {
        std::iter::from_fn(|| {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, work(item)))
        })
        .collect::<Vec<(usize, R)>>()
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(take_turns)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a run does not panic")).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The faults during the search for a bug.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum FaultSchedule {
    /// Every fault at any time.
    Anything,
    /// Machines lose power while their disks are slow.
    Outages,
    /// Nodes hang or are cut off from each other.
    Silence,
    /// Edges lose, duplicate, delay, reorder and alter frames; topics are created and deleted.
    BadEdges,
    /// Frames are duplicated and overtake each other during the whole run, and one topic is created and deleted.
    Echoes,
    /// Bits flip on disks.
    Rot,
    /// Disks are full, or publishes fill them.
    FullDisks,
    /// Edges and nodes of larger cubes fail so often that routes are unknown.
    Holes,
}

/// The seed that detected each bug last. A change of behaviour changes the runs: if a seed no longer detects its bug,
/// the bug is searched for from seed 0 on, and the printed table shows the new seed.
const SEEN: &[(Bug, u64)] = &[
    (Bug::AcknowledgesBeforeSync, 7),
    (Bug::OutboxAcknowledgesBeforeSync, 16),
    (Bug::AcknowledgesWithoutFollowers, 2),
    (Bug::SnapshotComesWithoutMessages, 496),
    (Bug::SnapshotForgetsRepeats, 1),
    (Bug::WipedMemberVotes, 1),
    (Bug::DamagedLogKeepsItsVote, 27),
    (Bug::LostCommitMarkerIsTrusted, 13),
    (Bug::VoteIsForgotten, 16),
    (Bug::ConflictIsKept, 2),
    (Bug::OutboxIsLostAtRestart, 11),
    (Bug::OutboxForgetsWhatItOffered, 0),
    (Bug::OutboxOffersUnderNewNumbers, 8),
    (Bug::ReadsWithoutReadIndex, 15),
    (Bug::ReadsByLease, 46),
    (Bug::FollowersServeLeaderReads, 6),
    (Bug::AnyReadsTheUncommitted, 39),
    (Bug::RepeatsUseUpOffsets, 0),
    (Bug::CursorMovesBeforeDelivery, 2),
    (Bug::CursorMovesBack, 0),
    (Bug::NumbersBeginAgain, 0),
    (Bug::RetriesUnderNewNumbers, 0),
    (Bug::SaysUnavailableThoughProposed, 9),
    (Bug::DeletionsAreForgotten, 17),
    (Bug::AnyReplicaRefusesNames, 0),
    (Bug::LateCopiesCount, 13),
    (Bug::SnapshotKeepsDeletedTopics, 18),
    (Bug::TopicNumbersAreUsedAgain, 23),
    (Bug::TimesFollowTheClock, 1),
    (Bug::PacketsForgetTheirTrail, 3),
    (Bug::PushSkipsToTheEnd, 0),
    (Bug::PushRepeatsWhatWasFetched, 9),
    (Bug::CheckpointsOutliveMessages, 155),
    (Bug::DamagedRowsStay, 0),
    (Bug::AlteredFramesAreBelieved, 6),
    (Bug::ChecksumsAreNotCompared, 0),
    (Bug::PullsTakeNoTurns, 4),
    (Bug::PublishesIgnoreTheReserve, 0),
    (Bug::FullDiskEndsTheNode, 152),
    (Bug::ChangesDoNotWait, 1),
    (Bug::HomeNeverLeadsAgain, 0),
];

fn seen_with(bug: Bug) -> Option<u64> {
    SEEN.iter().find(|(seen, _)| *seen == bug).map(|(_, seed)| *seed)
}

/// The scenario in which a bug shows soonest.
fn schedule_of(bug: Bug) -> FaultSchedule {
    match bug {
        Bug::AcknowledgesBeforeSync | Bug::OutboxAcknowledgesBeforeSync | Bug::VoteIsForgotten => {
            FaultSchedule::Outages
        }
        Bug::ReadsByLease | Bug::ReadsWithoutReadIndex | Bug::AnyReadsTheUncommitted => FaultSchedule::Silence,
        Bug::DeletionsAreForgotten | Bug::RetriesUnderNewNumbers | Bug::CursorMovesBeforeDelivery => {
            FaultSchedule::BadEdges
        }
        Bug::LateCopiesCount => FaultSchedule::Echoes,
        Bug::DamagedLogKeepsItsVote | Bug::LostCommitMarkerIsTrusted => FaultSchedule::Rot,
        Bug::AlteredFramesAreBelieved => FaultSchedule::BadEdges,
        Bug::PublishesIgnoreTheReserve | Bug::FullDiskEndsTheNode => FaultSchedule::FullDisks,
        Bug::PacketsForgetTheirTrail => FaultSchedule::Holes,
        _ => FaultSchedule::Anything,
    }
}

impl FaultSchedule {
    fn scenario(self) -> Scenario {
        use FaultClass::{Clients, Cut, Damage, Degrade, FullDisk, Hang, Kill, Link, Partition, Power, SlowDisk};
        let anything = Scenario::default();
        let load = anything.load.clone();
        match self {
            FaultSchedule::Anything => anything,
            FaultSchedule::Outages => Scenario {
                dimensions: vec![1, 2, 3],
                faults: vec![Power, Kill, SlowDisk],
                fault_every_ms: 400,
                fault_lasts_ms: 2_000,
                load: Load { pause_ms: 50, ..load },
                ..anything
            },
            FaultSchedule::Silence => Scenario {
                dimensions: vec![2, 3],
                faults: vec![Hang, Partition, Cut],
                fault_every_ms: 500,
                fault_lasts_ms: 2_500,
                load: Load { pause_ms: 30, ..load },
                ..anything
            },
            FaultSchedule::BadEdges => Scenario {
                dimensions: vec![2, 3],
                faults: vec![Degrade, Link],
                fault_every_ms: 300,
                fault_lasts_ms: 3_000,
                load: Load { pause_ms: 40, passing_topics: 5, ..load },
                ..anything
            },
            FaultSchedule::Echoes => Scenario {
                dimensions: vec![2],
                faults: vec![Hang, Clients],
                fault_every_ms: 500,
                fault_lasts_ms: 2_000,
                load: Load { clients: 8, lasting_topics: 1, passing_topics: 1, pause_ms: 5, ..load },
                script: vec![echoes(Dimension::new(2).expect("a dimension"))],
                ..anything
            },
            FaultSchedule::Holes => Scenario {
                dimensions: vec![3, 4],
                faults: vec![Cut, Degrade, Partition, Link, Kill],
                fault_every_ms: 200,
                fault_lasts_ms: 1_500,
                load: Load { pause_ms: 20, ..load },
                ..anything
            },
            FaultSchedule::FullDisks => Scenario {
                dimensions: vec![2, 3],
                faults: vec![FullDisk],
                fault_every_ms: 500,
                fault_lasts_ms: 6_000,
                load: Load { pause_ms: 40, content_bytes: 20_000, ..load },
                ..anything
            },
            FaultSchedule::Rot => Scenario {
                dimensions: vec![2, 3, 1],
                faults: vec![Damage],
                fault_every_ms: 900,
                fault_lasts_ms: 2_000,
                load: Load { pause_ms: 30, ..load },
                ..anything
            },
        }
    }
}

/// Degrades every edge for the whole run.
fn echoes(dimension: Dimension) -> Scripted {
    let seating = Seating::founding(dimension);
    let edges = seating.hosts().flat_map(|from| seating.neighbours(from).map(move |to| (from, to))).collect();
    let conditions = EdgeConditions {
        jitter_us: 300_000,
        loss: 0.02,
        duplication: 0.5,
        reordering: 0.8,
        ..EdgeConditions::default()
    };
    Scripted { at_ms: 0, lasts_ms: u32::MAX, fault: Fault::Degrade { edges, conditions } }
}
