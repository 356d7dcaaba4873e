//! The choice of a client's next action: every action and level, weighted, and occasionally an action that must be
//! refused.

use cubecast_core::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicName};
use cubecast_core::wire::client::{Ack, Action, Admin, Local, Query, Read, ReadLevel, Write};
use cubecast_core::wire::limits::MAX_PULL;

use super::choice::{happens, one_of, weighted};
use super::sim_client::{Kind, SimClient, Topic};
use crate::places::any_node;

/// With more unread messages than this, a client first reads on or skips some, so that its reads stay small.
const BACKLOG: u64 = 300;

/// A kind of next action.
#[derive(Clone, Copy)]
enum Op {
    Publish,
    Repeat,
    Read,
    ReadReplica,
    Commit,
    Subscribe,
    SubscribeReplica,
    Listen,
    Unsubscribe,
    CreateOrDelete,
    Register,
    /// Deletes one of its own names.
    Resign,
    Look,
    Nonsense,
}

const OP_MIX: &[(Op, u64)] = &[
    (Op::Publish, 40),
    (Op::Repeat, 2),
    (Op::Read, 20),
    (Op::ReadReplica, 6),
    (Op::Commit, 5),
    (Op::Subscribe, 4),
    (Op::SubscribeReplica, 3),
    (Op::Listen, 4),
    (Op::Unsubscribe, 2),
    (Op::CreateOrDelete, 6),
    (Op::Register, 2),
    (Op::Resign, 1),
    (Op::Look, 6),
    (Op::Nonsense, 4),
];

/// Kinds of actions that must be refused.
#[derive(Clone, Copy)]
enum Nonsense {
    PublishNowhere,
    PullNowhere,
    SubscribeNowhere,
    PublishByNobody,
    PullByNobody,
    SubscribeByNobody,
    CommitPastEnd,
    SubscribePastEnd,
    DeleteLasting,
    CreateAgain,
}

const NONSENSE: &[Nonsense] = &[
    Nonsense::PublishNowhere,
    Nonsense::PullNowhere,
    Nonsense::SubscribeNowhere,
    Nonsense::PublishByNobody,
    Nonsense::PullByNobody,
    Nonsense::SubscribeByNobody,
    Nonsense::CommitPastEnd,
    Nonsense::SubscribePastEnd,
    Nonsense::DeleteLasting,
    Nonsense::CreateAgain,
];

impl SimClient {
    pub(super) fn choose_action(&mut self) -> Action {
        if !self.publishes && happens(&mut self.random, 1, 2) {
            return Action::Write(Write::CreatePublisher { publisher: self.publisher.clone() });
        }
        if !self.subscribes && happens(&mut self.random, 1, 2) {
            return Action::Write(Write::CreateSubscriber { subscriber: self.subscriber.clone() });
        }
        let at = self.choose_topic();
        let topic = self.topics[at].clone();
        if topic.kind == Kind::OwnPassing && !topic.exists && happens(&mut self.random, 3, 4) {
            return Action::Write(Write::CreateTopic { publisher: self.publisher.clone(), topic: topic.name });
        }
        if topic.subscribed && topic.backlog() > BACKLOG {
            return self.catch_up(&topic);
        }
        match weighted(&mut self.random, OP_MIX) {
            Op::Publish => self.publish(&topic),
            Op::Repeat => match one_of(&mut self.random, self.recent.make_contiguous()) {
                Some(action) => action.clone(),
                None => self.publish(&topic),
            },
            Op::Read | Op::ReadReplica | Op::Commit if !topic.subscribed && happens(&mut self.random, 7, 8) => {
                self.subscribe(&topic, false)
            }
            Op::Read => self.pull(&topic),
            Op::ReadReplica => self.replica_pull(&topic),
            Op::Commit => self.commit(&topic),
            Op::Subscribe => self.subscribe(&topic, false),
            Op::SubscribeReplica => self.replica_subscribe(&topic),
            // Most sessions last.
            Op::Listen if self.listens && (!topic.listening || happens(&mut self.random, 1, 4)) => {
                self.subscribe(&topic, true)
            }
            Op::Listen => self.pull(&topic),
            Op::Unsubscribe => self.unsubscribe(&topic),
            Op::CreateOrDelete => self.create_or_delete(&topic),
            Op::Register => self.register(),
            Op::Resign => self.resign(),
            Op::Look => self.look(&topic),
            Op::Nonsense => self.nonsense(),
        }
    }

