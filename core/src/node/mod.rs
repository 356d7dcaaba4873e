//! One node as a state machine without I/O: all decisions of one process.
//!
//! One call of `handle(now, inputs) -> effects` is one turn. The turn takes the inputs, delivers packets, proposes
//! commands and flushes groups until nothing changes any more. It then emits one write batch for all groups, followed
//! by the reads that must come after that batch. Every answer that promises durability waits for
//! [`Input::Written`](crate::io::Input).
//!
//! | module | content |
//! |---|---|
//! | `joining` | the identity of this node: a founding member, or a new incarnation |
//! | `requests`, `replies` | a client's request from arrival to answer (the *coordinator's* part) |
//! | `pending` | the state of each such request |
//! | `registering` | the names that are known here, and the limit of new ones |
//! | `expiring` | renewal of names in use, and expiry of unused ones |
//! | `pull_limiter` | the limit of pulls that one client has under way |
//! | `groups` | messages between the members of groups, and their effects |
//! | `serve` | requests of other nodes to this one (the *leader's* and the *replica's* part) |
//! | `ack_all` | publishes that wait for every member that is up |
//! | `pulls` | pulls under way here, and reads that wait for their leader's confirmation |
//! | `reads` | reads of messages from disk, and the purpose of each |
//! | `repairs` | messages that the disk has lost, fetched from another member |
//! | `push` | deliveries to push subscribers |
//! | `outbox` | publishes with `ack: one` that are not in the log yet |
//! | `storage` | the operations that remain possible on a full disk |
//! | `usability` | whether the groups take publishes now |
//! | `views` | cluster, status, locate, topics |
//! | `faults` | failures on request, and recovery from them |
//! | `altered` | data that was altered in transit |
//! | `watch` | client queues, and events |
//! | `queues` | the length and limit of every queue that others can fill |

mod ack_all;
mod altered;
mod config;
mod expiring;
mod faults;
mod groups;
mod joining;
mod mistakes;
mod outbox;
mod pending;
mod pull_limiter;
mod pulls;
mod push;
mod queues;
mod reads;
mod registering;
mod rejected;
mod repairs;
mod replies;
mod requests;
mod serve;
mod storage;
mod usability;
mod views;
mod watch;

pub use config::NodeConfig;
pub use queues::Queue;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::bugs::{Bug, Bugs};
use crate::cube::Vertex;
use crate::faults::StopMode;
use crate::group::{Group, TICK};
use crate::identity::{Incarnation, NodeId, RequestKey, TraceId};
use crate::io::{ConnectionId, Effect, Input};
use crate::overlay::{Overlay, OverlayConfig, OverlayEffect};
use crate::placement;
use crate::states::{NodeState, Role};
use crate::store::{NodeRecord, ReadMessages, Recovered, Write, WriteBatch};
use crate::time::{Instant, Now};
use crate::wire::answer::Counters;
use crate::wire::peer::{Body, Packet, RaftMessage};

/// Interval of the checks for retries, timeouts and co-members.
const HOUSEKEEPING: Duration = Duration::from_millis(50);
/// Interval of the maintenance by leaders. It causes no turn by itself and runs in the first turn after it is due; a
/// leader's heartbeats cause turns.
const MAINTENANCE: Duration = Duration::from_millis(250);
/// Most rounds of one turn. They suffice for one request to pass through; the rest waits for the next turn.
const MAX_ROUNDS: usize = 64;
/// Most messages held back from members whose first meeting is not recorded durably yet.
const MAX_HELD: usize = 256;

/// One node. [`Node::handle`] runs a turn; [`Node::next_deadline`] is the time of the next turn if no input arrives.
pub struct Node {
    config: NodeConfig,
    bugs: Bugs,
    me: Vertex,
    now: Now,
    started: Instant,
    phase: Phase,
    record: NodeRecord,
    overlay: Overlay,
    random: fastrand::Rng,
    groups: BTreeMap<Vertex, Group>,
    /// When this node last saw each vertex alive.
    last_seen: BTreeMap<Vertex, Instant>,
    /// Messages of members whose first meeting is not recorded durably yet, each with the number of the recording
    /// batch.
    held: Vec<(u64, Vertex, RaftMessage)>,
    /// The batch that records the first meeting with each member.
    met_in: BTreeMap<Vertex, u64>,
    next_housekeeping: Instant,
    next_maintenance: Instant,
    unsettled: bool,
    /// This turn received a leader's heartbeat.
    heartbeat_heard: bool,
    altered: altered::Altered,
    /// A requested stop: when it is due, its mode and its duration in milliseconds.
    stopping: Option<(Instant, StopMode, u64)>,

