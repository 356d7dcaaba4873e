//! The cluster: nodes, their clock, and all that is on its way between them.

mod asking;
mod disks;
mod edges;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::disk::Disk;
use super::host::{DiskJob, Host};
use super::network::{EdgeConditions, FrameCounts, Network};
use super::traffic::Traffic;
use crate::bugs::{Bug, Bugs};
use crate::check::evidence::{DiskLoss, DiskMishap, Leadership, MemberChange};
use crate::cube::{Dimension, Vertex};
use crate::group::{LogLimits, Proposed};
use crate::io::{ConnectionId, Effect, Input};
use crate::node::{Node, NodeConfig};
use crate::time::{Instant, Now, Timestamp};
use crate::wire::answer::{Role, ServerFrame};
use crate::wire::event::{Event, WatchEvent};
use crate::wire::limits::Limits;
use crate::wire::peer::PeerFrame;

/// The wall clock at the start of every simulation: 2026-01-01.
pub const EPOCH: Timestamp = Timestamp(1_767_225_600_000_000);
/// A batch's way to the disk.
const DISK: Duration = Duration::from_micros(500);

/// What kind of cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    pub dimension: Dimension,
    pub seed: u64,
    /// How every edge behaves while nothing is wrong with it.
    pub edges: EdgeConditions,
    pub disk_delay: Duration,
    pub log: LogLimits,
    pub limits: Limits,
    /// All that reaches a node at one moment is one turn of it, as in a real node, which gathers what is there. Otherwise each input is a
    /// turn: more orders of events, and more work.
    pub gather_turns: bool,
    /// Keep the nodes' events for whoever takes them ([`Cluster::take_events`]).
    pub keep_events: bool,
    /// A deliberate mistake in every node.
    pub bug: Option<Bug>,
}

impl ClusterConfig {
    pub fn new(dimension: Dimension, seed: u64) -> ClusterConfig {
        ClusterConfig {
            dimension,
            seed,
            edges: EdgeConditions::default(),
            disk_delay: DISK,
            log: LogLimits::default(),
            limits: Limits::default(),
            gather_turns: false,
            keep_events: false,
            bug: None,
        }
    }
}

/// A cluster, its clock, and all that is on its way.
pub struct Cluster {
    config: ClusterConfig,
    now: Instant,
    random: fastrand::Rng,
    hosts: Vec<Host>,
    /// In order of time, then of creation.
    agenda: BTreeMap<(Instant, u64), (Vertex, u64, Arrival)>,
    next_arrival: u64,
    turns: u64,
    network: Network,
    traffic: Traffic,
    /// The connection that each end believes in, and the one that stands.
    believed: BTreeMap<(Vertex, Vertex), u64>,
    /// What reached a process that hangs.
    waiting: BTreeMap<Vertex, Vec<Arrival>>,
    standing: BTreeMap<(Vertex, Vertex), u64>,
    frames: BTreeMap<ConnectionId, VecDeque<ServerFrame>>,
    connections: BTreeMap<ConnectionId, Vertex>,
    /// Clients' connections with news that nobody took yet.
    touched: BTreeSet<ConnectionId>,
    next_connection: u64,
    next_request: u64,
    leaderships: Vec<Leadership>,
    member_changes: Vec<MemberChange>,
    /// The last one of each leader, by its vertex and the group.
    proposed: BTreeMap<(Vertex, Vertex), Proposed>,
    events: Vec<WatchEvent>,
    undetected: Vec<String>,
    disk_losses: Vec<DiskLoss>,
    disk_mishaps: Vec<DiskMishap>,
    /// Memory of [`Cluster::record`].
    recorded: Vec<u8>,
    /// A running hash over everything that happened: equal for equal runs.
    trace: u64,
}

