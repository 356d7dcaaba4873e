//! One client: its assumptions about the cluster, its preferences and its next step.

use std::collections::VecDeque;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::{PublisherId, SubscriberId, TopicName};
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::{Done, ErrorCode};
use cubecast_core::wire::client::{Action, Query, Read, Write};
use fastrand::Rng;

use super::choice::{happens, one_of, other_node};
use super::{Load, Step};
use crate::check::history::{Operation, Outcome};
use crate::places::any_node;

/// Number of answered publishes that may be repeated later.
const REMEMBERED: usize = 8;
/// Most steps at one node without failures.
const STAY: u64 = 30;

#[derive(Clone, Debug)]
pub(super) struct SimClient {
    pub(super) seating: Seating,
    pub(super) publisher: PublisherId,
    pub(super) subscriber: SubscriberId,
    /// Whether it assumes that its publisher is registered; `subscribes`: its subscriber.
    pub(super) publishes: bool,
    pub(super) subscribes: bool,
    /// Whether it ever subscribes with push.
    pub(super) listens: bool,
    pause_us: u64,
    pub(super) content_bytes: u64,
    pub(super) random: Rng,
    pub(super) topics: Vec<Topic>,
    node: HostId,
    /// Steps until it changes to another node.
    stay: u64,
    /// Number of contents so far; also its latest sequence number.
    pub(super) contents: u64,
    /// An action to repeat before any other.
    again: Option<Action>,
    /// Its latest publishes with a sequence number.
    pub(super) recent: VecDeque<Action>,
}

/// A client's assumptions about a topic, which may be wrong.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) kind: Kind,
    pub(super) exists: bool,
    pub(super) subscribed: bool,
    /// It has a push session.
    pub(super) listening: bool,
    /// The next offset to read.
    pub(super) cursor: u64,
    /// The offset after the last message that it has read.
    pub(super) read: u64,
    /// The offset after the last message that it knows of.
    pub(super) end: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Lasting,
    /// Owned by another client.
    Passing,
    OwnPassing,
}

impl Topic {
    pub(super) fn lasting(name: TopicName) -> Topic {
        Topic { exists: true, subscribed: true, ..Topic::new(name, Kind::Lasting) }
    }

    pub(super) fn passing(name: TopicName, own: bool) -> Topic {
        Topic::new(name, if own { Kind::OwnPassing } else { Kind::Passing })
    }

    fn new(name: TopicName, kind: Kind) -> Topic {
        Topic { name, kind, exists: false, subscribed: false, listening: false, cursor: 0, read: 0, end: 0 }
    }

    fn forget(&mut self, exists: bool) {
        *self = Topic { exists, subscribed: false, cursor: 0, read: 0, end: 0, ..self.clone() };
    }

    pub(super) fn backlog(&self) -> u64 {
        self.end.saturating_sub(self.cursor)
    }
}

impl SimClient {
    pub(super) fn new(number: u32, seating: Seating, load: &Load, topics: Vec<Topic>, mut random: Rng) -> SimClient {
        SimClient {
            publisher: PublisherId::new(format!("publisher{number}")).expect("a valid name"),
            subscriber: SubscriberId::new(format!("subscriber{number}")).expect("a valid name"),
            publishes: true,
            subscribes: true,
            listens: number % 3 != 2,
            pause_us: u64::from(load.pause_ms) * 1_000,
            content_bytes: load.content_bytes.into(),
            node: any_node(&seating, &mut random),
            seating,
            stay: 0,
            random,
            topics,
            contents: 0,
            again: None,
            recent: VecDeque::new(),
        }
    }

    pub(super) fn next(&mut self) -> Step {
        let pause_us = if happens(&mut self.random, 1, 4) { 0 } else { self.random.u64(0..=self.pause_us) };
        let action = match self.again.take() {
            Some(action) => action,
            None => self.choose_action(),
        };
        let leave = self.leave_before(&action);
        let node = self.choose_node(&action);
        Step { pause_us, node, new_connection: happens(&mut self.random, 1, 20), leave, action }
    }

    /// The session that the client closes before an action: always before a new session on the same topic, and
    /// sometimes before it unsubscribes, which would also end the session.
    fn leave_before(&mut self, action: &Action) -> Option<TopicName> {
        let name = match action {
            Action::Write(
                Write::Subscribe { topic, push: true, .. } | Write::ReplicaSubscribe { topic, push: true, .. },
            ) => topic,
            Action::Write(Write::Unsubscribe { topic, .. }) if happens(&mut self.random, 1, 2) => topic,
            _ => return None,
        };
        let topic = self.topics.iter_mut().find(|topic| topic.name == *name)?;
        std::mem::take(&mut topic.listening).then(|| name.clone())
    }

    // The node to ask.

    fn choose_node(&mut self, action: &Action) -> HostId {
        match action {
            Action::Read(Read::ReplicaPull { topic, .. }) | Action::Write(Write::ReplicaSubscribe { topic, .. }) => {
                let home = self.home(topic.as_str());
                let wants_replica = happens(&mut self.random, 4, 5);
                self.replica_or_not(home, wants_replica)
            }
            _ => match action.subject() {
                Some(subject) if happens(&mut self.random, 1, 8) => self.seating.host_of(self.home(subject)),
                Some(_) | None => self.usual_node(),
            },
        }
    }

    fn home(&self, name: &str) -> Vertex {
        placement::home(name, self.seating.dimension())
    }

    fn replica_or_not(&mut self, home: Vertex, wanted: bool) -> HostId {
        let members = self.seating.members(GroupId::of(home));
        let fits: Vec<HostId> = self.seating.hosts().filter(|node| members.contains(node) == wanted).collect();
        one_of(&mut self.random, &fits).copied().unwrap_or(members[0])
    }

