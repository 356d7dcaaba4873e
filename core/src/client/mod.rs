//! A client of the cluster: who is asked, what is asked again, what the caller gets. One logic for command line, tests and
//! dashboard.
//!
//! Sans-IO like all of core: [`Client::handle`] takes [`ClientInput`]s and gives [`ClientEffect`]s; a driver opens the
//! sockets, encodes the frames and calls again at [`Client::next_deadline`].
//!
//! What it promises:
//!
//! - It learns the cluster from any node it is told of, computes each home itself and asks there: no hop.
//! - When the home is away or says `node_failed`, it asks a replica, then anybody, and says so ([`Notice::FellOver`] and
//!   [`Reply::fell_over`]). Nodes it lost are tried again in the background, ever more slowly.
//! - Within a submission's time it repeats what failed for a passing reason, and only where a repeat is safe: every publish
//!   bears a sequence number (its own when the caller gave none), `delete_topic` and `unsubscribe` are settled by
//!   "there is none", `create_topic` by a look at the owner. A pull that commits is never repeated when it may have been
//!   done; [`ClientError::InDoubt`] says so.
//! - A push subscription goes on after a broken socket where it stopped: no gap, no double; and it ends with its topic, though
//!   there may be another one of the same name by then ([`ClientEffect::DeliveriesEnded`]).
//! - A caller that submits too much at once is refused ([`MAX_IN_FLIGHT`]), never queued without bound.
//!
//! It never decides a consistency question: what a node answered is handed on as it is, except that `repeated` is cleared on a publish
//! whose sequence number was the client's own.

mod answers;
mod dispatch;
mod io;
mod job;
mod nodes;
mod rules;
mod sequence;
mod sessions;
mod sockets;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cube::{Dimension, Vertex};
use crate::time::{Instant, Now};
use crate::wire::client::{Action, Request};

pub use io::{
    ClientEffect, ClientError, ClientInput, FellOver, Notice, Purpose, Reply, SocketId, Submission, Target, Ticket,
};
pub use nodes::url_of;
pub use rules::{is_repeatable, nearest_first};
pub use sockets::Rests;

use job::{Job, JobId, Owner, Session, SessionKey};
use nodes::Nodes;
use sequence::Sequences;
use sockets::{Alarm, Flight, Socket};

/// Submissions under way at once; one more is answered with [`ClientError::Overloaded`].
pub const MAX_IN_FLIGHT: usize = 1_024;
/// Requests of one turn travel in one message up to about so much.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// What a request counts for beside its content: more than its names and numbers take.
const REQUEST_BYTES: usize = 1_024;
/// How long a submission is tried unless it says otherwise.
pub const DEFAULT_WITHIN: Duration = Duration::from_secs(10);

/// How to find the cluster.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ClientConfig {
    /// Addresses of some nodes: `HOST:PORT` or a WebSocket URL. One that answers is enough.
    pub seeds: Vec<String>,
    /// Nodes whose place is known already.
    pub nodes: Vec<(Vertex, String)>,
    /// Decides jitter and the start of sequence numbers: different for every client.
    pub seed: u64,
    /// How soon nodes are tried again that were never reached, while others are.
    pub strangers: Rests,
}

/// The state of one client.
#[derive(Debug)]
pub struct Client {
    rng: fastrand::Rng,
    now: Now,
    sequences: Sequences,
    nodes: Nodes,
    strangers: Rests,

    sockets: BTreeMap<SocketId, Socket>,
    next_socket: u64,
    /// Requests sent and not answered, by their id on the wire.
    flights: BTreeMap<u64, Flight>,
    next_request: u64,

    jobs: BTreeMap<JobId, Job>,
    next_job: u64,
    /// Those of `jobs` that are to be sent.
    waiting: BTreeSet<JobId>,
    tickets: BTreeMap<Ticket, JobId>,
    sessions: BTreeMap<SessionKey, Session>,
    watches: BTreeMap<Vertex, Action>,
    /// Homes that are passed over now, and who is asked in their place.
    fallen: BTreeMap<Vertex, Vertex>,

    alarms: BTreeSet<(Instant, Alarm)>,
    effects: Vec<ClientEffect>,
    /// Requests of this turn, one batch a socket.
    outbox: BTreeMap<SocketId, Vec<Request>>,
}

impl Client {
    pub fn new(config: &ClientConfig) -> Client {
        let mut rng = fastrand::Rng::with_seed(config.seed);
        Client {
            sequences: Sequences::new(&mut rng),
            rng,
            now: Now::default(),
            nodes: Nodes::new(&config.seeds, &config.nodes),
            strangers: config.strangers,
            sockets: BTreeMap::new(),
            next_socket: 0,
            flights: BTreeMap::new(),
            next_request: 0,
            jobs: BTreeMap::new(),
            next_job: 0,
            waiting: BTreeSet::new(),
            tickets: BTreeMap::new(),
            sessions: BTreeMap::new(),
            watches: BTreeMap::new(),
            fallen: BTreeMap::new(),
            alarms: BTreeSet::new(),
            effects: Vec::new(),
            outbox: BTreeMap::new(),
        }
    }

