//! The record of a run: operations, push sessions, leaderships and lost disks. Many tasks write it, with one clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Answer, Message};
use cubecast_core::wire::client::{Action, Write};
use cubecast_sim::check::evidence::{DiskLoss, Leadership};
use cubecast_sim::check::history::{Answered, ClientId, History, Operation, Outcome, Session, SessionEnd};

/// Writes the record. Clones share it.
#[derive(Clone, Debug)]
pub struct Recorder {
    began: std::time::Instant,
    record: Arc<Mutex<Record>>,
}

/// The record of a run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Operations and push sessions.
    pub history: History,
    /// Leaderships of nodes.
    pub leaderships: Vec<Leadership>,
    /// Lost disks.
    pub disk_losses: Vec<DiskLoss>,
    /// Times without an acknowledged publish.
    pub availability: Availability,
}

/// The longest time without an acknowledged publish, by topic.
#[derive(Clone, Debug, Default)]
pub struct Availability {
    topics: BTreeMap<TopicName, Gaps>,
    /// The number of acknowledged publishes.
    pub acknowledged: u64,
}

#[derive(Clone, Copy, Debug)]
struct Gaps {
    last: Instant,
    longest: Gap,
}

/// A time without an acknowledged publish.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Gap {
    /// Its length.
    pub length: Duration,
    /// When it began.
    pub from: Instant,
}

/// An operation that has begun.
#[derive(Debug)]
pub struct Begun(usize);

/// A push session that has begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionNumber(usize);

impl Recorder {
    /// An empty record, and a clock that starts at zero.
    pub fn start() -> Recorder {
        Recorder { began: std::time::Instant::now(), record: Arc::default() }
    }

