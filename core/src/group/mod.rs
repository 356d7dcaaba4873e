//! A replica group: one totally ordered log, agreed on by a home and its neighbours through Raft (tikv/raft-rs).
//!
//! Raft provides terms, votes, the log, commitment and ReadIndex. This module provides the members' places on the cube,
//! the preferred leader (the home), the rules for losing and regaining a vote ([`members`]), checkpoints, snapshots
//! that the receiver pulls ([`snapshot`]), and the order of effects: no message leaves before the state that it reports
//! is durable.
//!
//! The node calls [`Group::flush`] in each turn that made the group dirty. All other methods only change state.

mod applying;
mod changes;
mod commit_notification;
mod decoded;
mod effect;
mod elections;
mod leading;
mod limits;
mod log_view;
pub mod members;
mod message;
mod mistakes;
#[cfg(test)]
mod reachable;
mod ready;
pub mod snapshot;
mod state;
mod transfer;

pub use changes::Proposed;
pub use effect::{GroupEffect, TopicChange};
pub use elections::TICK;
pub use limits::LogLimits;
pub use message::{MemberChange, check_entry};

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use raft::eraftpb::{Message, MessageType};
use raft::{Config, RawNode, ReadOnlyOption, StateRole};

use crate::bugs::{Bug, Bugs};
use crate::identity::{GroupId, HostId, Member};
use crate::names::{Offset, TopicId};
use crate::states::Role;
use crate::store::{Checkpoint, HardState, RecoveredGroup, Write};
use crate::time::Instant;
use crate::topics::Topics;
use crate::wire::peer::RaftMessage;
use changes::Changes;
use commit_notification::CommitNotification;
use decoded::DecodedEntries;
use elections::{ELECTION_TICKS, HEARTBEAT_TICKS};
use leading::Answers;
use log_view::LogView;
use message::Unusable;

/// The maximum bytes of entries in one append message, and of commands in one entry.
const MESSAGE_BYTES: u64 = 1024 * 1024;
const IN_FLIGHT_MESSAGES: usize = 128;

/// One member's state of a replica group.
#[derive(Serialize, Deserialize)]
pub struct Group {
    id: GroupId,
    /// The hosts of the members, the home first.
    hosts: Vec<HostId>,
    me: Member,
    limits: LogLimits,
    /// The disk is full: the log is cut as soon as possible.
    saves_room: bool,
    bugs: Bugs,
    raw: RawNode<LogView>,
    #[serde(with = "crate::saved::topics")]
    topics: Topics,
    /// Election timeouts come from our own seed and overwrite Raft's draws.
    #[serde(with = "crate::saved::random")]
    random: fastrand::Rng,
    election_ticks: usize,
    drawn_for: (u64, StateRole),
    leader_is_lost: bool,
    next_tick: Instant,
    notification: CommitNotification,
    changes: Changes,
    answers: Answers,
    #[serde(skip)]
    decoded: DecodedEntries,
    /// Raft's readies whose batch is not durable yet, with the messages that wait for it.
    unwritten: VecDeque<Unwritten>,
    /// The term and index of the newest answer that acknowledged entries.
    acknowledged: (u64, u64),
    /// The term and commit index in the newest answer.
    commit_told: (u64, u64),
    /// Part of Raft's hard state has changed and is not written yet.
    state_is_unwritten: bool,
    /// Confirmed reads as (index that must be applied first, ticket).
    reads: Vec<(u64, u64)>,
    log_bytes_since_checkpoint: u64,
    checkpoint_index: u64,
    checkpoint_bytes: u64,
    reported: Option<(Role, u64, u64)>,
    reported_commit: u64,
    last_hand_back: Option<Instant>,
    sending: BTreeMap<Member, snapshot::Sending>,
    receiving: Option<snapshot::Receiving>,
    /// Messages on disk beyond the ends in `topics`, left by an unfinished transfer.
    staged: BTreeMap<TopicId, Offset>,
    /// The content of a snapshot that Raft is about to accept.
    #[serde(with = "crate::saved::optional_topics")]
    arrived: Option<Topics>,
    next_transfer: u64,
    #[serde(skip)]
    effects: Vec<GroupEffect>,
    /// There was input since the last flush.
    dirty: bool,
}

