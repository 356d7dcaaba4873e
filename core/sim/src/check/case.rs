//! The evidence of a run, sorted by topic once for all checkers.

use std::collections::BTreeMap;

use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, PublisherId, TopicName};
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Done, ErrorCode, Message};
use cubecast_core::wire::client::{Ack, Action, Write};

use super::evidence::Evidence;
use super::history::{Operation, Outcome, Session};

/// The input of a checker.
pub struct Case<'a> {
    pub evidence: &'a Evidence,
    /// Every topic that the evidence names, sorted by name.
    pub topics: Vec<Topic<'a>>,
}

/// The evidence about one topic.
pub struct Topic<'a> {
    pub name: &'a TopicName,
    /// It existed before the record began.
    pub is_prepared: bool,
    /// No deletion can have taken effect, so it has one log from the first message to the last.
    pub is_lasting: bool,
    /// The latest time by which it existed, unless it was deleted.
    pub exists_since: Instant,
    /// In order of invocation.
    pub operations: Vec<&'a Operation>,
    /// Push sessions, in order of their start.
    pub sessions: Vec<&'a Session>,
    /// One for each content, in order of the first attempt.
    pub publishes: Vec<Publish<'a>>,
    /// The final log of each replica; `None`: it had no such topic.
    pub replicas: Vec<(HostId, Option<&'a [Message]>)>,
    /// The log of the replica with the most messages.
    pub log: &'a [Message],
    /// For each message of the log, the index of its publish.
    stored_by: Vec<Option<u32>>,
    by_content: BTreeMap<&'a str, u32>,
}

/// One message that a client published, with all attempts.
pub struct Publish<'a> {
    pub publisher: &'a PublisherId,
    /// The content, unique in the record.
    pub content: &'a str,
    /// In order of invocation; never empty.
    pub attempts: Vec<&'a Operation>,
    /// Its offset in the log.
    pub place: Option<Offset>,
}

/// The promise in the answer to a publish.
#[derive(Clone, Copy)]
pub struct Acknowledgement<'a> {
    /// The requested acknowledgement.
    pub ack: Ack,
    /// `None`: stored on one disk, and not yet in the log.
    pub offset: Option<Offset>,
    /// The nodes that had stored it at the time of the answer.
    pub replicas: &'a [HostId],
    /// When the answer arrived.
    pub at: Instant,
}

/// A message in an answer or in a delivery.
#[derive(Clone, Copy)]
pub struct Sighting<'a> {
    pub message: &'a Message,
    /// When the client received it.
    pub at: Instant,
    /// How the client received it.
    pub by: Witness<'a>,
}

