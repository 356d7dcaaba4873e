//! `cubecast recover`: ends a requested fault early.

use cubecast_core::client::Target;
use cubecast_core::identity::HostId;
use cubecast_core::wire::client::{Action, Admin};

use super::remote::Remote;
use crate::failure::Failure;
use crate::output;

/// End a failure caused by `cubecast fail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n    cubecast recover 111")]
pub struct Args {
    node: HostId,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    args.remote.run(|client| async move {
        let action = Action::Admin(Admin::RecoverNode { node: None });
        output::reply(args.remote.format, &client.ask(Target::Node(args.node), action).await?)
    })
}
