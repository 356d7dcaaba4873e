//! `cubecast pull`: reads a subscriber's new messages once.

use clap::ValueEnum;
use cubecast_core::client::{Reply, Target};
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, StartAt, SubscriberId, TopicName};
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Action, Read, ReadLevel};

use super::remote::Remote;
use super::subscribe::{Contents, Start, parse_start, with_hint};
use crate::failure::Failure;
use crate::output;
use crate::output::{Format, remark};

/// Read messages from the subscriber's cursor on, and move the cursor past the printed ones.
///
/// The subscriber must be subscribed; --subscribe does this first.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("starts").args(["subscribe", "node"]).multiple(true))]
#[command(after_help = "Examples:\n    \
    cubecast pull news --as subscriber1 --subscribe       registers, subscribes and reads\n    \
    cubecast pull news --as subscriber1 --max 10\n    \
    cubecast pull news --as subscriber1 --read any        reads one replica, possibly stale\n    \
    cubecast pull news --as subscriber1 --node 101        reads the replica on node 101; the cursor does not move")]
pub struct Args {
    topic: TopicName,
    /// The subscriber.
    #[arg(long = "as", value_name = "SUBSCRIBER", env = "CUBECAST_SUBSCRIBER")]
    subscriber: SubscriberId,
    /// Maximum number of messages.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max: u32,
    /// Consistency of the read.
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t, conflicts_with = "node")]
    read: Freshness,
    /// Do not move the cursor.
    #[arg(long)]
    no_commit: bool,
    /// Read the replica on this node. The answer names the topic's home, and the cursor does not move.
    #[arg(long, value_name = "NODE")]
    node: Option<HostId>,
    /// Register and subscribe first if necessary.
    #[arg(long)]
    subscribe: bool,
    /// With --subscribe or --node, where to start: beginning, latest or an offset (--node: an offset).
    #[arg(long, value_name = "PLACE", value_parser = parse_start, requires = "starts")]
    from: Option<Start>,
    #[command(flatten)]
    contents: Contents,
    #[command(flatten)]
    remote: Remote,
}

/// The freshness of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub enum Freshness {
    /// Everything that was acknowledged before the read.
    #[default]
    Leader,
    /// The state of one replica, possibly stale.
    Any,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let action = args.action()?;
    args.remote.run(|client| async move {
        if args.subscribe {
            client.create_subscriber(&args.subscriber).await?;
            client.subscribe(&args.subscriber, &args.topic, args.from.map(|start| start.0)).await?;
        }
        let to = args.node.map_or(Target::Home, Target::Node);
        let reply = client.ask(to, action).await.map_err(|error| with_hint(error.into()))?;
        let cursor = print(args, &reply)?;
        if let Some(cursor) = cursor.filter(|_| !args.no_commit && args.node.is_none()) {
            // The cursor is committed after printing: after an interruption, the next pull shows the same messages
            // again, and none is lost.
            client.commit(&args.subscriber, &args.topic, cursor).await?;
        }
        Ok(())
    })
}

impl Args {
    fn action(&self) -> Result<Action, Failure> {
        let (subscriber, topic, max) = (self.subscriber.clone(), self.topic.clone(), self.max);
        match (self.node, self.from.map(|start| start.0)) {
            (None, _) => Ok(Action::Read(Read::Pull { subscriber, topic, max, read: self.read.into(), commit: false })),
            (Some(_), None) => Ok(Action::Read(Read::ReplicaPull { subscriber, topic, max, from: None })),
            (Some(_), Some(StartAt::Beginning)) => {
                Ok(Action::Read(Read::ReplicaPull { subscriber, topic, max, from: Some(Offset(0)) }))
            }
            (Some(_), Some(StartAt::Offset(offset))) => {
                Ok(Action::Read(Read::ReplicaPull { subscriber, topic, max, from: Some(offset) }))
            }
            (Some(_), Some(StartAt::Latest)) => Err(Failure::new(
                Failure::USAGE,
                "a read of a replica starts at the cursor, the beginning or an offset, not at `latest`",
            )),
        }
    }
}

/// Prints the messages. Returns the cursor after the last one, if there was one.
fn print(args: &Args, reply: &Reply) -> Result<Option<Offset>, Failure> {
    let Ok(Done::Pulled { messages, cursor, end, behind, original_node, .. }) = &reply.answer.result else {
        return output::reply(args.remote.format, reply).map(|()| None);
    };
    match args.remote.format {
        Format::Json => output::json(&output::json_of(reply))?,
        Format::Table => {
            for message in messages {
                output::raw(&args.contents.table_line(message))?;
            }
            if cursor < end {
                let left = end.0 - cursor.0;
                let follow = if left == 1 { "message follows" } else { "messages follow" };
                remark(&format!("{left} more {follow}"));
            }
            if let Some(home) = original_node {
                let behind = behind.map_or(String::new(), |behind| format!(", {behind} log entries behind"));
                remark(&format!("read from the replica on {}, original node {home}{behind}", reply.answer.served_by));
            }
        }
    }
    Ok((!messages.is_empty()).then_some(*cursor))
}

impl From<Freshness> for ReadLevel {
    fn from(freshness: Freshness) -> ReadLevel {
        match freshness {
            Freshness::Leader => ReadLevel::Leader,
            Freshness::Any => ReadLevel::Any,
        }
    }
}
