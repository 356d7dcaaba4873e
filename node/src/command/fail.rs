//! `cubecast fail`: stops a node with a requested fault, for a limited time.

use std::time::Duration;

use clap::ValueEnum;
use cubecast_core::client::Target;
use cubecast_core::faults::StopMode;
use cubecast_core::identity::HostId;
use cubecast_core::wire::client::{Action, Admin};

use super::remote::{Remote, parse_time};
use crate::failure::Failure;
use crate::output;

/// Stop a node with a requested fault. It recovers after a time, or with `cubecast recover`.
///
/// This works on nodes that allow faults: those started with --allow-faults, and those of `cubecast up` if only this
/// machine can connect.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast fail 111                        crash for 10 s\n    \
    cubecast fail 111 --mode wipe --for 3s   lose the disk too, then fetch the data from the neighbours\n    \
    cubecast recover 111                     end the fault early")]
pub struct Args {
    node: HostId,
    /// The kind of fault.
    #[arg(long, value_enum, value_name = "MODE", default_value_t)]
    mode: Mode,
    /// The duration, for example 500ms, 10s or 2m.
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    time: Duration,
    #[command(flatten)]
    remote: Remote,
}

/// The kind of a requested fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Mode {
    /// Everything that is not on disk is lost.
    #[default]
    Crash,
    /// The disk is lost too.
    Wipe,
    /// The node is silent and loses nothing.
    Pause,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    args.remote.run(|client| async move {
        let action = Action::Admin(Admin::StopNode {
            node: None,
            mode: args.mode.into(),
            duration_ms: args.time.as_millis() as u64,
        });
        output::reply(args.remote.format, &client.ask(Target::Node(args.node), action).await?)
    })
}

impl From<Mode> for StopMode {
    fn from(mode: Mode) -> StopMode {
        match mode {
            Mode::Crash => StopMode::Crash,
            Mode::Wipe => StopMode::Wipe,
            Mode::Pause => StopMode::Pause,
        }
    }
}
