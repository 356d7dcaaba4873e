//! `cubecast incident`: saves what happened in a cluster, and replays it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use cubecast_core::client::Target;
use cubecast_core::identity::HostId;
use cubecast_core::io::Effect;
use cubecast_core::recording::incident::{HostRecording, Incident};
use cubecast_core::recording::replay::{Comparison, HostStep, Replay, Step};
use cubecast_core::seating::Seating;
use cubecast_core::states::{NodeState, Role};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::event::{Event, WatchEvent};
use serde_json::json;

use super::remote::{Remote, parse_time};
use super::status;
use crate::client::CubecastClient;
use crate::failure::Failure;
use crate::output::{self, Format, Table, bytes, line, remark};
use crate::private;
use crate::recording::collect;
use crate::recording::folder::RecordingFolder;

/// Save what happened in a cluster, and replay it.
///
/// Nodes that were started with --record keep what they were told in the last minutes. An incident file contains that
/// for all nodes. Replaying it repeats every decision of every node, and compares it with what the node did.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast incident save --to outage.incident\n    \
    cubecast incident save --last 1m --to outage.incident --data data\n    \
    cubecast incident replay outage.incident\n\n\
    The dashboard opens the file, too, without any node: choose Incident.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Save(Save),
    Replay(ReplayArgs),
}

/// Collect the recordings of all nodes into one file.
#[derive(Debug, clap::Args)]
struct Save {
    /// The file to write. It contains published messages: only you can read it.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The time to save. A recording is saved from the last saved state before that time.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_time)]
    last: Duration,
    /// The data folder of `cubecast up` on this machine, for nodes that do not answer.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

/// Replay an incident: print what happened, and compare every turn of every node with its recording.
///
/// The exit code is 1 if anything differs.
#[derive(Debug, clap::Args)]
struct ReplayArgs {
    file: PathBuf,
    /// `table` for people, `json` for programs.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Save(args) => args.remote.clone().run(|client| save(args, client)),
        Command::Replay(args) => replay(&args),
    }
}

// Saving.

async fn save(args: Save, client: CubecastClient) -> Result<(), Failure> {
    let view = client.cluster(Target::Any).await?.value;
    let seating = Seating::founding(view.dimension);
    let nodes: Vec<(HostId, String)> = view.nodes.iter().map(|node| (node.node, node.address.clone())).collect();
    let mut incident = collect::collect(seating, &nodes, args.last).await;
    let since = Timestamp(incident.saved_at.0.saturating_sub(args.last.as_micros() as u64));
    incident.missing.retain(|(node, _)| match read_folder(&args.data, *node, since) {
        Some(recording) => {
            incident.hosts.push(recording);
            false
        }
        None => true,
    });
    incident.hosts.sort_by_key(|recording| recording.host);
    for (node, why) in &incident.missing {
        remark(&format!("no recording of node {node}: {why}"));
    }
    if incident.hosts.is_empty() {
        return Err(Failure::new(Failure::FAILED, "no node has a recording; start them with --record 5m"));
    }
    write(&args.to, &incident)?;
    let size = fs::metadata(&args.to).map_or(0, |file| file.len());
    let saved = (incident.hosts.len(), view.nodes.len());
    match args.remote.format {
        Format::Json => output::json(&json!({
            "file": args.to.display().to_string(), "bytes": size, "nodes": saved.0,
            "missing": incident.missing.iter().map(|(node, why)| json!({"node": node, "why": why})).collect::<Vec<_>>(),
        })),
        Format::Table => line(&format!(
            "{}: {}, {} of {} nodes. Replay it with: cubecast incident replay {}",
            args.to.display(),
            bytes(size),
            saved.0,
            saved.1,
            args.to.display()
        )),
    }
}

/// The recording of a node that does not answer, if its data folder is on this machine.
fn read_folder(data: &Path, node: HostId, since: Timestamp) -> Option<HostRecording> {
    let folder = RecordingFolder::of(&data.join(node.to_string()).join("store"));
    folder.read(node, since).ok().filter(|recording| !recording.segments.is_empty())
}

fn write(file: &Path, incident: &Incident) -> Result<(), Failure> {
    let written = collect::compress(incident).and_then(|bytes| {
        let mut file = private::write_anew().open(file)?;
        private::tighten(&file, 0o600)?;
        file.write_all(&bytes)
    });
    written.map_err(|error| Failure::new(Failure::FAILED, format!("cannot write {}: {error}", file.display())))
}

// Replaying.

