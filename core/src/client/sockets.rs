//! Sockets: opened on demand, monitored while an answer or events are due, and closed when silent.

use std::time::Duration;

use crate::client::Client;
use crate::client::io::{ClientEffect, Notice, Purpose, SocketId};
use crate::client::job::{JobId, SessionKey, State};
use crate::client::nodes::{PeerIndex, backoff};
use crate::time::Instant;
use crate::wire::client::{Action, Local, Request, RequestId};

/// Time limit for opening a socket.
const OPEN_WITHIN: Duration = Duration::from_secs(2);
/// Time limit for opening a socket to a node that answers on another socket, or to the only known address. A browser
/// that failed to open many sockets delays the next ones by up to 5 s (Chromium's WebSocketThrottler); that delay is no
/// evidence of a failed node.
const OPEN_WITHIN_WHERE_REACHED: Duration = Duration::from_secs(8);
/// A node that owes an answer and is silent for this long is probed.
const PROBE_WHEN_OWING: Duration = Duration::from_secs(1);
/// A node that should send deliveries or events is probed after this silence: it may have failed and lost its
/// subscriptions.
const PROBE_WHEN_LISTENING: Duration = Duration::from_secs(2);
/// Time limit for the answer to a probe. It is long because a busy machine is not a failed one.
const PROBE_ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Pauses between attempts to reach a node. Each failure doubles the pause, from `first` up to `longest`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rests {
    /// Pause after the first failure, before jitter.
    pub first: Duration,
    /// Upper limit of the pause.
    pub longest: Duration,
}

impl Rests {
    /// For a node that may return at any time.
    pub const SHORT: Rests = Rests { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
    /// For a node that may never be reachable from here, if each attempt has a cost for the client.
    pub const LONG: Rests = Rests { first: Duration::from_secs(2), longest: Duration::from_secs(60) };
}

impl Default for Rests {
    fn default() -> Self {
        Rests::SHORT
    }
}

/// A reason for [`Client::next_deadline`]. An outdated alarm has no effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Alarm {
    /// A job's deadline, or the end of its pause.
    Job(JobId),
    /// Check whether a socket has opened, or whether its node has answered.
    Socket(SocketId),
    /// Retry an unreachable node.
    Rest(PeerIndex),
}

