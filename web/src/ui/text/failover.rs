//! Failovers as text.

use cubecast_core::identity::HostId;

use crate::format::millis;
use crate::model::failover::{Failover, Replay, Step, StepKind};
use crate::terms;

/// What happened, in one sentence.
pub fn summary(failover: &Failover) -> String {
    let election = &failover.election;
    let took = failover.took_us().map(|took_us| format!(" in {}", millis(took_us as f64 / 1_000.0)));
    format!("{} took over from {}{}", election.leader, election.before, took.unwrap_or_default())
}

/// A step; `before`: the former leader.
pub fn step(step: &Step, before: HostId) -> String {
    let node = step.node;
    match &step.what {
        StepKind::Stopped { mode } => format!("{node} {}", terms::stop_verb(*mode)),
        StepKind::Silence => format!("{node} receives nothing from {before} any more"),
        StepKind::Candidate { term } => format!("{node} asks for votes in term {term}"),
        StepKind::Elected { term } => format!("{node} has a majority of the votes and leads in term {term}"),
        StepKind::Stored { topic, offset } => format!("{node} stores {topic} #{offset}, the first message it leads"),
        StepKind::Returned => format!("{node} runs again"),
        StepKind::CaughtUp => format!("{node} has caught up"),
    }
}

/// The time of the replay, relative to the first step.
pub fn time(replay: &Replay) -> String {
    let first_us = replay.failover.steps.first().map_or(0, |step| step.at_us);
    let passed_us = replay.at_us as i64 - first_us as i64;
    format!("{}{:.1} ms", if passed_us < 0 { "−" } else { "+" }, passed_us.abs() as f64 / 1_000.0)
}

/// The last step that has happened at the time of the replay.
pub fn last_step(replay: &Replay) -> String {
    let failover = &replay.failover;
    let last = failover.steps.iter().rev().find(|step| step.at_us <= replay.at_us);
    match last {
        Some(last) => step(last, failover.election.before),
        None => format!("{} leads", failover.election.before),
    }
}
