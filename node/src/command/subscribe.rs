//! `cubecast sub`: prints messages as they arrive.

use std::borrow::Cow;

use cubecast_core::client::ClientError;
use cubecast_core::content::Content;
use cubecast_core::names::{Offset, StartAt, SubscriberId, TopicName};
use cubecast_core::visible::{visible, visible_line};
use cubecast_core::wire::answer::{Delivery, ErrorCode, Message, ServerFrame};
use cubecast_core::wire::json;
use futures_util::FutureExt;

use super::remote::Remote;
use crate::client::{CubecastClient, Deliveries};
use crate::failure::Failure;
use crate::output;
use crate::output::Format;
use crate::shutdown::{EndSignal, Shutdown};

/// The number of messages after which the cursor is moved while messages arrive without a pause.
const COMMIT_EVERY: u64 = 256;

/// Print a topic's messages as they are published, until Ctrl-C.
///
/// The subscriber's cursor moves past each printed message, so the next `sub` continues there. The exit code is 1 if
/// the topic is deleted or the subscriber is unsubscribed. It is 0 if the output has no reader any more, and after
/// SIGINT (Ctrl-C) and SIGTERM. With --count, these signals leave messages missing, and the exit code is 130 or 143.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast sub news --as subscriber1 --create          from the first message; the next run continues there\n    \
    cubecast sub news --as subscriber1 --from latest     only new messages\n    \
    cubecast sub news --as subscriber1 --count 10 --format json")]
pub struct Args {
    topic: TopicName,
    /// The subscriber.
    #[arg(long = "as", value_name = "SUBSCRIBER", env = "CUBECAST_SUBSCRIBER")]
    subscriber: SubscriberId,
    /// Where to start: beginning, latest or an offset. Default: the subscriber's cursor, or the beginning.
    #[arg(long, value_name = "PLACE", value_parser = parse_start)]
    from: Option<Start>,
    /// Stop after this many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Do not move the cursor.
    #[arg(long)]
    no_commit: bool,
    /// Create the subscriber if it is missing.
    #[arg(long)]
    create: bool,
    /// Print only the contents.
    #[arg(long)]
    content_only: bool,
    #[command(flatten)]
    contents: Contents,
    #[command(flatten)]
    remote: Remote,
}

/// The offset at which to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start(pub StartAt);

/// Parses `beginning`, `latest` or an offset.
pub fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "beginning" => Ok(Start(StartAt::Beginning)),
        "latest" => Ok(Start(StartAt::Latest)),
        offset => match offset.parse() {
            Ok(offset) => Ok(Start(StartAt::Offset(Offset(offset)))),
            Err(_) => Err(format!("invalid position `{offset}`; use beginning, latest or an offset")),
        },
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.content_only && args.remote.format == Format::Json {
        return Err(Failure::new(Failure::USAGE, "--content-only and --format json exclude each other; remove one"));
    }
    args.remote.run_with_signals(|client, mut shutdown| async move {
        let deliveries = shutdown.or(listen(args, &client)).await?;
        follow(args, &client, deliveries, shutdown).await
    })
}

async fn listen(args: &Args, client: &CubecastClient) -> Result<Deliveries, Failure> {
    if args.create {
        client.create_subscriber(&args.subscriber).await?;
    }
    let from = args.from.map(|start| start.0);
    let listening =
        client.listen(&args.subscriber, &args.topic, from).await.map_err(|error| with_hint(error.into()))?;
    Ok(listening.value)
}

/// Prints and commits messages until there are enough, a signal or a closed output ends the command, or the
/// subscription ends.
async fn follow(
    args: &Args,
    client: &CubecastClient,
    mut deliveries: Deliveries,
    mut shutdown: Shutdown,
) -> Result<(), Failure> {
    let mut unread = std::pin::pin!(output::reader_gone());
    let mut cursor = Cursor { printed: deliveries.cursor, committed: deliveries.cursor };
    let mut heard = 0;
    while args.count.is_none_or(|count| heard < count) {
        if let Some(signal) = shutdown.signal() {
            cursor.commit(args, client).await?;
            return interrupted(args, signal, heard);
        }
        let next = match deliveries.next().now_or_never() {
            Some(next) => next,
            None => {
                cursor.commit(args, client).await?;
                tokio::select! {
                    next = deliveries.next() => next,
                    () = shutdown.wait() => continue,
                    () = &mut unread => return Err(Failure::unread()),
                }
            }
        };
        match next {
            None => return Err(ended("the client was closed")),
            Some(Err(why)) => {
                if !is_end(why.code) {
                    cursor.commit(args, client).await?;
                }
                return Err(ended(&visible_line(&why.message)));
            }
            Some(Ok(message)) => {
                if let Err(failure) = print(args, &message) {
                    // The messages printed so far are committed.
                    cursor.commit(args, client).await?;
                    return Err(failure);
                }
                cursor.printed = message.offset.next();
                heard += 1;
            }
        }
        if cursor.printed.0 - cursor.committed.0 >= COMMIT_EVERY {
            cursor.commit(args, client).await?;
        }
    }
    cursor.commit(args, client).await
}

