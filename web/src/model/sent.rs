//! Messages that this page published, and what became of each.

use cubecast_core::content::Content;
use cubecast_core::names::{Offset, PublisherId, TopicName};
use cubecast_core::wire::answer::{Answer, Done};
use cubecast_core::wire::client::{Action, Write};

use super::report::TaskChange;

/// Number of messages that are remembered.
const MOST: usize = 200;

/// The messages that this page published.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SentMessages {
    /// Newest last.
    messages: Vec<Sent>,
}

/// A message that this page published.
#[derive(Clone, PartialEq, Debug)]
pub struct Sent {
    /// The number of its task.
    pub task: u64,
    pub topic: TopicName,
    pub publisher: PublisherId,
    pub content: Content,
    /// When it was sent, milliseconds since 1970.
    pub at_ms: u64,
    pub stage: Stage,
}

/// How far a message has come.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stage {
    Sending,
    /// Acknowledged. `offset`: `None` if it is in an outbox and has no offset yet.
    Stored {
        offset: Option<Offset>,
        took_ms: f64,
    },
    /// Refused, or not answered. In the second case it may have been stored.
    Failed,
}

impl SentMessages {
    /// Learns the progress of a publish.
    pub fn change(&mut self, now_ms: u64, task: u64, change: &TaskChange) {
        match change {
            TaskChange::Started { goal: Some(Action::Write(Write::Publish { publisher, topic, content, .. })) } => {
                let (topic, publisher, content) = (topic.clone(), publisher.clone(), content.clone());
                let stage = Stage::Sending;
                if self.messages.len() == MOST {
                    self.messages.remove(0);
                }
                self.messages.push(Sent { task, topic, publisher, content, at_ms: now_ms, stage });
            }
            TaskChange::Answered { answer: Answer { result: Ok(Done::Published { offset, .. }), .. }, took_ms } => {
                self.set(task, Stage::Stored { offset: *offset, took_ms: *took_ms });
            }
            TaskChange::GaveUp(_) | TaskChange::Ended => self.set(task, Stage::Failed),
            _ => {}
        }
    }

    /// A message that is stored stays stored.
    fn set(&mut self, task: u64, stage: Stage) {
        let sent = self.messages.iter_mut().find(|sent| sent.task == task);
        if let Some(sent) = sent.filter(|sent| sent.stage == Stage::Sending) {
            sent.stage = stage;
        }
    }

    /// The messages of a topic, newest first.
    pub fn of<'a>(&'a self, topic: &'a TopicName) -> impl Iterator<Item = &'a Sent> {
        self.messages.iter().rev().filter(move |sent| sent.topic == *topic)
    }

    /// Forgets the messages of a deleted topic.
    pub fn forget(&mut self, topic: &TopicName) {
        self.messages.retain(|sent| sent.topic != *topic);
    }
}

impl Sent {
    /// Its offset, once it has one.
    pub fn offset(&self) -> Option<Offset> {
        match self.stage {
            Stage::Stored { offset, .. } => offset,
            Stage::Sending | Stage::Failed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::wire::client::Ack;

    use super::*;
    use crate::testing::named;

    fn started(content: &str) -> TaskChange {
        let publish = Write::Publish {
            publisher: "pia".parse().unwrap(),
            topic: "news".parse().unwrap(),
            content: content.into(),
            ack: Ack::Quorum,
            sequence: None,
        };
        TaskChange::Started { goal: Some(Action::Write(publish)) }
    }

    #[test]
    fn a_message_is_sending_until_it_is_stored_or_has_failed() {
        let mut sent = SentMessages::default();
        for task in 1..=3 {
            sent.change(5, task, &started("hello"));
        }
        let done = Done::Published {
            topic: "news".parse().unwrap(),
            offset: Some(Offset(7)),
            replicas: Vec::new(),
            repeated: false,
        };
        let answer = Answer { id: None, served_by: named("100"), hops: None, result: Ok(done) };
        sent.change(6, 1, &TaskChange::Answered { answer, took_ms: 1.5 });
        sent.change(7, 1, &TaskChange::Ended);
        sent.change(7, 2, &TaskChange::Ended);
        let topic = "news".parse().unwrap();
        let stages: Vec<Stage> = sent.of(&topic).map(|sent| sent.stage).collect();
        assert_eq!(stages, [Stage::Sending, Stage::Failed, Stage::Stored { offset: Some(Offset(7)), took_ms: 1.5 }]);
        sent.forget(&topic);
        assert_eq!(sent, SentMessages::default());
    }
}
