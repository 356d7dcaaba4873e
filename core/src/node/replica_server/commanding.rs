//! Commands of requesters: taken, proposed, and answered when they are applied.
//!
//! A command waits in its group's queue, then in the log, then for its acknowledgement. Its waiter is found by its
//! [`RequestKey`], so a repeated ask finds the command that is already under way.

use super::super::groups::Groups;
use super::super::out::{GroupAsk, Out, PartEffect};
use super::super::view::View;
use super::super::vocabulary::{Advance, AnswerTo, Requester};
use super::ReplicaServer;
use super::commands::{MAX_COMMAND_BYTES, MAX_COMMANDS, Waiter};
use crate::identity::{GroupId, HostId, RequestKey};
use crate::topics::Outcome;
use crate::topics::command::{Command, Op};
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::{Ack, Write};
use crate::wire::peer::Reply;

impl ReplicaServer {
    /// The requester has received the messages of a pull: moves the cursor past them.
    pub(super) fn handle_advance(
        &mut self,
        requester: Requester,
        key: RequestKey,
        advance: Advance,
        hops: Vec<HostId>,
        view: &View,
        out: &mut Out,
    ) {
        let Advance { subscriber, topic, from, to } = advance;
        let write = Write::Commit { subscriber: subscriber.clone(), topic: topic.clone(), offset: to };
        let op = Op::Advance { subscriber, topic, from, to };
        if let Some((requester, group, hops)) = self.admit_command(requester, key, &write, hops, view, out) {
            self.enter(key, op, Waiter { requester, group, write, bytes: 0, hops }, view);
        }
    }

    pub(super) fn take_command(
        &mut self,
        requester: Requester,
        key: RequestKey,
        write: Write,
        hops: Vec<HostId>,
        view: &View,
        out: &mut Out,
    ) {
        let Some((requester, group, hops)) = self.admit_command(requester, key, &write, hops, view, out) else {
            return;
        };
        out.counters.publishes += u64::from(matches!(write, Write::Publish { .. }));
        let op = Op::of(&write);
        if may_acknowledge_one(view, group, &write) {
            // Stored in this leader's outbox, answered when durable, and offered to the log.
            return out.push(PartEffect::StoreInOutbox { key, op, owner: AnswerTo::Node { requester, hops } });
        }
        let bytes = write.content_bytes();
        self.enter(key, op, Waiter { requester, group, write, bytes, hops }, view);
    }

    /// Returns the requester and the group if the command is new and this node can take it. For a repeated ask, which
    /// may come from another node or by another route, the command under way continues and its latest requester
    /// receives the answer.
    fn admit_command(
        &mut self,
        requester: Requester,
        key: RequestKey,
        write: &Write,
        hops: Vec<HostId>,
        view: &View,
        out: &mut Out,
    ) -> Option<(Requester, GroupId, Vec<HostId>)> {
        let (group, bytes) = (view.group_of(write.subject()), write.content_bytes());
        if self.commands.rejected.has(&requester) {
            return None;
        }
        if let Some(waiter) = self.commands.waiter(&key) {
            if !requester.is_older_than(&waiter.requester) {
                (waiter.requester, waiter.hops) = (requester, hops);
            }
            return None;
        }
        if let Err(reply) = view.check_leads(group) {
            self.commands.rejected.note(&requester);
            out.reply(&requester, reply);
            return None;
        }
        if self.commands.commands() >= MAX_COMMANDS || self.commands.bytes + bytes > MAX_COMMAND_BYTES {
            self.commands.rejected.note(&requester);
            let (commands, total) = (self.commands.commands(), self.commands.bytes);
            let text = format!(
                "{commands} commands with {total} bytes are in progress on leader {}, which is its limit; retry",
                view.me
            );
            out.reply_result(view.me, &requester, hops, Err(ErrorCode::Overloaded.because(text)));
            return None;
        }
        if let Some(reply) = view.lacks_storage(group, write, self.commands.bytes, &hops) {
            self.commands.rejected.note(&requester);
            out.reply(&requester, reply);
            return None;
        }
        out.push(PartEffect::TakeRoom(bytes));
        Some((requester, group, hops))
    }

    fn enter(&mut self, key: RequestKey, op: Op, waiter: Waiter, view: &View) {
        let command = Command { key, time: view.now.wall, op };
        self.commands.queues.entry(waiter.group).or_default().push(command);
        self.commands.insert_waiter(key, waiter);
    }

    /// Queues a command without a waiter. Returns whether there was room for it.
    pub(super) fn enter_alone(&mut self, group: GroupId, op: Op, view: &View, out: &mut Out) -> bool {
        let command = Command { key: view.next_key(out), time: view.now.wall, op };
        let queue = self.commands.queues.entry(group).or_default();
        let has_room = queue.len() < MAX_COMMANDS;
        if has_room {
            queue.push(command);
        }
        has_room
    }

    /// Proposes the queued commands of the groups that can take them.
    pub fn propose_queued(&mut self, groups: &mut Groups) {
        for (group, queue) in &mut self.commands.queues {
            let Some(member) = groups.get_mut(*group).filter(|member| member.can_propose()) else { continue };
            if !queue.is_empty()
                && let Err(rest) = member.propose(std::mem::take(queue))
            {
                *queue = rest;
            }
        }
    }

