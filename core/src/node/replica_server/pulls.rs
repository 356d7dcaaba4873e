//! Pulls under way at a replica, and reads that wait for the confirmation that this node still leads.
//!
//! A linearizable pull first waits for that confirmation. Every pull then waits for the disk (see `reads`). Its
//! requester is found by its [`RequestKey`], so a repeated ask does not start the pull again: the answer goes to the
//! latest requester.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::out::{GroupAsk, Out, PartEffect};
use super::super::queues::Queue;
use super::super::view::View;
use super::super::vocabulary::{Requester, message};
use super::ReplicaServer;
use crate::bugs::Bug;
use crate::identity::{GroupId, HostId, RequestKey};
use crate::names::{Offset, SubscriberId, TopicName};
use crate::records::StoredMessage;
use crate::time::Instant;
use crate::topics::Topics;
use crate::wire::answer::{Done, Failure, Message};
use crate::wire::client::{Registry, Write};
use crate::wire::peer::Reply;

/// Most pulls under way on one replica, over all clients and nodes. Beyond this, the coordinator is told to ask again.
const MAX_PULLS: usize = 8_192;
/// Most reads that await the leader's confirmation, pulls included. Beyond this, the coordinator is told to ask again.
const MAX_UNCONFIRMED: usize = 16_384;
/// Delay before a ReadIndex is requested again. Raft can drop one without notice.
const READ_AGAIN: Duration = Duration::from_millis(150);
/// A read without confirmation for this long is returned to its requester.
const READ_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Pulls {
    /// Reads that wait for the next ReadIndex. `tickets` has those whose ReadIndex is under way.
    new_reads: BTreeMap<GroupId, Vec<ReadJob>>,
    tickets: BTreeMap<u64, Ticket>,
    /// Number of reads in both.
    unconfirmed: usize,
    /// The requester of each pull in any state.
    under_way: BTreeMap<RequestKey, Puller>,
}

#[derive(Serialize, Deserialize)]
struct Puller {
    requester: Requester,
    hops: Vec<HostId>,
}

#[derive(Serialize, Deserialize)]
struct Ticket {
    group: GroupId,
    since: Instant,
    asked: Instant,
    jobs: Vec<ReadJob>,
}

/// A read that must be linearizable.
#[derive(Serialize, Deserialize)]
pub(super) enum ReadJob {
    Pull(Pull),
    IsRegistered { requester: Requester, kind: Registry, name: String },
}

/// A pull under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pull {
    pub key: RequestKey,
    pub subscriber: SubscriberId,
    pub topic: TopicName,
    pub max: u32,
    pub commit: bool,
    /// The home of the topic if a replica answers from its own state. `from` is an offset to use in place of the
    /// cursor.
    pub replica: Option<GroupId>,
    pub from: Option<Offset>,
}

impl Pulls {
    pub(super) fn is_anything_waiting(&self) -> bool {
        self.unconfirmed > 0
    }

    pub(super) fn queues(&self) -> [Queue; 2] {
        [
            Queue::of("pulls under way", self.under_way.len(), MAX_PULLS),
            Queue::of("reads not confirmed yet", self.unconfirmed, MAX_UNCONFIRMED),
        ]
    }
}

impl ReplicaServer {
    /// Whether to start the pull. A repeated ask redirects the answer to its requester instead.
    pub(super) fn admit_pull(
        &mut self,
        key: RequestKey,
        requester: Requester,
        hops: Vec<HostId>,
        view: &View,
        out: &mut Out,
    ) -> bool {
        if let Some(puller) = self.pulls.under_way.get_mut(&key) {
            if !requester.is_older_than(&puller.requester) {
                *puller = Puller { requester, hops };
            }
            return false;
        }
        if self.pulls.under_way.len() >= MAX_PULLS {
            let why = format!("node {} has reached its limit of {MAX_PULLS} pulls in progress", view.me);
            out.reply(&requester, Reply::Unavailable { why });
            return false;
        }
        self.pulls.under_way.insert(key, Puller { requester, hops });
        true
    }

