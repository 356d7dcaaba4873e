//! Pulls under way at a replica, and reads that wait for the confirmation that this node still leads.
//!
//! A linearizable pull first waits for that confirmation. Every pull then waits for the disk (see `reads`). Its
//! requester is found by its [`RequestKey`], so a repeated ask does not start the pull again: the answer goes to the
//! latest requester.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::Node;
use super::pending::Stage;
use super::queues::Queue;
use super::serve::Requester;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::identity::RequestKey;
use crate::names::{Offset, SubscriberId, TopicName};
use crate::records::StoredMessage;
use crate::time::Instant;
use crate::topics::Topics;
use crate::wire::answer::{Done, Failure};
use crate::wire::client::{Action, Registry, Write};
use crate::wire::peer::Reply;

/// Most pulls under way on one replica, over all clients and nodes. Beyond this, the coordinator is told to ask again.
const MAX_PULLS: usize = 8_192;
/// Most reads that await the leader's confirmation, pulls included. Beyond this, the coordinator is told to ask again.
const MAX_UNCONFIRMED: usize = 16_384;
/// Delay before a ReadIndex is requested again. Raft can drop one without notice.
const READ_AGAIN: Duration = Duration::from_millis(150);
/// A read without confirmation for this long is returned to its requester.
const READ_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct Pulls {
    /// Reads that wait for the next ReadIndex. `tickets` has those whose ReadIndex is under way.
    new_reads: BTreeMap<Vertex, Vec<ReadJob>>,
    tickets: BTreeMap<u64, Ticket>,
    /// Number of reads in both.
    unconfirmed: usize,
    /// The requester of each pull in any state.
    under_way: BTreeMap<RequestKey, Puller>,
}

struct Puller {
    requester: Requester,
    hops: Vec<Vertex>,
}

struct Ticket {
    group: Vertex,
    since: Instant,
    asked: Instant,
    jobs: Vec<ReadJob>,
}

/// A read that must be linearizable.
pub(super) enum ReadJob {
    Pull(Pull),
    IsRegistered { requester: Requester, kind: Registry, name: String },
}

/// A pull under way.
#[derive(Clone, Debug)]
pub(super) struct Pull {
    pub key: RequestKey,
    pub subscriber: SubscriberId,
    pub topic: TopicName,
    pub max: u32,
    pub commit: bool,
    /// The home of the topic if a replica answers from its own state. `from` is an offset to use in place of the
    /// cursor.
    pub replica: Option<Vertex>,
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

impl Node {
    /// Whether to start the pull. A repeated ask redirects the answer to its requester instead.
    pub(super) fn admit_pull(&mut self, key: RequestKey, requester: Requester, hops: Vec<Vertex>) -> bool {
        if let Some(puller) = self.pulls.under_way.get_mut(&key) {
            if !requester.is_older_than(&puller.requester) {
                *puller = Puller { requester, hops };
            }
            return false;
        }
        if self.pulls.under_way.len() >= MAX_PULLS {
            let why = format!("node {} has reached its limit of {MAX_PULLS} pulls in progress", self.me);
            self.reply(&requester, Reply::Unavailable { why });
            return false;
        }
        self.pulls.under_way.insert(key, Puller { requester, hops });
        true
    }

    /// Ends the pull with a reply to its latest requester.
    pub(super) fn reply_to_pull(&mut self, key: RequestKey, reply: Reply) {
        if let Some(puller) = self.pulls.under_way.remove(&key) {
            self.reply(&puller.requester, reply);
        }
    }

    pub(super) fn answer_pull(&mut self, key: RequestKey, result: Result<Done, Failure>) {
        if let Some(puller) = self.pulls.under_way.remove(&key) {
            self.reply_result(&puller.requester, puller.hops, result);
        }
    }

    fn reply_to_read(&mut self, job: ReadJob, reply: Reply) {
        match job {
            ReadJob::Pull(pull) => self.reply_to_pull(pull.key, reply),
            ReadJob::IsRegistered { requester, .. } => self.reply(&requester, reply),
        }
    }

