//! Chooses the node to ask: first the home, then a replica if the home is unreachable, then any node.

use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::client::Client;
use crate::client::io::{ClientError, FellOver, Notice, SocketId, Target, Ticket};
use crate::client::job::{Job, JobId, Owner, State};
use crate::client::nodes::{PeerIndex, backoff};
use crate::client::rules::{is_repeatable, nearest_first};
use crate::client::sockets::{Alarm, FlightPurpose, Role};
use crate::cube::Vertex;
use crate::identity::HostId;
use crate::placement;
use crate::time::Instant;

/// Shortest and longest pause of one job after all nodes were asked without success.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

enum Choice {
    Ask(PeerIndex),
    /// Wait until a socket opens or a node's rest ends.
    Wait,
    /// All nodes were asked in this round.
    Pause,
    NoSuch(HostId),
}

impl Client {
    /// Sends every job that can be sent.
    pub(super) fn dispatch(&mut self) {
        let now = self.now.monotonic;
        let ready: Vec<JobId> = self.waiting.iter().copied().filter(|id| self.jobs[id].not_before <= now).collect();
        for id in ready {
            self.dispatch_job(id);
        }
    }

    fn dispatch_job(&mut self, id: JobId) {
        if self.nodes.seating.is_none() {
            return;
        }
        let job = &self.jobs[&id];
        match self.choose(job) {
            Choice::Ask(peer) => self.ask(id, peer),
            Choice::Wait => {}
            Choice::Pause => self.pause(id),
            Choice::NoSuch(node) => self.finish(id, Err(ClientError::UnknownNode { node })),
        }
    }

    fn choose(&self, job: &Job) -> Choice {
        let now = self.now.monotonic;
        let candidates = self.candidates(job);
        if let (Target::Node(node), true) = (job.to, candidates.is_empty()) {
            return Choice::NoSuch(node);
        }
        let peer = |index: &PeerIndex| &self.nodes.peers[*index];
        let shunned = |index: &PeerIndex| peer(index).host.is_some_and(|host| job.shunned.contains(&host));
        let mut reachable = candidates.iter().filter(|index| peer(index).is_reachable());
        if let Some(index) = reachable.clone().find(|index| !shunned(index) && !peer(index).is_refusing(now)) {
            return Choice::Ask(*index);
        }
        if !job.shunned.is_empty() {
            return Choice::Pause;
        }
        // All reachable nodes reported a failure. They may have recovered, so ask one.
        reachable.next().map_or(Choice::Wait, |index| Choice::Ask(*index))
    }

    fn candidates(&self, job: &Job) -> Vec<PeerIndex> {
        match (job.to, self.home_of(job)) {
            (Target::Node(host), _) => self.nodes.at(host).into_iter().collect(),
            (Target::Home, Some(home)) if job.checks_owner.is_none() => {
                let seating = self.nodes.seating.iter();
                let hosts = seating.flat_map(|seating| nearest_first(home).map(|vertex| seating.host_of(vertex)));
                hosts.filter_map(|host| self.nodes.at(host)).collect()
            }
            (Target::Home | Target::Any, _) => {
                let is_open = |index: &PeerIndex| self.nodes.peers[*index].requests.is_some();
                let (open, others): (Vec<_>, Vec<_>) = (0..self.nodes.peers.len()).partition(is_open);
                open.into_iter().chain(others).collect()
            }
        }
    }

    /// The home of the job's subject.
    fn home_of(&self, job: &Job) -> Option<Vertex> {
        Some(placement::home(job.action.subject()?, self.nodes.dimension()?))
    }

    /// The host of the home of the job's subject.
    pub(super) fn home_host(&self, job: &Job) -> Option<HostId> {
        Some(self.nodes.seating.as_ref()?.host_of(self.home_of(job)?))
    }

    /// Asks over the node's socket if it is open. Otherwise opens the socket, and the job waits.
    fn ask(&mut self, id: JobId, peer: PeerIndex) {
        if self.jobs[&id].is_push() {
            return self.ask_on_own_socket(id, peer);
        }
        match self.nodes.peers[peer].requests {
            None => drop(self.open_socket(peer, Role::Requests)),
            Some(socket) if self.sockets[&socket].is_open => self.send_job(id, socket),
            Some(_) => {}
        }
    }

