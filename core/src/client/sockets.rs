//! Sockets: opened when needed, watched while something is expected of them, given up when silent.

use std::time::Duration;

use crate::client::Client;
use crate::client::io::{ClientEffect, Notice, Purpose, SocketId};
use crate::client::job::{JobId, SessionKey, State};
use crate::client::nodes::{PeerIndex, backoff};
use crate::time::Instant;
use crate::wire::client::{Action, Request, RequestId};

/// A socket that does not stand by then is given up.
const OPEN_WITHIN: Duration = Duration::from_secs(2);
/// One to a node that answers on another socket, or to the only address there is. A browser that has failed to open many sockets opens the
/// next ones up to 5 s later (Chromium's WebSocketThrottler): that says nothing of the node.
const OPEN_WITHIN_WHERE_REACHED: Duration = Duration::from_secs(8);
/// A node that owes an answer and is silent for so long is asked whether it is there.
const PROBE_WHEN_OWING: Duration = Duration::from_secs(1);
/// So is one that should tell when something happens: it may have failed and forgotten about it.
const PROBE_WHEN_LISTENING: Duration = Duration::from_secs(2);
/// A node that does not even answer that is given up. Long, because a busy machine is not a dead one.
const PROBE_ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Pauses between attempts to reach a node: the first, and the longest, after it has doubled with each failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rests {
    pub first: Duration,
    pub longest: Duration,
}

impl Rests {
    /// For a node that may be back at any time.
    pub const SHORT: Rests = Rests { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
    /// For a node that is perhaps never to be reached from here, by a client that pays for each attempt.
    pub const LONG: Rests = Rests { first: Duration::from_secs(2), longest: Duration::from_secs(60) };
}

impl Default for Rests {
    fn default() -> Self {
        Rests::SHORT
    }
}

/// What next_deadline waits for. One that is no longer true does nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Alarm {
    /// Its deadline, or the end of a pause.
    Job(JobId),
    /// Has it opened, has it answered?
    Socket(SocketId),
    /// A node that could not be reached is to be tried again.
    Rest(PeerIndex),
}

#[derive(Debug)]
pub(super) struct Socket {
    pub peer: PeerIndex,
    pub role: Role,
    pub is_open: bool,
    /// When something came last, or when it began to owe something.
    pub heard: Instant,
    /// Requests not answered.
    pub owes: u32,
    /// When it was asked whether it is there.
    pub probed: Option<Instant>,
    /// Its entry among the alarms.
    pub alarm: Option<Instant>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Role {
    Requests,
    /// The messages of one push subscription, set up by a job.
    Deliveries(SessionKey, JobId),
}

/// A request on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub socket: SocketId,
    pub purpose: FlightPurpose,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum FlightPurpose {
    Job(JobId),
    /// Are you there, and where is everybody?
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

    /// A node is reached: who is it, if that is not known, and is it back?
    fn greet(&mut self, index: PeerIndex, socket: SocketId) {
        let peer = &mut self.nodes.peers[index];
        let (node, url) = (peer.vertex, peer.url.clone());
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
        self.send(id, Action::Cluster, false, FlightPurpose::Probe);
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.probed = Some(now);
        }
        self.set_socket_alarm(id, now + PROBE_ANSWER_WITHIN);
    }

    /// Keeps the earlier of two alarms.
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

    /// How long the socket may be silent; `None` when nothing is expected of it.
    fn patience(&self, id: SocketId) -> Option<Duration> {
        let socket = self.sockets.get(&id)?;
        let watches = self.nodes.peers[socket.peer].vertex.is_some_and(|vertex| self.watches.contains_key(&vertex));
        match &socket.role {
            _ if socket.owes > 0 => Some(PROBE_WHEN_OWING),
            Role::Deliveries(..) => Some(PROBE_WHEN_LISTENING),
            Role::Requests => watches.then_some(PROBE_WHEN_LISTENING),
        }
    }

    /// Tells the driver; what hung on the socket is the caller's business.
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

    /// The driver says that the socket is gone.
    pub(super) fn lose_socket(&mut self, id: SocketId, why: &str) {
        self.outbox.remove(&id);
        self.lose_socket_of(id, why);
    }

    /// The socket is gone: its node rests a while, and what hung on it is done elsewhere.
    pub(super) fn lose_socket_of(&mut self, id: SocketId, why: &str) {
        let Some(socket) = self.remove_socket(id) else { return };
        if socket.role == Role::Requests || self.nodes.peers[socket.peer].requests.is_none() {
            self.rest(socket.peer, why);
        }
        let asked = self.nodes.peers[socket.peer].vertex;
        self.abandon_flights(id, asked, why);
        self.restart_what_listened(id, &socket, asked, why);
    }

    fn rest(&mut self, index: PeerIndex, why: &str) {
        let is_stranger = self.nodes.dimension.is_some() && !self.nodes.peers[index].was_reached;
        let rests = if is_stranger { self.strangers } else { Rests::SHORT };
        let peer = &mut self.nodes.peers[index];
        peer.failures = peer.failures.saturating_add(1);
        peer.why = why.to_string();
        peer.rest_until = self.now.monotonic + backoff(&mut self.rng, rests.first, rests.longest, peer.failures);
        self.alarms.insert((peer.rest_until, Alarm::Rest(index)));
        if peer.failures == 1 {
            let notice = Notice::Lost { node: peer.vertex, url: peer.url.clone(), why: why.to_string() };
            self.notice(notice);
        }
    }

    pub(super) fn end_rest(&mut self, index: PeerIndex) {
        let peer = &self.nodes.peers[index];
        if peer.failures > 0 && peer.requests.is_none() && peer.rest_until <= self.now.monotonic {
            self.open_socket(index, Role::Requests);
        }
    }

    fn abandon_flights(&mut self, id: SocketId, asked: Option<crate::cube::Vertex>, why: &str) {
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

    /// Looks for the first node that tells of the cluster, one seed after the other.
    pub(super) fn look_for_cluster(&mut self) {
        let peers = &self.nodes.peers;
        if self.nodes.dimension.is_some() || peers.iter().any(|p| p.is_reachable() && p.requests.is_some()) {
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