    /// Ends the pull with a reply to its latest requester.
    pub(super) fn reply_to_pull(&mut self, key: RequestKey, reply: Reply, out: &mut Out) {
        if let Some(puller) = self.pulls.under_way.remove(&key) {
            out.reply(&puller.requester, reply);
        }
    }

    pub(super) fn answer_pull(&mut self, key: RequestKey, result: Result<Done, Failure>, view: &View, out: &mut Out) {
        if let Some(puller) = self.pulls.under_way.remove(&key) {
            out.reply_result(view.me, &puller.requester, puller.hops, result);
        }
    }

    fn reply_to_read(&mut self, job: ReadJob, reply: Reply, out: &mut Out) {
        match job {
            ReadJob::Pull(pull) => self.reply_to_pull(pull.key, reply, out),
            ReadJob::IsRegistered { requester, .. } => out.reply(&requester, reply),
        }
    }

    /// Queues a read until a majority has confirmed that this node still leads.
    pub(super) fn confirm_first(&mut self, group: GroupId, job: ReadJob, view: &View, out: &mut Out) {
        if self.pulls.unconfirmed >= MAX_UNCONFIRMED {
            let why = format!(
                "leader {} has reached its limit of {MAX_UNCONFIRMED} reads that wait for its confirmation",
                view.me
            );
            return self.reply_to_read(job, Reply::Unavailable { why }, out);
        }
        self.pulls.unconfirmed += 1;
        self.pulls.new_reads.entry(group).or_default().push(job);
    }

    pub(super) fn handle_is_registered(
        &mut self,
        requester: Requester,
        kind: Registry,
        name: String,
        linearizable: bool,
        view: &View,
        out: &mut Out,
    ) {
        let group = view.group_of(&name);
        let Some(member) = view.groups.get(group) else {
            let leader = view.overlay.leader_of(group);
            return out.reply(&requester, Reply::NotLeader { leader, proposed: false });
        };
        if !linearizable {
            let registered = is_registered(member.topics(), kind, &name);
            return out.reply(&requester, Reply::Registered(registered));
        }
        if !member.is_leader() {
            let leader = member.leader().map(|leader| leader.host);
            return out.reply(&requester, Reply::NotLeader { leader, proposed: false });
        }
        if let Some(why) = view.lacks_quorum(group) {
            return out.reply(&requester, Reply::Unavailable { why });
        }
        self.confirm_first(group, ReadJob::IsRegistered { requester, kind, name }, view, out);
    }

    /// This node still leads the group, so the reads of this ticket are performed. An unknown ticket changes nothing.
    pub fn handle_read_ready(&mut self, group: GroupId, ticket: u64, view: &View, out: &mut Out) {
        let Some(ticket) = self.pulls.tickets.remove(&ticket) else { return };
        self.pulls.unconfirmed -= ticket.jobs.len();
        for job in ticket.jobs {
            match job {
                ReadJob::Pull(pull) => self.read_for_pull(group, pull, view, out),
                ReadJob::IsRegistered { requester, kind, name } => {
                    let registered = is_registered(view.groups[group].topics(), kind, &name);
                    out.reply(&requester, Reply::Registered(registered));
                }
            }
        }
    }

    pub(super) fn handle_pulls_time(&mut self, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let mut again = Vec::new();
        let given_up: Vec<Ticket> = self
            .pulls
            .tickets
            .extract_if(.., |_, ticket| now.since(ticket.since) >= READ_PATIENCE)
            .map(|(_, ticket)| ticket)
            .collect();
        for (number, ticket) in &mut self.pulls.tickets {
            if now.since(ticket.asked) >= READ_AGAIN {
                ticket.asked = now;
                again.push((ticket.group, *number));
            }
        }
        for (group, number) in again {
            out.push(PartEffect::Group(group, GroupAsk::ReadIndex(number)));
        }
        for job in given_up.into_iter().flat_map(|ticket| ticket.jobs) {
            self.pulls.unconfirmed -= 1;
            let why = format!("leader {} could not confirm that it still leads", view.me);
            self.reply_to_read(job, Reply::Unavailable { why }, out);
        }
    }

