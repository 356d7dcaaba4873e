//! A replica group: one totally ordered log, agreed on by a home and its neighbours through raft (tikv/raft-rs).
//!
//! What is raft's is raft's: terms, votes, the log, commitment, ReadIndex. What is ours: the members' places on the cube, who
//! leads by preference (the home), when a vote is taken and given back ([`members`]), checkpoints, snapshots that are pulled
//! ([`snapshot`]), and the order of effects: nothing leaves before what it promises is durable.
//!
//! The node calls [`Group::flush`] in a turn that stirred the group; everything else only changes state.

mod applying;
mod changes;
mod elections;
mod leading;
mod limits;
mod log_view;
pub mod members;
mod message;
mod mistakes;
mod news;
#[cfg(test)]
mod reachable;
pub mod snapshot;
mod state;
mod transfer;

pub use changes::Proposed;
pub use elections::TICK;
pub use limits::LogLimits;
pub use message::{MemberChange, check_entry};

use std::collections::{BTreeMap, VecDeque};

use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{Config, RawNode, ReadOnlyOption, Ready, StateRole};

use crate::bugs::{Bug, Bugs};
use crate::cube::Vertex;
use crate::identity::NodeId;
use crate::names::{Offset, TopicName};
use crate::placement;
use crate::store::{Checkpoint, HardState, LogEntry, RecoveredGroup, StoredMessage, Write};
use crate::time::Instant;
use crate::topics::command::TopicId;
use crate::topics::{Outcome, Topics};
use crate::wire::answer::{Failure, Role};
use crate::wire::peer::{RaftMessage, RequestKey, SnapshotFrame};
use changes::Changes;
use elections::{ELECTION_TICKS, HEARTBEAT_TICKS};
use leading::Answers;
use log_view::LogView;
use message::Unusable;
use news::CommitNews;

/// Bytes of entries in one append message, and of commands in one entry.
const MESSAGE_BYTES: u64 = 1024 * 1024;
const IN_FLIGHT_MESSAGES: usize = 128;

/// What a group wants done or known, in order.
#[derive(Debug)]
pub enum GroupEffect {
    Write(Write),
    Send {
        to: NodeId,
        message: RaftMessage,
        /// It may wait for something else that goes the same way.
        can_wait: bool,
    },
    SendSnapshot {
        to: NodeId,
        frame: SnapshotFrame,
    },
    /// Read for a snapshot's receiver; the result goes to [`Group::handle_read_for_snapshot`].
    ReadForSnapshot {
        to: NodeId,
        transfer: u64,
        topic: TopicId,
        from: Offset,
        end: Offset,
    },
    /// One command of the log was applied.
    Applied {
        index: u64,
        key: RequestKey,
        outcome: Result<Outcome, Failure>,
        change: Applied,
    },
    /// A linearizable read may be served now.
    ReadReady {
        ticket: u64,
    },
    RoleChanged {
        role: Role,
        term: u64,
        leader: Option<NodeId>,
    },
    MembersChanged,
    /// Those that the next change of members waits for know the last one.
    ChangeIsKnown,
    Committed {
        index: u64,
    },
    SnapshotProgress {
        received: u64,
        total: u64,
    },
    /// A snapshot was installed: topics may have come and gone.
    SnapshotInstalled,
    /// An entry in a member's message is not what its proposer wrote. The message was dropped.
    Altered {
        from: NodeId,
        index: u64,
        why: String,
    },
    Trouble(String),
}

/// What an applied command did to the messages.
#[derive(Debug)]
pub enum Applied {
    Nothing,
    Stored {
        topic: TopicName,
        id: TopicId,
        message: StoredMessage,
    },
    Created {
        topic: TopicName,
    },
    Deleted {
        topic: TopicName,
        id: TopicId,
    },
    /// Somebody is no longer subscribed to the topic.
    Unsubscribed {
        id: TopicId,
    },
}

/// A member's part of one replica group.
pub struct Group {
    home: Vertex,
    me: NodeId,
    limits: LogLimits,
    /// The disk is full: the log is cut as soon as it can be.
    saves_room: bool,
    bugs: Bugs,
    raw: RawNode<LogView>,
    topics: Topics,
    /// Elections are timed from our own seed; raft's draws are overwritten.
    random: fastrand::Rng,
    election_ticks: usize,
    drawn_for: (u64, StateRole),
    leader_is_lost: bool,
    next_tick: Instant,
    news: CommitNews,
    changes: Changes,
    answers: Answers,
    /// raft's readies whose batch is not durable yet, with the messages that wait for it.
    unwritten: VecDeque<Unwritten>,
    /// The term and index of the newest answer that said that entries are here.
    acknowledged: (u64, u64),
    /// The term and commit index that the newest answer told.
    commit_told: (u64, u64),
    /// Of raft's hard state something changed that was not given to the disk yet.
    state_is_unwritten: bool,
    /// Confirmed reads, with the index that must be applied first.
    reads: Vec<(u64, u64)>,
    log_bytes_since_checkpoint: u64,
    checkpoint_index: u64,
    checkpoint_bytes: u64,
    reported: Option<(Role, u64, u64)>,
    reported_commit: u64,
    last_hand_back: Option<Instant>,
    sending: BTreeMap<NodeId, snapshot::Sending>,
    receiving: Option<snapshot::Receiving>,
    /// Messages on disk past what `topics` knows, left by an unfinished transfer.
    staged: BTreeMap<TopicId, Offset>,
    /// The content of a snapshot that raft is about to accept.
    arrived: Option<Topics>,
    next_transfer: u64,
    effects: Vec<GroupEffect>,
    /// Something came in since the last flush.
    stirred: bool,
}

