//! `cubecast incident replay`: replays an incident, compares every turn with the recording, and checks the promises.

use std::fs;
use std::io;
use std::panic;
use std::path::PathBuf;

use cubecast_core::identity::HostId;
use cubecast_core::recording::comparison::{Comparison, Redaction};
use cubecast_core::recording::incident::Incident;
use cubecast_core::recording::promises::{Finding, Promises};
use cubecast_core::recording::replay::Replay;
use serde_json::{Value, json};

use super::story::Story;
use crate::failure::Failure;
use crate::output::{self, Format, Table, line, remark};
use crate::recording::{collect, replaying};

/// Replay an incident: print what happened, compare every turn of every node with its recording, and check what the
/// cluster promises.
///
/// The exit code is 1 if anything differs, or a promise was broken.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    file: PathBuf,
    /// `table` for people, `json` for programs.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

/// The result of a replay.
struct Outcome {
    comparisons: Vec<(HostId, Comparison)>,
    redactions: Vec<(HostId, Redaction)>,
    findings: Vec<Finding>,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    // A panic is reported as the error of the file ([`replaying::catch`]).
    panic::set_hook(Box::new(|_| {}));
    let failed = |why: String| Failure::new(Failure::FAILED, format!("{}: {why}", args.file.display()));
    let compressed = fs::read(&args.file).map_err(|error: io::Error| failed(error.to_string()))?;
    let incident = collect::decode(&compressed).map_err(failed)?;
    drop(compressed);
    let outcome = replay(&incident, args.format).map_err(|why| match why {
        Stopped::Replay(why) => failed(why),
        Stopped::Output(failure) => failure,
    })?;
    outcome.print(args.format)?;
    match outcome.problems() {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Failure::new(Failure::FAILED, problems.join("; "))),
    }
}

/// Why a replay ended early.
enum Stopped {
    Replay(String),
    Output(Failure),
}

fn replay(incident: &Incident, format: Format) -> Result<Outcome, Stopped> {
    let mut replay = replaying::open(incident).map_err(Stopped::Replay)?;
    introduce(incident, &replay, format).map_err(Stopped::Output)?;
    let (mut story, mut promises) = (Story::default(), Promises::default());
    while let Some(step) = replaying::step(&mut replay, &mut promises).map_err(Stopped::Replay)? {
        if step.at >= replay.begins() {
            story.tell(&step, format, &replay).map_err(Stopped::Output)?;
        }
    }
    let redactions = incident.hosts.iter().filter_map(|host| Some((host.host, host.redaction.clone()?))).collect();
    Ok(Outcome {
        comparisons: replay.comparisons().map(|(host, comparison)| (host, comparison.clone())).collect(),
        redactions,
        findings: promises.conclude(&replay),
    })
}

fn introduce(incident: &Incident, replay: &Replay, format: Format) -> Result<(), Failure> {
    if format == Format::Table {
        let seconds = replay.ends().0.saturating_sub(replay.begins().0) as f64 / 1e6;
        let (from, saved) = (replay.begins(), incident.hosts.len());
        line(&format!("{seconds:.1} s from {from}, {saved} of {} nodes\n", replay.seating().dimension().size()))?;
    }
    for (node, why) in &incident.missing {
        remark(&format!("no recording of node {node}: {why}"));
    }
    Ok(())
}

impl Outcome {
    fn problems(&self) -> Vec<String> {
        let different = self.comparisons.iter().filter(|(_, comparison)| !comparison.is_equal()).count();
        let redacted = self.redactions.iter().filter(|(_, redaction)| !redaction.is_equal()).count();
        let broken: Vec<&str> =
            self.findings.iter().filter(|found| found.violations > 0).map(|found| found.name).collect();
        let all = self.comparisons.len();
        let mut problems = Vec::new();
        if different > 0 {
            problems.push(format!(
                "{different} of {all} nodes did something else than this replay: another version recorded them, or a \
                 decision depends on something that is not recorded"
            ));
        }
        if redacted > 0 {
            problems.push(format!(
                "{redacted} of {all} nodes did something else when their contents were redacted: this recording does \
                 not show exactly what they did"
            ));
        }
        if !broken.is_empty() {
            problems.push(format!("broken promises: {}", broken.join(", ")));
        }
        problems
    }

