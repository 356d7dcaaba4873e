//! The result of a run: the operations and their outcomes, the faults, the stored messages, and the findings of the
//! checkers.

mod table;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::cube::Vertex;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::TopicName;
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel, Write};
use cubecast_sim::check::history::{Operation, Outcome};
use cubecast_sim::check::{Evidence, Findings, Violation};
use serde::Serialize;

use super::fault::FaultClass;
use super::fault_schedule::{Past, Split};
use super::record::Gap;

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// The cube's dimension.
    pub dimension: u8,
    /// The time during which faults occurred.
    pub seconds: f64,
    /// By action.
    pub operations: BTreeMap<&'static str, Tally>,
    /// Counts of messages.
    pub messages: Messages,
    /// Counts of push sessions and deliveries.
    pub push: Push,
    /// The number of faults, by class.
    pub faults: BTreeMap<String, u64>,
    /// The longest time without an acknowledged publish, by lasting topic.
    pub unavailable: Vec<Unavailable>,
    /// Operations during splits from outside.
    pub splits: Splits,
    /// The times of the recovery.
    pub recovery: Recovered,
    /// The number of facts checked, by checker.
    pub checked: BTreeMap<String, u64>,
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// Whether there are no violations.
    pub passed: bool,
    /// The faults and their times.
    pub story: Vec<String>,
}

/// The outcomes of one action.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Successful operations.
    pub done: u64,
    /// No answer, or `timeout`.
    pub in_doubt: u64,
    /// By error code.
    pub refused: BTreeMap<&'static str, u64>,
}

/// Counts of messages.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Messages {
    /// Distinct messages, on all topics.
    pub acknowledged: u64,
    /// Distinct messages on lasting topics. Each must be on every replica at the end.
    pub acknowledged_to_stay: u64,
    /// The part of them that is not on every replica.
    pub lost: u64,
    /// The part of the lost messages that was acknowledged by one node only before a disk was lost. Their loss breaks
    /// no promise.
    pub lost_with_a_disk: u64,
    /// Messages that occur twice on a replica, on any topic.
    pub doubled: u64,
}

/// Counts of push sessions and deliveries.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Push {
    /// Push sessions.
    pub sessions: u64,
    /// Deliveries of all sessions.
    pub deliveries: u64,
}

/// A time without an acknowledged publish.
#[derive(Clone, Debug, Serialize)]
pub struct Unavailable {
    /// The topic.
    pub topic: TopicName,
    /// Its length in milliseconds.
    pub longest_ms: u64,
    /// When it began, in seconds since the start of the run.
    pub at_s: f64,
}

/// Operations while the network was split from outside: on sides with too few members of a topic's group to do
/// anything, and on sides with most of its members.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Splits {
    /// The number of splits.
    pub count: u64,
    /// Successful operations on the majority's side that need a majority: publishes with `quorum` or `all`, and
    /// linearizable reads.
    pub majority_done: u64,
    /// The same operations on the minority's side, done. Each breaks a promise.
    pub minority_done: u64,
    /// The same operations on the minority's side, not done.
    pub minority_not_done: u64,
}

/// Milliseconds after the end of all faults. `None`: not within the limit.
#[derive(Clone, Debug, Serialize)]
pub struct Recovered {
    /// The time limit.
    pub limit_ms: u64,
    /// When a publish to every lasting topic was acknowledged.
    pub published_ms: Option<u64>,
    /// When every home led its group.
    pub homes_lead_ms: Option<u64>,
    /// When all replicas had the same messages.
    pub replicas_equal_ms: Option<u64>,
    /// When all outboxes were empty.
    pub outboxes_empty_ms: Option<u64>,
    /// Conditions that were not met in time.
    pub remains: Vec<String>,
}

/// Measurements in addition to the evidence.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The seed of the run.
    pub seed: u64,
    /// The time during which faults occurred.
    pub seconds: f64,
    /// Of every lasting topic.
    pub gaps: BTreeMap<TopicName, Gap>,
    /// The faults and deaths.
    pub past: Past,
}

impl Report {
    /// Builds the report.
    pub fn new(evidence: &Evidence, findings: Findings, measured: Measured) -> Report {
        let Measured { seed, seconds, gaps, past } = measured;
        let splits = splits(evidence, &past.splits);
        let mut violations = findings.violations;
        let own = |checker: &str, what: String| Violation { checker: checker.into(), what };
        violations.extend(past.deaths.iter().map(|death| own("processes", death.clone())));
        violations.extend(splits.breach(&past).map(|what| own("splits", what)));
        let unavailable = |(topic, gap): (TopicName, Gap)| Unavailable {
            topic,
            longest_ms: gap.length.as_millis() as u64,
            at_s: gap.from.0 as f64 / 1e6,
        };
        Report {
            seed,
            dimension: evidence.dimension.bits(),
            seconds,
            operations: tally(&evidence.history.operations),
            messages: messages(evidence, &gaps.keys().collect()),
            push: Push {
                sessions: evidence.history.sessions.len() as u64,
                deliveries: evidence.history.sessions.iter().map(|session| session.deliveries.len() as u64).sum(),
            },
            faults: past.counts.into_iter().map(|(class, count)| (class.name(), count)).collect(),
            unavailable: gaps.into_iter().map(unavailable).collect(),
            splits,
            recovery: recovered(evidence),
            checked: findings.checked,
            passed: violations.is_empty(),
            violations,
            story: past.story,
        }
    }
}