struct Unwritten {
    batch: u64,
    ready: u64,
    messages: Vec<Message>,
    /// The index of the snapshot that it installs.
    installed: Option<u64>,
}

/// How a group begins.
pub enum Origin {
    /// With the cluster: every founding member votes.
    Founding,
    /// With nothing: waits to be made a learner.
    Joining,
    /// With what was on disk.
    Restored(RecoveredGroup),
}

impl Group {
    /// A member's part in the group of `home`. The first effects are what a new group must have on disk.
    pub fn new(
        now: Instant,
        home: Vertex,
        me: NodeId,
        seed: u64,
        limits: LogLimits,
        bugs: Bugs,
        origin: Origin,
    ) -> Group {
        let mut first_writes = Vec::new();
        let (checkpoint, log, hard_state) = match origin {
            Origin::Restored(recovered) => (recovered.checkpoint, recovered.log, recovered.hard_state),
            Origin::Founding => {
                let checkpoint = founding_checkpoint(home);
                let (group, write) = (home, checkpoint.clone());
                first_writes.push(Write::Checkpoint { group, checkpoint: write, drop_log_through: 0, clear_log: true });
                (Some(checkpoint), Vec::new(), HardState { term: 1, vote: 0, commit: 1 })
            }
            Origin::Joining => (None, Vec::new(), HardState { term: 1, vote: 0, commit: 0 }),
        };
        // raft panics on a pre-vote at term 0, so a group begins at term 1.
        let hard_state = HardState { term: hard_state.term.max(1), ..hard_state };
        let hard_state = if bugs.has(Bug::VoteIsForgotten) { HardState { vote: 0, ..hard_state } } else { hard_state };
        first_writes.push(Write::HardState { group: home, state: hard_state });
        let topics = checkpoint.as_ref().map_or_else(Topics::default, |c| {
            Topics::decode(&c.state).expect("a start rejects a checkpoint that makes no sense")
        });
        let view = LogView::restore(checkpoint.as_ref(), &log, hard_state);
        let checkpoint_index = checkpoint.as_ref().map_or(0, |c| c.index);
        let raw =
            RawNode::new(&config(me, checkpoint_index, bugs), view, &slog::Logger::root(slog::Discard, slog::o!()))
                .expect("a member's configuration is valid");
        let mut group = Group {
            home,
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
            news: CommitNews::default(),
            changes: Changes::through(checkpoint_index),
            answers: Answers::default(),
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
            stirred: true,
        };
        group.raw.set_batch_append(true);
        group.draw_election_timeout();
        group
    }

    // What comes in.

    /// A member speaks. Messages that are not for this member, or make no sense, are dropped: raft would take them for a bug. So are
    /// those with an entry that was altered on its way: the leader sends it again.
    pub fn handle_message(&mut self, message: RaftMessage) {
        let for_me = message.to == self.me && placement::holds(message.from.vertex, self.home);
        if !for_me || message.kind == MessageType::MsgSnapshot as i32 {
            return;
        }
        let stands_too_early = message.kind == MessageType::MsgTimeoutNow as i32 && self.is_installing();
        // raft looks at the context of a forwarded read without looking whether there is one.
        let reads_nothing = message.kind == MessageType::MsgReadIndex as i32 && message.entries.is_empty();
        if stands_too_early || reads_nothing || self.is_from_the_future(&message) {
            return;
        }
        let from = message.from;
        match message::to_raft(message) {
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
        self.stirred = true;
        let only_tells = message.get_msg_type() == MessageType::MsgAppend && message.entries.is_empty();
        let told = (message.term, message.index);
        let _ignored_by_raft = self.raw.step(message);
        if only_tells && self.commit_index() > commit {
            self.leave_unanswered(told);
        }
        self.notice_known_change();
        self.draw_election_timeout();
    }

    /// A member that claims entries, or commitment, which it cannot know would make raft panic.
    fn is_from_the_future(&self, message: &RaftMessage) -> bool {
        let last = self.raw.raft.raft_log.last_index();
        let appended = message.kind == MessageType::MsgAppendResponse as i32;
        (message.is_heartbeat() && message.term >= self.term() && message.commit > last)
            || (appended && self.is_leader() && message.term == self.term() && !message.reject && message.index > last)
    }

    /// Time passed in which nobody was kept from being heard: takes the ticks at which raft only counts.
    pub fn pass_time(&mut self, now: Instant) {
        for _ in 1..self.ticks_to_act() {
            if now < self.next_tick {
                break;
            }
            self.next_tick = self.next_tick + TICK;
            self.tick();
        }
    }

    /// What is due is done. After a pause many ticks are due; one will do, for nobody was there to be heard.
    pub fn handle_time(&mut self, now: Instant) {
        self.stirred |= self.news_due().is_some_and(|due| due <= now);
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick();
            self.retry_transfers(now);
        }
    }