    clients: BTreeMap<ConnectionId, watch::Client>,
    /// Clients that watch events. They are few, and every event is checked against them.
    watchers: BTreeSet<ConnectionId>,
    /// Bytes queued for all clients together.
    queued_by_all: u64,
    requests: pending::Requests,
    uses: expiring::Uses,
    pull_limiter: pull_limiter::PullLimiter,
    serving: serve::Serving,
    pulls: pulls::Pulls,
    reads: reads::Reads,
    repairs: repairs::Repairs,
    push: push::Push,
    outbox: outbox::Outbox,
    storage: storage::Storage,
    counters: Counters,
    next_number: u64,
    next_token: u64,
    /// The batch that records this start. A restart before it is durable would reuse the same request numbers.
    started_in: u64,

    /// Writes collected in this turn.
    writes: Vec<Write>,
    disk_reads: Vec<ReadMessages>,
    effects: Vec<Effect>,
    /// The number of the batch that this turn fills; `written` is the last durable one.
    batch: u64,
    written: u64,
}

/// The lifecycle phase of the node.
enum Phase {
    /// Finds out whether this vertex was a member before.
    Joining(joining::Joining),
    Serving,
    /// Paused on request: memory is kept, and nothing is sent or processed.
    Paused {
        until: Instant,
    },
    /// Crashed on request: memory is lost.
    Crashed {
        until: Instant,
        wipe: bool,
    },
    /// The store is being reopened.
    Reopening {
        wipe: bool,
    },
}

impl Node {
    /// Creates a node from the state that was recovered from its disk.
    pub fn new(config: NodeConfig, recovered: Recovered, now: Now) -> Node {
        let me = config.vertex;
        let bugs = Bugs::of(config.bug);
        let overlay = Overlay::new(OverlayConfig { me, seed: config.seed, bugs }, now);
        let mut node = Node {
            bugs,
            me,
            now,
            started: now.monotonic,
            phase: Phase::Reopening { wipe: false },
            record: NodeRecord { identity: None, vertex: me, starts: 0, met: Vec::new() },
            overlay,
            random: fastrand::Rng::with_seed(config.seed ^ 0x0063_7562_6563_6173),
            groups: BTreeMap::new(),
            last_seen: BTreeMap::new(),
            held: Vec::new(),
            met_in: BTreeMap::new(),
            next_housekeeping: now.monotonic,
            next_maintenance: now.monotonic,
            unsettled: true,
            heartbeat_heard: false,
            altered: altered::Altered::default(),
            stopping: None,
            clients: BTreeMap::new(),
            watchers: BTreeSet::new(),
            queued_by_all: 0,
            requests: pending::Requests::default(),
            uses: expiring::Uses::default(),
            pull_limiter: pull_limiter::PullLimiter::default(),
            serving: serve::Serving::default(),
            pulls: pulls::Pulls::default(),
            reads: reads::Reads::default(),
            repairs: repairs::Repairs::default(),
            push: push::Push::default(),
            outbox: outbox::Outbox::default(),
            storage: storage::Storage::new(me),
            counters: Counters::default(),
            next_number: 0,
            next_token: 0,
            started_in: 0,
            writes: Vec::new(),
            disk_reads: Vec::new(),
            effects: Vec::new(),
            batch: 1,
            written: 0,
            config,
        };
        node.start(recovered, false);
        node
    }

    /// Runs one turn. The caller performs the effects in order before the next turn.
    pub fn handle(&mut self, now: Now, inputs: Vec<Input>) -> Vec<Effect> {
        self.pass_time(now);
        self.now = now;
        for input in inputs {
            self.handle_input(input);
        }
        self.handle_time();
        self.settle();
        std::mem::take(&mut self.effects)
    }