#[derive(Serialize, Deserialize)]
struct Unwritten {
    batch: u64,
    ready: u64,
    messages: Vec<Message>,
    /// The index of the snapshot that it installs.
    installed: Option<u64>,
}

/// The configuration of a group member at its start.
pub struct GroupConfig {
    pub id: GroupId,
    /// The hosts of the members, the home first.
    pub hosts: Vec<HostId>,
    /// This member.
    pub me: Member,
    /// Determines the election timeouts.
    pub seed: u64,
    pub limits: LogLimits,
    pub bugs: Bugs,
}

/// The initial state of a group.
pub enum Start {
    /// A new cluster: every founding member votes.
    Founding,
    /// Empty: the member waits to become a learner.
    Joining,
    /// The state found on disk.
    Restored(RecoveredGroup),
}

impl Group {
    /// Creates this member's state of a group. The first effects are the writes that a new group needs on disk.
    pub fn new(now: Instant, config: GroupConfig, start: Start) -> Group {
        let GroupConfig { id, hosts, me, seed, limits, bugs } = config;
        let mut first_writes = Vec::new();
        let (checkpoint, log, hard_state) = match start {
            Start::Restored(recovered) => (recovered.checkpoint, recovered.log, recovered.hard_state),
            Start::Founding => {
                let checkpoint = founding_checkpoint(&hosts);
                let (group, write) = (id, checkpoint.clone());
                first_writes.push(Write::Checkpoint { group, checkpoint: write, drop_log_through: 0, clear_log: true });
                (Some(checkpoint), Vec::new(), HardState { term: 1, vote: 0, commit: 1 })
            }
            Start::Joining => (None, Vec::new(), HardState { term: 1, vote: 0, commit: 0 }),
        };
        // Raft panics on a pre-vote at term 0, so a group begins at term 1.
        let hard_state = HardState { term: hard_state.term.max(1), ..hard_state };
        let hard_state = if bugs.has(Bug::VoteIsForgotten) { HardState { vote: 0, ..hard_state } } else { hard_state };
        first_writes.push(Write::HardState { group: id, state: hard_state });
        let topics = checkpoint.as_ref().map_or_else(Topics::default, |c| {
            Topics::decode(&c.state).expect("an invalid checkpoint is rejected at the start")
        });
        let view = LogView::restore(checkpoint.as_ref(), &log, hard_state);
        let checkpoint_index = checkpoint.as_ref().map_or(0, |c| c.index);
        let raw = RawNode::new(
            &raft_config(me, checkpoint_index, bugs),
            view,
            &slog::Logger::root(slog::Discard, slog::o!()),
        )
        .expect("a member's configuration is valid");
        let mut group = Group {
            id,
            hosts,
            me,
            limits,
            saves_room: false,
            bugs,
            log_bytes_since_checkpoint: raw.store().bytes(),
            raw,
            topics: topics.with(bugs),
            random: fastrand::Rng::with_seed(seed),
            election_ticks: ELECTION_TICKS,
            drawn_for: (0, StateRole::Follower),
            leader_is_lost: false,
            next_tick: now + TICK,
            notification: CommitNotification::default(),
            changes: Changes::through(checkpoint_index),
            answers: Answers::default(),
            decoded: DecodedEntries::default(),
            unwritten: VecDeque::new(),
            acknowledged: (0, 0),
            commit_told: (0, 0),
            state_is_unwritten: false,
            reads: Vec::new(),
            checkpoint_index,
            checkpoint_bytes: checkpoint.map_or(0, |c| c.state.len() as u64),
            reported: None,
            reported_commit: 0,
            last_hand_back: None,
            sending: BTreeMap::new(),
            receiving: None,
            staged: BTreeMap::new(),
            arrived: None,
            next_transfer: seed,
            effects: first_writes.into_iter().map(GroupEffect::Write).collect(),
            dirty: true,
        };
        group.raw.set_batch_append(true);
        group.draw_election_timeout();
        group
    }