    /// When [`Group::handle_time`] has something to do but count.
    pub fn next_deadline(&self) -> Instant {
        let acts_at = self.next_tick + TICK * (self.ticks_to_act() - 1);
        self.news_due().map_or(acts_at, |news| news.min(acts_at))
    }

    fn tick(&mut self) {
        self.answers.pass();
        if !self.is_installing() {
            self.stirred |= self.raw.tick();
        }
        self.draw_election_timeout();
    }

    /// Whether the disk is full. If so, the log keeps no entries for late members: the room is worth more.
    pub fn save_room(&mut self, saves_room: bool) {
        if saves_room && !self.saves_room {
            self.log_bytes_since_checkpoint = self.log_bytes_since_checkpoint.max(self.raw.store().bytes());
            self.stirred = true;
        }
        self.saves_room = saves_room;
    }

    /// Asks the voters whether this member still leads; [`GroupEffect::ReadReady`] says when a read is linearizable.
    /// Silently forgotten while the leader has committed nothing in its term, so ask again after a while.
    pub fn read_index(&mut self, ticket: u64) {
        self.stirred = true;
        self.raw.read_index(ticket.to_le_bytes().to_vec());
    }

    /// All batches up to `batch` are durable.
    pub fn handle_written(&mut self, batch: u64) {
        while let Some(unwritten) = self.unwritten.pop_front_if(|unwritten| unwritten.batch <= batch) {
            self.stirred = true;
            self.finish_ready(unwritten);
        }
        if self.changes.written_in.take_if(|written_in| *written_in <= batch).is_some() {
            self.notice_known_change();
        }
    }

    // What goes out.

    /// Whether there may be something to flush.
    pub fn is_stirred(&self) -> bool {
        self.stirred || !self.effects.is_empty()
    }

    /// Carries out what raft has ready. `batch` is the number under which this turn's writes will become durable.
    pub fn flush(&mut self, now: Instant, batch: u64) -> Vec<GroupEffect> {
        self.stirred = false;
        self.tell_news_when_due(now);
        while self.raw.has_ready() {
            let ready = self.raw.ready();
            self.carry_out(now, batch, ready);
            self.tell_news_when_due(now);
        }
        self.draw_election_timeout();
        self.release_reads();
        self.checkpoint_when_due();
        self.report();
        std::mem::take(&mut self.effects)
    }

    fn carry_out(&mut self, now: Instant, batch: u64, mut ready: Ready) {
        self.take_reads(&mut ready);
        let immediate = ready.take_messages();
        self.send_at(now, immediate);
        let writes_before = self.effects.len();
        let installed = (!ready.snapshot().is_empty()).then(|| ready.snapshot().clone());
        if let Some(snapshot) = &installed {
            self.install(snapshot);
        }
        self.append(ready.take_entries());
        self.state_is_unwritten |= ready.hs().is_some();
        if ready.must_sync() {
            self.write_hard_state();
        }
        let messages = ready.take_persisted_messages();
        let committed = ready.take_committed_entries();
        let changes_members = installed.is_some() || committed.iter().any(is_member_change);
        if changes_members {
            // A member that reported a change of members as known must still know it after a restart.
            self.changes.written_in = Some(batch);
        }
        let wrote = changes_members || self.effects.len() > writes_before;
        let number = ready.number();
        self.raw.advance_append_async(ready);
        let installed = installed.map(|snapshot| snapshot.get_metadata().index);
        self.await_write(wrote.then_some(batch), Unwritten { batch, ready: number, messages, installed });
        self.apply(committed);
    }

    fn await_write(&mut self, batch: Option<u64>, unwritten: Unwritten) {
        if self.bugs.has(Bug::AcknowledgesBeforeSync) {
            return self.finish_ready(unwritten);
        }
        // A ready that writes nothing still waits for those before it.
        match batch.or_else(|| self.unwritten.back().map(|last| last.batch)) {
            Some(batch) => self.unwritten.push_back(Unwritten { batch, ..unwritten }),
            None => self.finish_ready(unwritten),
        }
    }

