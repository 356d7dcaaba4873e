//! The node: everything that one process decides.
//!
//! `handle(now, inputs) -> effects` is one turn: inputs in, packets delivered, commands proposed, groups flushed, until nothing
//! moves; then one write batch for all groups, then the reads that come behind it. What promises durability to somebody waits
//! for [`Input::Written`](crate::io::Input).
//!
//! | file | decides |
//! |---|---|
//! | `joining` | who this node is: a founding member, or a new incarnation |
//! | `requests`, `replies` | what a client asked here, until it is answered (the *origin's* part) |
//! | `pending` | what is known of each such request |
//! | `registering` | which names are known here, and how many new ones are taken |
//! | `expiring` | which names are used on, and which ones end because they are not |
//! | `lanes` | which of a client's pulls are begun, and which wait |
//! | `groups` | what the groups' members say to each other, and what comes of it |
//! | `serve` | what another node asks of this one (the *leader's* and the *holder's* part) |
//! | `ack_all` | publishes that wait for every member that is up |
//! | `pulls` | pulls under way here, and reads that wait for their leader to be confirmed |
//! | `reads` | reads of messages, and what they were for |
//! | `repairs` | messages that the disk has lost, fetched from another member |
//! | `push` | deliveries to push subscribers |
//! | `outbox` | publishes with `ack: one` that are not in the log yet |
//! | `storage` | what a full disk leaves the node to do |
//! | `usability` | whether the groups take publishes now |
//! | `views` | cluster, status, locate, topics |
//! | `faults` | failing on request, and coming back |
//! | `altered` | what was altered on its way here |
//! | `watch` | clients' queues, and events |
//! | `queues` | how full everything is that can grow because of others |

mod ack_all;
mod altered;
mod config;
mod expiring;
mod faults;
mod groups;
mod joining;
mod lanes;
mod mistakes;
mod outbox;
mod pending;
mod pulls;
mod push;
mod queues;
mod reads;
mod registering;
mod repairs;
mod replies;
mod requests;
mod serve;
mod storage;
mod turned_away;
mod usability;
mod views;
mod watch;

pub use config::NodeConfig;
pub use queues::Queue;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::bugs::{Bug, Bugs};
use crate::cube::Vertex;
use crate::group::{Group, TICK};
use crate::identity::{Incarnation, NodeId};
use crate::io::{ConnectionId, Effect, Input};
use crate::overlay::{Overlay, OverlayConfig, OverlayEffect};
use crate::placement;
use crate::store::{NodeRecord, ReadMessages, Recovered, Write, WriteBatch};
use crate::time::{Instant, Now};
use crate::wire::answer::{Counters, NodeState, Role};
use crate::wire::client::StopMode;
use crate::wire::event::TraceId;
use crate::wire::peer::{Body, Packet, RaftMessage, RequestKey};

/// How often the node looks after what waits: retries, limits of time, members.
const HOUSEKEEPING: Duration = Duration::from_millis(50);
/// How often leaders look after their groups, in the first turn from then on: a leader's heartbeats are turns.
const MAINTENANCE: Duration = Duration::from_millis(250);
/// Rounds of one turn: enough for a request to go through; what is left waits for the next turn.
const MAX_ROUNDS: usize = 64;
/// First messages of members that are not recorded as met yet.
const MAX_HELD: usize = 256;

/// One node.
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
    /// When each vertex was last seen alive.
    last_seen: BTreeMap<Vertex, Instant>,
    /// Messages of members whose meeting is not recorded durably yet, with the batch that records it.
    held: Vec<(u64, Vertex, RaftMessage)>,
    /// The batch that records the first meeting with a member.
    met_in: BTreeMap<Vertex, u64>,
    next_housekeeping: Instant,
    next_maintenance: Instant,
    unsettled: bool,
    /// A leader's heartbeat came in this turn.
    heartbeat_heard: bool,
    altered: altered::Altered,
    /// A stop that was asked for, and when it is due.
    stopping: Option<(Instant, StopMode, u64)>,

    clients: BTreeMap<ConnectionId, watch::Client>,
    /// Clients that watch: few, and looked for at every event.
    watchers: BTreeSet<ConnectionId>,
    /// What waits to leave for all clients.
    queued_by_all: u64,
    requests: pending::Requests,
    uses: expiring::Uses,
    lanes: lanes::Lanes,
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
    /// The batch that records this start. Before it is durable, a restart would use the same numbers again.
    started_in: u64,

    /// This turn's.
    writes: Vec<Write>,
    disk_reads: Vec<ReadMessages>,
    effects: Vec<Effect>,
    /// The number of the batch that this turn fills, and of the last one that is durable.
    batch: u64,
    written: u64,
}

/// What the node is doing.
enum Phase {
    /// Finding out whether it was here before.
    Joining(joining::Joining),
    Serving,
    /// Failing on request: its memory is kept, and nothing is heard or said.
    Paused {
        until: Instant,
    },
    /// Failing on request: its memory is gone.
    Crashed {
        until: Instant,
        wipe: bool,
    },
    /// The store is being opened again.
    Reopening {
        wipe: bool,
    },
}

impl Node {
    /// A node with what was found on its disk.
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
            lanes: lanes::Lanes::default(),
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

    /// One turn. Carry out the effects in order before the next one.
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

    /// When the next turn is due though nothing happened.
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

    /// Whether there is anything that [`HOUSEKEEPING`] looks after.
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

    /// Who this node is, once it knows.
    pub fn identity(&self) -> Option<NodeId> {
        self.record.identity
    }

    /// Its part in the group of a home, if it has one now.
    pub fn group(&self, home: Vertex) -> Option<&Group> {
        self.groups.get(&home)
    }

    /// Whether this vertex looks alive from here.
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

    /// The time since the last turn. It counts unless this process did not run, or kept silent: then it could not tell who was
    /// there, and counts it for nobody's absence.
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

    /// Lets everything move until nothing does, then emits what belongs behind it.
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
        self.check_awaited_holders();
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
            Body::Ask { token, call } => self.handle_ask(serve::Asker { vertex: from, token, trace }, call, trail.path),
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

    /// Its start is not recorded durably yet: nothing may be asked under a number of its own.
    fn is_starting(&self) -> bool {
        self.written < self.started_in
    }

    /// It does not know yet who it is, and has no groups.
    fn is_joining(&self) -> bool {
        matches!(self.phase, Phase::Joining(_))
    }

    /// A number that no request of this incarnation had or will have. Numbers are consecutive, and used for requests only: so a
    /// topic remembers those of one origin in few runs.
    fn next_key(&mut self) -> RequestKey {
        self.next_number += 1;
        let origin = self.origin();
        let starts = if self.bugs.has(Bug::NumbersBeginAgain) { 0 } else { self.record.starts };
        RequestKey { origin, number: (starts << 32) + self.next_number }
    }

    fn origin(&self) -> NodeId {
        self.record.identity.unwrap_or(NodeId::founding(self.me))
    }

    /// Matches a reply with its ask, or a confirmed read with its jobs; as unique as a request's number.
    fn next_token(&mut self) -> u64 {
        self.next_token += 1;
        (self.record.starts << 32) + self.next_token
    }
}
