//! `cubecast link`: impairs or restores one direction of an edge, or both.

use cubecast_core::client::Target;
use cubecast_core::faults::LinkConditions;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_core::wire::client::{Action, Admin};

use super::remote::Remote;
use crate::client::CubecastClient;
use crate::failure::Failure;
use crate::output;

/// Cut, slow or restore the link from one node to its neighbour.
///
/// Conditions last until they are changed. Conditions that are not given are reset. This works on nodes that allow
/// faults: those started with --allow-faults, and those of `cubecast up` if only this machine can connect.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast link 000 001 --cut --both\n    \
    cubecast link 000 001 --delay 50 --jitter 20 --loss 0.01\n    \
    cubecast link 000 001 --up --both")]
pub struct Args {
    from: HostId,
    to: HostId,
    /// Drop all frames.
    #[arg(long, conflicts_with_all = ["up", "delay", "jitter", "loss"])]
    cut: bool,
    /// Deliver all frames.
    #[arg(long, conflicts_with_all = ["delay", "jitter", "loss"])]
    up: bool,
    /// Additional delay of each frame, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    delay: u32,
    /// Additional random delay, up to this many milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    jitter: u32,
    /// The share of frames to drop, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    loss: f32,
    /// Apply to both directions.
    #[arg(long)]
    both: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let conditions = args.conditions()?;
    args.remote.run(|client| async move {
        set(args, &client, args.from, args.to, conditions).await?;
        if args.both {
            set(args, &client, args.to, args.from, conditions).await?;
        }
        Ok(())
    })
}

async fn set(
    args: &Args,
    client: &CubecastClient,
    from: HostId,
    to: HostId,
    conditions: LinkConditions,
) -> Result<(), Failure> {
    let action = Action::Admin(Admin::SetLink { from, to, conditions });
    let reply = client.ask(Target::Node(from), action).await?;
    output::even_unread(output::reply(args.remote.format, &reply))
}

impl Args {
    fn conditions(&self) -> Result<LinkConditions, Failure> {
        let conditions =
            LinkConditions { cut: self.cut, delay_ms: self.delay, jitter_ms: self.jitter, loss: self.loss };
        if Seating::founded_by(self.from).edge(self.from, self.to).is_none() {
            let error = format!("{} and {} are not neighbours: neighbours differ in one bit", self.from, self.to);
            return Err(Failure::new(Failure::USAGE, error));
        }
        if conditions == LinkConditions::PERFECT && !self.up {
            return Err(Failure::new(Failure::USAGE, "give at least one of --cut, --up, --delay, --jitter, --loss"));
        }
        Ok(conditions)
    }
}
