//! `cubecast sub`: messages as they come.

use cubecast_core::client::ClientError;
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::visible::visible;
use cubecast_core::wire::answer::{Delivery, ErrorCode, Message, ServerFrame};
use cubecast_core::wire::client::StartAt;
use cubecast_core::wire::json;
use futures_util::FutureExt;

use super::Failure;
use super::output::{Format, line};
use super::remote::Remote;
use crate::client::{CubecastClient, Deliveries};

/// While messages come without a pause, the cursor is moved after so many.
const COMMIT_EVERY: u64 = 256;

/// Print a topic's messages as they are published, until Ctrl-C.
///
/// The subscriber's cursor moves past each message after it was printed, so that the next `sub` goes on there. It ends with exit
/// code 1 when the topic is deleted, or the subscriber unsubscribed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n    \
    cubecast sub news --as subscriber1 --create          from the first message on; next time from where it stopped\n    \
    cubecast sub news --as subscriber1 --from latest     only what comes from now on\n    \
    cubecast sub news --as subscriber1 --count 10 --format json")]
pub struct Args {
    topic: TopicName,
    /// The subscriber.
    #[arg(long = "as", value_name = "SUBSCRIBER", env = "CUBECAST_SUBSCRIBER")]
    subscriber: SubscriberId,
    /// Where to start: beginning, latest or an offset. Without it: the subscriber's cursor, or the beginning.
    #[arg(long, value_name = "PLACE", value_parser = parse_start)]
    from: Option<Start>,
    /// End after so many messages.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Leave the cursor where it is.
    #[arg(long)]
    no_commit: bool,
    /// Create the subscriber when it is missing.
    #[arg(long)]
    create: bool,
    /// Print only the contents.
    #[arg(long)]
    content_only: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Start(pub StartAt);

/// `beginning`, `latest` or an offset.
pub fn parse_start(text: &str) -> Result<Start, String> {
    match text {
        "beginning" => Ok(Start(StartAt::Beginning)),
        "latest" => Ok(Start(StartAt::Latest)),
        offset => match offset.parse() {
            Ok(offset) => Ok(Start(StartAt::Offset(Offset(offset)))),
            Err(_) => Err(format!("`{offset}` is no place in a topic: write beginning, latest or an offset")),
        },
    }
}

pub fn run(args: &Args) -> Result<(), Failure> {
    args.remote.run(|client| async move {
        if args.create {
            client.create_subscriber(&args.subscriber).await?;
        }
        let from = args.from.map(|start| start.0);
        let listening =
            client.listen(&args.subscriber, &args.topic, from).await.map_err(|error| with_hint(error.into()))?;
        follow(args, &client, listening.value).await
    })
}

/// Prints and commits until there were enough, somebody ends it, or the subscription is gone.
async fn follow(args: &Args, client: &CubecastClient, mut deliveries: Deliveries) -> Result<(), Failure> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let mut cursor = Cursor { printed: deliveries.cursor, committed: deliveries.cursor };
    let mut left = args.count.unwrap_or(u64::MAX);
    loop {
        if left == 0 {
            break;
        }
        let next = match deliveries.next().now_or_never() {
            Some(next) => next,
            None => {
                cursor.commit(args, client).await?;
                tokio::select! {
                    next = deliveries.next() => next,
                    _ = &mut interrupted => break,
                }
            }
        };
        match next {
            None => break,
            Some(Err(why)) => {
                if !is_end(why.code) {
                    cursor.commit(args, client).await?;
                }
                return Err(ended(&why.message));
            }
            Some(Ok(message)) => {
                print(args, &message)?;
                cursor.printed = message.offset.next();
                left -= 1;
            }
        }
        if cursor.printed.0 - cursor.committed.0 >= COMMIT_EVERY {
            cursor.commit(args, client).await?;
        }
    }
    cursor.commit(args, client).await
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
            // Its end is found out here before the node's word of it has come.
            Err(ClientError::Refused { failure, .. }) if is_end(failure.code) => Err(ended(&failure.message)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether an error says that there is no such subscription any more, and no cursor to be moved.
fn is_end(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UnknownTopic | ErrorCode::NotSubscribed)
}

fn print(args: &Args, message: &Message) -> Result<(), Failure> {
    match args.remote.format {
        _ if args.content_only => line(&message.content),
        Format::Table => line(&table_line(message)),
        Format::Json => {
            let (topic, subscriber) = (args.topic.clone(), args.subscriber.clone());
            line(&json::render(&ServerFrame::Message(Delivery { topic, subscriber, message: message.clone() })))
        }
    }
}

/// A message as people read it.
pub fn table_line(message: &Message) -> String {
    format!("{:>6}  {}  {}  {}", message.offset, message.time, message.publisher, visible(&message.content))
}

/// What to do when the subscriber is unknown.
pub fn with_hint(mut failure: Failure) -> Failure {
    if failure.message.starts_with(ErrorCode::UnknownSubscriber.name()) {
        failure.message += "\n  --create makes the subscriber first";
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_start_is_a_word_or_an_offset() {
        assert_eq!(parse_start("latest"), Ok(Start(StartAt::Latest)));
        assert_eq!(parse_start("17"), Ok(Start(StartAt::Offset(Offset(17)))));
        assert!(parse_start("yesterday").is_err());
    }
}
