//! `cubecast topic`: creates, deletes and lists topics.

use cubecast_core::client::Target;
use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Action, Query, Write};

use super::remote::Remote;
use crate::failure::Failure;
use crate::output;
use crate::output::{Format, Table, known, line, names, remark};

/// Create, delete and list topics.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast topic create news --as publisher1\n    \
    cubecast topic list\n    \
    cubecast topic delete news --as publisher1      only its creator may do this")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create a topic and print its home and its replicas. Registers the publisher if necessary.
    Create(Named),
    /// Delete a topic and its messages. Only its creator may do this.
    Delete(Named),
    /// List all topics of the cluster.
    List {
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, clap::Args)]
struct Named {
    topic: TopicName,
    /// The publisher that creates and owns the topic.
    #[arg(long = "as", value_name = "PUBLISHER", env = "CUBECAST_PUBLISHER")]
    publisher: PublisherId,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Create(named) => create(named),
        Command::Delete(named) => delete(named),
        Command::List { remote } => list(remote),
    }
}

fn create(named: &Named) -> Result<(), Failure> {
    named.remote.run(|client| async move {
        client.create_publisher(&named.publisher).await?;
        let action =
            Action::Write(Write::CreateTopic { publisher: named.publisher.clone(), topic: named.topic.clone() });
        output::reply(named.remote.format, &client.ask(Target::Home, action).await?)
    })
}

fn delete(named: &Named) -> Result<(), Failure> {
    named.remote.run(|client| async move {
        let action =
            Action::Write(Write::DeleteTopic { publisher: named.publisher.clone(), topic: named.topic.clone() });
        output::reply(named.remote.format, &client.ask(Target::Home, action).await?)
    })
}

fn list(remote: &Remote) -> Result<(), Failure> {
    remote.run(|client| async move {
        let reply = client.ask(Target::Any, Action::Query(Query::Topics)).await?;
        let Ok(Done::Topics { topics, missing }) = &reply.answer.result else {
            return output::reply(remote.format, &reply);
        };
        if remote.format == Format::Json {
            return output::json(&output::json_of(&reply));
        }
        let mut table = Table::new(["topic", "home", "leader", "messages", "subscribers", "publisher"]).numbers([3, 4]);
        for topic in topics {
            let (name, owner) = (topic.topic.to_string(), topic.owner.to_string());
            let counts = [topic.messages.to_string(), topic.subscribers.to_string()];
            let [messages, subscribers] = counts;
            table.row([name, topic.home.to_string(), known(topic.leader), messages, subscribers, owner]);
        }
        if !missing.is_empty() {
            remark(&format!("the groups of {} are unreachable; their topics are not listed", names(missing)));
        }
        line(&table.render())
    })
}
