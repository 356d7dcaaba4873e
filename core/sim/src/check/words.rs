//! Descriptions of times, messages and operations in violations.

use std::fmt;

use cubecast_core::names::TopicName;
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::Message;
use cubecast_core::wire::client::{Action, Read, ReadLevel, Write};

use super::history::{ClientId, Operation, Session};
use super::workload::Workload;

/// A time on the recorder's clock: `1.204311 s`.
#[derive(Clone, Copy)]
pub(super) struct At(pub Instant);

/// A content, truncated if it is long.
#[derive(Clone, Copy)]
pub(super) struct Content<'a>(pub &'a str);

/// A message with its place: `m17` at offset 5 of topic `news`.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a>(pub &'a TopicName, pub &'a Message);

/// An operation: client, action, node and time.
#[derive(Clone, Copy)]
pub(super) struct Told<'a>(pub &'a Operation);

/// A push session: subscriber, node and start.
#[derive(Clone, Copy)]
pub(super) struct Pushed<'a>(pub &'a Session);

struct Client(ClientId);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Workload::KEEPER => write!(f, "the keeper"),
            ClientId(number) => write!(f, "client {number}"),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0.0 / 1_000_000, self.0.0 % 1_000_000)
    }
}

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 40;
        match self.0.char_indices().nth(SHOWN) {
            None => write!(f, "`{}`", self.0),
            Some((end, _)) => write!(f, "`{}…` ({} bytes)", &self.0[..end], self.0.len()),
        }
    }
}

impl fmt::Display for Placed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {} of topic `{}`", Content(&self.1.content), self.1.offset, self.0)
    }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { client, node, action, invoked, answered } = self.0;
        write!(f, "{}'s {}", Client(*client), action.name())?;
        match action {
            Action::Write(Write::Publish { content, topic, ack, .. }) => {
                let ack = format!("{ack:?}").to_lowercase();
                write!(f, " of {} to `{topic}` with ack {ack}", Content(content))?;
            }
            Action::Read(Read::Pull { topic, read, commit, .. }) => {
                let level = if *read == ReadLevel::Any { "any" } else { "leader" };
                let moves = if *commit { ", moving the cursor" } else { "" };
                write!(f, " on `{topic}` with read {level}{moves}")?;
            }
            action => {
                if let Some(subject) = action.subject() {
                    write!(f, " on `{subject}`")?;
                }
            }
        }
        write!(f, ", sent to {node} at {}", At(*invoked))?;
        match answered {
            Some(answered) => write!(f, " and answered by {} at {}", answered.served_by, At(answered.at)),
            None => write!(f, " and never answered"),
        }
    }
}

impl fmt::Display for Pushed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Session { client, node, topic, subscriber, opened, .. } = self.0;
        write!(
            f,
            "the push subscription of {} (`{subscriber}` on `{topic}`, through {node} since {})",
            Client(*client),
            At(*opened)
        )
    }
}