    // Results.

    /// Answers the requester of an applied command, if one waits here. With `ack: all`, the answer first waits for all
    /// replicas; the answer to a subscribe waits for the end of the turn.
    pub fn handle_applied(
        &mut self,
        group: GroupId,
        index: u64,
        key: RequestKey,
        outcome: Result<Outcome, Failure>,
        view: &View,
        out: &mut Out,
    ) {
        let Some(waiter) = self.commands.remove_waiter(&key) else { return };
        let outcome = match outcome {
            Err(failure) => return out.reply_result(view.me, &waiter.requester, waiter.hops, Err(failure)),
            Ok(outcome) => outcome,
        };
        if matches!(waiter.write, Write::Publish { ack: Ack::All, .. }) {
            self.await_all(group, index, key, waiter, outcome, view);
            return;
        }
        if matches!(waiter.write, Write::Subscribe { .. } | Write::ReplicaSubscribe { .. }) {
            out.push(PartEffect::Group(group, GroupAsk::NotifyOfCommit));
            self.commands.subscribed.push((index, waiter, outcome));
            return;
        }
        self.acknowledge(index, waiter, outcome, view, out);
    }

    /// Answers subscribes at the end of the turn. A new subscriber contacts a replica next, so the replica must receive
    /// the subscription before the client receives the answer.
    pub fn acknowledge_subscriptions(&mut self, view: &View, out: &mut Out) {
        for (index, waiter, outcome) in std::mem::take(&mut self.commands.subscribed) {
            self.acknowledge(index, waiter, outcome, view, out);
        }
    }

    pub(super) fn acknowledge(&mut self, index: u64, waiter: Waiter, outcome: Outcome, view: &View, out: &mut Out) {
        let name = waiter.write.name();
        let Some(done) = describe(view, waiter.group, index, waiter.write, outcome) else {
            let why = format!("request number already used by a command other than `{name}`");
            return out.reply(&waiter.requester, Reply::Unavailable { why });
        };
        let is_subscribe = matches!(done, Done::Subscribed { .. });
        let answer = view.answer_with(waiter.hops, Ok(done));
        let reply = if is_subscribe { Reply::Subscribed { answer, index } } else { Reply::Answer(answer) };
        out.reply(&waiter.requester, reply);
    }

    /// Returns all waiting commands and reads to their requesters, for the next leader.
    pub fn give_up_leading(&mut self, group: GroupId, leader: Option<HostId>, view: &View, out: &mut Out) {
        let leader = leader.filter(|leader| *leader != view.me);
        let queued: Vec<RequestKey> =
            self.commands.queues.remove(&group).unwrap_or_default().into_iter().map(|command| command.key).collect();
        let orphans: Vec<(RequestKey, Waiter)> =
            self.commands.waiters.extract_if(.., |_, waiter| waiter.group == group).collect();
        for (key, waiter) in orphans {
            self.commands.bytes -= waiter.bytes;
            out.reply(&waiter.requester, Reply::NotLeader { leader, proposed: !queued.contains(&key) });
        }
        self.send_reads_back(group, leader, out);
    }
}

/// Whether a publish can be acknowledged with `one` here. This excludes topics that this leader does not know: that
/// refusal must come from the log, where it applies to every copy.
fn may_acknowledge_one(view: &View, group: GroupId, write: &Write) -> bool {
    let known = |topic| {
        let group = &view.groups[group];
        !group.leads_fully() || group.topics().place(topic).is_some()
    };
    matches!(write, Write::Publish { ack: Ack::One, topic, .. } if known(topic))
}

/// Describes an outcome. `None`: the outcome belongs to another command that a requester sent under the same key.
fn describe(view: &View, group: GroupId, index: u64, write: Write, outcome: Outcome) -> Option<Done> {
    let home = view.home(group);
    let neighbours = || home.neighbours().collect();
    Some(match (write, outcome) {
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
            Done::Published { topic, offset: Some(offset), replicas: replicas_of(view, group, index), repeated }
        }
        (Write::Unsubscribe { topic, .. }, _) => Done::Unsubscribed { topic },
        (Write::Commit { topic, .. }, Outcome::Committed { cursor }) => Done::Committed { topic, cursor },
        (
            Write::Subscribe { topic, .. } | Write::ReplicaSubscribe { topic, .. },
            Outcome::Subscribed { topic: topic_id, cursor },
        ) => Done::Subscribed { topic, topic_id, cursor, original_node: None },
        // The outcome of another command.
        (
            Write::CreatePublisher { .. }
            | Write::CreateSubscriber { .. }
            | Write::DeletePublisher { .. }
            | Write::DeleteSubscriber { .. }
            | Write::Publish { .. }
            | Write::Subscribe { .. }
            | Write::ReplicaSubscribe { .. }
            | Write::Commit { .. },
            _,
        ) => return None,
    })
}

/// The members that are known to store the log up to `index`, home first.
fn replicas_of(view: &View, group: GroupId, index: u64) -> Vec<HostId> {
    let holders = view.groups[group].holders(index).filter(|member| view.is_current(*member));
    let holders: Vec<HostId> = holders.map(|member| member.host).collect();
    let stored = |host: &HostId| *host == view.me || holders.contains(host);
    view.members(group).filter(stored).collect()
}