enum Arrival {
    Wake,
    Connected {
        peer: Vertex,
        connection: u64,
    },
    Disconnected {
        peer: Vertex,
        connection: u64,
    },
    Frame {
        from: Vertex,
        connection: u64,
        frame: PeerFrame,
    },
    /// A frame that was altered on its way.
    Altered {
        from: Vertex,
        connection: u64,
    },
    Drained {
        connection: ConnectionId,
        bytes: u64,
    },
    DiskDone,
    /// SIGCONT.
    Continue,
    /// What was gathered makes a turn.
    Turn,
    Dial,
    Start,
    /// As [`Arrival::Start`], by whoever looks after processes: unless somebody else did something about it.
    Restart,
}

impl Cluster {
    /// All nodes start at once, with empty disks.
    pub fn new(dimension: Dimension, seed: u64) -> Cluster {
        Cluster::with(ClusterConfig::new(dimension, seed))
    }

    pub fn with(config: ClusterConfig) -> Cluster {
        let mut random = fastrand::Rng::with_seed(config.seed);
        let mut cluster = Cluster {
            now: Instant(0),
            network: Network::new(random.u64(..), config.edges, Bugs::of(config.bug)),
            traffic: Traffic::default(),
            random,
            hosts: config.dimension.vertices().map(|_| Host::new(config.disk_delay, Bugs::of(config.bug))).collect(),
            agenda: BTreeMap::new(),
            next_arrival: 0,
            turns: 0,
            believed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            standing: BTreeMap::new(),
            frames: BTreeMap::new(),
            connections: BTreeMap::new(),
            touched: BTreeSet::new(),
            next_connection: 0,
            next_request: 0,
            leaderships: Vec::new(),
            member_changes: Vec::new(),
            proposed: BTreeMap::new(),
            events: Vec::new(),
            undetected: Vec::new(),
            disk_losses: Vec::new(),
            disk_mishaps: Vec::new(),
            recorded: Vec::new(),
            trace: config.seed,
            config,
        };
        for vertex in cluster.dimension().vertices() {
            cluster.start(vertex);
        }
        cluster
    }

    // What can be seen.

    pub fn dimension(&self) -> Dimension {
        self.config.dimension
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// What the clocks say of those who are not wrong.
    pub fn clocks(&self) -> Now {
        Now { monotonic: self.now, wall: Timestamp(EPOCH.0 + self.now.0) }
    }

    /// The hash over all that has happened.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    pub fn disk(&self, vertex: Vertex) -> &Disk {
        &self.hosts[vertex.index()].disk
    }

    /// The process at a vertex, if one runs.
    pub fn node(&self, vertex: Vertex) -> Option<&Node> {
        self.hosts[vertex.index()].node.as_ref()
    }

    pub fn is_hung(&self, vertex: Vertex) -> bool {
        self.hosts[vertex.index()].hung_until.is_some()
    }

    /// Why the last start of this node was refused: its disk is damaged beyond what it mends by itself.
    pub fn refused(&self, vertex: Vertex) -> Option<&str> {
        self.hosts[vertex.index()].refused.as_deref()
    }

    /// Disks that nodes emptied because they were asked to.
    pub fn disk_losses(&self) -> &[DiskLoss] {
        &self.disk_losses
    }

    /// Damage to disks that their check sums let pass.
    pub fn undetected_damage(&self) -> &[String] {
        &self.undetected
    }

    pub fn frame_counts(&self) -> FrameCounts {
        self.network.counts
    }

    /// What the frames were for that nodes gave to their connections.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Every time a node said that it leads a group.
    pub fn leaderships(&self) -> &[Leadership] {
        &self.leaderships
    }

    /// Every change of members that a leader proposed.
    pub fn member_changes(&self) -> &[MemberChange] {
        &self.member_changes
    }

    /// What the nodes told since the last call, where events are kept.
    pub fn take_events(&mut self) -> Vec<WatchEvent> {
        std::mem::take(&mut self.events)
    }

    // What can be done to it.

    /// Starts a process on what is on its disk.
    pub fn start(&mut self, vertex: Vertex) {
        self.at(self.now, vertex, Arrival::Start);
    }

