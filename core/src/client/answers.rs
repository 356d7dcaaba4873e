//! Handling of answers, and their consequences for the waiting jobs.

use std::time::Duration;

use crate::client::Client;
use crate::client::io::{ClientEffect, ClientError, Notice, Reply, SocketId, Target};
use crate::client::job::{Job, JobId, Owner};
use crate::client::nodes::{PeerIndex, backoff};
use crate::client::rules::{created_by_us, is_repeatable, settles};
use crate::client::sockets::{Flight, FlightPurpose};
use crate::identity::HostId;
use crate::states::NodeState;
use crate::wire::answer::{Answer, Done, ErrorCode, Failure, ServerFrame};
use crate::wire::client::{Action, RequestId, Write};

/// The shortest pause during which a node that answered `node_failed` is skipped.
const FIRST_REFUSAL: Duration = Duration::from_millis(100);
const LONGEST_REFUSAL: Duration = Duration::from_secs(2);

impl Client {
    pub(super) fn handle_frames(&mut self, id: SocketId, frames: Vec<ServerFrame>) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        socket.heard = self.now.monotonic;
        socket.probed = None;
        for frame in frames {
            match frame {
                ServerFrame::Answer(answer) => self.handle_answer(id, answer),
                ServerFrame::Message(delivery) => self.handle_delivery(id, delivery),
                ServerFrame::Event(event) => self.effects.push(ClientEffect::Event(event)),
                ServerFrame::SubscriptionEnded(ended) => self.handle_subscription_ended(id, ended),
            }
        }
    }

    fn handle_answer(&mut self, id: SocketId, answer: Answer) {
        let Some(RequestId::Unsigned(request)) = answer.id else { return };
        let Some(flight) = self.flights.get(&request).copied().filter(|flight| flight.socket == id) else { return };
        self.flights.remove(&request);
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        socket.owes = socket.owes.saturating_sub(1);
        let peer = socket.peer;
        self.note_health(peer, &answer);
        match flight {
            Flight { purpose: FlightPurpose::Probe, .. } => self.handle_cluster(id, peer, answer),
            Flight { purpose: FlightPurpose::Job(job), .. } => self.handle_job_answer(job, id, peer, answer),
        }
    }

    /// Records the health of a node. A node that reports `node_failed` for itself is skipped for a while; any other
    /// answer ends that.
    fn note_health(&mut self, index: PeerIndex, answer: &Answer) {
        let peer = &mut self.nodes.peers[index];
        match &answer.result {
            Err(failure) if failure.code == ErrorCode::NodeFailed && peer.host == Some(answer.served_by) => {
                peer.refusals = peer.refusals.saturating_add(1);
                peer.why = failure.to_string();
                let pause = backoff(&mut self.rng, FIRST_REFUSAL, LONGEST_REFUSAL, peer.refusals);
                peer.refuses_until = self.now.monotonic + pause;
            }
            Ok(_) | Err(_) => self.note_recovery(index),
        }
    }

    fn note_recovery(&mut self, index: PeerIndex) {
        let peer = &mut self.nodes.peers[index];
        peer.refuses_until = self.now.monotonic;
        let was_refusing = std::mem::take(&mut peer.refusals) > 0;
        if let Some(host) = peer.host.filter(|_| was_refusing) {
            self.rewatch(host);
        }
    }

    /// Handles the answer to a probe: addresses and names of the nodes, and whether the answering node has failed.
    fn handle_cluster(&mut self, id: SocketId, index: PeerIndex, answer: Answer) {
        let view = match answer.result {
            Ok(Done::Cluster(view)) => view,
            Ok(_) => return,
            Err(failure) if self.nodes.seating.is_none() => {
                self.effects.push(ClientEffect::Close { socket: id });
                return self.lose_socket_of(id, &failure.to_string());
            }
            Err(failure) => return self.leave_failing_node(index, &failure.to_string()),
        };
        if self.nodes.learn(index, answer.served_by, &view) {
            self.notice(Notice::Learned { dimension: view.dimension, nodes: view.nodes.len() });
        }
        let is_failing =
            |node: &crate::wire::answer::NodeView| node.node == answer.served_by && node.state == NodeState::Failed;
        if view.nodes.iter().any(is_failing) {
            self.leave_failing_node(index, "it is stopped by a requested fault");
        }
    }

    fn handle_job_answer(&mut self, id: JobId, socket: SocketId, peer: PeerIndex, answer: Answer) {
        let asked = self.nodes.peers[peer].host;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(exists) = job.checks_owner.take() {
            return self.handle_owner(id, asked, exists, answer);
        }
        match &answer.result {
            Ok(_) => self.job_done(id, socket, asked, answer),
            Err(failure) => {
                let failure = failure.clone();
                self.job_refused(id, asked, failure, answer);
            }
        }
    }

    fn job_done(&mut self, id: JobId, socket: SocketId, asked: Option<HostId>, mut answer: Answer) {
        let Some(job) = self.jobs.get(&id) else { return };
        if let (Ok(Done::Published { repeated, .. }), true) = (&mut answer.result, job.has_own_sequence) {
            *repeated = false;
        }
        let home = self.home_host(job).filter(|home| job.to == Target::Home && asked == Some(*home));
        if let Some(home) = home.filter(|home| self.fallen.remove(home).is_some()) {
            self.notice(Notice::BackHome { home });
        }
        self.note_stand_in(id, asked);
        self.note_standing(id, socket, asked, &answer);
        self.finish(id, Ok(answer));
    }

    /// Reports that another node answered in the home's place, unless the same one was reported before.
    fn note_stand_in(&mut self, id: JobId, asked: Option<HostId>) {
        let Some(fall) = self.jobs.get(&id).and_then(|job| job.fell_over.clone()) else { return };
        if asked == Some(fall.to) && self.fallen.insert(fall.from, fall.to) != Some(fall.to) {
            self.notice(Notice::FellOver(fall));
        }
    }

    fn job_refused(&mut self, id: JobId, asked: Option<HostId>, failure: Failure, mut answer: Answer) {
        let dimension = self.nodes.dimension();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let is_errand = !matches!(job.owner, Owner::Caller(_));
        let lost = dimension.filter(|_| job.in_doubt).and_then(|cube| settles(&job.action, failure.code, cube));
        let creates = matches!(job.action, Action::Write(Write::CreateTopic { .. }));
        match failure.code {
            _ if lost.is_some() => {
                answer.result = lost.ok_or(failure);
                self.finish(id, Ok(answer));
            }
            ErrorCode::TopicExists if job.in_doubt && creates => {
                job.checks_owner = Some(failure);
                self.attempt_failed(id, None, "the answer to the first attempt was lost");
            }
            ErrorCode::SequenceTooOld if job.has_own_sequence && !job.in_doubt => self.renumber(id, &failure),
            ErrorCode::SequenceTooOld if job.in_doubt => {
                self.finish(id, Err(ClientError::InDoubt { why: failure.to_string() }));
            }
            ErrorCode::NodeFailed if matches!(job.to, Target::Node(_)) && !is_errand => self.finish(id, Ok(answer)),
            ErrorCode::Timeout if !is_repeatable(&job.action) => {
                self.finish(id, Err(ClientError::InDoubt { why: failure.to_string() }));
            }
            // Every node would answer the same now. Repeated retries would only add load to full nodes.
            code if code.is_storage_full() && job.in_doubt => {
                self.finish(id, Err(ClientError::InDoubt { why: failure.to_string() }));
            }
            code if code.is_storage_full() && !is_errand => self.finish(id, Ok(answer)),
            code if code.is_transient() => {
                job.in_doubt |= code == ErrorCode::Timeout;
                self.attempt_failed(id, asked, &failure.to_string());
            }
            _ => self.finish(id, Ok(answer)),
        }
    }

    /// Retries a publish with a greater number. The client's own number was too small, and nothing was stored under it.
    fn renumber(&mut self, id: JobId, failure: &Failure) {
        self.sequences.jump_ahead();
        let number = self.sequences.next(self.now.wall);
        if let Some(Job { action: Action::Write(Write::Publish { sequence, .. }), .. }) = self.jobs.get_mut(&id) {
            *sequence = Some(number);
        }
        self.attempt_failed(id, None, &failure.to_string());
    }

    /// Handles the check whether a repeated `create_topic` found the client's own topic.
    fn handle_owner(&mut self, id: JobId, asked: Option<HostId>, exists: Failure, mut answer: Answer) {
        let dimension = self.nodes.dimension();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match &answer.result {
            Err(failure) if failure.code.is_transient() => {
                let why = failure.to_string();
                job.checks_owner = Some(exists);
                self.attempt_failed(id, asked, &why);
            }
            Ok(topics) => {
                let ours = dimension.and_then(|cube| created_by_us(&job.action, topics, cube));
                answer.result = ours.ok_or(exists);
                self.finish(id, Ok(answer));
            }
            Err(_) => {
                answer.result = Err(exists);
                self.finish(id, Ok(answer));
            }
        }
    }

    /// Ends the job with this answer, or with an error of the client itself.
    pub(super) fn finish(&mut self, id: JobId, result: Result<Answer, ClientError>) {
        let Some(job) = self.remove_job(id) else { return };
        match &job.owner {
            Owner::Caller(ticket) => {
                let (ticket, result) = (*ticket, result.and_then(|answer| reply(&job, answer)));
                self.resolve(ticket, result);
            }
            Owner::Resubscribe(key) => self.errand_ended(&key.clone(), result),
            // A watch ends if its node refuses it or no longer exists.
            Owner::Rewatch(host) => {
                if !matches!(result, Ok(Answer { result: Ok(_), .. })) {
                    self.watches.remove(host);
                }
            }
        }
    }
}

fn reply(job: &Job, answer: Answer) -> Result<Reply, ClientError> {
    match &answer.result {
        Err(failure) => Err(ClientError::Refused { failure: failure.clone(), served_by: answer.served_by }),
        Ok(_) => {
            let asked = job.asked.unwrap_or(answer.served_by);
            Ok(Reply { answer, asked, attempts: job.attempts, fell_over: job.fell_over.clone() })
        }
    }
}