#[derive(Debug)]
pub(super) struct Socket {
    pub peer: PeerIndex,
    pub role: Role,
    pub is_open: bool,
    /// When data last arrived, or when the node began to owe an answer.
    pub heard: Instant,
    /// Number of unanswered requests.
    pub owes: u32,
    /// When an unanswered probe was sent.
    pub probed: Option<Instant>,
    /// The time of this socket's entry in the alarms.
    pub alarm: Option<Instant>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Role {
    Requests,
    /// The messages of one push subscription, requested by a job.
    Deliveries(SessionKey, JobId),
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub socket: SocketId,
    pub purpose: FlightPurpose,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum FlightPurpose {
    Job(JobId),
    /// Checks that the node answers, and asks for the addresses of all nodes.
    Probe,
}

impl Client {
    pub(super) fn open_socket(&mut self, peer: PeerIndex, role: Role) -> SocketId {
        let socket = SocketId(self.next_socket);
        self.next_socket += 1;
        let purpose = match &role {
            Role::Requests => Purpose::Requests,
            Role::Deliveries((topic, subscriber), _) => {
                Purpose::Deliveries { topic: topic.clone(), subscriber: subscriber.clone() }
            }
        };
        if role == Role::Requests {
            self.nodes.peers[peer].requests = Some(socket);
        }
        let heard = self.now.monotonic;
        let new = Socket { peer, role, is_open: false, heard, owes: 0, probed: None, alarm: None };
        self.sockets.insert(socket, new);
        self.effects.push(ClientEffect::Open { socket, url: self.nodes.peers[peer].url.clone(), purpose });
        self.set_socket_alarm(socket, heard + self.time_to_open(peer));
        socket
    }

    pub(super) fn handle_opened(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(&id).filter(|socket| !socket.is_open) else { return };
        socket.is_open = true;
        socket.heard = self.now.monotonic;
        let (peer, role) = (socket.peer, socket.role.clone());
        match role {
            Role::Requests => self.greet(peer, id),
            Role::Deliveries(_, job) => self.send_job(job, id),
        }
    }

    /// Handles a node that became reachable: probes it if it has not named itself yet or if it was lost.
    fn greet(&mut self, index: PeerIndex, socket: SocketId) {
        let peer = &mut self.nodes.peers[index];
        let (node, url) = (peer.host, peer.url.clone());
        let was_lost = std::mem::take(&mut peer.failures) > 0;
        peer.was_reached = true;
        self.notice(if was_lost { Notice::Reconnected { node, url } } else { Notice::Connected { node, url } });
        if node.is_none() || was_lost {
            self.probe(socket);
        }
    }

    pub(super) fn send(&mut self, socket: SocketId, action: Action, trace: bool, purpose: FlightPurpose) {
        let id = self.next_request;
        self.next_request += 1;
        self.flights.insert(id, Flight { socket, purpose });
        self.outbox.entry(socket).or_default().push(Request { id: Some(RequestId::Unsigned(id)), trace, action });
        let now = self.now.monotonic;
        let Some(to) = self.sockets.get_mut(&socket) else { return };
        if to.owes == 0 {
            to.heard = now;
        }
        to.owes += 1;
        self.set_socket_alarm(socket, now + PROBE_WHEN_OWING);
    }

    fn probe(&mut self, id: SocketId) {
        let now = self.now.monotonic;
        self.send(id, Action::Local(Local::Cluster), false, FlightPurpose::Probe);
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.probed = Some(now);
        }
        self.set_socket_alarm(id, now + PROBE_ANSWER_WITHIN);
    }

    /// Sets an alarm; the earlier of two remains.
    fn set_socket_alarm(&mut self, id: SocketId, at: Instant) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        if socket.alarm.is_some_and(|earlier| earlier <= at) {
            return;
        }
        if let Some(later) = socket.alarm.replace(at) {
            self.alarms.remove(&(later, Alarm::Socket(id)));
        }
        self.alarms.insert((at, Alarm::Socket(id)));
    }

    pub(super) fn check_socket(&mut self, id: SocketId) {
        let now = self.now.monotonic;
        let patience = self.patience(id);
        let Some(peer) = self.sockets.get(&id).map(|socket| socket.peer) else { return };
        let to_open = self.time_to_open(peer);
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        socket.alarm = None;
        let (due, next) = match (socket.is_open, socket.probed, patience) {
            (false, _, _) => (socket.heard + to_open, Next::GiveUp("the connection did not open in time")),
            (true, Some(probed), _) => (probed + PROBE_ANSWER_WITHIN, Next::GiveUp("no answer")),
            (true, None, Some(patience)) => (socket.heard + patience, Next::Probe),
            (true, None, None) => return,
        };
        match next {
            _ if due > now => self.set_socket_alarm(id, due),
            Next::Probe => self.probe(id),
            Next::GiveUp(why) => {
                self.close_socket(id);
                self.lose_socket_of(id, why);
            }
        }
    }

    fn time_to_open(&self, index: PeerIndex) -> Duration {
        let requests = self.nodes.peers[index].requests.and_then(|socket| self.sockets.get(&socket));
        let is_reached = requests.is_some_and(|socket| socket.is_open);
        if is_reached || self.nodes.peers.len() == 1 { OPEN_WITHIN_WHERE_REACHED } else { OPEN_WITHIN }
    }

    /// How long the socket may be silent. `None`: nothing is due on it.
    fn patience(&self, id: SocketId) -> Option<Duration> {
        let socket = self.sockets.get(&id)?;
        let watches = self.nodes.peers[socket.peer].host.is_some_and(|host| self.watches.contains_key(&host));
        match &socket.role {
            _ if socket.owes > 0 => Some(PROBE_WHEN_OWING),
            Role::Deliveries(..) => Some(PROBE_WHEN_LISTENING),
            Role::Requests => watches.then_some(PROBE_WHEN_LISTENING),
        }
    }

