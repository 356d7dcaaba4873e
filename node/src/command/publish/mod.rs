//! `cubecast pub`: publishes messages from the command line, from standard input or from a file.

mod input;
mod progress;

use std::path::PathBuf;

use clap::ValueEnum;
use cubecast_core::client::{ClientError, Reply, Target};
use cubecast_core::content::Content;
use cubecast_core::identity::HostId;
use cubecast_core::names::{PublisherId, Sequence, TopicName};
use cubecast_core::wire::answer::ErrorCode;
use cubecast_core::wire::client::{Ack, Action, Write};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use input::{Cut, Input, InputError, Source};
use progress::{Counted, Progress};

use super::remote::Remote;
use crate::client::CubecastClient;
use crate::failure::Failure;
use crate::output;
use crate::shutdown::{EndSignal, Shutdown};

/// Publish messages to a topic.
///
/// The first message that cannot be published ends the command with an exit code other than 0 and a list of the
/// published messages. Nothing is skipped, and no later message is published. (With --at-once, later messages that
/// were in progress at the same time may be published; they are listed.)
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast pub news 'hello' --as publisher1 --create      creates the publisher and the topic if missing\n    \
    cubecast pub news 'hello' --as publisher1 --ack all     waits until every replica that is up has stored it\n    \
    seq 1000 | cubecast pub news - --as publisher1          one message per line\n    \
    seq 1000 | cubecast pub news - --as publisher1 --at-once 64\n    \
    cubecast pub news --as publisher1 --file lines.txt      one message per line of the file\n    \
    cubecast pub news --as publisher1 --file page.html --whole    the whole file as one message\n    \
    cubecast pub news 'once' --as publisher1 --sequence 7   stored once, even if this command is repeated")]
pub struct Args {
    topic: TopicName,
    /// The message. `-`, or no message: one message for each line of standard input. A line ends with a line feed;
    /// everything else is content, including a carriage return.
    content: Option<String>,
    /// Publish each line of this file.
    #[arg(long, value_name = "FILE", conflicts_with = "content")]
    file: Option<PathBuf>,
    /// Publish the whole input as one message.
    #[arg(long, conflicts_with = "count")]
    whole: bool,
    /// The publisher.
    #[arg(long = "as", value_name = "PUBLISHER", env = "CUBECAST_PUBLISHER")]
    publisher: PublisherId,
    /// When a message counts as stored: on one node, on a majority of its replicas, or on all that are up.
    #[arg(long, value_enum, value_name = "ACK", default_value_t)]
    ack: AckLevel,
    /// The publisher's sequence number of the first message; later messages count up. A repeated number is not stored
    /// again.
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
    /// Number of times to publish the message. [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "file", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Maximum number of publishes in progress. More is faster, but the order may change if a node fails.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=512))]
    at_once: u16,
    /// Create the publisher and the topic if they are missing.
    #[arg(long)]
    create: bool,
    /// Send requests to this node instead of the topic's home.
    #[arg(long, value_name = "NODE")]
    via: Option<HostId>,
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

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let messages = args.messages()?;
    args.remote.run_with_signals(|client, mut shutdown| async move {
        let client = if args.trace { client.traced() } else { client };
        if args.create {
            shutdown.or(create(&client, &args.publisher, &args.topic)).await?;
        }
        publish_all(args, &client, messages, shutdown).await
    })
}

