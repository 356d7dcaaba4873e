//! The cluster: nodes, their clock, and all that is on its way between them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::cube::{Dimension, Vertex};
use crate::group::LogLimits;
use crate::io::{ConnectionId, Effect, Input};
use crate::node::{Node, NodeConfig};
use crate::store::{ReadMessages, Write};
use crate::time::{Instant, Now, Timestamp};
use crate::wire::answer::{Answer, Done, Failure, ServerFrame};
use crate::wire::client::{Action, Request, RequestId};
use crate::wire::limits::Limits;

use super::disk::Disk;

/// The wall clock at the start of every simulation: 2026-01-01.
const EPOCH: Timestamp = Timestamp(1_767_225_600_000_000);
/// A frame's way over an edge, and a batch's way to the disk.
const EDGE: Duration = Duration::from_micros(100);
const DISK: Duration = Duration::from_micros(500);

struct Host {
    /// `None`: the process was killed.
    node: Option<Node>,
    disk: Disk,
    disk_delay: Duration,
    peers_allowed: bool,
    /// Counts processes, so that what was meant for one that is gone is not given to the next.
    life: u64,
}

/// A cluster, its clock, and all that is on its way.
pub struct Cluster {
    dimension: Dimension,
    now: Instant,
    hosts: Vec<Host>,
    /// In order of time, then of creation.
    agenda: BTreeMap<(Instant, u64), (Vertex, u64, Arrival)>,
    next_arrival: u64,
    /// Connected pairs, in both orders.
    connected: BTreeMap<(Vertex, Vertex), u64>,
    frames: BTreeMap<ConnectionId, VecDeque<ServerFrame>>,
    connections: BTreeMap<ConnectionId, Vertex>,
    next_connection: u64,
    next_request: u64,
    seed: u64,
    /// A running hash over everything that happened: equal for equal runs.
    trace: u64,
}

enum Arrival {
    Input(Input),
    Frame { from: Vertex, connection: u64, frame: crate::wire::peer::PeerFrame },
    Written { number: u64, writes: Vec<Write> },
    Read(ReadMessages),
    Reopen { wipe: bool },
    Start,
}

impl Cluster {
    /// All nodes start at once, with empty disks.
    pub fn new(dimension: Dimension, seed: u64) -> Cluster {
        let mut cluster = Cluster {
            dimension,
            now: Instant(0),
            hosts: dimension
                .vertices()
                .map(|_| Host { node: None, disk: Disk::default(), disk_delay: DISK, peers_allowed: true, life: 0 })
                .collect(),
            agenda: BTreeMap::new(),
            next_arrival: 0,
            connected: BTreeMap::new(),
            frames: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_connection: 0,
            next_request: 0,
            seed,
            trace: seed,
        };
        for vertex in dimension.vertices() {
            cluster.start(vertex);
        }
        cluster
    }

    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    /// The hash over all that has happened.
    pub fn trace(&self) -> u64 {
        self.trace
    }

    pub fn disk(&self, vertex: Vertex) -> &Disk {
        &self.hosts[vertex.index()].disk
    }

    /// Starts a process on what is on its disk.
    pub fn start(&mut self, vertex: Vertex) {
        self.at(self.now, vertex, Arrival::Start);
    }

    /// SIGKILL: memory is gone, and what was on its way to the disk. Neighbours see their connections break.
    pub fn kill(&mut self, vertex: Vertex) {
        let host = &mut self.hosts[vertex.index()];
        host.node = None;
        host.life += 1;
        self.connections.retain(|_, node| *node != vertex);
        self.disconnect_all(vertex);
    }

    /// Loses the disk of a process that is not running.
    pub fn wipe(&mut self, vertex: Vertex) {
        assert!(self.hosts[vertex.index()].node.is_none(), "only a stopped node's disk is lost from outside");
        self.hosts[vertex.index()].disk = Disk::default();
    }

    /// From now on every batch and every read takes this long at that node.
    pub fn slow_disk(&mut self, vertex: Vertex, delay: Duration) {
        self.hosts[vertex.index()].disk_delay = delay;
    }