impl Splits {
    /// A violation if a minority did something, or if a majority did nothing although there were no other faults.
    fn breach(&self, past: &Past) -> Option<String> {
        let alone = past.counts.keys().all(|class| *class == FaultClass::Outside);
        if self.minority_done > 0 {
            Some(format!("{} operations were completed by a minority that was cut off", self.minority_done))
        } else if self.count > 0 && alone && self.majority_done == 0 {
            Some(format!(
                "the network was split {} times, and no majority completed an operation during the splits",
                self.count
            ))
        } else {
            None
        }
    }
}

fn tally(operations: &[Operation]) -> BTreeMap<&'static str, Tally> {
    let mut tallies: BTreeMap<_, Tally> = BTreeMap::new();
    for operation in operations {
        let tally = tallies.entry(operation.action.name()).or_default();
        match operation.outcome() {
            Outcome::Done(_) => tally.done += 1,
            Outcome::InDoubt => tally.in_doubt += 1,
            Outcome::Refused(failure) => *tally.refused.entry(failure.code.name()).or_default() += 1,
        }
    }
    tallies
}

fn messages(evidence: &Evidence, lasting: &BTreeSet<&TopicName>) -> Messages {
    let mut counted = Messages::default();
    let replicas: BTreeMap<&TopicName, Vec<BTreeSet<&str>>> = evidence
        .holdings
        .iter()
        .map(|(topic, replicas)| {
            let contents = replicas.values().map(|held| held.iter().flatten().map(|message| message.content.as_str()));
            (topic, contents.map(Iterator::collect).collect())
        })
        .collect();
    for ((topic, content), excused) in acknowledged(evidence) {
        counted.acknowledged += 1;
        let Some(replicas) = replicas.get(topic).filter(|_| lasting.contains(topic)) else { continue };
        counted.acknowledged_to_stay += 1;
        if !replicas.iter().all(|held| held.contains(content)) {
            if excused { counted.lost_with_a_disk += 1 } else { counted.lost += 1 }
        }
    }
    for held in evidence.holdings.values().flat_map(|replicas| replicas.values()).flatten() {
        let different: BTreeSet<&str> = held.iter().map(|message| message.content.as_str()).collect();
        counted.doubled += (held.len() - different.len()) as u64;
    }
    counted
}

/// Each message once. `true`: only one node is known to have stored it, and a disk was lost afterwards.
fn acknowledged(evidence: &Evidence) -> BTreeMap<(&TopicName, &str), bool> {
    let last_loss = evidence.disk_losses.iter().map(|loss| loss.at).max().unwrap_or_default();
    let mut acknowledged = BTreeMap::new();
    for operation in &evidence.history.operations {
        let Action::Write(Write::Publish { topic, content, ack, .. }) = &operation.action else { continue };
        let Outcome::Done(Done::Published { offset, .. }) = operation.outcome() else { continue };
        let excused = *ack == Ack::One && offset.is_none() && operation.over() <= last_loss;
        *acknowledged.entry((topic, content.as_str())).or_insert(true) &= excused;
    }
    acknowledged
}

fn recovered(evidence: &Evidence) -> Recovered {
    let recovery = &evidence.recovery;
    let after = |at: Option<Instant>| at.map(|at| at.since(recovery.healed).as_millis() as u64);
    Recovered {
        limit_ms: recovery.limit.as_millis() as u64,
        published_ms: after(recovery.published),
        homes_lead_ms: after(recovery.homes_lead),
        replicas_equal_ms: after(recovery.replicas_equal),
        outboxes_empty_ms: after(recovery.outboxes_empty),
        remains: recovery.remains.clone(),
    }
}

fn splits(evidence: &Evidence, splits: &[Split]) -> Splits {
    let mut counted = Splits { count: splits.len() as u64, ..Splits::default() };
    for operation in &evidence.history.operations {
        let Some(split) = splits.iter().find(|split| is_within(operation, split)) else { continue };
        let Some(topic) = needs_majority(&operation.action) else { continue };
        let home = placement::home(topic.as_str(), evidence.dimension);
        let is_done = matches!(operation.outcome(), Outcome::Done(_));
        match (reaches(split, operation.node, home), is_done) {
            (Reach::Few, true) => counted.minority_done += 1,
            (Reach::Few, false) => counted.minority_not_done += 1,
            (Reach::Most, true) => counted.majority_done += 1,
            (Reach::Most, false) | (Reach::Neither, _) => {}
        }
    }
    counted
}

/// Whether an operation began at least 500 ms after the network was split, and was answered before it was joined.
fn is_within(operation: &Operation, split: &Split) -> bool {
    const SETTLED: std::time::Duration = std::time::Duration::from_millis(500);
    let answered = operation.answered.as_ref().map_or(Instant(u64::MAX), |answered| answered.at);
    operation.invoked >= split.from + SETTLED && answered <= split.until
}

fn needs_majority(action: &Action) -> Option<&TopicName> {
    match action {
        Action::Write(Write::Publish { topic, ack: Ack::Quorum | Ack::All, .. }) => Some(topic),
        Action::Read(Read::Pull { topic, read: ReadLevel::Leader, .. }) => Some(topic),
        _ => None,
    }
}

enum Reach {
    /// This side has so few members of the group that no vote can pass.
    Few,
    Most,
    Neither,
}

/// A group reduces its voters at most down to a majority of its full size, so a side with at most half of such a
/// majority can do nothing.
fn reaches(split: &Split, node: HostId, home: Vertex) -> Reach {
    let members = Seating::founding(home.dimension()).members(GroupId::of(home));
    let is_here = |member: &HostId| split.side.contains(member) == split.side.contains(&node);
    let (size, here) = (members.len(), members.into_iter().filter(is_here).count());
    let fewest_voters = (size / 2 + 1).max(2);
    if here <= fewest_voters / 2 {
        Reach::Few
    } else if here > size / 2 {
        Reach::Most
    } else {
        Reach::Neither
    }
}