    /// Chooses a topic. Half of the choices of a topic that is assumed deleted fall back to one that surely exists.
    fn choose_topic(&mut self) -> usize {
        let wants_lasting = happens(&mut self.random, 3, 5);
        let fits: Vec<usize> =
            (0..self.topics.len()).filter(|at| (self.topics[*at].kind == Kind::Lasting) == wants_lasting).collect();
        match one_of(&mut self.random, &fits).copied() {
            Some(at) if self.topics[at].kind != Kind::Passing || self.topics[at].exists => at,
            Some(at) if happens(&mut self.random, 1, 2) => at,
            Some(_) | None => 0,
        }
    }

    fn publish(&mut self, topic: &Topic) -> Action {
        let content = self.new_content();
        let numbered = happens(&mut self.random, 4, 5);
        Action::Write(Write::Publish {
            publisher: self.publisher.clone(),
            topic: topic.name.clone(),
            content: content.into(),
            ack: self.ack(),
            sequence: numbered.then_some(Sequence(self.contents)),
        })
    }

    pub(super) fn ack(&mut self) -> Ack {
        weighted(&mut self.random, &[(Ack::Quorum, 5), (Ack::One, 2), (Ack::All, 2)])
    }

    /// A unique content: the publisher's name and a number, then dots.
    fn new_content(&mut self) -> String {
        self.contents += 1;
        let mut content = format!("{}-{}", self.publisher, self.contents);
        let largest = match self.random.u64(0..100) {
            0 => self.content_bytes,
            1..=4 => self.content_bytes / 4,
            5..=19 => self.content_bytes / 16,
            _ => 0,
        };
        let padding = self.random.u64(0..=largest).saturating_sub(content.len() as u64);
        content.extend((0..padding).map(|_| '.'));
        content
    }

    fn pull(&mut self, topic: &Topic) -> Action {
        let read = if happens(&mut self.random, 7, 10) { ReadLevel::Leader } else { ReadLevel::Any };
        let commit = happens(&mut self.random, 2, 5);
        let max = match self.random.u64(0..4) {
            0 => self.random.u32(1..=5),
            1 => self.random.u32(1..=100),
            _ => MAX_PULL,
        };
        self.pull_as(self.subscriber.clone(), &topic.name, max, read, commit)
    }

    fn pull_as(&self, subscriber: SubscriberId, topic: &TopicName, max: u32, read: ReadLevel, commit: bool) -> Action {
        Action::Read(Read::Pull { subscriber, topic: topic.clone(), max, read, commit })
    }

    /// Reads on, or skips to near the end.
    fn catch_up(&mut self, topic: &Topic) -> Action {
        if happens(&mut self.random, 1, 4) {
            let from = StartAt::Offset(self.near_end(topic));
            return self.subscribe_from(topic, Some(from), false);
        }
        self.pull_as(self.subscriber.clone(), &topic.name, 100, ReadLevel::Leader, true)
    }

    fn near_end(&mut self, topic: &Topic) -> Offset {
        Offset(topic.end - self.random.u64(0..=topic.end.min(60)))
    }

    fn replica_pull(&mut self, topic: &Topic) -> Action {
        let max = if happens(&mut self.random, 1, 2) { self.random.u32(1..=20) } else { MAX_PULL };
        let from = happens(&mut self.random, 1, 2).then(|| self.near_end(topic));
        Action::Read(Read::ReplicaPull { subscriber: self.subscriber.clone(), topic: topic.name.clone(), max, from })
    }

    /// Mostly commits what was read; sometimes an offset before the cursor, which does not move it.
    fn commit(&mut self, topic: &Topic) -> Action {
        let offset = match self.random.u64(0..4) {
            0 => self.random.u64(0..=topic.cursor),
            1 => self.random.u64(topic.cursor..=topic.end.max(topic.cursor)),
            _ => topic.read,
        };
        Action::Write(Write::Commit {
            subscriber: self.subscriber.clone(),
            topic: topic.name.clone(),
            offset: Offset(offset),
        })
    }

    fn subscribe(&mut self, topic: &Topic, push: bool) -> Action {
        let from = self.start(topic);
        self.subscribe_from(topic, from, push)
    }

    fn start(&mut self, topic: &Topic) -> Option<StartAt> {
        match self.random.u64(0..8) {
            0..=2 => None,
            3 | 4 => Some(StartAt::Latest),
            5 if topic.end <= 2 * BACKLOG => Some(StartAt::Beginning),
            _ => Some(StartAt::Offset(self.near_end(topic))),
        }
    }

    fn subscribe_from(&self, topic: &Topic, from: Option<StartAt>, push: bool) -> Action {
        Action::Write(Write::Subscribe { subscriber: self.subscriber.clone(), topic: topic.name.clone(), from, push })
    }

    fn replica_subscribe(&mut self, topic: &Topic) -> Action {
        let from = self.start(topic);
        let push = self.listens && !topic.listening && happens(&mut self.random, 1, 3);
        Action::Write(Write::ReplicaSubscribe {
            subscriber: self.subscriber.clone(),
            topic: topic.name.clone(),
            from,
            push,
        })
    }