/// The source of a sighting.
#[derive(Clone, Copy)]
pub enum Witness<'a> {
    Pull(&'a Operation),
    Push(&'a Session),
}

impl<'a> Case<'a> {
    /// Sorts the evidence by topic.
    pub fn new(evidence: &'a Evidence) -> Case<'a> {
        let mut topics: BTreeMap<&TopicName, Topic<'a>> = BTreeMap::new();
        for operation in &evidence.history.operations {
            if let Some(name) = operation.action.topic() {
                topics.entry(name).or_insert_with(|| Topic::new(name)).operations.push(operation);
            }
        }
        for session in &evidence.history.sessions {
            let name = &session.topic;
            topics.entry(name).or_insert_with(|| Topic::new(name)).sessions.push(session);
        }
        for (name, replicas) in &evidence.holdings {
            let topic = topics.entry(name).or_insert_with(|| Topic::new(name));
            topic.replicas = replicas.iter().map(|(replica, held)| (*replica, held.as_deref())).collect();
        }
        let mut topics: Vec<Topic<'a>> = topics.into_values().collect();
        for topic in &mut topics {
            topic.is_prepared = evidence.prepared.contains(topic.name);
            topic.sort();
        }
        Case { evidence, topics }
    }

    /// Topics whose log is known from the first message to the last.
    pub fn lasting_topics(&self) -> impl Iterator<Item = &Topic<'a>> {
        self.topics.iter().filter(|topic| topic.is_lasting && !topic.replicas.is_empty())
    }

    /// Whether a node's disk was lost or damaged at that time or later.
    pub fn lost_disk_since(&self, node: HostId, since: Instant) -> bool {
        self.evidence.disk_losses.iter().any(|loss| loss.node == node && loss.at >= since)
    }
}

impl<'a> Topic<'a> {
    fn new(name: &'a TopicName) -> Topic<'a> {
        Topic {
            name,
            is_prepared: false,
            is_lasting: true,
            exists_since: Instant(0),
            operations: Vec::new(),
            sessions: Vec::new(),
            publishes: Vec::new(),
            replicas: Vec::new(),
            log: &[],
            stored_by: Vec::new(),
            by_content: BTreeMap::new(),
        }
    }

    fn sort(&mut self) {
        self.is_lasting = !self.may_be_deleted();
        self.exists_since = if self.is_prepared { Instant(0) } else { self.first_sign() };
        self.sort_publishes();
        self.log = self.logs().map(|(_, log)| log).max_by_key(|log| log.len()).unwrap_or(&[]);
        self.stored_by = self.log.iter().map(|message| self.by_content.get(&*message.content).copied()).collect();
        for (at, publish) in self.stored_by.iter().enumerate() {
            if let Some(publish) = publish {
                self.publishes[*publish as usize].place.get_or_insert(Offset(at as u64));
            }
        }
    }

    /// The first proof that the topic existed: an answer that it was created or existed already.
    fn first_sign(&self) -> Instant {
        let is_sign = |it: &&&Operation| match (&it.action, it.outcome()) {
            (Action::Write(Write::CreateTopic { .. }), Outcome::Done(_)) => true,
            (Action::Write(Write::CreateTopic { .. }), Outcome::Refused(failure)) => {
                failure.code == ErrorCode::TopicExists
            }
            _ => false,
        };
        self.operations.iter().filter(is_sign).map(|it| it.over()).min().unwrap_or(Instant(u64::MAX))
    }

    /// Whether a deletion may have taken effect. Only the owner can delete a topic; a request of another publisher has
    /// no effect even if its answer is missing.
    fn may_be_deleted(&self) -> bool {
        let owner = self.operations.iter().find_map(|operation| match (&operation.action, operation.outcome()) {
            (_, Outcome::Refused(_)) => None,
            (Action::Write(Write::CreateTopic { publisher, .. }), _) => Some(publisher),
            _ => None,
        });
        self.operations.iter().any(|operation| match (&operation.action, operation.outcome()) {
            (Action::Write(Write::DeleteTopic { .. }), Outcome::Done(_)) => true,
            (Action::Write(Write::DeleteTopic { publisher, .. }), Outcome::InDoubt) => {
                owner.is_none_or(|owner| owner == publisher)
            }
            _ => false,
        })
    }

    fn sort_publishes(&mut self) {
        for operation in &self.operations {
            let Action::Write(Write::Publish { publisher, content, .. }) = &operation.action else { continue };
            let next = self.publishes.len() as u32;
            let known = *self.by_content.entry(content).or_insert(next);
            if known == next {
                self.publishes.push(Publish { publisher, content, attempts: Vec::with_capacity(1), place: None });
            }
            self.publishes[known as usize].attempts.push(operation);
        }
    }

    /// The replicas that have the topic, with their logs.
    pub fn logs(&self) -> impl Iterator<Item = (HostId, &'a [Message])> {
        self.replicas.iter().filter_map(|(replica, held)| held.map(|log| (*replica, log)))
    }

    /// The publish of a message, identified by its unique content.
    pub fn publish_of(&self, message: &Message) -> Option<&Publish<'a>> {
        self.index_of(message).map(|index| &self.publishes[index])
    }

    /// Its index in `publishes`.
    pub fn index_of(&self, message: &Message) -> Option<usize> {
        // Nearly every message is in the log at its offset.
        let at = usize::try_from(message.offset.0).ok()?;
        let index = match self.log.get(at) {
            Some(logged) if logged.content == message.content => self.stored_by[at],
            _ => self.by_content.get(&*message.content).copied(),
        };
        index.map(|index| index as usize)
    }

    /// The publish at this offset in the log.
    pub fn publish_at(&self, at: Offset) -> Option<&Publish<'a>> {
        let index = self.stored_by.get(usize::try_from(at.0).ok()?).copied().flatten()?;
        Some(&self.publishes[index as usize])
    }

    /// Every message that a client received: first from pulls, then from pushes.
    pub fn sightings(&self) -> impl Iterator<Item = Sighting<'a>> {
        let pulled = self.operations.iter().flat_map(|operation| {
            let at = operation.over();
            pulled(operation).iter().map(move |message| Sighting { message, at, by: Witness::Pull(operation) })
        });
        let pushed = self.sessions.iter().flat_map(|session| {
            session.deliveries.iter().map(|(at, message)| Sighting { message, at: *at, by: Witness::Push(session) })
        });
        pulled.chain(pushed)
    }
}

impl<'a> Publish<'a> {
    /// The first attempt.
    pub fn first_attempt(&self) -> &'a Operation {
        self.attempts[0]
    }

    /// Attempts that were acknowledged.
    pub fn acknowledged(&self) -> impl Iterator<Item = (&'a Operation, Acknowledgement<'a>)> {
        self.attempts.iter().filter_map(|attempt| Some((*attempt, acknowledgement(attempt)?)))
    }
}

/// The messages in the answer of a pull; empty for any other operation.
pub fn pulled(operation: &Operation) -> &[Message] {
    match operation.outcome() {
        Outcome::Done(Done::Pulled { messages, .. }) => messages,
        _ => &[],
    }
}

/// The acknowledgement in the answer of a publish; `None` for any other operation or answer.
pub fn acknowledgement(operation: &Operation) -> Option<Acknowledgement<'_>> {
    let Action::Write(Write::Publish { ack, .. }) = &operation.action else { return None };
    match operation.outcome() {
        Outcome::Done(Done::Published { offset, replicas, .. }) => {
            Some(Acknowledgement { ack: *ack, offset: *offset, replicas, at: operation.over() })
        }
        _ => None,
    }
}