    fn usual_node(&mut self) -> HostId {
        match self.stay.checked_sub(1) {
            Some(stay) => self.stay = stay,
            None => {
                self.node = other_node(&mut self.random, &self.seating, self.node);
                self.stay = self.random.u64(0..STAY);
            }
        }
        self.node
    }

    // Handling of outcomes.

    pub(super) fn handle_outcome(&mut self, operation: &Operation) {
        let outcome = operation.outcome();
        let (in_vain, shares) = match outcome {
            Outcome::Done(_) => (false, 1),
            Outcome::Refused(failure) if failure.code.is_transient() => (true, 12),
            Outcome::Refused(_) => (false, 1),
            Outcome::InDoubt => (true, 12),
        };
        if in_vain && happens(&mut self.random, 3, 4) {
            self.stay = 0;
        }
        self.perhaps_again(&operation.action, in_vain, shares);
        match outcome {
            Outcome::Done(done) => self.learn(&operation.action, done),
            Outcome::Refused(failure) => self.learn_refusal(&operation.action, failure.code),
            Outcome::InDoubt => {}
        }
    }

    /// Decides whether to repeat an action. A publish with a number can always be repeated; without a number it would
    /// be stored twice.
    fn perhaps_again(&mut self, action: &Action, in_vain: bool, shares: u64) {
        match action {
            Action::Write(Write::Publish { sequence: None, .. }) => {}
            Action::Write(Write::Publish { sequence: Some(_), .. }) => {
                if !self.recent.contains(action) {
                    self.recent.push_back(action.clone());
                    if self.recent.len() > REMEMBERED {
                        self.recent.pop_front();
                    }
                }
                if happens(&mut self.random, shares, 16) {
                    self.stay = 0;
                    self.again = Some(self.with_another_ack(action));
                }
            }
            action if in_vain && happens(&mut self.random, 1, 3) => self.again = Some(action.clone()),
            _ => {}
        }
    }

    /// Sometimes changes the requested acknowledgement.
    fn with_another_ack(&mut self, action: &Action) -> Action {
        let mut action = action.clone();
        if let Action::Write(Write::Publish { ack, .. }) = &mut action
            && happens(&mut self.random, 1, 4)
        {
            *ack = self.ack();
        }
        action
    }

    fn topic_of(&mut self, action: &Action) -> Option<&mut Topic> {
        let name = action.subject()?;
        self.topics.iter_mut().find(|topic| topic.name.as_str() == name)
    }

    fn learn(&mut self, action: &Action, done: &Done) {
        match done {
            Done::PublisherCreated { .. } => self.publishes = true,
            Done::SubscriberCreated { .. } => self.subscribes = true,
            Done::PublisherDeleted { .. } => self.publishes = false,
            Done::SubscriberDeleted { .. } => self.subscribes = false,
            _ => {}
        }
        let subscriber = self.subscriber.clone();
        let Some(topic) = self.topic_of(action) else { return };
        match (action, done) {
            (Action::Write(Write::CreateTopic { .. }), _) => topic.forget(true),
            (Action::Write(Write::DeleteTopic { .. }), _) => topic.forget(false),
            (Action::Write(Write::Publish { .. }), Done::Published { offset: Some(offset), .. }) => {
                topic.know(offset.0 + 1)
            }
            (
                Action::Write(Write::Subscribe { push, .. } | Write::ReplicaSubscribe { push, .. }),
                Done::Subscribed { cursor, .. },
            ) => {
                topic.subscribed = true;
                topic.listening |= push;
                topic.cursor = cursor.0;
                topic.know(cursor.0);
            }
            (Action::Write(Write::Unsubscribe { .. }), _) => topic.subscribed = false,
            (Action::Read(Read::Pull { commit, .. }), Done::Pulled { cursor, messages, .. }) => {
                topic.read = cursor.0;
                topic.cursor = match messages.first() {
                    Some(first) if !commit => first.offset.0,
                    Some(_) | None => cursor.0,
                };
                topic.know(cursor.0);
            }
            (Action::Write(Write::Commit { subscriber: of, .. }), Done::Committed { cursor, .. })
                if *of == subscriber =>
            {
                topic.cursor = cursor.0;
            }
            (Action::Read(Read::ReplicaPull { .. }), Done::Pulled { cursor, .. }) => topic.know(cursor.0),
            (Action::Query(Query::Locate { .. }), Done::Located(location)) => topic.exists = location.exists,
            _ => {}
        }
    }

    fn learn_refusal(&mut self, action: &Action, code: ErrorCode) {
        match code {
            ErrorCode::UnknownPublisher if !self.is_of_nobody(action) => self.publishes = false,
            ErrorCode::UnknownSubscriber if !self.is_of_nobody(action) => self.subscribes = false,
            _ => {}
        }
        let Some(topic) = self.topic_of(action) else { return };
        match code {
            ErrorCode::UnknownTopic => topic.forget(topic.kind == Kind::Lasting),
            ErrorCode::TopicExists => topic.exists = true,
            ErrorCode::NotSubscribed => topic.subscribed = false,
            _ => {}
        }
    }

    pub(super) fn handle_session_end(&mut self, name: &TopicName) {
        if let Some(topic) = self.topics.iter_mut().find(|topic| topic.name == *name) {
            topic.listening = false;
        }
    }
}

impl Topic {
    fn know(&mut self, end: u64) {
        self.exists = true;
        self.end = self.end.max(end);
    }
}
