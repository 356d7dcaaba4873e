//! Handles the asks of other nodes, as a leader or as one of the replicas. A node sends asks to itself in the same
//! way.
//!
//! A command waits in its group's queue, then in the log, then for its acknowledgement. Its waiter is found by its
//! [`RequestKey`], so a repeated ask finds the command that is already under way.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::ack_all::AwaitingAll;
use super::pending::Advance;
use super::pulls::{Pull, ReadJob};
use super::queues::Queue;
use super::rejected::Rejected;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::group::members::Progress;
use crate::identity::{NodeId, RequestKey, TraceId};
use crate::names::TopicName;
use crate::placement;
use crate::topics::Outcome;
use crate::topics::command::{Command, Op};
use crate::wire::answer::{Answer, Done, ErrorCode, Failure};
use crate::wire::client::{Ack, Read, ReadLevel, Write};
use crate::wire::peer::{Body, Call, Reply};

/// Limits of the commands under way on one leader: their number and the bytes of their contents. Beyond this, it
/// answers `overloaded`.
const MAX_COMMANDS: usize = 32_768;
const MAX_COMMAND_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Serving {
    queues: BTreeMap<Vertex, Vec<Command>>,
    waiters: BTreeMap<RequestKey, Waiter>,
    /// Bytes of the contents of their commands.
    bytes: u64,
    /// Committed, and waiting for every member that is up.
    pub awaiting_all: Vec<AwaitingAll>,
    /// Committed in this turn; answered at its end.
    subscribed: Vec<(u64, Waiter, Outcome)>,
    rejected: Rejected,
}

/// The recipient of a reply.
#[derive(Clone, Debug)]
pub(super) struct Requester {
    pub vertex: Vertex,
    pub token: u64,
    pub trace: Option<TraceId>,
}

impl Requester {
    /// Whether this is a late copy of an ask that the same node has repeated since. No one waits for its answer.
    pub fn is_older_than(&self, other: &Requester) -> bool {
        self.vertex == other.vertex && self.token < other.token
    }
}

pub(super) struct Waiter {
    pub requester: Requester,
    pub group: Vertex,
    pub write: Write,
    /// Bytes of the command's content.
    pub bytes: u64,
    /// The vertices that the ask crossed, ending with this one.
    pub hops: Vec<Vertex>,
}

impl Serving {
    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.awaiting_all.is_empty()
    }

    fn insert_waiter(&mut self, key: RequestKey, waiter: Waiter) {
        self.bytes += waiter.bytes;
        self.waiters.insert(key, waiter);
    }

    fn remove_waiter(&mut self, key: &RequestKey) -> Option<Waiter> {
        let waiter = self.waiters.remove(key)?;
        self.bytes -= waiter.bytes;
        Some(waiter)
    }

    /// The waiter of a command that is under way.
    fn waiter(&mut self, key: &RequestKey) -> Option<&mut Waiter> {
        match self.waiters.get_mut(key) {
            Some(waiter) => Some(waiter),
            None => self.awaiting_all.iter_mut().find(|it| it.key == *key).map(|it| &mut it.waiter),
        }
    }

    /// Bytes of the contents of all commands under way.
    pub(super) fn content_bytes(&self) -> u64 {
        self.bytes
    }

    fn commands(&self) -> usize {
        self.waiters.len() + self.awaiting_all.len()
    }

    pub(super) fn queues(&self) -> [Queue; 3] {
        [
            self.rejected.queue(),
            Queue::of("commands under way", self.commands(), MAX_COMMANDS),
            Queue { name: "bytes of commands under way", len: self.bytes, limit: MAX_COMMAND_BYTES },
        ]
    }
}

impl Node {
    pub(super) fn handle_ask(&mut self, requester: Requester, call: Call, path: Vec<Vertex>) {
        let mut hops = path;
        hops.push(self.me);
        match call {
            Call::Write { key, write } => self.take_command(requester, key, write, hops),
            Call::Read { key, read } => self.handle_read(requester, key, read, hops),
            Call::Admin { admin } => {
                let result = self.administer(&admin);
                self.reply_result(&requester, hops, result);
            }
            Call::IsRegistered { kind, name, linearizable } => {
                self.handle_is_registered(requester, kind, name, linearizable)
            }
            Call::Advance { key, subscriber, topic, from, to } => {
                self.handle_advance(requester, key, Advance { subscriber, topic, from, to }, hops)
            }
            Call::Use { kind, name } => self.handle_use(requester, kind, name),
            Call::Fetch { subscription, from, max_bytes } => {
                self.handle_fetch(requester, subscription, from, max_bytes)
            }
            Call::Stored { group, topic, from, end, max_bytes } => {
                self.handle_stored(requester, group, topic, from, end, max_bytes)
            }
            Call::Holding { topic } => {
                let reply = self.holding(&topic);
                self.reply(&requester, reply);
            }
            Call::ListTopics { group } => {
                let reply = self.list_topics(group);
                self.reply(&requester, reply);
            }
        }
    }

