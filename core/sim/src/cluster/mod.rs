//! The simulated cluster: the nodes, their clock, and everything in transit between them.

mod arrivals;
mod asking;
mod disks;
mod edges;
mod hosts;
mod resume;
mod turns;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cubecast_core::bugs::{Bug, Bugs};
use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::group::{Group, LogLimits, Proposed};
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::io::{ConnectionId, Effect, Input};
use cubecast_core::node::{Node, NodeConfig};
use cubecast_core::recording::incident::Incident;
use cubecast_core::seating::Seating;
use cubecast_core::states::Role;
use cubecast_core::time::{Instant, Now, Timestamp};
use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::event::{Event, WatchEvent};
use cubecast_core::wire::limits::Limits;

pub use resume::Resumed;

use arrivals::Arrival;
use hosts::Hosts;

use crate::check::evidence::{DiskLoss, DiskMishap, Leadership, MemberChange};
use crate::disk::Disk;
use crate::host::{DiskJob, Host};
use crate::network::{EdgeConditions, FrameCounts, Network};
use crate::recording::TurnRecorder;
use crate::traffic::Traffic;

/// The wall clock at the start of every simulation: 2026-01-01 00:00 UTC, in microseconds.
pub const EPOCH: Timestamp = Timestamp(1_767_225_600_000_000);
/// Default time to write a batch to disk.
const DISK: Duration = Duration::from_micros(500);

/// The parameters of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The cube's dimension.
    pub dimension: Dimension,
    /// Determines all random choices.
    pub seed: u64,
    /// Conditions of every edge without faults.
    pub edges: EdgeConditions,
    /// Time of every sync and every read.
    pub disk_delay: Duration,
    /// When the nodes' logs are truncated.
    pub log: LogLimits,
    /// The nodes' limits on requests.
    pub limits: Limits,
    /// Whether all inputs that reach a node at one moment form one turn, as in a real node. Otherwise each input is a
    /// turn of its own, which covers more orders of events and takes more work.
    pub gather_turns: bool,
    /// Whether to keep the nodes' events for [`Cluster::take_events`].
    pub keep_events: bool,
    /// The recorder of each host, for [`Cluster::incident`]: [`Recording::begin`](crate::Recording::begin), or none.
    pub recorder: Option<fn() -> Box<dyn TurnRecorder>>,
    /// A deliberate bug in every node.
    pub bug: Option<Bug>,
}

impl ClusterConfig {
    /// Defaults: perfect edges, unlimited disks, one turn per input.
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
            recorder: None,
            bug: None,
        }
    }
}

/// A cluster with its clock and everything in transit.
pub struct Cluster {
    config: ClusterConfig,
    now: Instant,
    random: fastrand::Rng,
    seating: Seating,
    hosts: Hosts,
    /// Future events in order of time, then of creation.
    agenda: BTreeMap<(Instant, u64), (HostId, u64, Arrival)>,
    next_arrival: u64,
    turns: u64,
    network: Network,
    traffic: Traffic,
    /// The connection that each end considers open. `standing` has the connections that are really open.
    believed: BTreeMap<(HostId, HostId), u64>,
    /// Inputs for processes that hang.
    waiting: BTreeMap<HostId, Vec<Arrival>>,
    progress: BTreeMap<(HostId, HostId), u64>,
    frames: BTreeMap<ConnectionId, VecDeque<ServerFrame>>,
    connections: BTreeMap<ConnectionId, HostId>,
    /// Client connections with frames or a closure that were not collected.
    touched: BTreeSet<ConnectionId>,
    next_connection: u64,
    next_request: u64,
    leaderships: Vec<Leadership>,
    member_changes: Vec<MemberChange>,
    /// The latest change that each leader proposed, by its node and the group.
    proposed: BTreeMap<(HostId, GroupId), Proposed>,
    events: Vec<WatchEvent>,
    undetected: Vec<String>,
    disk_losses: Vec<DiskLoss>,
    disk_mishaps: Vec<DiskMishap>,
    /// Buffer of [`Cluster::record`].
    recorded: Vec<u8>,
    /// A running hash over all events: equal for equal runs.
    trace: u64,
}

impl Cluster {
    /// Starts all nodes at once with empty disks.
    pub fn new(dimension: Dimension, seed: u64) -> Cluster {
        Cluster::with(ClusterConfig::new(dimension, seed))
    }

    /// Starts all nodes of this cluster at once with empty disks.
    pub fn with(config: ClusterConfig) -> Cluster {
        let mut cluster = Cluster::without_processes(config);
        for node in cluster.nodes() {
            cluster.hosts[node].recording = cluster.config.recorder.map(|begin| begin());
            cluster.start(node);
        }
        cluster
    }