    fn print(&self, format: Format) -> Result<(), Failure> {
        match format {
            Format::Json => output::json(&self.json()),
            Format::Table => {
                line(&format!("\n{}", self.comparison_table().render()))?;
                self.redaction_lines().iter().try_for_each(|text| line(text))?;
                line(&format!("\n{}", self.finding_table().render()))?;
                self.violation_lines().iter().try_for_each(|text| line(text))
            }
        }
    }

    fn json(&self) -> Value {
        let nodes = self.comparisons.iter().map(|(host, comparison)| {
            let redaction = self.redactions.iter().find(|(redacted, _)| redacted == host);
            let mut node = comparison_json(comparison);
            node["node"] = json!(host);
            node["redaction"] = redaction.map_or(Value::Null, |(_, redaction)| {
                json!({"original": comparison_json(&redaction.original), "masked": comparison_json(&redaction.masked)})
            });
            node
        });
        let promises = self.findings.iter().map(|found| {
            let first = found.first.as_ref().map(|first| json!({"at": first.at, "text": first.what}));
            json!({
                "name": found.name, "promise": found.promise, "checked": found.checked,
                "not_covered": found.not_covered, "violations": found.violations, "first_violation": first,
            })
        });
        json!({"nodes": nodes.collect::<Vec<_>>(), "promises": promises.collect::<Vec<_>>()})
    }

    fn comparison_table(&self) -> Table {
        let headings = ["node", "turns", "equal", "states", "equal", "first difference"];
        let mut table = Table::new(headings).numbers([1, 2, 3, 4]);
        for (host, comparison) in &self.comparisons {
            let first = comparison.first_difference.map_or_else(|| "-".to_owned(), |at| at.to_string());
            table.row([
                host.to_string(),
                comparison.turns.to_string(),
                (comparison.turns - comparison.different_turns).to_string(),
                comparison.states.to_string(),
                (comparison.states - comparison.different_states).to_string(),
                first,
            ]);
        }
        table
    }

    fn redaction_lines(&self) -> Vec<String> {
        let told = self.redactions.iter().map(|(host, redaction)| {
            let Redaction { original, masked } = redaction;
            format!(
                "The contents of node {host} are redacted. Before, {} of {} turns were equal to the node's; with \
                 redacted contents, {} of {} had the same effects.",
                original.turns - original.different_turns.min(original.turns),
                original.turns,
                masked.turns - masked.different_turns.min(masked.turns),
                masked.turns
            )
        });
        told.collect()
    }

    fn finding_table(&self) -> Table {
        let headings = ["promise", "checked", "not covered", "broken", ""];
        let mut table = Table::new(headings).numbers([1, 2, 3]);
        for found in &self.findings {
            let counts = [found.checked, found.not_covered, found.violations].map(|count| count.to_string());
            let [checked, not_covered, violations] = counts;
            table.row([found.name.into(), checked, not_covered, violations, found.promise.into()]);
        }
        table
    }

    fn violation_lines(&self) -> Vec<String> {
        let broken = self.findings.iter().filter_map(|found| Some((found.name, found.first.as_ref()?)));
        broken.map(|(name, first)| format!("\n{name} is broken at {}: {}", first.at, first.what)).collect()
    }
}

fn comparison_json(comparison: &Comparison) -> Value {
    json!({
        "turns": comparison.turns, "different_turns": comparison.different_turns, "states": comparison.states,
        "different_states": comparison.different_states, "first_difference": comparison.first_difference,
    })
}