    // Inputs.

    /// Handles a member's message. Drops messages that are not for this member or are invalid, because Raft would treat
    /// them as a bug. Also drops messages with an entry that was altered in transit; the leader sends it again.
    pub fn handle_message(&mut self, message: RaftMessage) {
        let for_me = message.to == self.me && self.hosts.contains(&message.from.host);
        if !for_me || message.kind == MessageType::MsgSnapshot as i32 {
            return;
        }
        let stands_too_early = message.kind == MessageType::MsgTimeoutNow as i32 && self.is_installing();
        // Raft reads the context of a forwarded read without checking that there is one.
        let reads_nothing = message.kind == MessageType::MsgReadIndex as i32 && message.entries.is_empty();
        if stands_too_early || reads_nothing || message.has_gap() || self.is_from_the_future(&message) {
            return;
        }
        let from = message.from;
        match message::to_raft(message, &mut self.decoded) {
            Ok(message) => {
                self.answers.note(from);
                self.step(message);
            }
            Err(Unusable::Entry { index, why }) => self.effects.push(GroupEffect::Altered { from, index, why }),
            Err(Unusable::Kind) => {}
        }
    }

    fn step(&mut self, message: Message) {
        let commit = self.commit_index();
        self.dirty = true;
        let only_tells = message.get_msg_type() == MessageType::MsgAppend && message.entries.is_empty();
        let told = (message.term, message.index);
        let _ignored_by_raft = self.raw.step(message);
        if only_tells && self.commit_index() > commit {
            self.leave_unanswered(told);
        }
        self.notice_known_change();
        self.draw_election_timeout();
    }

    /// Whether a message claims entries or a commit index that its sender cannot have. Raft would panic on it.
    fn is_from_the_future(&self, message: &RaftMessage) -> bool {
        let last = self.raw.raft.raft_log.last_index();
        let appended = message.kind == MessageType::MsgAppendResponse as i32;
        (message.is_heartbeat() && message.term >= self.term() && message.commit > last)
            || (appended && self.is_leader() && message.term == self.term() && !message.reject && message.index > last)
    }

    /// Lets time pass in which this node could receive messages: performs the ticks in which Raft only counts.
    pub fn pass_time(&mut self, now: Instant) {
        for _ in 1..self.ticks_to_act() {
            if now < self.next_tick {
                break;
            }
            self.next_tick = self.next_tick + TICK;
            self.tick();
        }
    }