    pub(super) fn reply(&mut self, requester: &Requester, reply: Reply) {
        self.send(requester.vertex, requester.trace, Body::Reply { token: requester.token, reply });
    }

    pub(super) fn reply_result(&mut self, requester: &Requester, hops: Vec<Vertex>, result: Result<Done, Failure>) {
        let answer = self.answer_with(hops, result);
        self.reply(requester, Reply::Answer(answer));
    }

    pub(super) fn answer_with(&self, hops: Vec<Vertex>, result: Result<Done, Failure>) -> Box<Answer> {
        Box::new(Answer { id: None, served_by: self.me, hops: Some(hops), result })
    }

    fn handle_read(&mut self, requester: Requester, key: RequestKey, read: Read, hops: Vec<Vertex>) {
        let home = placement::home(read.topic().as_str(), self.me.dimension());
        match read {
            Read::Pull { subscriber, topic, max, read: ReadLevel::Any, commit } => {
                if !self.groups.contains_key(&home) {
                    self.reply(&requester, Reply::NotLeader { leader: self.overlay.leader_of(home), proposed: false });
                } else if self.admit_pull(key, requester, hops) {
                    let pull = Pull { key, subscriber, topic, max, commit, replica: Some(home), from: None };
                    self.read_for_pull(home, pull);
                }
            }
            Read::Pull { subscriber, topic, max, read: ReadLevel::Leader, commit } => {
                if let Err(reply) = self.check_leads(home) {
                    self.reply(&requester, reply);
                } else if self.admit_pull(key, requester, hops) {
                    let pull = Pull { key, subscriber, topic, max, commit, replica: None, from: None };
                    if self.bugs.has(Bug::ReadsWithoutReadIndex) {
                        return self.read_for_pull(home, pull);
                    }
                    self.confirm_first(home, ReadJob::Pull(pull));
                }
            }
            Read::ReplicaPull { subscriber, topic, max, from } => {
                if self.admit_pull(key, requester, hops) {
                    let pull = Pull { key, subscriber, topic, max, commit: false, replica: Some(home), from };
                    self.read_for_pull(home, pull);
                }
            }
        }
    }

    /// The requester has received the messages of a pull: moves the cursor past them.
    fn handle_advance(&mut self, requester: Requester, key: RequestKey, advance: Advance, hops: Vec<Vertex>) {
        let Advance { subscriber, topic, from, to } = advance;
        let write = Write::Commit { subscriber: subscriber.clone(), topic: topic.clone(), offset: to };
        let op = Op::Advance { subscriber, topic, from, to };
        if let Some((requester, group, hops)) = self.admit_command(requester, key, &write, hops) {
            self.enter(key, op, Waiter { requester, group, write, bytes: 0, hops });
        }
    }

    /// Whether this node can take commands and linearizable reads of the group. The error is the reply to the
    /// requester.
    pub(super) fn check_leads(&self, home: Vertex) -> Result<(), Reply> {
        let not_leader = |leader| Err(Reply::NotLeader { leader, proposed: false });
        let Some(group) = self.groups.get(&home) else { return not_leader(self.overlay.leader_of(home)) };
        if !group.is_leader() {
            return not_leader(group.leader().map(|leader| leader.vertex).filter(|leader| *leader != self.me));
        }
        self.lacks_quorum(home).map_or(Ok(()), |why| Err(Reply::Unavailable { why }))
    }

    /// Why the group lacks a quorum, or `None` if it has one. Lost members are detected here at once; raft would detect
    /// them only by a timeout.
    pub(super) fn lacks_quorum(&self, home: Vertex) -> Option<String> {
        let voters = self.groups[&home].voters();
        let up = voters.iter().filter(|voter| self.is_member_up(**voter)).count();
        (up <= voters.len() / 2).then(|| {
            format!(
                "only {up} of the {} voters of the replica group of {home} are reachable from its leader {}, which is \
                 no majority",
                voters.len(),
                self.me
            )
        })
    }

    /// Whether exactly this member is up, and not another incarnation at its vertex.
    pub(super) fn is_member_up(&self, member: NodeId) -> bool {
        if member.vertex == self.me {
            return self.record.identity == Some(member);
        }
        self.overlay.is_alive(member.vertex) && self.has_place(member)
    }

    /// Whether no other incarnation is known at the member's vertex, so that its disk is assumed to exist.
    fn has_place(&self, member: NodeId) -> bool {
        self.overlay.incarnation_of(member.vertex).is_none_or(|incarnation| incarnation == member.incarnation)
    }

