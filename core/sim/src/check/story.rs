//! Invented evidence in a few lines, for the tests of the checkers.
//!
//! Times are in milliseconds. The cube has dimension 3. Everything is about the topic `news`, with home 100 and
//! replicas on 101, 110 and 000. Operations are written in order of invocation, each by its own client unless stated
//! otherwise.

use std::ops::Range;
use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicId, TopicName};
use cubecast_core::time::{Instant, Timestamp};
use cubecast_core::wire::answer::{Done, ErrorCode, Message};
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel, Write};

use super::case::Case;
use super::evidence::{DiskLoss, DiskMishap, Evidence, Leadership, MemberChange, Mishap, QueuePeak, Recovery};
use super::history::{Answered, ClientId, Operation, Session, SessionEnd};
use super::{Broken, Checked, Verdict};

pub(super) struct Story {
    pub evidence: Evidence,
}

/// An operation under construction.
pub(super) struct Told<'a>(&'a mut Operation, Range<u64>);

pub(super) struct ToldSession<'a>(pub &'a mut Session);

pub(super) fn node(text: &str) -> HostId {
    text.parse().expect("a node")
}

pub(super) fn news() -> TopicName {
    TopicName::new("news").expect("a valid name")
}

pub(super) fn publisher() -> PublisherId {
    PublisherId::new("ann").expect("a valid name")
}

pub(super) fn subscriber() -> SubscriberId {
    SubscriberId::new("bob").expect("a valid name")
}

pub(super) fn message(offset: u64, content: &str) -> Message {
    Message { offset: Offset(offset), publisher: publisher(), content: content.into(), time: Timestamp(offset) }
}

pub(super) fn messages<'b>(from: u64, contents: impl IntoIterator<Item = &'b str>) -> Vec<Message> {
    (from..).zip(contents).map(|(offset, content)| message(offset, content)).collect()
}

fn millis(at: u64) -> Instant {
    Instant(at * 1_000)
}

impl Story {
    /// A story whose topic exists. The faults ended after one second, and the cluster recovered at once.
    pub fn new() -> Story {
        let second = millis(1_000);
        let recovery = Recovery {
            published: Some(second),
            homes_lead: Some(second),
            replicas_equal: Some(second),
            outboxes_empty: Some(second),
            ..Recovery::begun(second, Duration::from_secs(30))
        };
        let cube = Dimension::new(3).expect("a dimension");
        let evidence = Evidence { prepared: [news()].into(), ..Evidence::new(cube, recovery) };
        Story { evidence }
    }

    /// A story whose topic does not exist yet.
    pub fn without_topic() -> Story {
        let mut story = Story::new();
        story.evidence.prepared.clear();
        story
    }

    // Operations.