    /// Answers a pull with its messages. The requester moves the cursor once it has received them.
    pub(super) fn finish_pull(
        &mut self,
        group: GroupId,
        pull: Pull,
        messages: Vec<StoredMessage>,
        Range { start, end }: Range<Offset>,
        view: &View,
        out: &mut Out,
    ) {
        let mut messages: Vec<_> = messages.into_iter().map(message).collect();
        if view.bugs.has(Bug::AnyReadsTheUncommitted) && pull.replica.is_some() {
            add_uncommitted(view, group, &pull, start, &mut messages);
        }
        let cursor = messages.last().map_or(start, |message| message.offset.next());
        let moves = view.bugs.has(Bug::CursorMovesBeforeDelivery) && pull.commit && !messages.is_empty();
        let behind = pull.replica.and_then(|_| {
            let member = view.groups.get(group)?;
            Some(member.commit_index().saturating_sub(member.applied_index()))
        });
        let Pull { key, subscriber, topic, replica, .. } = pull;
        let original_node = replica.map(|group| view.home(group));
        let done = Done::Pulled { topic: topic.clone(), messages, cursor, end, behind, original_node };
        if moves {
            out.push(PartEffect::Request(Write::Commit { subscriber, topic, offset: cursor }));
        }
        self.answer_pull(key, Ok(done), view, out);
    }

    /// Asks the voters whether this node still leads: one round per group at a time, shared by all reads that have
    /// arrived. Reads that arrive during a round share the next one.
    pub fn confirm_reads(&mut self, view: &View, out: &mut Out) {
        let Pulls { new_reads, tickets, .. } = &mut self.pulls;
        let is_asked = |group: &GroupId| tickets.values().any(|ticket| ticket.group == *group);
        let next: Vec<(GroupId, Vec<ReadJob>)> = new_reads.extract_if(.., |group, _| !is_asked(group)).collect();
        for (group, jobs) in next {
            let ticket = view.next_token(out);
            let now = view.monotonic();
            self.pulls.tickets.insert(ticket, Ticket { group, since: now, asked: now, jobs });
            out.push(PartEffect::Group(group, GroupAsk::ReadIndex(ticket)));
        }
    }

    /// Returns the unconfirmed reads to their requesters, for the next leader.
    pub(super) fn send_reads_back(&mut self, group: GroupId, leader: Option<HostId>, out: &mut Out) {
        let tickets: Vec<(u64, Ticket)> =
            self.pulls.tickets.extract_if(.., |_, ticket| ticket.group == group).collect();
        let reads = self.pulls.new_reads.remove(&group).unwrap_or_default();
        for job in tickets.into_iter().flat_map(|(_, ticket)| ticket.jobs).chain(reads) {
            self.pulls.unconfirmed -= 1;
            self.reply_to_read(job, Reply::NotLeader { leader, proposed: false }, out);
        }
    }
}

fn is_registered(topics: &Topics, kind: Registry, name: &str) -> bool {
    match kind {
        Registry::Publisher => topics.is_publisher(name),
        Registry::Subscriber => topics.is_subscriber(name),
    }
}

/// Appends the messages that follow in this replica's log, committed or not, to those that were read from `start`: a
/// deliberate bug.
fn add_uncommitted(view: &View, group: GroupId, pull: &Pull, start: Offset, messages: &mut Vec<Message>) {
    let Some(member) = view.groups.get(group) else { return };
    for stored in member.uncommitted_messages(&pull.topic) {
        let next = messages.last().map_or(start, |last| last.offset.next());
        if stored.offset == next && (messages.len() as u64) < u64::from(pull.max) {
            messages.push(message(stored));
        }
    }
}