/// A signal is the normal end without --count. With --count, messages are missing.
fn interrupted(args: &Args, signal: EndSignal, heard: u64) -> Result<(), Failure> {
    match (args.count, signal) {
        (None, EndSignal::Interrupt | EndSignal::Terminate) => Ok(()),
        (None, EndSignal::Hangup) => Err(Failure::new(signal.exit_code(), "ended by SIGHUP")),
        (Some(count), _) => {
            let text = format!("ended by {} after {heard} of {count} messages", signal.name());
            Err(Failure::new(signal.exit_code(), text))
        }
    }
}

fn ended(why: &str) -> Failure {
    Failure::new(Failure::FAILED, format!("the subscription ended: {why}"))
}

struct Cursor {
    printed: Offset,
    committed: Offset,
}

impl Cursor {
    async fn commit(&mut self, args: &Args, client: &CubecastClient) -> Result<(), Failure> {
        if args.no_commit || self.printed <= self.committed {
            return Ok(());
        }
        match client.commit(&args.subscriber, &args.topic, self.printed).await {
            Ok(_) => {
                self.committed = self.printed;
                Ok(())
            }
            // The error may arrive before the node's notice that the subscription has ended.
            Err(ClientError::Refused { failure, .. }) if is_end(failure.code) => Err(ended(&failure.message)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether an error means that the subscription, and therefore the cursor, no longer exists.
fn is_end(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UnknownTopic | ErrorCode::NotSubscribed)
}

fn print(args: &Args, message: &Message) -> Result<(), Failure> {
    match args.remote.format {
        Format::Table if args.content_only => output::raw(&args.contents.shown(&message.content)),
        Format::Table => output::raw(&args.contents.table_line(message)),
        Format::Json => {
            let (topic, subscriber) = (args.topic.clone(), args.subscriber.clone());
            {
                let frame = ServerFrame::Message(Delivery { topic, subscriber, message: message.clone() });
                output::raw(&output::visible_json(&json::render(&frame)))
            }
        }
    }
}

/// The display of contents in tables.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Contents {
    /// Print contents unchanged. By default, line breaks and other invisible characters are printed as escapes, as in
    /// \\n and \\u{1b}, and a backslash is printed as two. (--format json is never escaped in this way.)
    #[arg(long)]
    raw: bool,
}

impl Contents {
    fn shown(self, content: &Content) -> Cow<'_, str> {
        if self.raw { content.as_str().into() } else { visible(content) }
    }

    /// A message as a line for people.
    pub fn table_line(self, message: &Message) -> String {
        format!("{:>6}  {}  {}  {}", message.offset, message.time, message.publisher, self.shown(&message.content))
    }
}

/// Adds a hint to the failure if the subscriber is unknown.
pub fn with_hint(mut failure: Failure) -> Failure {
    if failure.message.starts_with(ErrorCode::UnknownSubscriber.name()) {
        failure.message += "\n  use --create to create the subscriber";
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_escaped_unless_they_are_asked_for_raw() {
        let content = Content::from("two\nlines \u{1b}[2J");
        assert_eq!(Contents { raw: false }.shown(&content), "two\\nlines \\u{1b}[2J");
        assert_eq!(Contents { raw: true }.shown(&content), content.as_str());
    }

    #[test]
    fn a_place_to_start_is_a_word_or_an_offset() {
        assert_eq!(parse_start("latest"), Ok(Start(StartAt::Latest)));
        assert_eq!(parse_start("17"), Ok(Start(StartAt::Offset(Offset(17)))));
        assert!(parse_start("yesterday").is_err());
    }
}