    fn finish_ready(&mut self, written: Unwritten) {
        self.raw.on_persist_ready(written.ready);
        if let Some(index) = written.installed {
            self.raw.advance_apply_to(index);
        }
        if self.bugs.has(Bug::AcknowledgesWithoutFollowers) && self.is_leader() {
            self.answer_before_commit();
        }
        self.send_all(written.messages);
    }

    /// A snapshot took the log's place and is not durable yet: raft cannot look at its log, and must not stand for election.
    fn is_installing(&self) -> bool {
        self.unwritten.iter().any(|unwritten| unwritten.installed.is_some())
    }

    fn append(&mut self, mut entries: Vec<Entry>) {
        if self.bugs.has(Bug::ConflictIsKept) {
            entries.retain(|entry| entry.index > self.raw.store().last());
        }
        if entries.is_empty() {
            return;
        }
        let stored: Vec<LogEntry> = entries.iter().cloned().map(message::entry_from_raft).collect();
        self.log_bytes_since_checkpoint += entries.iter().map(|entry| entry.data.len() as u64).sum::<u64>();
        self.raw.mut_store().append(entries);
        self.effects.push(GroupEffect::Write(Write::Append { group: self.home, entries: stored }));
    }

    /// A commit index that grew alone goes to disk with the next entries: it costs no sync of its own.
    fn write_hard_state(&mut self) {
        if std::mem::take(&mut self.state_is_unwritten) {
            let raft = &self.raw.raft;
            let state = HardState { term: raft.term, vote: raft.vote, commit: raft.raft_log.committed };
            self.effects.push(GroupEffect::Write(Write::HardState { group: self.home, state }));
        }
    }

    fn take_reads(&mut self, ready: &mut Ready) {
        for read in ready.take_read_states() {
            if let Ok(bytes) = <[u8; 8]>::try_from(read.request_ctx.as_slice()) {
                self.reads.push((read.index, u64::from_le_bytes(bytes)));
            }
        }
    }

    /// A read is served when all that was committed at its request is applied here.
    fn release_reads(&mut self) {
        let applied = self.applied_index();
        let ready = self.reads.extract_if(.., |(index, _)| *index <= applied);
        self.effects.extend(ready.map(|(_, ticket)| GroupEffect::ReadReady { ticket }));
    }

    fn send_at(&mut self, now: Instant, messages: Vec<Message>) {
        for message in in_order(messages) {
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.offer_snapshot(now, message);
            } else {
                self.send(message);
            }
        }
    }

    fn send_all(&mut self, messages: Vec<Message>) {
        for message in in_order(messages) {
            self.send(message);
        }
    }

    fn send(&mut self, message: Message) {
        if message.get_msg_type() == MessageType::MsgAppendResponse && !message.reject {
            self.acknowledged = (message.term, message.index);
        }
        let can_wait = self.can_wait(&message);
        if matches!(message.get_msg_type(), MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse) {
            self.commit_told = (message.term, message.commit);
        }
        if let Some(message) = message::from_raft(message) {
            self.effects.push(GroupEffect::Send { to: message.to, message, can_wait });
        }
    }

    /// The answer to a heartbeat of a leader that need not do anything: nobody reads, all that is here is committed, and the
    /// leader has been told that this member knows.
    fn can_wait(&self, message: &Message) -> bool {
        let answers_heartbeat = message.get_msg_type() == MessageType::MsgHeartbeatResponse;
        let tells_nothing_new = self.commit_told == (message.term, message.commit);
        let last = self.raw.raft.raft_log.last_index();
        answers_heartbeat && message.context.is_empty() && tells_nothing_new && message.commit == last
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

fn is_member_change(entry: &Entry) -> bool {
    entry.get_entry_type() != EntryType::EntryNormal
}

/// raft goes through its members in the order of a hash table, which depends on the width of a machine's words. Each recipient
/// keeps the order of its own messages.
fn in_order(mut messages: Vec<Message>) -> Vec<Message> {
    messages.sort_by_key(|message| message.to);
    messages
}

fn config(me: NodeId, applied: u64, bugs: Bugs) -> Config {
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

/// Index 1, term 1: every founding member begins with the same checkpoint, so that a member that joins later, with nothing,
/// is always behind the log's beginning and gets a snapshot.
fn founding_checkpoint(home: Vertex) -> Checkpoint {
    let mut voters: Vec<NodeId> = placement::members(home).map(NodeId::founding).collect();
    voters.sort();
    Checkpoint { index: 1, term: 1, voters, learners: Vec::new(), state: Topics::default().encode() }
}
