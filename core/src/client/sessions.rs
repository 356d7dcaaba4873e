//! State that outlives its request: push subscriptions and watches, restored after broken sockets.

use crate::client::Client;
use crate::client::io::{ClientEffect, ClientError, SocketId, Target};
use crate::client::job::{Job, JobId, Owner, Session, SessionKey, State, from_cursor};
use crate::client::nodes::PeerIndex;
use crate::client::sockets::{Role, Socket};
use crate::identity::HostId;
use crate::wire::answer::{Answer, Delivery, Done, EndReason, ErrorCode, Failure, SubscriptionEnded};
use crate::wire::client::{Action, Local, Write};

impl Client {
    /// Delivers the next message, drops repeated ones, and subscribes again if one is missing.
    pub(super) fn handle_delivery(&mut self, id: SocketId, delivery: Delivery) {
        let key = (delivery.topic.clone(), delivery.subscriber.clone());
        let Some(session) = self.sessions.get_mut(&key).filter(|session| session.socket == Some(id)) else { return };
        let offset = delivery.message.offset;
        if offset == session.next {
            session.next = offset.next();
            self.effects.push(ClientEffect::Delivered(delivery));
        } else if offset > session.next {
            self.drop_socket(id);
            self.resubscribe(&key, None, "a message is missing");
        }
    }

    /// Handles a node's notice that a subscription on this socket has ended.
    pub(super) fn handle_subscription_ended(&mut self, id: SocketId, ended: SubscriptionEnded) {
        let key = (ended.topic.clone(), ended.subscriber.clone());
        if self.sessions.get(&key).is_some_and(|session| session.socket == Some(id)) {
            self.give_up_session(&key, ended.failure());
        }
    }

    /// Records an answer that begins or ends a subscription or a watch.
    pub(super) fn note_standing(&mut self, id: JobId, socket: SocketId, asked: Option<HostId>, answer: &Answer) {
        let Some(job) = self.jobs.get(&id) else { return };
        match (&job.action, &answer.result) {
            (action, Ok(Done::Subscribed { topic_id, cursor, .. })) if action.push_subscription().is_some() => {
                let (owner, action, to) = (job.owner.clone(), action.clone(), job.to);
                let session = Session { action, to, topic: *topic_id, next: *cursor, socket: Some(socket) };
                self.note_subscribed(&owner, session, socket);
            }
            (Action::Write(Write::Unsubscribe { topic, subscriber, .. }), Ok(_)) => {
                let key = (topic.clone(), subscriber.clone());
                self.give_up_session(&key, over(&key, EndReason::Unsubscribed));
            }
            (watch @ Action::Local(Local::Watch { .. }), Ok(_)) => {
                let watch = watch.clone();
                if let Some(host) = asked {
                    self.watches.insert(host, watch);
                }
            }
            _ => {}
        }
    }

    fn note_subscribed(&mut self, owner: &Owner, mut session: Session, socket: SocketId) {
        let Some(key) = session.action.push_subscription() else { return };
        if let (Owner::Resubscribe(_), Some(earlier)) = (owner, self.sessions.get(&key)) {
            if earlier.topic != session.topic {
                self.drop_socket(socket);
                // The name now belongs to another topic.
                return self.give_up_session(&key, over(&key, EndReason::TopicDeleted));
            }
            // The caller has everything before `next`. A cursor beyond it was committed by a process that received
            // those messages.
            session.next = session.next.max(earlier.next);
        }
        let earlier = self.sessions.insert(key, session).and_then(|session| session.socket);
        if let Some(earlier) = earlier.filter(|earlier| *earlier != socket) {
            self.drop_socket(earlier);
        }
    }

    /// Ends a subscription's deliveries at the caller's request.
    pub(super) fn end_session(&mut self, key: &SessionKey) {
        if let Some(socket) = self.sessions.remove(key).and_then(|session| session.socket) {
            self.drop_socket(socket);
        }
        let is_for = |job: &Job| job.owner == Owner::Resubscribe(key.clone());
        let errands: Vec<JobId> = self.jobs.iter().filter(|(_, job)| is_for(job)).map(|(id, _)| *id).collect();
        for id in errands {
            self.abort(id);
        }
    }

    /// Ends a job before its answer, and closes a socket that was opened only for it.
    pub(super) fn abort(&mut self, id: JobId) {
        let Some(job) = self.remove_job(id) else { return };
        match job.state {
            State::Opening(socket) | State::Sent(socket) if job.is_push() => self.drop_socket(socket),
            State::Waiting | State::Opening(_) | State::Sent(_) => {}
        }
    }

    /// Restores the subscription or watch of a broken socket.
    pub(super) fn restart_what_listened(&mut self, id: SocketId, socket: &Socket, asked: Option<HostId>, why: &str) {
        match &socket.role {
            Role::Deliveries(key, _) => {
                if self.sessions.get(key).is_some_and(|session| session.socket == Some(id)) {
                    self.resubscribe(&key.clone(), asked, why);
                }
            }
            Role::Requests => {
                if let Some(host) = asked {
                    self.rewatch(host);
                }
            }
        }
    }

    fn resubscribe(&mut self, key: &SessionKey, avoid: Option<HostId>, why: &str) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.socket = None;
        let mut job = Job::new(Owner::Resubscribe(key.clone()), from_cursor(&session.action), session.to);
        job.why = why.to_string();
        job.shunned.extend(avoid);
        self.add_job(job);
    }

    /// Requests the watch on this node again, unless that is under way.
    pub(super) fn rewatch(&mut self, host: HostId) {
        let owner = Owner::Rewatch(host);
        let Some(watch) = self.watches.get(&host).cloned() else { return };
        if self.jobs.values().all(|job| job.owner != owner) {
            self.add_job(Job::new(owner, watch, Target::Node(host)));
        }
    }

    /// Moves push subscriptions away from a failing node, which delivers nothing. Subscriptions bound to the node stay.
    pub(super) fn leave_failing_node(&mut self, index: PeerIndex, why: &str) {
        let host = self.nodes.peers[index].host;
        let there = |socket: &SocketId| self.sockets.get(socket).is_some_and(|socket| socket.peer == index);
        let movable =
            |session: &&Session| !matches!(session.to, Target::Node(_)) && session.socket.as_ref().is_some_and(there);
        let moved: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| movable(session))
            .filter_map(|(key, session)| Some((key.clone(), session.socket?)))
            .collect();
        for (key, socket) in moved {
            self.drop_socket(socket);
            self.resubscribe(&key, host, why);
        }
    }

    /// Handles the final result of restoring a subscription.
    pub(super) fn errand_ended(&mut self, key: &SessionKey, result: Result<Answer, ClientError>) {
        let why = match result {
            Ok(Answer { result: Ok(_), .. }) => return,
            Ok(Answer { result: Err(failure), .. }) => failure,
            Err(error) => error.code().unwrap_or(ErrorCode::Unavailable).because(error.to_string()),
        };
        self.give_up_session(key, why);
    }

    /// Ends a session and reports it to the caller.
    fn give_up_session(&mut self, key: &SessionKey, why: Failure) {
        if self.sessions.contains_key(key) {
            self.end_session(key);
            let (topic, subscriber) = key.clone();
            self.effects.push(ClientEffect::DeliveriesEnded { topic, subscriber, why });
        }
    }
}

/// The same failure as a node would report.
fn over(key: &SessionKey, reason: EndReason) -> Failure {
    let (topic, subscriber) = key.clone();
    SubscriptionEnded { topic, subscriber, reason }.failure()
}