    /// Tells the driver to close the socket. The calling function handles the socket's requests and subscriptions.
    fn close_socket(&mut self, id: SocketId) {
        self.outbox.remove(&id);
        self.effects.push(ClientEffect::Close { socket: id });
    }

    /// Closes a socket that is no longer needed.
    pub(super) fn drop_socket(&mut self, id: SocketId) {
        if self.remove_socket(id).is_some() {
            self.close_socket(id);
            self.flights.retain(|_, flight| flight.socket != id);
        }
    }

    fn remove_socket(&mut self, id: SocketId) -> Option<Socket> {
        let socket = self.sockets.remove(&id)?;
        if let Some(at) = socket.alarm {
            self.alarms.remove(&(at, Alarm::Socket(id)));
        }
        let peer = &mut self.nodes.peers[socket.peer];
        if peer.requests == Some(id) {
            peer.requests = None;
        }
        Some(socket)
    }

    /// Handles the driver's report that a socket is closed.
    pub(super) fn lose_socket(&mut self, id: SocketId, why: &str) {
        self.outbox.remove(&id);
        self.lose_socket_of(id, why);
    }

    /// Handles a lost socket: its node rests, and its requests and subscriptions move to other nodes.
    pub(super) fn lose_socket_of(&mut self, id: SocketId, why: &str) {
        let Some(socket) = self.remove_socket(id) else { return };
        if socket.role == Role::Requests || self.nodes.peers[socket.peer].requests.is_none() {
            self.rest(socket.peer, why);
        }
        let asked = self.nodes.peers[socket.peer].host;
        self.abandon_flights(id, asked, why);
        self.restart_what_listened(id, &socket, asked, why);
    }

    fn rest(&mut self, index: PeerIndex, why: &str) {
        let is_stranger = self.nodes.seating.is_some() && !self.nodes.peers[index].was_reached;
        let rests = if is_stranger { self.strangers } else { Rests::SHORT };
        let peer = &mut self.nodes.peers[index];
        peer.failures = peer.failures.saturating_add(1);
        peer.why = why.to_string();
        peer.rest_until = self.now.monotonic + backoff(&mut self.rng, rests.first, rests.longest, peer.failures);
        self.alarms.insert((peer.rest_until, Alarm::Rest(index)));
        if peer.failures == 1 {
            let notice = Notice::Lost { node: peer.host, url: peer.url.clone(), why: why.to_string() };
            self.notice(notice);
        }
    }

    pub(super) fn end_rest(&mut self, index: PeerIndex) {
        let peer = &self.nodes.peers[index];
        if peer.failures > 0 && peer.requests.is_none() && peer.rest_until <= self.now.monotonic {
            self.open_socket(index, Role::Requests);
        }
    }

    fn abandon_flights(&mut self, id: SocketId, asked: Option<crate::identity::HostId>, why: &str) {
        let lost: Vec<u64> = self.flights.iter().filter(|(_, f)| f.socket == id).map(|(request, _)| *request).collect();
        for request in lost {
            if let Some(Flight { purpose: FlightPurpose::Job(job), .. }) = self.flights.remove(&request) {
                self.attempt_lost(job, asked, why);
            }
        }
        let opening = self.jobs.iter().filter(|(_, job)| job.state == State::Opening(id));
        for job in opening.map(|(job, _)| *job).collect::<Vec<_>>() {
            self.attempt_failed(job, asked, why);
        }
    }

    /// Asks the seeds one after another until one describes the cluster.
    pub(super) fn look_for_cluster(&mut self) {
        let peers = &self.nodes.peers;
        if self.nodes.seating.is_some() || peers.iter().any(|p| p.is_reachable() && p.requests.is_some()) {
            return;
        }
        if let Some(next) = peers.iter().position(|peer| peer.is_reachable()) {
            self.open_socket(next, Role::Requests);
        }
    }
}

enum Next {
    Probe,
    GiveUp(&'static str),
}
