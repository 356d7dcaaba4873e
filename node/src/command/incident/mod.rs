//! `cubecast incident`: saves what happened in a cluster, and replays it.
//!
//! | file | content |
//! |---|---|
//! | `save` | collects the recordings of all nodes |
//! | `replay` | replays an incident, and compares and checks it |
//! | `story` | what happened, as sentences |

mod replay;
mod save;
mod story;

use clap::Subcommand;

use crate::failure::Failure;

/// Save what happened in a cluster, and replay it.
///
/// Nodes that were started with --record keep what they were told in the last minutes. An incident file contains that
/// for all nodes. Replaying it repeats every decision of every node, and compares it with what the node did.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast incident save --to outage.incident\n    \
    cubecast incident save --last 1m --to outage.incident --data data\n    \
    cubecast incident save --redact contents --to outage.incident\n    \
    cubecast incident replay outage.incident\n\n\
    The dashboard opens the file, too, without any node: choose Incident.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Save(save::Args),
    Replay(replay::Args),
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Save(args) => save::run(args),
        Command::Replay(args) => replay::run(&args),
    }
}
