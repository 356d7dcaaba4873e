//! A client of the cluster: it chooses the node to ask, decides on retries and delivers results. The command line, the
//! tests and the dashboard share this logic.
//!
//! Sans-IO like all of core: [`Client::handle`] takes [`ClientInput`]s and returns [`ClientEffect`]s. A driver opens
//! the sockets, encodes the frames and calls again at [`Client::next_deadline`].
//!
//! Guarantees:
//!
//! - It learns the cluster's addresses from any node in its configuration, computes each home itself and asks the home
//!   directly, without a hop.
//! - If the home is unreachable or answers `node_failed`, it asks a replica, then any node, and reports this
//!   ([`Notice::FellOver`] and [`Reply::fell_over`]). It retries lost nodes in the background with growing pauses.
//! - Within a submission's time limit it retries after transient failures, but only if a retry is safe. Every publish
//!   has a sequence number (the client's own if the caller gave none). For `delete_topic` and `unsubscribe`, an answer
//!   "does not exist" settles the outcome; for `create_topic`, the client checks the owner. A committing pull that may
//!   have been performed is never repeated; [`ClientError::InDoubt`] reports it.
//! - After a broken socket, a push subscription continues where it stopped, without gaps or duplicates. It ends with
//!   its topic, even if another topic has the same name by then ([`ClientEffect::DeliveriesEnded`]).
//! - Beyond [`MAX_IN_FLIGHT`] submissions the client refuses further ones; it never queues without bound.
//!
//! The client never makes consistency decisions. It returns each node's answer unchanged, with two exceptions:
//! `repeated` is cleared on a publish whose sequence number was the client's own, and a refusal that settles a lost
//! success is replaced by that success.

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

use crate::cube::Dimension;
use crate::identity::HostId;
use crate::time::{Instant, Now};
use crate::wire::client::{Action, Request, Write};

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

/// Most submissions under way. A further one is answered with [`ClientError::Overloaded`].
pub const MAX_IN_FLIGHT: usize = 1_024;
/// Requests of one turn share a message up to about this many bytes.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// Size assumed for a request besides its content, in bytes: more than its names and numbers need.
const REQUEST_BYTES: usize = 1_024;
/// Default time limit of a submission.
pub const DEFAULT_WITHIN: Duration = Duration::from_secs(10);

/// How to find the cluster.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ClientConfig {
    /// Addresses of some nodes: `HOST:PORT` or a WebSocket URL. One that answers is enough.
    pub seeds: Vec<String>,
    /// Nodes that are known already, with their addresses.
    pub nodes: Vec<(HostId, String)>,
    /// Determines jitter and the start of sequence numbers. It must differ between clients.
    pub seed: u64,
    /// Pauses between attempts at nodes that were never reached, while the cluster is reachable through others.
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
    /// Requests that were sent and not answered, by their id on the wire.
    flights: BTreeMap<u64, Flight>,
    next_request: u64,

    jobs: BTreeMap<JobId, Job>,
    next_job: u64,
    /// The `jobs` that wait to be sent.
    waiting: BTreeSet<JobId>,
    tickets: BTreeMap<Ticket, JobId>,
    sessions: BTreeMap<SessionKey, Session>,
    watches: BTreeMap<HostId, Action>,
    /// Homes that are bypassed now, each with the node that is asked instead.
    fallen: BTreeMap<HostId, HostId>,

    alarms: BTreeSet<(Instant, Alarm)>,
    effects: Vec<ClientEffect>,
    /// This turn's requests: one batch per socket.
    outbox: BTreeMap<SocketId, Vec<Request>>,
}

impl Client {
    /// Creates a client. It opens no socket before the first call of [`Client::handle`].
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

    /// Runs one turn: processes the inputs and returns the effects in order. A first call without inputs starts the
    /// search for the cluster.
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

    /// When to call again with [`ClientInput::DeadlineReached`] if no input arrives before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// The cube's dimension; `None` until the client has learned it.
    pub fn dimension(&self) -> Option<Dimension> {
        self.nodes.dimension()
    }

    /// The known nodes with their WebSocket URLs.
    pub fn nodes(&self) -> impl Iterator<Item = (HostId, &str)> {
        self.nodes.peers.iter().filter_map(|peer| Some((peer.host?, peer.url.as_str())))
    }

    /// Number of submissions under way.
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
        if let Action::Write(Write::Publish { sequence: sequence @ None, .. }) = &mut job.action {
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

/// Splits a turn's requests so that no message exceeds [`MAX_BATCH_BYTES`], unless a single request does.
fn in_batches(requests: Vec<Request>) -> Vec<Vec<Request>> {
    let mut batches: Vec<Vec<Request>> = Vec::new();
    let mut bytes_in_last = 0;
    for request in requests {
        let bytes = match &request.action {
            Action::Write(Write::Publish { content, .. }) => REQUEST_BYTES + content.len(),
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
