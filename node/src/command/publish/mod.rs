//! `cubecast pub`: messages from the command line or from standard input.

use std::pin::Pin;

use clap::ValueEnum;
use cubecast_core::client::{ClientError, Reply, Target};
use cubecast_core::content::Content;
use cubecast_core::cube::Vertex;
use cubecast_core::names::{PublisherId, Sequence, TopicName};
use cubecast_core::wire::answer::ErrorCode;
use cubecast_core::wire::client::{Ack, Action};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;

use super::remote::Remote;
use super::{Failure, output};
use crate::client::CubecastClient;

/// Lines of standard input that are read ahead.
const READ_AHEAD: usize = 1_024;

/// Publish messages to a topic.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast pub news 'hello' --as publisher1 --create      creates publisher and topic when they are missing\n    \
    cubecast pub news 'hello' --as publisher1 --ack all     answered when every replica that is up has it\n    \
    seq 1000 | cubecast pub news - --as publisher1          one message a line\n    \
    seq 1000 | cubecast pub news - --as publisher1 --at-once 64\n    \
    cubecast pub news 'once' --as publisher1 --sequence 7   given twice, it is stored once")]
pub struct Args {
    topic: TopicName,
    /// The message; `-`, or nothing: one message for each line of standard input.
    content: Option<String>,
    /// The publisher.
    #[arg(long = "as", value_name = "PUBLISHER", env = "CUBECAST_PUBLISHER")]
    publisher: PublisherId,
    /// When it counts as stored: by one node, by a majority of its replicas, or by all that are up.
    #[arg(long, value_enum, value_name = "ACK", default_value_t)]
    ack: AckLevel,
    /// The publisher's own number for the first message; the next ones count on. A number seen before is not stored again.
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
    /// Publish the message so many times.
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u64,
    /// So many are under way at once. More is faster; messages may then change places when a node fails meanwhile.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=512))]
    at_once: u16,
    /// Create the publisher and the topic when they are missing.
    #[arg(long)]
    create: bool,
    /// Ask this node instead of the topic's home.
    #[arg(long, value_name = "NODE")]
    via: Option<Vertex>,
    /// Show the nodes that each message crossed.
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum AckLevel {
    One,
    #[default]
    Quorum,
    All,
}

type Contents = Pin<Box<dyn Stream<Item = String> + Send>>;

pub fn run(args: &Args) -> Result<(), Failure> {
    args.remote.run(|client| async move {
        let client = if args.trace { client.traced() } else { client };
        if args.create {
            create(&client, &args.publisher, &args.topic).await?;
        }
        publish_all(args, &client, args.contents()).await
    })
}

/// Creates what is missing; what is there stays, whoever made it.
pub async fn create(client: &CubecastClient, publisher: &PublisherId, topic: &TopicName) -> Result<(), Failure> {
    client.create_publisher(publisher).await?;
    match client.create_topic(publisher, topic).await {
        Err(error) if error.code() == Some(ErrorCode::TopicExists) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// In their order; the first that fails ends it.
async fn publish_all(args: &Args, client: &CubecastClient, contents: Contents) -> Result<(), Failure> {
    let publishes = contents.enumerate().map(|(number, content)| publish(args, client, number as u64, content.into()));
    let mut replies = std::pin::pin!(publishes.buffered(args.at_once.into()));
    while let Some(reply) = replies.next().await {
        output::reply(args.remote.format, &reply.map_err(with_hint)?)?;
    }
    Ok(())
}

async fn publish(args: &Args, client: &CubecastClient, number: u64, content: Content) -> Result<Reply, ClientError> {
    let sequence = args.sequence.map(|first| Sequence(first.saturating_add(number)));
    let (publisher, topic) = (args.publisher.clone(), args.topic.clone());
    let action = Action::Publish { publisher, topic, content, ack: args.ack.into(), sequence };
    client.ask(args.via.map_or(Target::Home, Target::Node), action).await
}

fn with_hint(error: ClientError) -> Failure {
    let missing = matches!(error.code(), Some(ErrorCode::UnknownTopic | ErrorCode::UnknownPublisher));
    let mut failure = Failure::from(error);
    if missing {
        failure.message += "\n  --create makes the publisher and the topic first";
    }
    failure
}

impl Args {
    fn contents(&self) -> Contents {
        match self.content.as_deref() {
            None | Some("-") => Box::pin(lines_of_input()),
            Some(content) => Box::pin(stream::iter(std::iter::repeat_n(content.to_string(), self.count as usize))),
        }
    }
}

fn lines_of_input() -> impl Stream<Item = String> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    // A thread of its own, because a read of standard input cannot be given up; it ends with the process.
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        lines.map(|line| sender.blocking_send(line)).take_while(Result::is_ok).for_each(drop);
    });
    stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) })
}

impl From<AckLevel> for Ack {
    fn from(level: AckLevel) -> Ack {
        match level {
            AckLevel::One => Ack::One,
            AckLevel::Quorum => Ack::Quorum,
            AckLevel::All => Ack::All,
        }
    }
}