fn replay(args: &ReplayArgs) -> Result<(), Failure> {
    let failed = |why: String| Failure::new(Failure::FAILED, format!("{}: {why}", args.file.display()));
    let compressed = fs::read(&args.file).map_err(|error: io::Error| failed(error.to_string()))?;
    let incident = collect::decode(&compressed).map_err(failed)?;
    let mut replay = Replay::open(&incident).map_err(|error| failed(error.to_string()))?;
    if args.format == Format::Table {
        let seconds = (replay.ends().0 - replay.begins().0) as f64 / 1e6;
        let (from, saved) = (replay.begins(), incident.hosts.len());
        line(&format!("{seconds:.1} s from {from}, {saved} of {} nodes\n", replay.seating().dimension().size()))?;
    }
    for (node, why) in &incident.missing {
        remark(&format!("no recording of node {node}: {why}"));
    }
    let mut story = Story::default();
    while let Some(step) = replay.step().map_err(|error| failed(error.to_string()))? {
        if step.at >= replay.begins() {
            story.tell(&step, args.format, &replay)?;
        }
    }
    let comparisons: Vec<(HostId, Comparison)> =
        replay.comparisons().map(|(host, comparison)| (host, comparison.clone())).collect();
    conclude(args.format, &comparisons)?;
    let different = comparisons.iter().filter(|(_, comparison)| !comparison.is_equal()).count();
    match different {
        0 => Ok(()),
        _ => Err(Failure::new(
            Failure::FAILED,
            format!(
                "{different} of {} nodes did something else than this replay: another version recorded them, or a \
                 decision depends on something that is not recorded",
                comparisons.len()
            ),
        )),
    }
}

fn conclude(format: Format, comparisons: &[(HostId, Comparison)]) -> Result<(), Failure> {
    if format == Format::Json {
        let nodes = comparisons.iter().map(|(host, comparison)| {
            json!({
                "node": host, "turns": comparison.turns, "different_turns": comparison.different_turns,
                "states": comparison.states, "different_states": comparison.different_states,
                "first_difference": comparison.first_difference,
            })
        });
        return output::json(&json!({ "nodes": nodes.collect::<Vec<_>>() }));
    }
    let mut table = Table::new(["node", "turns", "equal", "states", "equal", "first difference"]).numbers([1, 2, 3, 4]);
    for (host, comparison) in comparisons {
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
    line(&format!("\n{}", table.render()))
}

/// Prints what happened, without repetition: several nodes report the same.
#[derive(Default)]
struct Story {
    told: BTreeMap<String, Timestamp>,
    /// The nodes that were last reported to be in another state than up.
    not_up: BTreeMap<HostId, NodeState>,
    /// The directions of links that were last reported to carry nothing.
    silent: BTreeSet<(HostId, HostId)>,
}

/// The same sentence is told again after this time, in microseconds.
const TELL_AGAIN_US: u64 = 1_000_000;

impl Story {
    fn tell(&mut self, step: &HostStep, format: Format, replay: &Replay) -> Result<(), Failure> {
        match &step.step {
            Step::Began { .. } => self.say(step, format, replay, format!("node {} runs", step.host)),
            Step::Ended => self.say(step, format, replay, format!("node {} is gone", step.host)),
            Step::Turned { effects, is_equal, .. } => {
                for effect in effects {
                    if let Effect::Observe(WatchEvent { event, .. }) = effect
                        && self.is_news(event)
                        && let Some(text) = sentence(step.host, event)
                    {
                        self.say(step, format, replay, text)?;
                    }
                }
                if *is_equal { Ok(()) } else { self.say(step, format, replay, format!("node {} differs", step.host)) }
            }
        }
    }

    /// A process that starts reports all nodes and links; those that are well are no news.
    fn is_news(&mut self, event: &Event) -> bool {
        match event {
            Event::NodeState { subject, state: NodeState::Up } => self.not_up.remove(subject).is_some(),
            Event::NodeState { subject, state } => self.not_up.insert(*subject, *state) != Some(*state),
            Event::LinkState { from, to, up: true } => self.silent.remove(&(*from, *to)),
            Event::LinkState { from, to, up: false } => self.silent.insert((*from, *to)),
            _ => true,
        }
    }

    fn say(&mut self, step: &HostStep, format: Format, replay: &Replay, text: String) -> Result<(), Failure> {
        let last = self.told.insert(text.clone(), step.at);
        if last.is_some_and(|last| step.at.0 - last.0 < TELL_AGAIN_US) {
            return Ok(());
        }
        let seconds = (step.at.0 - replay.begins().0) as f64 / 1e6;
        match format {
            Format::Json => output::json(&json!({ "at": step.at, "node": step.host, "text": text })),
            Format::Table => line(&format!("{seconds:>9.3} s  {text}")),
        }
    }
}

/// A rare event in words; `None` for others.
fn sentence(host: HostId, event: &Event) -> Option<String> {
    Some(match event {
        Event::RoleChanged { group, role: Role::Leader, term, .. } => {
            format!("node {host} leads group {group} in term {term}")
        }
        Event::RoleChanged { group, role: Role::Candidate, term, .. } => {
            format!("node {host} stands for election in group {group}, term {term}")
        }
        Event::NodeState { subject, state } => format!("node {subject} is {}", status::state(*state)),
        Event::LinkState { from, to, up: false } => format!("nothing arrives from {from} at {to}"),
        Event::LinkState { from, to, up: true } => format!("frames arrive from {from} at {to}"),
        Event::MembersChanged { group, voters, .. } => {
            let voters: Vec<String> = voters.iter().map(ToString::to_string).collect();
            format!("voters of group {group}: {}", voters.join(" "))
        }
        Event::Stopped { mode, .. } => format!("node {host} is stopped on request ({mode:?})"),
        Event::Returned { .. } => format!("node {host} returns"),
        Event::CaughtUp { group, .. } => format!("node {host} has caught up in group {group}"),
        Event::StorageState { state, .. } => format!("the disk of node {host} is {state:?}"),
        Event::Warning { text } => format!("node {host}: {text}"),
        _ => return None,
    })
}