    /// The time since the start.
    pub fn now(&self) -> Instant {
        Instant(self.began.elapsed().as_micros() as u64)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Takes everything recorded so far.
    pub fn take(&self) -> Record {
        std::mem::take(&mut self.record())
    }

    /// The number of operations so far.
    pub fn operations(&self) -> usize {
        self.record().history.operations.len()
    }

    // Operations.

    /// Records the start of an operation.
    pub fn begin(&self, client: ClientId, node: HostId, action: &Action) -> Begun {
        let mut record = self.record();
        // The clock is read under the lock, so that operations are ordered by their start.
        let invoked = self.now();
        record.history.operations.push(Operation { client, node, action: action.clone(), invoked, answered: None });
        Begun(record.history.operations.len() - 1)
    }

    /// Records the outcome of an operation. `None`: no answer.
    pub fn end(&self, begun: Begun, answer: Option<Answer>) -> Operation {
        let mut record = self.record();
        let at = self.now();
        let operation = &mut record.history.operations[begun.0];
        operation.answered = answer.map(|answer| Answered {
            at,
            served_by: answer.served_by,
            hops: answer.hops.unwrap_or_default(),
            result: answer.result,
        });
        let operation = operation.clone();
        if let (Action::Write(Write::Publish { topic, .. }), Outcome::Done(_)) =
            (&operation.action, operation.outcome())
        {
            record.availability.acknowledge(topic, at);
        }
        operation
    }

    // Sessions.

    /// Records the start of a push session.
    pub fn open_session(
        &self,
        client: ClientId,
        node: HostId,
        topic: TopicName,
        subscriber: SubscriberId,
        from: Offset,
    ) -> SessionNumber {
        let mut record = self.record();
        let (opened, deliveries) = (self.now(), Vec::new());
        record.history.sessions.push(Session {
            client,
            node,
            topic,
            subscriber,
            opened,
            from,
            deliveries,
            ended: None,
        });
        SessionNumber(record.history.sessions.len() - 1)
    }

    /// Records a delivery. Deliveries after the session's end are ignored.
    pub fn deliver(&self, session: SessionNumber, message: Message) {
        let mut record = self.record();
        let at = self.now();
        let session = &mut record.history.sessions[session.0];
        if session.ended.is_none() {
            session.deliveries.push((at, message));
        }
    }

    /// Records the end of a push session.
    pub fn end_session(&self, session: SessionNumber, end: SessionEnd) {
        let mut record = self.record();
        let at = self.now();
        record.history.sessions[session.0].ended.get_or_insert((at, end));
    }

    /// Whether every open session has delivered all messages of its topic. `messages`: their number, by topic.
    pub fn has_delivered(&self, messages: &BTreeMap<TopicName, u64>) -> bool {
        self.record().history.undelivered(messages).next().is_none()
    }

    // Observations of the nodes.

    /// Records that a node leads a group.
    pub fn lead(&self, node: HostId, group: Vertex, term: u64) {
        let at = self.now();
        self.record().leaderships.push(Leadership { group, term, node, at });
    }

    /// Records that a node lost its disk.
    pub fn lose_disk(&self, node: HostId) {
        let at = self.now();
        self.record().disk_losses.push(DiskLoss { node, at });
    }

    // Availability.

    /// From now on, measures the times without an acknowledged publish to these topics.
    pub fn begin_counting(&self, topics: &[TopicName]) {
        let at = self.now();
        let gaps = Gaps { last: at, longest: Gap::default() };
        self.record().availability.topics = topics.iter().map(|topic| (topic.clone(), gaps)).collect();
    }

    /// Ends the measurement. The longest time, by topic.
    pub fn end_counting(&self) -> BTreeMap<TopicName, Gap> {
        let now = self.now();
        let mut record = self.record();
        let topics = std::mem::take(&mut record.availability.topics);
        topics.into_iter().map(|(topic, gaps)| (topic, gaps.until(now))).collect()
    }

    /// Acknowledged publishes so far, and the longest time without one.
    pub fn availability(&self) -> (u64, Gap) {
        let now = self.now();
        let record = self.record();
        let longest = record.availability.topics.values().map(|gaps| gaps.until(now)).max();
        (record.availability.acknowledged, longest.unwrap_or_default())
    }
}

impl Availability {
    fn acknowledge(&mut self, topic: &TopicName, at: Instant) {
        self.acknowledged += 1;
        if let Some(gaps) = self.topics.get_mut(topic) {
            *gaps = Gaps { last: at, longest: gaps.until(at) };
        }
    }
}

impl Gaps {
    fn until(self, now: Instant) -> Gap {
        self.longest.max(Gap { length: now.since(self.last), from: self.last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_counts_also_when_it_has_not_ended() {
        let at = |ms: u64| Instant(ms * 1_000);
        let mut gaps = Gaps { last: at(0), longest: Gap::default() };
        for ms in [100, 700, 800] {
            gaps = Gaps { last: at(ms), longest: gaps.until(at(ms)) };
        }
        assert_eq!(gaps.until(at(900)), Gap { length: Duration::from_millis(600), from: at(100) });
        assert_eq!(gaps.until(at(9_000)), Gap { length: Duration::from_millis(8_200), from: at(800) });
    }

    #[test]
    fn nothing_is_delivered_to_a_session_that_has_ended() {
        let recorder = Recorder::start();
        let node: HostId = "000".parse().unwrap();
        let (topic, subscriber) = ("news".parse().unwrap(), "subscriber0".parse().unwrap());
        let session = recorder.open_session(ClientId(0), node, topic, subscriber, Offset(0));
        let message = |offset| Message {
            offset: Offset(offset),
            publisher: "publisher0".parse().unwrap(),
            content: "".into(),
            time: Default::default(),
        };
        recorder.deliver(session, message(0));
        recorder.end_session(session, SessionEnd::Left);
        recorder.deliver(session, message(1));
        recorder.end_session(session, SessionEnd::Closed);
        let history = recorder.take().history;
        assert_eq!(history.sessions[0].deliveries.len(), 1);
        assert_eq!(history.sessions[0].ended.map(|(_, end)| end), Some(SessionEnd::Left));
    }
}