    /// Performs what is due. After a pause many ticks are due, but only one is performed, because this member could not
    /// receive messages during the pause.
    pub fn handle_time(&mut self, now: Instant) {
        self.dirty |= self.notification_due().is_some_and(|due| due <= now);
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick();
            self.retry_transfers(now);
        }
    }

    /// When [`Group::handle_time`] has more to do than counting.
    pub fn next_deadline(&self) -> Instant {
        let acts_at = self.next_tick + TICK * (self.ticks_to_act() - 1);
        self.notification_due().map_or(acts_at, |due| due.min(acts_at))
    }

    fn tick(&mut self) {
        self.answers.pass();
        if !self.is_installing() {
            self.dirty |= self.raw.tick();
        }
        self.draw_election_timeout();
    }

    /// Sets whether the disk is full. If so, the log keeps no entries for members that are behind, because the room is
    /// worth more.
    pub fn save_room(&mut self, saves_room: bool) {
        if saves_room && !self.saves_room {
            self.log_bytes_since_checkpoint = self.log_bytes_since_checkpoint.max(self.raw.store().bytes());
            self.dirty = true;
        }
        self.saves_room = saves_room;
    }

    /// Asks the voters whether this member still leads; [`GroupEffect::ReadReady`] reports that a read is linearizable.
    /// The request is silently dropped while the leader has committed nothing in its term, so repeat it after a while.
    pub fn read_index(&mut self, ticket: u64) {
        self.dirty = true;
        self.raw.read_index(ticket.to_le_bytes().to_vec());
    }

    /// All batches up to `batch` are durable.
    pub fn handle_written(&mut self, batch: u64) {
        while let Some(unwritten) = self.unwritten.pop_front_if(|unwritten| unwritten.batch <= batch) {
            self.dirty = true;
            self.finish_ready(unwritten);
        }
        if self.changes.written_in.take_if(|written_in| *written_in <= batch).is_some() {
            self.notice_known_change();
        }
    }

    // Outputs.

    /// Whether there may be something to flush.
    pub fn is_dirty(&self) -> bool {
        self.dirty || !self.effects.is_empty()
    }

    /// Whether the last flush left no effects.
    pub fn is_flushed(&self) -> bool {
        self.effects.is_empty()
    }

    /// Must be called for a group that was read from a saved state: bugs are not part of the topics' encoding.
    pub fn restored(&mut self) {
        self.topics = std::mem::take(&mut self.topics).with(self.bugs);
    }

    /// Carries out what Raft has ready. `batch` is the number of the batch that makes this turn's writes durable.
    pub fn flush(&mut self, now: Instant, batch: u64) -> Vec<GroupEffect> {
        self.dirty = false;
        self.notify_of_commit_when_due(now);
        while self.raw.has_ready() {
            let ready = self.raw.ready();
            self.process_ready(now, batch, ready);
            self.notify_of_commit_when_due(now);
        }
        self.draw_election_timeout();
        self.release_reads();
        self.checkpoint_when_due();
        self.report();
        std::mem::take(&mut self.effects)
    }

    /// A snapshot has replaced the log and is not durable yet. Raft cannot read its log, and must not start an
    /// election.
    fn is_installing(&self) -> bool {
        self.unwritten.iter().any(|unwritten| unwritten.installed.is_some())
    }

    fn report(&mut self) {
        let (role, term, leader) = (self.role(), self.term(), self.raw.raft.leader_id);
        if self.reported != Some((role, term, leader)) {
            self.reported = Some((role, term, leader));
            self.effects.push(GroupEffect::RoleChanged { role, term, leader: self.leader() });
        }
        let index = self.commit_index();
        if index > self.reported_commit {
            self.reported_commit = index;
            self.effects.push(GroupEffect::Committed { index });
        }
    }
}

fn raft_config(me: Member, applied: u64, bugs: Bugs) -> Config {
    let by_lease = bugs.has(Bug::ReadsByLease);
    Config {
        id: me.to_raft(),
        election_tick: ELECTION_TICKS,
        heartbeat_tick: HEARTBEAT_TICKS,
        applied,
        max_size_per_msg: MESSAGE_BYTES,
        max_inflight_msgs: IN_FLIGHT_MESSAGES,
        check_quorum: true,
        pre_vote: true,
        read_only_option: if by_lease { ReadOnlyOption::LeaseBased } else { ReadOnlyOption::Safe },
        skip_bcast_commit: true,
        ..Config::default()
    }
}

/// Index 1, term 1: all founding members begin with the same checkpoint. Therefore a member that joins later, with an
/// empty log, is always behind the beginning of the log and receives a snapshot.
fn founding_checkpoint(hosts: &[HostId]) -> Checkpoint {
    let mut voters: Vec<Member> = hosts.iter().copied().map(Member::founding).collect();
    voters.sort();
    Checkpoint { index: 1, term: 1, voters, learners: Vec::new(), state: Topics::default().encode() }
}
