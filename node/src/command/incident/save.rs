//! `cubecast incident save`: collects the recordings of all nodes into one file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use cubecast_core::client::Target;
use cubecast_core::identity::HostId;
use cubecast_core::recording::incident::{HostRecording, Incident};
use cubecast_core::seating::Seating;
use cubecast_core::time::Timestamp;
use serde_json::json;

use super::super::remote::{Remote, parse_time};
use crate::client::CubecastClient;
use crate::failure::Failure;
use crate::output::{self, Format, bytes, line, remark};
use crate::private;
use crate::recording::collect::{self, Selection};
use crate::recording::folder::RecordingFolder;
use crate::recording::replaying;

/// Collect the recordings of all nodes into one file.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write. It contains published messages, unless they are redacted: only you can read it.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The time to save. A recording is saved from the last saved state before that time.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_time)]
    last: Duration,
    /// Replace the contents of all messages by as many asterisks. Each node does so before it sends its recording, and
    /// compares it with what it did before. Names of topics, publishers and subscribers stay.
    #[arg(long, value_enum, value_name = "WHAT")]
    redact: Option<Redact>,
    /// The data folder of `cubecast up` on this machine, for nodes that do not answer.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

/// The parts of a recording that are removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Redact {
    /// The contents of messages.
    Contents,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    args.remote.clone().run(|client| save(args, client))
}

async fn save(args: Args, client: CubecastClient) -> Result<(), Failure> {
    let view = client.cluster(Target::Any).await?.value;
    let seating = Seating::founding(view.dimension);
    let nodes: Vec<(HostId, String)> = view.nodes.iter().map(|node| (node.node, node.address.clone())).collect();
    let selection = Selection { last: args.last, is_redacted: args.redact == Some(Redact::Contents) };
    let mut incident = collect::collect(seating, &nodes, selection).await;
    add_folders(&mut incident, &args.data, selection);
    for (node, why) in &incident.missing {
        remark(&format!("no recording of node {node}: {why}"));
    }
    if incident.hosts.is_empty() {
        return Err(Failure::new(Failure::FAILED, "no node has a recording; start them with --record 5m"));
    }
    write(&args.to, &incident)?;
    let size = fs::metadata(&args.to).map_or(0, |file| file.len());
    let (saved, all, file) = (incident.hosts.len(), view.nodes.len(), args.to.display());
    match args.remote.format {
        Format::Json => output::json(&json!({
            "file": file.to_string(), "bytes": size, "nodes": saved, "redacted": selection.is_redacted,
            "missing": incident.missing.iter().map(|(node, why)| json!({"node": node, "why": why})).collect::<Vec<_>>(),
        })),
        Format::Table => {
            let redacted = if selection.is_redacted { ", contents redacted" } else { "" };
            line(&format!(
                "{file}: {}, {saved} of {all} nodes{redacted}. Replay it with: cubecast incident replay {file}",
                bytes(size)
            ))
        }
    }
}

/// Adds the recordings of nodes that did not answer and whose data folders are on this machine.
fn add_folders(incident: &mut Incident, data: &Path, selection: Selection) {
    let since = Timestamp(incident.saved_at.0.saturating_sub(selection.last.as_micros() as u64));
    for (node, why) in std::mem::take(&mut incident.missing) {
        let found = read_folder(data, node, since).map(|recording| match selection.is_redacted {
            true => replaying::redact(&recording),
            false => Ok(recording),
        });
        match found {
            Some(Ok(recording)) => incident.hosts.push(recording),
            Some(Err(why)) => incident.missing.push((node, why)),
            None => incident.missing.push((node, why)),
        }
    }
    incident.hosts.sort_by_key(|recording| recording.host);
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