    /// Queues a read until a majority has confirmed that this node still leads.
    pub(super) fn confirm_first(&mut self, group: Vertex, job: ReadJob) {
        if self.pulls.unconfirmed >= MAX_UNCONFIRMED {
            let why = format!(
                "leader {} has reached its limit of {MAX_UNCONFIRMED} reads that wait for its confirmation",
                self.me
            );
            return self.reply_to_read(job, Reply::Unavailable { why });
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
    ) {
        let home = crate::placement::home(&name, self.me.dimension());
        let Some(group) = self.groups.get(&home) else {
            let leader = self.overlay.leader_of(home);
            return self.reply(&requester, Reply::NotLeader { leader, proposed: false });
        };
        if !linearizable {
            let registered = is_registered(group.topics(), kind, &name);
            return self.reply(&requester, Reply::Registered(registered));
        }
        if !group.is_leader() {
            let leader = group.leader().map(|leader| leader.vertex);
            return self.reply(&requester, Reply::NotLeader { leader, proposed: false });
        }
        if let Some(why) = self.lacks_quorum(home) {
            return self.reply(&requester, Reply::Unavailable { why });
        }
        self.confirm_first(home, ReadJob::IsRegistered { requester, kind, name });
    }

    pub(super) fn handle_read_ready(&mut self, group: Vertex, ticket: u64) {
        let Some(ticket) = self.pulls.tickets.remove(&ticket) else { return };
        self.pulls.unconfirmed -= ticket.jobs.len();
        for job in ticket.jobs {
            match job {
                ReadJob::Pull(pull) => self.read_for_pull(group, pull),
                ReadJob::IsRegistered { requester, kind, name } => {
                    let registered = is_registered(self.groups[&group].topics(), kind, &name);
                    self.reply(&requester, Reply::Registered(registered));
                }
            }
        }
    }

    pub(super) fn handle_pulls_time(&mut self) {
        let now = self.now.monotonic;
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
            if let Some(group) = self.groups.get_mut(&group) {
                group.read_index(number);
            }
        }
        for job in given_up.into_iter().flat_map(|ticket| ticket.jobs) {
            self.pulls.unconfirmed -= 1;
            let why = format!("leader {} could not confirm that it still leads", self.me);
            self.reply_to_read(job, Reply::Unavailable { why });
        }
    }

    /// Answers a pull with its messages. The requester moves the cursor once it has received them.
    pub(super) fn finish_pull(
        &mut self,
        home: Vertex,
        pull: Pull,
        messages: Vec<StoredMessage>,
        Range { start, end }: Range<Offset>,
    ) {
        let mut messages: Vec<_> = messages.into_iter().map(super::reads::message).collect();
        if self.bugs.has(Bug::AnyReadsTheUncommitted) && pull.replica.is_some() {
            self.add_uncommitted(home, &pull, start, &mut messages);
        }
        let cursor = messages.last().map_or(start, |message| message.offset.next());
        let moves = self.bugs.has(Bug::CursorMovesBeforeDelivery) && pull.commit && !messages.is_empty();
        let behind = pull.replica.and_then(|_| {
            let group = self.groups.get(&home)?;
            Some(group.commit_index().saturating_sub(group.applied_index()))
        });
        let Pull { key, subscriber, topic, replica, .. } = pull;
        let done = Done::Pulled { topic: topic.clone(), messages, cursor, end, behind, original_node: replica };
        if moves {
            self.request_for_myself(Action::Write(Write::Commit { subscriber, topic, offset: cursor }), Stage::Acting);
        }
        self.answer_pull(key, Ok(done));
    }

    /// Asks the voters whether this node still leads: one round per group at a time, shared by all reads that have
    /// arrived. Reads that arrive during a round share the next one.
    pub(super) fn confirm_reads(&mut self) {
        let Pulls { new_reads, tickets, .. } = &mut self.pulls;
        let is_asked = |home: &Vertex| tickets.values().any(|ticket| ticket.group == *home);
        let next: Vec<(Vertex, Vec<ReadJob>)> = new_reads.extract_if(.., |home, _| !is_asked(home)).collect();
        for (home, jobs) in next {
            let ticket = self.next_token();
            let now = self.now.monotonic;
            self.pulls.tickets.insert(ticket, Ticket { group: home, since: now, asked: now, jobs });
            if let Some(group) = self.groups.get_mut(&home) {
                group.read_index(ticket);
            }
        }
    }

    /// Returns the unconfirmed reads to their requesters, for the next leader.
    pub(super) fn send_reads_back(&mut self, group: Vertex, leader: Option<Vertex>) {
        let tickets: Vec<(u64, Ticket)> =
            self.pulls.tickets.extract_if(.., |_, ticket| ticket.group == group).collect();
        let reads = self.pulls.new_reads.remove(&group).unwrap_or_default();
        for job in tickets.into_iter().flat_map(|(_, ticket)| ticket.jobs).chain(reads) {
            self.pulls.unconfirmed -= 1;
            self.reply_to_read(job, Reply::NotLeader { leader, proposed: false });
        }
    }
}

fn is_registered(topics: &Topics, kind: Registry, name: &str) -> bool {
    match kind {
        Registry::Publisher => topics.is_publisher(name),
        Registry::Subscriber => topics.is_subscriber(name),
    }
}