    fn take_command(&mut self, requester: Requester, key: RequestKey, write: Write, hops: Vec<Vertex>) {
        let Some((requester, group, hops)) = self.admit_command(requester, key, &write, hops) else { return };
        if self.may_acknowledge_one(group, &write) {
            self.take_one(requester, key, &write, hops);
            return;
        }
        self.counters.publishes += u64::from(matches!(write, Write::Publish { .. }));
        let bytes = write.content_bytes();
        self.enter(key, Op::of(&write), Waiter { requester, group, write, bytes, hops });
    }

    /// Returns the requester and the group if the command is new and this node can take it. For a repeated ask, which
    /// may come from another node or by another route, the command under way continues and its latest requester
    /// receives the answer.
    fn admit_command(
        &mut self,
        requester: Requester,
        key: RequestKey,
        write: &Write,
        hops: Vec<Vertex>,
    ) -> Option<(Requester, Vertex, Vec<Vertex>)> {
        let (group, bytes) = (placement::home(write.subject(), self.me.dimension()), write.content_bytes());
        if self.serving.rejected.has(&requester) {
            return None;
        }
        if let Some(waiter) = self.serving.waiter(&key) {
            if !requester.is_older_than(&waiter.requester) {
                (waiter.requester, waiter.hops) = (requester, hops);
            }
            return None;
        }
        if let Err(reply) = self.check_leads(group) {
            self.serving.rejected.note(&requester);
            self.reply(&requester, reply);
            return None;
        }
        if self.serving.commands() >= MAX_COMMANDS || self.serving.bytes + bytes > MAX_COMMAND_BYTES {
            self.serving.rejected.note(&requester);
            let (commands, total) = (self.serving.commands(), self.serving.bytes);
            let text = format!(
                "{commands} commands with {total} bytes are in progress on leader {}, which is its limit; retry",
                self.me
            );
            self.reply_result(&requester, hops, Err(ErrorCode::Overloaded.because(text)));
            return None;
        }
        if let Some(reply) = self.lacks_storage(group, write, &hops) {
            self.serving.rejected.note(&requester);
            self.reply(&requester, reply);
            return None;
        }
        self.take_room(bytes);
        Some((requester, group, hops))
    }

    /// Whether a publish can be acknowledged with `one` here. This excludes topics that this leader does not know: that
    /// refusal must come from the log, where it applies to every copy.
    fn may_acknowledge_one(&self, group: Vertex, write: &Write) -> bool {
        let known = |topic| {
            let group = &self.groups[&group];
            !group.leads_fully() || group.topics().place(topic).is_some()
        };
        matches!(write, Write::Publish { ack: Ack::One, topic, .. } if known(topic))
    }

    /// Performs `ack: one`: the publish is stored in this leader's outbox, answered when durable, and offered to the
    /// log.
    fn take_one(&mut self, requester: Requester, key: RequestKey, write: &Write, hops: Vec<Vertex>) {
        self.counters.publishes += 1;
        if let Err(failure) = self.store_in_outbox(
            key,
            Op::of(write),
            super::outbox::Owner::Leader { requester: requester.clone(), hops: hops.clone() },
        ) {
            self.reply_result(&requester, hops, Err(failure));
        }
    }

    fn enter(&mut self, key: RequestKey, op: Op, waiter: Waiter) {
        let command = Command { key, time: self.now.wall, op };
        self.serving.queues.entry(waiter.group).or_default().push(command);
        self.serving.insert_waiter(key, waiter);
    }

    /// Queues a command without a waiter. Returns whether there was room for it.
    pub(super) fn enter_alone(&mut self, group: Vertex, op: Op) -> bool {
        let command = Command { key: self.next_key(), time: self.now.wall, op };
        let queue = self.serving.queues.entry(group).or_default();
        let has_room = queue.len() < MAX_COMMANDS;
        if has_room {
            queue.push(command);
        }
        has_room
    }

    pub(super) fn propose_queued(&mut self) {
        for (home, queue) in &mut self.serving.queues {
            let Some(group) = self.groups.get_mut(home).filter(|group| group.can_propose()) else { continue };
            if !queue.is_empty()
                && let Err(rest) = group.propose(std::mem::take(queue))
            {
                *queue = rest;
            }
        }
    }

    // Results.

    pub(super) fn handle_applied(
        &mut self,
        group: Vertex,
        index: u64,
        key: RequestKey,
        outcome: Result<Outcome, Failure>,
    ) {
        self.handle_outbox_applied(key, &outcome);
        let Some(waiter) = self.serving.remove_waiter(&key) else { return };
        let outcome = match outcome {
            Err(failure) => return self.reply_result(&waiter.requester, waiter.hops, Err(failure)),
            Ok(outcome) => outcome,
        };
        if matches!(waiter.write, Write::Publish { ack: Ack::All, .. }) {
            self.await_all(group, index, key, waiter, outcome);
            return;
        }
        if matches!(waiter.write, Write::Subscribe { .. } | Write::ReplicaSubscribe { .. })
            && let Some(group) = self.groups.get_mut(&group)
        {
            group.notify_of_commit_now();
            self.serving.subscribed.push((index, waiter, outcome));
            return;
        }
        self.acknowledge(index, waiter, outcome);
    }