    /// When the next turn is due if no input arrives. `None`: only an input causes a turn.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.unsettled {
            return Some(self.now.monotonic);
        }
        if self.is_silent() {
            return Some(self.next_housekeeping);
        }
        if self.next_maintenance <= self.now.monotonic {
            return Some(self.now.monotonic);
        }
        let groups = self.groups.values().map(Group::next_deadline);
        let housekeeping = self.is_anything_waiting().then_some(self.next_housekeeping);
        groups.chain(self.overlay.next_deadline()).chain(housekeeping).min()
    }

    /// Whether the checks at each [`HOUSEKEEPING`] interval have any work.
    fn is_anything_waiting(&self) -> bool {
        self.stopping.is_some()
            || self.is_joining()
            || self.requests.is_anything_waiting()
            || self.serving.is_anything_waiting()
            || self.pulls.is_anything_waiting()
            || self.repairs.is_anything_waiting()
            || self.push.is_anything_waiting()
            || self.outbox.is_anything_waiting()
    }

    /// The identity of this node; `None` until it is known.
    pub fn identity(&self) -> Option<NodeId> {
        self.record.identity
    }

    /// This node's member of the group of `home`, if it has one now.
    pub fn group(&self, home: Vertex) -> Option<&Group> {
        self.groups.get(&home)
    }

    /// Whether `vertex` appears alive from this node.
    pub fn sees(&self, vertex: Vertex) -> bool {
        self.overlay.is_alive(vertex)
    }

    fn handle_input(&mut self, input: Input) {
        match input {
            Input::DeadlineReached => {}
            Input::PeerConnected { peer } => self.overlay.handle_connected(self.now, peer),
            Input::PeerDisconnected { peer } => self.overlay.handle_disconnected(self.now, peer),
            Input::PeerFrame { from, frame } => {
                if !self.is_silent() {
                    self.overlay.handle_frame(self.now, from, frame);
                    self.drain_overlay();
                }
            }
            Input::PeerAltered { from } => self.handle_altered(from, None),
            Input::ClientConnected { connection } => self.handle_client_connected(connection),
            Input::ClientRequest { connection, request } => self.handle_request(connection, request),
            Input::ClientDrained { connection, bytes } => self.handle_drained(connection, bytes),
            Input::ClientDisconnected { connection } => self.handle_client_disconnected(connection),
            Input::Written { number } => self.handle_written(number),
            Input::MessagesRead { read, result } => self.handle_messages_read(read, result),
            Input::StorageReopened { recovered } => self.handle_reopened(recovered),
            Input::StorageMeasured { space } => self.handle_storage(space),
        }
    }

    /// Accounts for the time since the last turn. If this process stalled or was silent, that time does not count
    /// towards its peers' timeouts, because the process could not observe them.
    fn pass_time(&mut self, now: Now) {
        let awaited = if self.is_silent() { Some(self.now.monotonic) } else { self.next_deadline() };
        let missed = awaited.map_or(Duration::ZERO, |due| now.monotonic.since(due));
        if self.is_silent() || missed >= TICK {
            for seen in self.last_seen.values_mut() {
                *seen = now.monotonic.min(*seen + missed);
            }
            return;
        }
        for group in self.groups.values_mut() {
            group.pass_time(now.monotonic);
        }
    }

    fn handle_time(&mut self) {
        self.handle_fault_deadline();
        if self.is_silent() {
            self.next_housekeeping = self.now.monotonic + HOUSEKEEPING;
            return;
        }
        self.overlay.handle_deadline(self.now);
        for group in self.groups.values_mut() {
            group.handle_time(self.now.monotonic);
        }
        if self.now.monotonic >= self.next_housekeeping {
            self.next_housekeeping = self.now.monotonic + HOUSEKEEPING;
            self.handle_joining_time();
            self.handle_requests_time();
            self.handle_pulls_time();
            self.handle_repairs_time();
            self.handle_push_time();
            self.report_uses_of_sessions();
            self.handle_outbox_time();
        }
        if self.now.monotonic >= self.next_maintenance {
            self.next_maintenance = self.now.monotonic + MAINTENANCE;
            self.maintain_groups();
            self.expire_names();
        }
    }

    fn handle_written(&mut self, number: u64) {
        let was_starting = self.is_starting();
        self.written = self.written.max(number);
        self.storage.handle_written(number);
        if was_starting && !self.is_starting() {
            self.handle_requests_time();
        }
        for group in self.groups.values_mut() {
            group.handle_written(number);
        }
        let due: Vec<_> = self.held.extract_if(.., |(batch, ..)| *batch <= number).collect();
        for (_, group, message) in due {
            self.step(group, message);
        }
        self.handle_outbox_written();
    }

    /// Runs rounds until nothing changes, then emits the effects that belong after them.
    fn settle(&mut self) {
        self.unsettled = true;
        for _ in 0..MAX_ROUNDS {
            let delivered = self.drain_overlay();
            self.keep_heartbeats_together();
            self.propose_queued();
            self.confirm_reads();
            self.have_commits_confirmed();
            let flushed = self.flush_groups();
            if !delivered && !flushed {
                self.unsettled = false;
                break;
            }
        }
        if self.bugs.has(Bug::OutboxAcknowledgesBeforeSync) {
            self.handle_outbox_written();
        }
        self.check_awaited_replicas();
        self.acknowledge_subscriptions();
        self.pump_sessions();
        self.review_storage();
        self.announce();
        self.drain_overlay();
        self.emit_writes();
    }

    fn emit_writes(&mut self) {
        if !self.writes.is_empty() {
            let batch = WriteBatch { number: self.batch, writes: std::mem::take(&mut self.writes) };
            self.batch += 1;
            self.storage.handle_emitted(&batch);
            self.effects.push(Effect::Write(batch));
        }
        self.effects.extend(self.disk_reads.drain(..).map(Effect::ReadMessages));
    }

    // The overlay.

    fn drain_overlay(&mut self) -> bool {
        let mut delivered = false;
        while let Some(effect) = self.overlay.poll_effect() {
            match effect {
                OverlayEffect::SendPeer { to, frame } if !self.is_silent() => {
                    self.effects.push(Effect::SendPeer { to, frame })
                }
                OverlayEffect::SendPeer { .. } => {}
                OverlayEffect::Deliver(packet) => {
                    delivered = true;
                    self.handle_packet(*packet);
                }
                OverlayEffect::Event(event, trace) => self.observe(event, trace),
                OverlayEffect::Seen { vertex, alive } => self.handle_seen(vertex, alive),
            }
        }
        delivered
    }

    fn handle_packet(&mut self, packet: Packet) {
        let Packet { from, trail, trace, body, .. } = packet;
        match body {
            Body::Raft { group, message } => self.handle_raft(from, group, message),
            Body::Snapshot { group, frame } => {
                let incarnation = self.overlay.incarnation_of(from).unwrap_or(Incarnation::FOUNDING);
                if self.has_room_for_snapshot(&frame)
                    && let Some(group) = self.groups.get_mut(&group)
                {
                    group.handle_snapshot(self.now.monotonic, NodeId { vertex: from, incarnation }, frame);
                }
            }
            Body::Ask { token, call } => {
                self.handle_ask(serve::Requester { vertex: from, token, trace }, call, trail.path)
            }
            Body::Reply { token, reply } => self.handle_reply(token, reply),
            Body::Introduce { nonce } => self.handle_introduce(from, nonce),
            Body::Introduced { nonce, met, incarnation } => self.handle_introduced(from, nonce, met, incarnation),
        }
    }

    fn send(&mut self, to: Vertex, trace: Option<TraceId>, body: Body) {
        self.overlay.send(self.now, to, trace, body);
    }

    fn handle_seen(&mut self, vertex: Vertex, alive: bool) {
        if alive {
            self.last_seen.insert(vertex, self.now.monotonic);
            self.groups.values_mut().for_each(|group| group.handle_member_back(vertex));
            self.look_after_members_soon();
            self.introduce_to(vertex);
            return;
        }
        for group in self.groups.values_mut() {
            let home = group.home();
            let rank = placement::members(home)
                .filter(|member| *member != vertex && (*member == self.me || self.overlay.is_alive(*member)))
                .position(|member| member == self.me);
            group.handle_leader_lost(vertex, rank.unwrap_or(0));
        }
        self.ask_again_after_loss(vertex);
    }

    fn announce(&mut self) {
        let leads: Vec<(Vertex, u64)> =
            self.groups.values().filter(|group| group.is_leader()).map(|group| (group.home(), group.term())).collect();
        let identity = self.record.identity.unwrap_or(NodeId { vertex: self.me, incarnation: Incarnation(0) });
        let state = self.state();
        self.overlay.set_self(self.now, identity, state, self.storage.state(), leads);
    }

    fn state(&self) -> NodeState {
        match self.phase {
            Phase::Paused { .. } | Phase::Crashed { .. } | Phase::Reopening { .. } => NodeState::Failed,
            Phase::Joining(_) => NodeState::Recovering,
            Phase::Serving if self.groups.values().any(|group| group.role() == Role::Learner) => NodeState::Recovering,
            Phase::Serving => NodeState::Up,
        }
    }

    /// Whether the record of this start is not durable yet. Until then the node sends nothing under a request number of
    /// its own.
    fn is_starting(&self) -> bool {
        self.written < self.started_in
    }

    /// Whether the node does not know its identity yet. It then has no groups.
    fn is_joining(&self) -> bool {
        matches!(self.phase, Phase::Joining(_))
    }

    /// Returns a key that no other request of this incarnation uses. Numbers are consecutive and used for requests
    /// only, so a topic can store the numbers of one coordinator as a few ranges.
    fn next_key(&mut self) -> RequestKey {
        self.next_number += 1;
        let coordinator = self.coordinator();
        let starts = if self.bugs.has(Bug::NumbersBeginAgain) { 0 } else { self.record.starts };
        RequestKey { coordinator, number: (starts << 32) + self.next_number }
    }

    fn coordinator(&self) -> NodeId {
        self.record.identity.unwrap_or(NodeId::founding(self.me))
    }

    /// Returns a token that matches a reply with its ask, or a confirmed read with its jobs. It is as unique as a
    /// request's number.
    fn next_token(&mut self) -> u64 {
        self.next_token += 1;
        (self.record.starts << 32) + self.next_token
    }
}