    fn without_processes(config: ClusterConfig) -> Cluster {
        let mut random = fastrand::Rng::with_seed(config.seed);
        let seating = Seating::founding(config.dimension);
        Cluster {
            now: Instant(0),
            network: Network::new(seating.clone(), random.u64(..), config.edges, Bugs::of(config.bug)),
            traffic: Traffic::default(),
            random,
            hosts: Hosts::new(&seating, || {
                Host::new(Disk::new(config.dimension, Bugs::of(config.bug)), config.disk_delay)
            }),
            seating,
            agenda: BTreeMap::new(),
            next_arrival: 0,
            turns: 0,
            believed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            progress: BTreeMap::new(),
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
        }
    }

    // Views.

    /// The cube's dimension.
    pub fn dimension(&self) -> Dimension {
        self.config.dimension
    }

    /// The hosts of the cluster, and the vertices that they serve.
    pub fn seating(&self) -> &Seating {
        &self.seating
    }

    /// All nodes.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = HostId> + ExactSizeIterator + Clone + use<> {
        self.seating.hosts()
    }

    /// The nodes of a group's members, its home first.
    pub fn members(&self, home: Vertex) -> Vec<HostId> {
        self.seating.members(GroupId::of(home))
    }

    /// A node's member of the group of `home`, if it has one now.
    pub fn group(&self, node: HostId, home: Vertex) -> Option<&Group> {
        self.node(node)?.group(GroupId::of(home))
    }

    /// The current virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The correct clocks, without clock errors.
    pub fn clocks(&self) -> Now {
        Now { monotonic: self.now, wall: Timestamp(EPOCH.0 + self.now.0) }
    }

    /// The hash over all events so far.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    /// The disk at a node.
    pub fn disk(&self, node: HostId) -> &Disk {
        &self.hosts[node].disk
    }

    /// The process at a node, if one runs.
    pub fn node(&self, node: HostId) -> Option<&Node> {
        self.hosts[node].node.as_ref()
    }

    /// Whether the process at a node is stopped by [`Cluster::hang`].
    pub fn is_hung(&self, node: HostId) -> bool {
        self.hosts[node].hung_until.is_some()
    }

    /// Why the last start of this node was refused: its disk has damage that a node cannot repair.
    pub fn refused(&self, node: HostId) -> Option<&str> {
        self.hosts[node].refused.as_deref()
    }

    /// Disks that requested faults erased.
    pub fn disk_losses(&self) -> &[DiskLoss] {
        &self.disk_losses
    }

    /// Damage to disks that the checksums did not detect.
    pub fn undetected_damage(&self) -> &[String] {
        &self.undetected
    }

    /// Frame counts of the network.
    pub fn frame_counts(&self) -> FrameCounts {
        self.network.counts
    }

    /// The frames that nodes gave to their connections, by purpose.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Every time a node began to lead a group.
    pub fn leaderships(&self) -> &[Leadership] {
        &self.leaderships
    }

    /// Every membership change that a leader proposed.
    pub fn member_changes(&self) -> &[MemberChange] {
        &self.member_changes
    }

    /// The nodes' events since the last call, if events are kept.
    pub fn take_events(&mut self) -> Vec<WatchEvent> {
        std::mem::take(&mut self.events)
    }

    /// The recordings of all hosts: the last part, at least this long. Empty without [`ClusterConfig::recorder`].
    pub fn incident(&self, last: Duration) -> Incident {
        let now = self.clocks().wall;
        let recorded = |node| self.hosts[node].recording.as_ref().map(|recording| recording.last(node, now, last));
        let hosts = self.nodes().filter_map(recorded).collect();
        Incident { saved_at: now, seating: self.seating.clone(), hosts, missing: Vec::new() }
    }

    // Actions.

    /// Starts a process on the contents of its disk.
    pub fn start(&mut self, node: HostId) {
        self.at(self.now, node, Arrival::Start);
    }

    /// Kills a process (SIGKILL). Its memory and its unfinished writes are lost; its neighbours see broken connections.
    pub fn kill(&mut self, node: HostId) {
        self.end_process(node);
        self.drop_clients(node);
        self.disconnect_all(node);
        for peer in self.seating.neighbours(node) {
            self.believed.remove(&(node, peer));
        }
    }

    /// Erases the disk of a stopped process.
    pub fn wipe(&mut self, node: HostId) {
        let host = &mut self.hosts[node];
        assert!(host.node.is_none(), "only a stopped node's disk is lost from outside");
        host.disk.wipe();
        host.refused = None;
    }

    /// Stops a process (SIGSTOP) until then, or later if an earlier call says so. Its inputs wait in order.
    pub fn hang(&mut self, node: HostId, until: Instant) {
        let hung_until = &mut self.hosts[node].hung_until;
        *hung_until = (*hung_until).max(Some(until));
        self.at(until, node, Arrival::Continue);
    }

    /// Sets the error of a node's wall clock, in microseconds.
    pub fn set_clock_error(&mut self, node: HostId, by_us: i64) {
        self.hosts[node].clock_error_us = by_us;
    }

    // Time.

    /// Runs for this much virtual time.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.step(until) {}
    }

    /// Runs until `done` returns true. Returns false if it does not within `patience`.
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

    /// Performs the next event if it is due by `until`. Otherwise advances the clock to `until` and returns false.
    pub fn step(&mut self, until: Instant) -> bool {
        let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        let ((at, _), (node, life, arrival)) = entry.remove_entry();
        self.now = self.now.max(at);
        self.arrive(node, life, arrival);
        true
    }

    // Processes.

    fn boot(&mut self, node: HostId) {
        let clock = self.clock(node);
        if self.hosts[node].node.is_some() {
            return;
        }
        self.end_process(node);
        let index = self.seating.index_of(node).expect("the cluster has this node");
        let addresses = self.nodes().map(|node| format!("sim:{node}")).collect();
        let host = &mut self.hosts[node];
        host.peers_allowed = true;
        let recovered = match host.disk.recover() {
            Ok(recovered) => recovered,
            Err(refused) => {
                host.refused = Some(refused.text(self.config.dimension));
                return;
            }
        };
        let config = NodeConfig {
            host: node,
            seating: self.seating.clone(),
            addresses,
            allow_faults: true,
            seed: self.config.seed ^ (index as u64) << 32 ^ host.life,
            sync: "always".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            limits: self.config.limits,
            log: self.config.log,
            observe_all: self.config.keep_events,
            bug: self.config.bug,
        };
        host.node = Some(Node::new(config, recovered, clock));
        if let Some(recording) = &mut host.recording {
            recording.begin_process(node, host.life);
        }
        self.connect_all(node);
        self.give(node, Input::DeadlineReached);
        self.measure_disk(node);
    }

    fn end_process(&mut self, node: HostId) {
        let ended = self.hosts[node].end_process(&mut self.random);
        self.undetected.extend(ended.err().map(|undetected| undetected.what));
        self.waiting.remove(&node);
    }

    fn clock(&self, node: HostId) -> Now {
        let host = &self.hosts[node];
        let wall = (EPOCH.0 + self.now.0).saturating_add_signed(host.clock_error_us);
        Now { monotonic: host.on_its_clock(self.now), wall: Timestamp(wall) }
    }

    fn carry_out(&mut self, node: HostId, effect: Effect) {
        match effect {
            Effect::Write(batch) => {
                let number = batch.number;
                self.hosts[node].disk.begin(batch);
                self.queue_disk_job(node, DiskJob::Write(number));
            }
            Effect::ReadMessages(read) => {
                let id = read.read;
                self.hosts[node].disk.begin_read(read);
                self.queue_disk_job(node, DiskJob::Read(id));
            }
            Effect::ReopenStorage { wipe } => self.queue_disk_job(node, DiskJob::Reopen { wipe }),
            Effect::SendPeer { to, frame } => self.send_frame(node, to, frame),
            Effect::SetPeersAllowed(allowed) => {
                self.hosts[node].peers_allowed = allowed;
                if allowed { self.connect_all(node) } else { self.disconnect_all(node) }
            }
            Effect::SendClient { connection, frame } => {
                let bytes = frame.weight();
                if let Some(frames) = self.frames.get_mut(&connection) {
                    frames.push_back(frame);
                    self.touched.insert(connection);
                }
                let drained = self.now + Duration::from_micros(100);
                self.at(drained, node, Arrival::Drained { connection, bytes });
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

    fn record(&mut self, node: HostId, effect: &Effect) {
        if let Effect::Observe(_) = effect {
            return;
        }
        let mut recorded = std::mem::take(&mut self.recorded);
        recorded.clear();
        recorded = postcard::to_extend(&(self.now.0, node, effect), recorded).expect("memory takes any effect");
        self.trace = self.trace.rotate_left(5) ^ u64::from(crc32fast::hash(&recorded));
        self.recorded = recorded;
    }
}