    /// Answers subscribes at the end of the turn. A new subscriber contacts a replica next, so the replica must receive
    /// the subscription before the client receives the answer.
    pub(super) fn acknowledge_subscriptions(&mut self) {
        for (index, waiter, outcome) in std::mem::take(&mut self.serving.subscribed) {
            self.acknowledge(index, waiter, outcome);
        }
    }

    pub(super) fn acknowledge(&mut self, index: u64, waiter: Waiter, outcome: Outcome) {
        let name = waiter.write.name();
        let Some(done) = self.describe(waiter.group, index, &waiter.write, outcome) else {
            let why = format!("request number already used by a command other than `{name}`");
            return self.reply(&waiter.requester, Reply::Unavailable { why });
        };
        let answer = self.answer_with(waiter.hops, Ok(done));
        let reply = match &answer.result {
            Ok(Done::Subscribed { .. }) => Reply::Subscribed { answer, index },
            _ => Reply::Answer(answer),
        };
        self.reply(&waiter.requester, reply);
    }

    /// Describes an outcome. `None`: the outcome belongs to another command that a requester sent under the same key.
    fn describe(&self, home: Vertex, index: u64, write: &Write, outcome: Outcome) -> Option<Done> {
        let neighbours = || home.neighbours().collect();
        Some(match (write.clone(), outcome) {
            (Write::CreatePublisher { publisher }, Outcome::Registered { existed }) => {
                Done::PublisherCreated { publisher, existed }
            }
            (Write::CreateSubscriber { subscriber }, Outcome::Registered { existed }) => {
                Done::SubscriberCreated { subscriber, existed }
            }
            (Write::DeletePublisher { publisher }, Outcome::Unregistered) => Done::PublisherDeleted { publisher },
            (Write::DeleteSubscriber { subscriber }, Outcome::Unregistered) => Done::SubscriberDeleted { subscriber },
            (Write::CreateTopic { topic, .. }, _) => Done::TopicCreated { topic, home, neighbours: neighbours() },
            (Write::DeleteTopic { topic, .. }, _) => Done::TopicDeleted { topic, home, neighbours: neighbours() },
            (Write::Publish { topic, .. }, Outcome::Published { offset, repeated }) => {
                Done::Published { topic, offset: Some(offset), replicas: self.replicas_of(home, index), repeated }
            }
            (Write::Unsubscribe { topic, .. }, _) => Done::Unsubscribed { topic },
            (Write::Commit { topic, .. }, Outcome::Committed { cursor }) => Done::Committed { topic, cursor },
            (
                Write::Subscribe { topic, .. } | Write::ReplicaSubscribe { topic, .. },
                Outcome::Subscribed { topic: topic_id, cursor },
            ) => Done::Subscribed { topic, topic_id, cursor, original_node: None },
            _ => return None,
        })
    }

    /// The members that are known to store the log up to `index`, home first.
    fn replicas_of(&self, home: Vertex, index: u64) -> Vec<Vertex> {
        let progress = self.groups[&home].progress();
        let has_it = |progress: &&Progress| progress.matched >= index && self.has_place(progress.member);
        let replicas: BTreeSet<Vertex> =
            progress.iter().filter(has_it).map(|progress| progress.member.vertex).collect();
        let stored = |vertex: &Vertex| *vertex == self.me || replicas.contains(vertex);
        placement::members(home).filter(stored).collect()
    }

    /// Returns all waiting commands and reads to their requesters, for the next leader.
    pub(super) fn give_up_leading(&mut self, group: Vertex, leader: Option<Vertex>) {
        let leader = leader.filter(|leader| *leader != self.me);
        let queued: Vec<RequestKey> =
            self.serving.queues.remove(&group).unwrap_or_default().into_iter().map(|command| command.key).collect();
        let orphans: Vec<(RequestKey, Waiter)> =
            self.serving.waiters.extract_if(.., |_, waiter| waiter.group == group).collect();
        for (key, waiter) in orphans {
            self.serving.bytes -= waiter.bytes;
            self.reply(&waiter.requester, Reply::NotLeader { leader, proposed: !queued.contains(&key) });
        }
        self.send_reads_back(group, leader);
    }
}

pub(super) fn unknown_topic(topic: &TopicName) -> Failure {
    ErrorCode::UnknownTopic.because(format!("there is no topic `{topic}`; create it first"))
}