    fn ask_on_own_socket(&mut self, id: JobId, peer: PeerIndex) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(key) = job.action.push_subscription() else { return };
        let socket = self.open_socket(peer, Role::Deliveries(key, id));
        self.waiting.remove(&id);
        self.set_state(id, State::Opening(socket));
    }

    pub(super) fn send_job(&mut self, id: JobId, socket: SocketId) {
        let host = self.sockets.get(&socket).and_then(|socket| self.nodes.peers[socket.peer].host);
        self.note_fall(id, host);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.attempts += 1;
        job.asked = host;
        job.state = State::Sent(socket);
        let (request, trace) = (job.request(), job.trace);
        self.waiting.remove(&id);
        self.send(socket, request, trace, FlightPurpose::Job(id));
    }

    /// Records that another node is asked in the home's place, and reports it once.
    fn note_fall(&mut self, id: JobId, asked: Option<HostId>) {
        let Some(job) = self.jobs.get(&id).filter(|job| job.to == Target::Home && job.checks_owner.is_none()) else {
            return;
        };
        let (Some(home), Some(asked)) = (self.home_host(job), asked) else { return };
        if home == asked {
            self.jobs.entry(id).and_modify(|job| job.fell_over = None);
            return;
        }
        let why =
            self.nodes.at(home).map_or("its address is unknown".into(), |peer| self.nodes.peers[peer].why.clone());
        let why = if why.is_empty() { job.why.clone() } else { why };
        let fall = FellOver { from: home, to: asked, why };
        // If the next node cannot serve either, nothing is reported until one can.
        if let Entry::Vacant(place) = self.fallen.entry(home) {
            place.insert(asked);
            self.notice(Notice::FellOver(fall.clone()));
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.fell_over = Some(fall);
        }
    }

    fn set_state(&mut self, id: JobId, state: State) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = state;
        }
    }

    /// Pauses a job that no node performed. All nodes are asked again after the pause.
    fn pause(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.shunned.clear();
        job.rounds += 1;
        let until = self.now.monotonic + backoff(&mut self.rng, FIRST_PAUSE, LONGEST_PAUSE, job.rounds);
        self.wait_until(id, until);
    }

    fn wait_until(&mut self, id: JobId, until: Instant) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.not_before = until;
        job.state = State::Waiting;
        self.waiting.insert(id);
        self.alarms.insert((until, Alarm::Job(id)));
    }

    /// Handles a socket that broke with the request on it. The request may have been performed.
    pub(super) fn attempt_lost(&mut self, id: JobId, asked: Option<HostId>, why: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.in_doubt = true;
        if is_repeatable(&job.action) {
            self.attempt_failed(id, asked, why);
        } else {
            let why = format!("the connection broke before the answer arrived ({why})");
            self.finish(id, Err(ClientError::InDoubt { why }));
        }
    }

    /// Handles a transient failure: asks another node, or the same node after a pause.
    pub(super) fn attempt_failed(&mut self, id: JobId, asked: Option<HostId>, why: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.why = asked.map_or_else(|| why.to_string(), |node| format!("node {node}: {why}"));
        job.state = State::Waiting;
        self.waiting.insert(id);
        if let Some(asked) = asked {
            job.shunned.insert(asked);
        }
    }

    pub(super) fn check_deadline(&mut self, id: JobId) {
        let now = self.now.monotonic;
        let Some(job) = self.jobs.get(&id).filter(|job| job.deadline.is_some_and(|deadline| deadline <= now)) else {
            return;
        };
        let is_out = matches!(job.state, State::Sent(_)) && job.checks_owner.is_none();
        let why = self.why_not(job, is_out);
        let error =
            if job.in_doubt || is_out { ClientError::InDoubt { why } } else { ClientError::Unavailable { why } };
        self.finish(id, Err(error));
    }

    fn why_not(&self, job: &Job, is_out: bool) -> String {
        let lost = || self.nodes.peers.iter().find(|peer| !peer.why.is_empty());
        match (job.asked, self.nodes.dimension()) {
            (Some(asked), _) if is_out => format!("node {asked} did not answer in time"),
            (Some(_), _) => job.why.clone(),
            (None, _) => lost().map_or_else(|| job.why.clone(), |peer| format!("{}: {}", peer.name(), peer.why)),
        }
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) {
        if let Some(id) = self.tickets.get(&ticket).copied() {
            self.abort(id);
        }
    }

    /// Removes the job and its alarms.
    pub(super) fn remove_job(&mut self, id: JobId) -> Option<Job> {
        let job = self.jobs.remove(&id)?;
        self.waiting.remove(&id);
        if let Owner::Caller(ticket) = job.owner {
            self.tickets.remove(&ticket);
        }
        if let Some(deadline) = job.deadline {
            self.alarms.remove(&(deadline, Alarm::Job(id)));
        }
        Some(job)
    }
}
