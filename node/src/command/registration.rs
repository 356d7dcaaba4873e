//! `cubecast publisher` and `cubecast subscriber`: creates and deletes names.

use std::str::FromStr;

use cubecast_core::client::Target;
use cubecast_core::names::{NameError, PublisherId, SubscriberId};
use cubecast_core::wire::client::{Action, Write};

use super::remote::Remote;
use crate::failure::Failure;
use crate::output;

/// Register and delete publishers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast publisher create publisher1\n    \
    cubecast publisher delete publisher1      its topics stay; a publisher created again under this name owns them")]
pub struct Publisher {
    #[command(subcommand)]
    command: Command<PublisherId>,
}

/// Register and delete subscribers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast subscriber create subscriber1\n    \
    cubecast subscriber delete subscriber1    its subscriptions stay; unsubscribe first to end them")]
pub struct Subscriber {
    #[command(subcommand)]
    command: Command<SubscriberId>,
}

#[derive(Debug, clap::Subcommand)]
enum Command<N: Name> {
    /// Register a name. It is not an error if the name exists.
    Create(Named<N>),
    /// Delete a name. It cannot be used until it is registered again.
    Delete(Named<N>),
}

#[derive(Debug, clap::Args)]
struct Named<N: Name> {
    name: N,
    #[command(flatten)]
    remote: Remote,
}

trait Name: FromStr<Err = NameError> + Clone + Send + Sync + 'static {}

impl Name for PublisherId {}
impl Name for SubscriberId {}

/// Runs `cubecast publisher`.
pub fn run_publisher(args: &Publisher) -> Result<(), Failure> {
    let (remote, action) = match &args.command {
        Command::Create(Named { name, remote }) => {
            (remote, Action::Write(Write::CreatePublisher { publisher: name.clone() }))
        }
        Command::Delete(Named { name, remote }) => {
            (remote, Action::Write(Write::DeletePublisher { publisher: name.clone() }))
        }
    };
    ask(remote, action)
}

/// Runs `cubecast subscriber`.
pub fn run_subscriber(args: &Subscriber) -> Result<(), Failure> {
    let (remote, action) = match &args.command {
        Command::Create(Named { name, remote }) => {
            (remote, Action::Write(Write::CreateSubscriber { subscriber: name.clone() }))
        }
        Command::Delete(Named { name, remote }) => {
            (remote, Action::Write(Write::DeleteSubscriber { subscriber: name.clone() }))
        }
    };
    ask(remote, action)
}

fn ask(remote: &Remote, action: Action) -> Result<(), Failure> {
    remote.run(|client| async move { output::reply(remote.format, &client.ask(Target::Home, action).await?) })
}
