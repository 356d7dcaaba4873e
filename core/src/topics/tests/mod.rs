mod checkpoints;
mod limits;
mod publishing;
mod registry;
mod subscriptions;

use super::command::{Command, Op};
use super::*;
use crate::identity::{Member, RequestKey};
use crate::names::{Sequence, StartAt};
use crate::time::Timestamp;
use crate::wire::answer::ErrorCode;

/// A group, and a coordinator that numbers its requests.
struct Group {
    topics: Topics,
    requests: u64,
}

impl Group {
    fn new() -> Group {
        Group { topics: Topics::default(), requests: 0 }
    }

    fn with_topic(owner: &str, name: &str) -> Group {
        let mut group = Group::new();
        group.apply(create(owner, name)).unwrap();
        group
    }

    fn with_messages(count: u64) -> Group {
        let mut group = Group::with_topic("ann", "news");
        (0..count).for_each(|_| drop(group.publish(None, "x")));
        group
    }

    fn command(&mut self, op: Op) -> Command {
        self.requests += 1;
        let key = RequestKey { coordinator: Member::founding("100".parse().unwrap()), number: self.requests };
        Command { key, time: Timestamp(1_000 * self.requests), op }
    }

    /// A command from another coordinator.
    fn command_by(&mut self, host: &str, op: Op) -> Command {
        let mut command = self.command(op);
        command.key.coordinator = Member::founding(host.parse().unwrap());
        command
    }

    fn apply(&mut self, op: Op) -> Result<Outcome, Failure> {
        let command = self.command(op);
        self.topics.apply(&command).outcome
    }

    fn publish(&mut self, sequence: Option<u64>, content: &str) -> Result<Outcome, Failure> {
        self.apply(publish("ann", sequence, content))
    }

    /// The error code with which the operation fails.
    fn code(&mut self, op: Op) -> ErrorCode {
        self.apply(op).unwrap_err().code
    }

    fn cursor(&self) -> Option<Offset> {
        self.topics.cursor(&topic("news"), &subscriber())
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

fn publisher(name: &str) -> PublisherId {
    PublisherId::new(name).unwrap()
}

fn subscriber() -> SubscriberId {
    SubscriberId::new("sub").unwrap()
}

fn create(owner: &str, name: &str) -> Op {
    Op::CreateTopic { publisher: publisher(owner), topic: topic(name) }
}

fn delete(owner: &str, name: &str) -> Op {
    Op::DeleteTopic { publisher: publisher(owner), topic: topic(name) }
}

fn publish(by: &str, sequence: Option<u64>, content: &str) -> Op {
    Op::Publish {
        publisher: publisher(by),
        topic: topic("news"),
        sequence: sequence.map(Sequence),
        content: content.into(),
    }
}

fn subscribe(from: Option<StartAt>) -> Op {
    Op::Subscribe { subscriber: subscriber(), topic: topic("news"), from }
}

fn unsubscribe() -> Op {
    Op::Unsubscribe { subscriber: subscriber(), topic: topic("news") }
}

fn advance(from: u64, to: u64) -> Op {
    Op::Advance { subscriber: subscriber(), topic: topic("news"), from: Offset(from), to: Offset(to) }
}

fn commit(offset: u64) -> Op {
    Op::Commit { subscriber: subscriber(), topic: topic("news"), offset: Offset(offset) }
}