    fn unsubscribe(&self, topic: &Topic) -> Action {
        Action::Write(Write::Unsubscribe { subscriber: self.subscriber.clone(), topic: topic.name.clone() })
    }

    /// Creates or deletes one of its own topics. Only its owner may create a topic, so for another client's topic it
    /// requests a deletion, which must be refused, or publishes.
    fn create_or_delete(&mut self, topic: &Topic) -> Action {
        let (publisher, name) = (self.publisher.clone(), topic.name.clone());
        match topic.kind {
            Kind::OwnPassing if !topic.exists || happens(&mut self.random, 1, 5) => {
                Action::Write(Write::CreateTopic { publisher, topic: name })
            }
            Kind::OwnPassing => Action::Write(Write::DeleteTopic { publisher, topic: name }),
            Kind::Passing | Kind::Lasting if happens(&mut self.random, 1, 4) => {
                Action::Write(Write::DeleteTopic { publisher, topic: name })
            }
            Kind::Passing | Kind::Lasting => self.publish(topic),
        }
    }

    fn register(&mut self) -> Action {
        if happens(&mut self.random, 1, 2) {
            Action::Write(Write::CreatePublisher { publisher: self.publisher.clone() })
        } else {
            Action::Write(Write::CreateSubscriber { subscriber: self.subscriber.clone() })
        }
    }

    fn resign(&mut self) -> Action {
        if happens(&mut self.random, 1, 2) {
            Action::Write(Write::DeletePublisher { publisher: self.publisher.clone() })
        } else {
            Action::Write(Write::DeleteSubscriber { subscriber: self.subscriber.clone() })
        }
    }

    fn look(&mut self, topic: &Topic) -> Action {
        match self.random.u64(0..6) {
            0 => Action::Query(Query::Topics),
            1 => Action::Local(Local::Cluster),
            2 => Action::Admin(Admin::Status { node: None }),
            3 => Action::Admin(Admin::Status { node: Some(any_node(&self.seating, &mut self.random)) }),
            _ => Action::Query(Query::Locate { topic: topic.name.clone() }),
        }
    }

    fn nonsense(&mut self) -> Action {
        let lasting: Vec<Topic> = self.topics.iter().filter(|topic| topic.kind == Kind::Lasting).cloned().collect();
        let topic = one_of(&mut self.random, &lasting).expect("there is a lasting topic").clone();
        let past_end = Offset(topic.end + 1_000_000 + self.random.u64(0..1_000));
        let nowhere = super::topic("nowhere".into());
        let (nobody, stranger) = (nobody(), stranger());
        let (publisher, subscriber) = (self.publisher.clone(), self.subscriber.clone());
        match one_of(&mut self.random, NONSENSE).expect("a list") {
            Nonsense::PublishNowhere => self.publish_as(publisher, nowhere),
            Nonsense::PullNowhere => self.pull_as(subscriber, &nowhere, 10, ReadLevel::Leader, false),
            Nonsense::SubscribeNowhere => super::subscribe(subscriber, &nowhere),
            Nonsense::PublishByNobody => self.publish_as(nobody, topic.name),
            Nonsense::PullByNobody => self.pull_as(stranger, &topic.name, 10, ReadLevel::Leader, true),
            Nonsense::SubscribeByNobody => super::subscribe(stranger, &topic.name),
            Nonsense::CommitPastEnd => Action::Write(Write::Commit { subscriber, topic: topic.name, offset: past_end }),
            Nonsense::SubscribePastEnd => self.subscribe_from(&topic, Some(StartAt::Offset(past_end)), false),
            Nonsense::DeleteLasting => Action::Write(Write::DeleteTopic { publisher, topic: topic.name }),
            Nonsense::CreateAgain => Action::Write(Write::CreateTopic { publisher, topic: topic.name }),
        }
    }

    /// Whether the action uses a name that is never registered.
    pub(super) fn is_of_nobody(&self, action: &Action) -> bool {
        match action {
            Action::Write(Write::Publish { publisher, .. }) => *publisher == nobody(),
            Action::Read(Read::Pull { subscriber, .. }) | Action::Write(Write::Subscribe { subscriber, .. }) => {
                *subscriber == stranger()
            }
            _ => false,
        }
    }

    fn publish_as(&mut self, publisher: PublisherId, topic: TopicName) -> Action {
        let content = self.new_content().into();
        Action::Write(Write::Publish { publisher, topic, content, ack: self.ack(), sequence: None })
    }
}

fn nobody() -> PublisherId {
    PublisherId::new("nobody").expect("a valid name")
}

fn stranger() -> SubscriberId {
    SubscriberId::new("stranger").expect("a valid name")
}