    pub fn connect_client(&mut self, node: Vertex) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.connections.insert(connection, node);
        self.frames.insert(connection, VecDeque::new());
        self.give(node, Input::ClientConnected { connection });
        connection
    }

    /// Whether neither side has closed it.
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Sends a request; the answer bears the number that is returned.
    pub fn send(&mut self, connection: ConnectionId, action: Action) -> u64 {
        self.next_request += 1;
        let id = self.next_request;
        let request = Request { id: Some(RequestId::Unsigned(id)), trace: true, action };
        if let Some(node) = self.connections.get(&connection).copied() {
            self.give(node, Input::ClientRequest { connection, request });
        }
        id
    }

    /// Sends a request on a new connection and runs until it is answered. `None`: not within `patience`.
    pub fn ask(&mut self, node: Vertex, action: Action, patience: Duration) -> Option<Answer> {
        let connection = self.connect_client(node);
        let id = self.send(connection, action);
        let until = self.now + patience;
        loop {
            if let Some(answer) = self.take_answer(connection, id) {
                return Some(answer);
            }
            if !self.step(until) {
                return None;
            }
        }
    }

    /// As [`Cluster::ask`], for tests that need the result: an answer must come.
    pub fn must(&mut self, node: Vertex, action: Action) -> Result<Done, Failure> {
        self.ask(node, action, Duration::from_secs(10)).expect("every request is answered").result
    }

    pub fn take_answer(&mut self, connection: ConnectionId, id: u64) -> Option<Answer> {
        let frames = self.frames.get_mut(&connection)?;
        let at = frames.iter().position(
            |frame| matches!(frame, ServerFrame::Answer(answer) if answer.id == Some(RequestId::Unsigned(id))),
        )?;
        match frames.remove(at) {
            Some(ServerFrame::Answer(answer)) => Some(answer),
            _ => None,
        }
    }

    /// What a client has received and nobody took yet.
    pub fn frames(&mut self, connection: ConnectionId) -> Vec<ServerFrame> {
        self.frames.get_mut(&connection).map(std::mem::take).unwrap_or_default().into()
    }

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

    /// The next thing that happens, if it happens before `until`.
    fn step(&mut self, until: Instant) -> bool {
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
        let host = &mut self.hosts[vertex.index()];
        if let Arrival::Start = arrival {
            self.boot(vertex);
            return;
        }
        if host.life != life || host.node.is_none() {
            return;
        }
        match arrival {
            Arrival::Input(input) => self.give(vertex, input),
            Arrival::Frame { from, connection, frame } => {
                if self.connected.get(&(from, vertex)) == Some(&connection) {
                    self.give(vertex, Input::PeerFrame { from, frame });
                }
            }
            Arrival::Written { number, writes } => {
                host.disk.write(&writes);
                self.give(vertex, Input::Written { number });
            }
            Arrival::Read(read) => {
                let result = Ok(host.disk.read(&read));
                self.give(vertex, Input::MessagesRead { read: read.read, result });
            }
            Arrival::Reopen { wipe } => {
                if wipe {
                    host.disk = Disk::default();
                }
                let recovered = host.disk.recover();
                self.give(vertex, Input::StorageReopened { recovered });
            }
            Arrival::Start => {}
        }
    }

    fn boot(&mut self, vertex: Vertex) {
        let clock = self.clock();
        let host = &mut self.hosts[vertex.index()];
        host.life += 1;
        host.peers_allowed = true;
        let config = NodeConfig {
            vertex,
            addresses: self.dimension.vertices().map(|vertex| format!("sim:{vertex}")).collect(),
            allow_faults: true,
            seed: self.seed ^ (vertex.index() as u64) << 32 ^ host.life,
            sync: "always".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            limits: Limits::default(),
            log: LogLimits::default(),
            observe_all: false,
        };
        host.node = Some(Node::new(config, host.disk.recover(), clock));
        self.connect_all(vertex);
        self.give(vertex, Input::DeadlineReached);
    }

    fn connect_all(&mut self, vertex: Vertex) {
        for peer in vertex.neighbours() {
            let ready = |host: &Host| host.node.is_some() && host.peers_allowed;
            if !ready(&self.hosts[vertex.index()])
                || !ready(&self.hosts[peer.index()])
                || self.connected.contains_key(&(vertex, peer))
            {
                continue;
            }
            self.next_connection += 1;
            self.connected.insert((vertex, peer), self.next_connection);
            self.connected.insert((peer, vertex), self.next_connection);
            self.at(self.now + EDGE, vertex, Arrival::Input(Input::PeerConnected { peer }));
            self.at(self.now + EDGE, peer, Arrival::Input(Input::PeerConnected { peer: vertex }));
        }
    }

    fn disconnect_all(&mut self, vertex: Vertex) {
        for peer in vertex.neighbours() {
            if self.connected.remove(&(vertex, peer)).is_some() {
                self.connected.remove(&(peer, vertex));
                self.at(self.now + EDGE, vertex, Arrival::Input(Input::PeerDisconnected { peer }));
                self.at(self.now + EDGE, peer, Arrival::Input(Input::PeerDisconnected { peer: vertex }));
            }
        }
    }

    fn clock(&self) -> Now {
        Now { monotonic: self.now, wall: Timestamp(EPOCH.0 + self.now.0) }
    }

    /// One turn of a node.
    fn give(&mut self, vertex: Vertex, input: Input) {
        let clock = self.clock();
        let host = &mut self.hosts[vertex.index()];
        let Some(node) = &mut host.node else { return };
        let effects = node.handle(clock, vec![input]);
        let deadline = node.next_deadline();
        for effect in effects {
            self.record(vertex, &effect);
            self.carry_out(vertex, effect);
        }
        if let Some(deadline) = deadline {
            self.schedule_deadline(vertex, deadline);
        }
    }

    fn schedule_deadline(&mut self, vertex: Vertex, deadline: Instant) {
        let life = self.hosts[vertex.index()].life;
        let at = deadline.max(self.now + Duration::from_micros(1));
        let known = self.agenda.range((self.now, 0)..=(at, u64::MAX)).any(|(_, (node, of, arrival))| {
            *node == vertex && *of == life && matches!(arrival, Arrival::Input(Input::DeadlineReached))
        });
        if !known {
            self.at(at, vertex, Arrival::Input(Input::DeadlineReached));
        }
    }

    fn carry_out(&mut self, vertex: Vertex, effect: Effect) {
        let disk_at = self.now + self.hosts[vertex.index()].disk_delay;
        match effect {
            Effect::Write(batch) => {
                self.at(disk_at, vertex, Arrival::Written { number: batch.number, writes: batch.writes });
            }
            Effect::ReadMessages(read) => self.at(disk_at, vertex, Arrival::Read(read)),
            Effect::ReopenStorage { wipe } => self.at(disk_at, vertex, Arrival::Reopen { wipe }),
            Effect::SendPeer { to, frame } => {
                if let Some(connection) = self.connected.get(&(vertex, to)).copied() {
                    self.at(self.now + EDGE, to, Arrival::Frame { from: vertex, connection, frame });
                }
            }
            Effect::SetPeersAllowed(allowed) => {
                self.hosts[vertex.index()].peers_allowed = allowed;
                if allowed { self.connect_all(vertex) } else { self.disconnect_all(vertex) }
            }
            Effect::SendClient { connection, frame } => {
                let bytes = frame.weight();
                if let Some(frames) = self.frames.get_mut(&connection) {
                    frames.push_back(frame);
                }
                self.at(self.now + EDGE, vertex, Arrival::Input(Input::ClientDrained { connection, bytes }));
            }
            Effect::CloseClient { connection, .. } => {
                self.connections.remove(&connection);
            }
            Effect::Observe(_) => {}
        }
    }

    fn at(&mut self, at: Instant, vertex: Vertex, arrival: Arrival) {
        self.next_arrival += 1;
        let life = self.hosts[vertex.index()].life;
        self.agenda.insert((at, self.next_arrival), (vertex, life, arrival));
    }

    fn record(&mut self, vertex: Vertex, effect: &Effect) {
        let text = format!("{} {vertex} {effect:?}", self.now.0);
        self.trace = self.trace.rotate_left(5) ^ u64::from(crc32fast::hash(text.as_bytes()));
    }
}