    /// An operation of a new client at node 010. It has no answer until one is given; an answer arrives at the end of
    /// `times`.
    pub fn ask(&mut self, action: Action, times: Range<u64>) -> Told<'_> {
        let operations = &mut self.evidence.history.operations;
        let client = ClientId(operations.len() as u32);
        let invoked = millis(times.start);
        operations.push(Operation { client, node: node("010"), action, invoked, answered: None });
        Told(operations.last_mut().expect("one was pushed"), times)
    }

    /// This node had that problem with a full disk at this time.
    pub fn disk_mishap(&mut self, at_node: &str, at: u64, what: Mishap) -> &mut Story {
        self.evidence.disk_mishaps.push(DiskMishap { node: node(at_node), at: millis(at), what });
        self
    }

    /// A publish with `ack: quorum` and sequence number 0.
    pub fn publish(&mut self, content: &str, times: Range<u64>) -> Told<'_> {
        let action = Action::Write(Write::Publish {
            publisher: publisher(),
            topic: news(),
            content: content.into(),
            ack: Ack::Quorum,
            sequence: Some(Sequence(0)),
        });
        self.ask(action, times)
    }

    /// A leader's read that does not move the cursor.
    pub fn pull(&mut self, times: Range<u64>) -> Told<'_> {
        let action = Action::Read(Read::Pull {
            subscriber: subscriber(),
            topic: news(),
            max: 100,
            read: ReadLevel::Leader,
            commit: false,
        });
        self.ask(action, times)
    }

    /// A read of at most 100 messages from the replica of the node that is asked. `from`: `None` for the subscriber's
    /// cursor.
    pub fn replica_pull(&mut self, from: Option<u64>, times: Range<u64>) -> Told<'_> {
        let from = from.map(Offset);
        self.ask(Action::Read(Read::ReplicaPull { subscriber: subscriber(), topic: news(), max: 100, from }), times)
    }

    /// The subscriber moves its cursor to this offset.
    pub fn commit(&mut self, offset: u64, times: Range<u64>) -> Told<'_> {
        self.ask(
            Action::Write(Write::Commit { subscriber: subscriber(), topic: news(), offset: Offset(offset) }),
            times,
        )
    }

    /// The subscriber subscribes without push. `from`: `None` to keep an existing cursor.
    pub fn subscribe(&mut self, from: Option<StartAt>, times: Range<u64>) -> Told<'_> {
        self.ask(Action::Write(Write::Subscribe { subscriber: subscriber(), topic: news(), from, push: false }), times)
    }

    /// A subscribe to the replica of the node that is asked, without push and without a start.
    pub fn replica_subscribe(&mut self, times: Range<u64>) -> Told<'_> {
        let action =
            Action::Write(Write::ReplicaSubscribe { subscriber: subscriber(), topic: news(), from: None, push: false });
        self.ask(action, times)
    }

    /// The subscriber ends its subscription, which removes its cursor.
    pub fn unsubscribe(&mut self, times: Range<u64>) -> Told<'_> {
        self.ask(Action::Write(Write::Unsubscribe { subscriber: subscriber(), topic: news() }), times)
    }

    /// The publisher creates the topic.
    pub fn create_topic(&mut self, times: Range<u64>) -> Told<'_> {
        self.ask(Action::Write(Write::CreateTopic { publisher: publisher(), topic: news() }), times)
    }

    /// The publisher deletes the topic, unless [`Told::by_publisher`] names another one.
    pub fn delete_topic(&mut self, times: Range<u64>) -> Told<'_> {
        self.ask(Action::Write(Write::DeleteTopic { publisher: publisher(), topic: news() }), times)
    }

    /// A push session from that offset on.
    pub fn push(&mut self, from: u64, at: u64) -> ToldSession<'_> {
        let sessions = &mut self.evidence.history.sessions;
        sessions.push(Session {
            client: ClientId(7),
            node: node("010"),
            topic: news(),
            subscriber: subscriber(),
            opened: millis(at),
            from: Offset(from),
            deliveries: Vec::new(),
            ended: None,
        });
        ToldSession(sessions.last_mut().expect("one was pushed"))
    }

    // The final state.

    /// Every replica has this log.
    pub fn log<'b>(&mut self, contents: impl IntoIterator<Item = &'b str>) {
        let log = messages(0, contents);
        let replicas = ["100", "101", "110", "000"].map(|replica| (node(replica), Some(log.clone()))).into();
        self.evidence.holdings.insert(news(), replicas);
    }

    /// This replica has this log, from offset 0.
    pub fn log_of<'b>(&mut self, replica: &str, contents: impl IntoIterator<Item = &'b str>) {
        *self.held(replica) = Some(messages(0, contents));
    }

    /// This replica does not have the topic.
    pub fn unknown_to(&mut self, replica: &str) {
        *self.held(replica) = None;
    }

    /// The log of this replica, to edit it. `None` if the replica does not have the topic.
    pub fn holding(&mut self, replica: &str) -> Option<&mut Vec<Message>> {
        self.held(replica).as_mut()
    }

    fn held(&mut self, replica: &str) -> &mut Option<Vec<Message>> {
        self.evidence.holdings.entry(news()).or_default().entry(node(replica)).or_default()
    }

    /// The node `of` lost its disk at this time.
    pub fn lose_disk(&mut self, of: &str, at: u64) -> &mut Story {
        self.evidence.disk_losses.push(DiskLoss { node: node(of), at: millis(at) });
        self
    }

    /// `leader` became the leader of the group of the home `group` in this term.
    pub fn leads(&mut self, group: &str, term: u64, leader: &str, at: u64) -> &mut Story {
        let (group, node, at) = (group.parse().expect("a vertex"), node(leader), millis(at));
        self.evidence.leaderships.push(Leadership { group, term, node, at });
        self
    }

    /// 100 proposes a change of its group's members after this many milliseconds of waiting. The previous change is at
    /// index 40.
    pub fn changes_members(&mut self, waited: u64, unaware: &[&str]) -> &mut Story {
        let (group, leader, at) = ("100".parse().expect("a vertex"), node("100"), millis(5));
        let unaware = unaware.iter().map(|voter| node(voter)).collect();
        let waited = Duration::from_millis(waited);
        self.evidence.member_changes.push(MemberChange { group, leader, at, index: 50, last: 40, waited, unaware });
        self
    }

    /// A queue of node 011 reached at most this length.
    pub fn queue(&mut self, name: &str, length: u64, limit: u64) -> &mut Story {
        self.evidence.queues.push(QueuePeak { node: node("011"), name: name.into(), length, limit });
        self
    }

    /// The recovery after the faults, to edit it.
    pub fn recovery(&mut self) -> &mut Recovery {
        &mut self.evidence.recovery
    }

    // The result of a checker.

    /// Requires a pass. Returns the number of checked facts.
    pub fn passes(&self, check: fn(&Case<'_>) -> Verdict) -> u64 {
        match check(&Case::new(&self.evidence)) {
            Ok(Checked(facts)) => facts,
            Err(Broken(what)) => panic!("nothing is broken, but: {what}"),
        }
    }

    /// Requires a violation whose description contains all of these parts.
    pub fn fails(&self, check: fn(&Case<'_>) -> Verdict, parts: &[&str]) {
        let Err(Broken(what)) = check(&Case::new(&self.evidence)) else { panic!("nothing was found of {parts:?}") };
        for part in parts {
            assert!(what.contains(part), "`{part}` is missing in: {what}");
        }
    }
}

impl<'a> Told<'a> {
    /// The request of this operation.
    pub fn action(&self) -> &Action {
        &self.0.action
    }

    // The request.

    /// The publish asks for this acknowledgement.
    pub fn ack(self, level: Ack) -> Self {
        if let Action::Write(Write::Publish { ack, .. }) = &mut self.0.action {
            *ack = level;
        }
        self
    }

    /// The pull asks for at most this many messages.
    pub fn max(self, most: u32) -> Self {
        if let Action::Read(Read::Pull { max, .. } | Read::ReplicaPull { max, .. }) = &mut self.0.action {
            *max = most;
        }
        self
    }

    /// The pull reads at this level of consistency.
    pub fn level(self, level: ReadLevel) -> Self {
        if let Action::Read(Read::Pull { read, .. }) = &mut self.0.action {
            *read = level;
        }
        self
    }

    /// The pull moves the cursor.
    pub fn commit(self) -> Self {
        if let Action::Read(Read::Pull { commit, .. }) = &mut self.0.action {
            *commit = true;
        }
        self
    }

    /// This publisher asks for the deletion of the topic.
    pub fn by_publisher(self, name: &str) -> Self {
        if let Action::Write(Write::DeleteTopic { publisher, .. }) = &mut self.0.action {
            *publisher = PublisherId::new(name).expect("a valid name");
        }
        self
    }

    // The answer.

    /// The answer, which arrives at the end of the operation's times. It crossed no other node.
    pub fn answer(self, served_by: &str, result: Result<Done, ErrorCode>) -> Self {
        let result = result.map_err(|code| code.because("so it is"));
        let at = millis(self.1.end);
        self.0.answered = Some(Answered { at, served_by: node(served_by), hops: Vec::new(), result });
        self
    }

    /// Stored at this offset by a majority.
    pub fn done(self, offset: u64) -> Self {
        self.published(Some(offset), &["100", "101", "110"], false)
    }

    /// Stored at this offset by an earlier publish with the same sequence number.
    pub fn repeated(self, offset: u64) -> Self {
        self.published(Some(offset), &["100", "101", "110"], true)
    }

    /// Stored on one node's disk.
    pub fn put_aside(self, keeper: &str) -> Self {
        self.published(None, &[keeper], false)
    }

    fn published(self, offset: Option<u64>, replicas: &[&str], repeated: bool) -> Self {
        let replicas: Vec<HostId> = replicas.iter().map(|replica| node(replica)).collect();
        let served_by = replicas[0].to_string();
        self.answer(&served_by, Ok(Done::Published { topic: news(), offset: offset.map(Offset), replicas, repeated }))
    }

    /// The pull returned these messages, from this offset to the topic's end.
    pub fn saw<'b>(self, from: u64, contents: impl IntoIterator<Item = &'b str>) -> Self {
        let messages = messages(from, contents);
        let cursor = Offset(from + messages.len() as u64);
        let (topic, end, behind) = (news(), cursor, None);
        self.answer("100", Ok(Done::Pulled { topic, messages, cursor, end, behind, original_node: None }))
    }

    /// The end of the topic at the time of the answer, beyond the answer's messages.
    pub fn of(self, topic_end: u64) -> Self {
        if let Some(Answered { result: Ok(Done::Pulled { end, .. }), .. }) = &mut self.0.answered {
            *end = Offset(topic_end);
        }
        self
    }

    /// Edits the messages of a pull's answer.
    pub fn edit(self, change: impl FnOnce(&mut Vec<Message>)) -> Self {
        if let Some(Answered { result: Ok(Done::Pulled { messages, .. }), .. }) = &mut self.0.answered {
            change(messages);
        }
        self
    }

    /// The cursor is now at this offset.
    pub fn committed(self, cursor: u64) -> Self {
        self.answer("100", Ok(Done::Committed { topic: news(), cursor: Offset(cursor) }))
    }

    /// The subscription exists, with its cursor at this offset.
    pub fn subscribed(self, cursor: u64) -> Self {
        let (topic, topic_id, cursor) = (news(), TopicId(1), Offset(cursor));
        self.answer("100", Ok(Done::Subscribed { topic, topic_id, cursor, original_node: None }))
    }

    /// The subscription is ended.
    pub fn unsubscribed(self) -> Self {
        self.answer("100", Ok(Done::Unsubscribed { topic: news() }))
    }

    /// The topic is created.
    pub fn created(self) -> Self {
        self.answer(
            "100",
            Ok(Done::TopicCreated { topic: news(), home: "100".parse().expect("a vertex"), neighbours: Vec::new() }),
        )
    }

    /// The topic is deleted.
    pub fn deleted(self) -> Self {
        self.answer(
            "100",
            Ok(Done::TopicDeleted { topic: news(), home: "100".parse().expect("a vertex"), neighbours: Vec::new() }),
        )
    }

    /// Node 100 refused the request with this code.
    pub fn refused(self, code: ErrorCode) -> Self {
        self.answer("100", Err(code))
    }

    /// The answer names these nodes as its path. An operation without an answer stays unchanged.
    pub fn crossed<'b>(self, hops: impl IntoIterator<Item = &'b str>) -> Self {
        if let Some(answered) = &mut self.0.answered {
            answered.hops = hops.into_iter().map(node).collect();
        }
        self
    }

    /// Leaves the operation without an answer.
    pub fn in_doubt(self) -> Self {
        self
    }
}

impl ToldSession<'_> {
    /// A message arrives at the subscriber at this time.
    pub fn deliver(self, at: u64, offset: u64, content: &str) -> Self {
        self.0.deliveries.push((millis(at), message(offset, content)));
        self
    }

    /// The session ends at this time.
    pub fn end(self, at: u64, end: SessionEnd) -> Self {
        self.0.ended = Some((millis(at), end));
        self
    }
}