    /// SIGKILL: memory is gone, and what was on its way to the disk. Neighbours see their connections break.
    pub fn kill(&mut self, vertex: Vertex) {
        self.end_process(vertex);
        self.drop_clients(vertex);
        self.disconnect_all(vertex);
        for peer in vertex.neighbours() {
            self.believed.remove(&(vertex, peer));
        }
    }

    /// Loses the disk of a process that is not running.
    pub fn wipe(&mut self, vertex: Vertex) {
        let host = &mut self.hosts[vertex.index()];
        assert!(host.node.is_none(), "only a stopped node's disk is lost from outside");
        host.disk.wipe();
        host.refused = None;
    }

    /// SIGSTOP until then, or until an earlier one ends: what arrives waits, in order.
    pub fn hang(&mut self, vertex: Vertex, until: Instant) {
        let hung_until = &mut self.hosts[vertex.index()].hung_until;
        *hung_until = (*hung_until).max(Some(until));
        self.at(until, vertex, Arrival::Continue);
    }

    /// The wall clock of that node is wrong by so much, microseconds.
    pub fn set_clock_error(&mut self, vertex: Vertex, by_us: i64) {
        self.hosts[vertex.index()].clock_error_us = by_us;
    }

    // Time.

    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
    }

    /// Runs until `done` holds; `false` when it does not within `patience`.
    pub fn run_until(&mut self, patience: Duration, mut done: impl FnMut(&mut Cluster) -> bool) -> bool {
        let until = self.now + patience;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(until) {
                return false;
            }
        }
    }

    /// The next thing that happens, if it happens by `until`; otherwise it is `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        let ((at, _), (vertex, life, arrival)) = entry.remove_entry();
        self.now = self.now.max(at);
        self.arrive(vertex, life, arrival);
        true
    }

    fn arrive(&mut self, vertex: Vertex, life: u64, arrival: Arrival) {
        match arrival {
            Arrival::Start => return self.boot(vertex),
            Arrival::Dial => return self.connect_all(vertex),
            _ => {}
        }
        let host = &mut self.hosts[vertex.index()];
        if host.life == life && matches!(arrival, Arrival::Restart) {
            return self.boot(vertex);
        }
        if host.life != life || host.node.is_none() {
            return;
        }
        if let Some(until) = host.hung_until {
            if matches!(arrival, Arrival::Continue) && until <= self.now {
                host.hung_until = None;
                let waited = self.waiting.remove(&vertex).unwrap_or_default();
                waited.into_iter().for_each(|arrival| self.arrive(vertex, life, arrival));
            } else {
                self.waiting.entry(vertex).or_default().push(arrival);
            }
            return;
        }
        match arrival {
            Arrival::Wake => self.wake(vertex),
            Arrival::Connected { peer, connection } => {
                self.believed.insert((vertex, peer), connection);
                self.give(vertex, Input::PeerConnected { peer });
            }
            Arrival::Disconnected { peer, connection } => {
                if self.believed.get(&(vertex, peer)) == Some(&connection) {
                    self.believed.remove(&(vertex, peer));
                    self.give(vertex, Input::PeerDisconnected { peer });
                }
            }
            Arrival::Frame { from, connection, frame } => {
                if self.believed.get(&(vertex, from)) == Some(&connection) {
                    self.give(vertex, Input::PeerFrame { from, frame });
                } else {
                    self.network.counts.cut_off += 1;
                }
            }
            Arrival::Altered { from, connection } => {
                if self.believed.get(&(vertex, from)) == Some(&connection) {
                    self.give(vertex, Input::PeerAltered { from });
                    self.break_edge(vertex, from);
                }
            }
            Arrival::Drained { connection, bytes } => self.give(vertex, Input::ClientDrained { connection, bytes }),
            Arrival::DiskDone => self.finish_disk_jobs(vertex),
            Arrival::Turn => {
                let gathered = std::mem::take(&mut host.gathered);
                self.take_turn(vertex, gathered);
            }
            Arrival::Start | Arrival::Restart | Arrival::Dial | Arrival::Continue => {}
        }
    }

    // Processes.

    fn boot(&mut self, vertex: Vertex) {
        let clock = self.clock(vertex);
        if self.hosts[vertex.index()].node.is_some() {
            return;
        }
        self.end_process(vertex);
        let host = &mut self.hosts[vertex.index()];
        host.peers_allowed = true;
        let recovered = match host.disk.recover() {
            Ok(recovered) => recovered,
            Err(refused) => {
                host.refused = Some(refused.to_string());
                return;
            }
        };
        let config = NodeConfig {
            vertex,
            addresses: self.config.dimension.vertices().map(|vertex| format!("sim:{vertex}")).collect(),
            allow_faults: true,
            seed: self.config.seed ^ (vertex.index() as u64) << 32 ^ host.life,
            sync: "always".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            limits: self.config.limits,
            log: self.config.log,
            observe_all: self.config.keep_events,
            bug: self.config.bug,
        };
        host.node = Some(Node::new(config, recovered, clock));
        self.connect_all(vertex);
        self.give(vertex, Input::DeadlineReached);
        self.measure_disk(vertex);
    }

    fn end_process(&mut self, vertex: Vertex) {
        let ended = self.hosts[vertex.index()].end_process(&mut self.random);
        self.undetected.extend(ended.err().map(|undetected| undetected.what));
        self.waiting.remove(&vertex);
    }

    fn clock(&self, vertex: Vertex) -> Now {
        let wall = (EPOCH.0 + self.now.0).saturating_add_signed(self.hosts[vertex.index()].clock_error_us);
        Now { monotonic: self.now, wall: Timestamp(wall) }
    }

    fn carry_out(&mut self, vertex: Vertex, effect: Effect) {
        match effect {
            Effect::Write(batch) => {
                let number = batch.number;
                self.hosts[vertex.index()].disk.begin(batch);
                self.queue_disk_job(vertex, DiskJob::Write(number));
            }
            Effect::ReadMessages(read) => {
                let id = read.read;
                self.hosts[vertex.index()].disk.begin_read(read);
                self.queue_disk_job(vertex, DiskJob::Read(id));
            }
            Effect::ReopenStorage { wipe } => self.queue_disk_job(vertex, DiskJob::Reopen { wipe }),
            Effect::SendPeer { to, frame } => self.send_frame(vertex, to, frame),
            Effect::SetPeersAllowed(allowed) => {
                self.hosts[vertex.index()].peers_allowed = allowed;
                if allowed { self.connect_all(vertex) } else { self.disconnect_all(vertex) }
            }
            Effect::SendClient { connection, frame } => {
                let bytes = frame.weight();
                if let Some(frames) = self.frames.get_mut(&connection) {
                    frames.push_back(frame);
                    self.touched.insert(connection);
                }
                let drained = self.now + Duration::from_micros(100);
                self.at(drained, vertex, Arrival::Drained { connection, bytes });
            }
            Effect::CloseClient { connection, .. } => {
                self.connections.remove(&connection);
                self.touched.insert(connection);
            }
            Effect::Observe(event) => self.observe(event),
        }
    }

    fn observe(&mut self, told: WatchEvent) {
        if let Event::RoleChanged { group, role: Role::Leader, term, .. } = told.event {
            self.leaderships.push(Leadership { group, term, node: told.node, at: self.now });
        }
        if self.config.keep_events {
            self.events.push(told);
        }
    }

    fn at(&mut self, at: Instant, vertex: Vertex, arrival: Arrival) {
        self.next_arrival += 1;
        let life = self.hosts[vertex.index()].life;
        self.agenda.insert((at, self.next_arrival), (vertex, life, arrival));
    }

    fn record(&mut self, vertex: Vertex, effect: &Effect) {
        if let Effect::Observe(_) = effect {
            return;
        }
        let mut recorded = std::mem::take(&mut self.recorded);
        recorded.clear();
        recorded = postcard::to_extend(&(self.now.0, vertex, effect), recorded).expect("memory takes any effect");
        self.trace = self.trace.rotate_left(5) ^ u64::from(crc32fast::hash(&recorded));
        self.recorded = recorded;
    }
}