    /// One turn: takes in what happened, says what shall be done. A first call without inputs makes it look for the cluster.
    pub fn handle(&mut self, now: Now, inputs: Vec<ClientInput>) -> Vec<ClientEffect> {
        self.now = now;
        for input in inputs {
            self.handle_input(input);
        }
        self.fire_alarms();
        self.look_for_cluster();
        self.dispatch();
        self.flush();
        std::mem::take(&mut self.effects)
    }

    /// When to call again with [`ClientInput::DeadlineReached`], if nothing happens before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// The cube's dimension, once learnt.
    pub fn dimension(&self) -> Option<Dimension> {
        self.nodes.dimension
    }

    /// Where the nodes are, as far as known.
    pub fn nodes(&self) -> impl Iterator<Item = (Vertex, &str)> {
        self.nodes.peers.iter().filter_map(|peer| Some((peer.vertex?, peer.url.as_str())))
    }

    /// How many submissions are under way.
    pub fn in_flight(&self) -> usize {
        self.tickets.len()
    }

    fn handle_input(&mut self, input: ClientInput) {
        match input {
            ClientInput::Submit(submission) => self.handle_submission(submission),
            ClientInput::Cancel { ticket } => self.cancel(ticket),
            ClientInput::StopDeliveries { topic, subscriber } => self.end_session(&(topic, subscriber)),
            ClientInput::Opened { socket } => self.handle_opened(socket),
            ClientInput::Frames { socket, frames } => self.handle_frames(socket, frames),
            ClientInput::Closed { socket, why } => self.lose_socket(socket, &why),
            ClientInput::DeadlineReached => {}
        }
    }

    fn handle_submission(&mut self, submission: Submission) {
        let Submission { ticket, action, to, within, trace } = submission;
        if self.tickets.len() >= MAX_IN_FLIGHT || self.tickets.contains_key(&ticket) {
            return self.resolve(ticket, Err(ClientError::Overloaded));
        }
        let mut job = Job::new(Owner::Caller(ticket), action, to);
        job.trace = trace;
        let deadline = self.now.monotonic + within;
        job.deadline = Some(deadline);
        if let Action::Publish { sequence: sequence @ None, .. } = &mut job.action {
            *sequence = Some(self.sequences.next(self.now.wall));
            job.has_own_sequence = true;
        }
        let id = self.add_job(job);
        self.alarms.insert((deadline, Alarm::Job(id)));
        self.tickets.insert(ticket, id);
    }

    fn add_job(&mut self, job: Job) -> JobId {
        let id = JobId(self.next_job);
        self.next_job += 1;
        self.jobs.insert(id, job);
        self.waiting.insert(id);
        id
    }

    fn resolve(&mut self, ticket: Ticket, result: Result<Reply, ClientError>) {
        self.effects.push(ClientEffect::Resolved { ticket, result });
    }

    fn notice(&mut self, notice: Notice) {
        self.effects.push(ClientEffect::Notice(notice));
    }

    fn fire_alarms(&mut self) {
        while let Some((at, alarm)) = self.alarms.first().copied().filter(|(at, _)| *at <= self.now.monotonic) {
            self.alarms.remove(&(at, alarm));
            match alarm {
                Alarm::Job(job) => self.check_deadline(job),
                Alarm::Socket(socket) => self.check_socket(socket),
                Alarm::Rest(peer) => self.end_rest(peer),
            }
        }
    }

    fn flush(&mut self) {
        for (socket, requests) in std::mem::take(&mut self.outbox) {
            let batches = in_batches(requests);
            self.effects.extend(batches.into_iter().map(|requests| ClientEffect::Send { socket, requests }));
        }
    }
}

/// Cuts a turn's requests so that no message grows over [`MAX_BATCH_BYTES`], one request aside.
fn in_batches(requests: Vec<Request>) -> Vec<Vec<Request>> {
    let mut batches: Vec<Vec<Request>> = Vec::new();
    let mut bytes_in_last = 0;
    for request in requests {
        let bytes = match &request.action {
            Action::Publish { content, .. } => REQUEST_BYTES + content.len(),
            _ => REQUEST_BYTES,
        };
        match batches.last_mut().filter(|_| bytes_in_last + bytes <= MAX_BATCH_BYTES) {
            Some(last) => last.push(request),
            None => {
                batches.push(vec![request]);
                bytes_in_last = 0;
            }
        }
        bytes_in_last += bytes;
    }
    batches
}