/// Creates the publisher and the topic if they are missing. Existing ones remain unchanged.
pub async fn create(client: &CubecastClient, publisher: &PublisherId, topic: &TopicName) -> Result<(), Failure> {
    client.create_publisher(publisher).await?;
    match client.create_topic(publisher, topic).await {
        Err(error) if error.code() == Some(ErrorCode::TopicExists) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Publishes the messages in order. After the first failure no further publishes are begun, and those in progress are
/// awaited.
async fn publish_all(
    args: &Args,
    client: &CubecastClient,
    mut messages: Messages,
    mut shutdown: Shutdown,
) -> Result<(), Failure> {
    let mut progress = Progress::new(args.counted());
    let mut under_way = FuturesOrdered::new();
    let (mut number, mut has_more) = (0, true);
    while has_more || !under_way.is_empty() {
        tokio::select! {
            biased;
            () = shutdown.wait() => {
                let signal = shutdown.signal().unwrap_or(EndSignal::Terminate);
                return Err(progress.interrupted(signal, number));
            }
            Some((number, reply)) = under_way.next() => {
                if let Err(failure) = note(args, &mut progress, number, reply) {
                    progress.note_failure(number + 1, failure);
                }
                has_more &= !progress.has_failed();
            }
            read = messages.next(), if has_more && under_way.len() < args.at_once.into() => match read {
                None => has_more = false,
                Some(read) => {
                    number += 1;
                    let read = read.map_err(|error| Failure::new(Failure::FAILED, error));
                    match read.and_then(|content| args.action(number, content.into())) {
                        Ok(action) => under_way.push_back(async move { (number, publish(args, client, action).await) }),
                        Err(failure) => {
                            progress.note_failure(number, failure);
                            has_more = false;
                        }
                    }
                }
            },
        }
    }
    progress.conclude()
}

/// Records the result of one publish. An error means that the answer could not be printed.
fn note(args: &Args, progress: &mut Progress, number: u64, reply: Result<Reply, ClientError>) -> Result<(), Failure> {
    match reply {
        Ok(reply) => {
            progress.note_published(number);
            output::even_unread(output::reply(args.remote.format, &reply))
        }
        Err(error) => {
            progress.note_error(number, &error, with_hint(&error));
            Ok(())
        }
    }
}

async fn publish(args: &Args, client: &CubecastClient, action: Action) -> Result<Reply, ClientError> {
    client.ask(args.via.map_or(Target::Home, Target::Node), action).await
}

fn with_hint(error: &ClientError) -> Failure {
    let missing = matches!(error.code(), Some(ErrorCode::UnknownTopic | ErrorCode::UnknownPublisher));
    let mut failure = Failure::from(error.clone());
    if missing {
        failure.message += "\n  use --create to create the publisher and the topic";
    }
    failure
}

impl Args {
    fn source(&self) -> Option<Source> {
        match (&self.file, self.content.as_deref()) {
            (Some(file), _) => Some(Source::File(file.clone())),
            (None, None | Some("-")) => Some(Source::Stdin),
            (None, Some(_)) => None,
        }
    }

    fn counted(&self) -> Counted {
        match self.source() {
            None => Counted::Typed { count: self.count.unwrap_or(1) },
            Some(source) if self.whole => Counted::Whole(source),
            Some(source) => Counted::Lines(source),
        }
    }

    /// Opens the source before any request is sent.
    fn messages(&self) -> Result<Messages, Failure> {
        let usage = |text: &str| Err(Failure::new(Failure::USAGE, text));
        match (self.source(), &self.content) {
            (None, _) if self.whole => {
                usage("--whole needs standard input or --file, not a message on the command line")
            }
            (Some(_), _) if self.count.is_some() => {
                usage("--count needs a message on the command line, not lines of a file or standard input")
            }
            (None, content) => {
                Ok(Messages::Typed { content: content.clone().unwrap_or_default(), left: self.count.unwrap_or(1) })
            }
            (Some(source), _) => {
                let cut = if self.whole { Cut::Whole } else { Cut::Lines };
                let input = input::read(&source, cut);
                input
                    .map(Messages::Read)
                    .map_err(|error| Failure::new(Failure::FAILED, format!("cannot read {source}: {error}")))
            }
        }
    }

    /// The request for the message with this number, counted from 1.
    fn action(&self, number: u64, content: Content) -> Result<Action, Failure> {
        let past_the_last =
            || Failure::new(Failure::USAGE, "the sequence number would be too large; start with a smaller --sequence");
        let sequence = self
            .sequence
            .map(|first| first.checked_add(number - 1).map(Sequence).ok_or_else(past_the_last))
            .transpose()?;
        let (publisher, topic) = (self.publisher.clone(), self.topic.clone());
        Ok(Action::Write(Write::Publish { publisher, topic, content, ack: self.ack.into(), sequence }))
    }
}

/// The contents to publish.
#[derive(Debug)]
enum Messages {
    Typed { content: String, left: u64 },
    Read(Input),
}

impl Messages {
    async fn next(&mut self) -> Option<Result<String, InputError>> {
        match self {
            Messages::Typed { left: 0, .. } => None,
            Messages::Typed { content, left } => {
                *left -= 1;
                Some(Ok(content.clone()))
            }
            Messages::Read(input) => input.next().await,
        }
    }
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
