//! Replies to the asks of client requests, and the single answer to each request.

use super::Node;
use super::pending::{Advance, Pending, Pulled, Purpose, Registering, Stage};
use super::push::{Session, SessionId};
use super::requests::TRY_AGAIN;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::names::Offset;
use crate::placement;
use crate::visible::visible;
use crate::wire::answer::{Answer, Done, ErrorCode, Failure, ServerFrame};
use crate::wire::client::{Action, Read, ReadLevel, Registry, Write};
use crate::wire::event::Event;
use crate::wire::peer::{Reply, Subscription};

impl Node {
    pub(super) fn handle_reply(&mut self, token: u64, reply: Reply) {
        match self.requests.asks.remove(&token).map(|ask| ask.purpose) {
            Some(Purpose::Request(number)) => self.handle_request_reply(number, reply),
            Some(Purpose::Gather(number, vertex)) => self.handle_gathered(number, vertex, reply),
            Some(Purpose::Fetch(session)) => self.handle_fetched(session, reply),
            Some(Purpose::Repair(place)) => self.handle_lost_found(place, token, reply),
            Some(Purpose::Outbox(id)) => self.handle_outbox_reply(id, reply),
            Some(Purpose::Use(kind, name)) => self.handle_use_reply(kind, name, reply),
            None => {}
        }
    }

    fn handle_request_reply(&mut self, number: u64, reply: Reply) {
        let now = self.now.monotonic;
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        pending.asked = None;
        match reply {
            Reply::Answer(answer) => self.handle_answer(number, *answer),
            Reply::Subscribed { answer, index } => {
                pending.applied_at = index;
                self.handle_answer(number, *answer);
            }
            Reply::Registered(registered) => self.handle_registered(number, registered),
            Reply::NotLeader { proposed, .. } => {
                pending.uncertain |= proposed;
                pending.ask_at = now + TRY_AGAIN;
                pending.stuck_since.get_or_insert(now);
                self.stay_stuck(number);
            }
            Reply::Unavailable { why } => {
                pending.problem = Some(why);
                pending.ask_at = now + TRY_AGAIN;
                pending.stuck_since.get_or_insert(now);
                self.stay_stuck(number);
            }
            Reply::Fetched { .. } | Reply::SubscriptionEnded { .. } => {}
            Reply::Stored { .. } | Reply::Unreadable { .. } => {}
            Reply::Holding { .. } | Reply::Topics(_) => {}
        }
    }

    fn handle_answer(&mut self, number: u64, answer: Answer) {
        let now = self.now.monotonic;
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let Answer { served_by, hops, result, .. } = answer;
        let hops = hops.unwrap_or_default();
        let result = result.map_err(|failure| pending.doubt(failure));
        match (&pending.stage, &pending.action, result) {
            (
                Stage::Acting,
                Action::Read(Read::Pull { commit: true, read: ReadLevel::Leader, subscriber, topic, .. }),
                Ok(done @ Done::Pulled { .. }),
            ) if let Some((from, to)) = done.range_of_messages() => {
                let advance = Advance { subscriber: subscriber.clone(), topic: topic.clone(), from, to };
                pending.stage = Stage::Committing(Box::new(Pulled { advance, done, served_by, hops }));
                pending.ask_at = now;
                pending.stuck_since = None;
                self.drive(number);
            }
            (Stage::Committing(_), _, Err(failure))
                if failure.code.is_transient() && !failure.code.is_storage_full() =>
            {
                pending.ask_at = now + TRY_AGAIN
            }
            (Stage::Committing(_), ..) => self.finish_committing(number),
            (_, _, result) => self.finish(number, result, served_by, hops),
        }
    }

    /// Answers with the messages whether or not the cursor moved: delivering twice is better than never.
    pub(super) fn finish_committing(&mut self, number: u64) {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        if let Stage::Committing(pulled) = std::mem::replace(&mut pending.stage, Stage::Acting) {
            self.finish(number, Ok(pulled.done), pulled.served_by, pulled.hops);
        }
    }

    fn handle_registered(&mut self, number: u64, registered: bool) {
        let now = self.now.monotonic;
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let Stage::Registering(registering) = &mut pending.stage else { return };
        let Registering { kind, name, linearizable, is_new } = &mut **registering;
        let any_may_refuse = *is_new || self.bugs.has(Bug::AnyReplicaRefusesNames);
        pending.ask_at = now;
        pending.stuck_since = None;
        if registered {
            self.requests.known.remember_registered(*kind, name, now);
            pending.stage = Stage::Acting;
            self.drive(number);
        } else if !*linearizable && !any_may_refuse {
            *linearizable = true;
            self.drive(number);
        } else if *is_new {
            self.await_place(number);
        } else {
            let (code, what) = match kind {
                Registry::Publisher => (ErrorCode::UnknownPublisher, "publisher"),
                Registry::Subscriber => (ErrorCode::UnknownSubscriber, "subscriber"),
            };
            let failure = code.because(format!("there is no {what} `{}`; create it first", visible(name)));
            self.finish(number, Err(failure), self.me, vec![self.me]);
        }
    }

    /// Answers a request once and applies the local consequences of the answer.
    pub(super) fn finish(&mut self, number: u64, result: Result<Done, Failure>, served_by: Vertex, hops: Vec<Vertex>) {
        let Some(pending) = self.requests.remove(number) else { return };
        if let Some((token, _)) = pending.asked {
            self.requests.asks.remove(&token);
        }
        let result = result.and_then(|done| self.follow_up(&pending, &done).map(|()| done));
        let (served_by, result) = match (&pending.action, result) {
            (
                Action::Write(Write::ReplicaSubscribe { topic: name, .. }),
                Ok(Done::Subscribed { topic, topic_id, cursor, .. }),
            ) => {
                let original_node = Some(placement::home(name.as_str(), self.me.dimension()));
                (self.me, Ok(Done::Subscribed { topic, topic_id, cursor, original_node }))
            }
            (_, result) => (served_by, result),
        };
        let pulled = pending.connection.filter(|_| matches!(pending.action, Action::Read(_)));
        self.answer(pending, result, served_by, hops);
        if let Some(connection) = pulled {
            self.end_pull(connection, number);
        }
    }

    /// Applies the local consequences of a success. Returns an error if one of them is impossible.
    fn follow_up(&mut self, pending: &Pending, done: &Done) -> Result<(), Failure> {
        match done {
            Done::PublisherCreated { publisher, existed } => {
                self.registered(pending, Registry::Publisher, publisher.as_str(), *existed);
            }
            Done::SubscriberCreated { subscriber, existed } => {
                self.registered(pending, Registry::Subscriber, subscriber.as_str(), *existed);
            }
            Done::PublisherDeleted { publisher } => {
                self.requests.known.remember_deleted(Registry::Publisher, publisher.as_str());
            }
            Done::SubscriberDeleted { subscriber } => {
                self.requests.known.remember_deleted(Registry::Subscriber, subscriber.as_str());
            }
            Done::Pulled { messages, cursor, .. } => {
                if let Some(first) = messages.first() {
                    self.move_cursor(&pending.action, first.offset, *cursor);
                }
            }
            _ => {}
        }
        let (Some(connection), by) = (pending.connection, pending.key.number) else { return Ok(()) };
        match (&pending.action, done) {
            (
                Action::Write(
                    Write::Subscribe { subscriber, topic, push: true, .. }
                    | Write::ReplicaSubscribe { subscriber, topic, push: true, .. },
                ),
                Done::Subscribed { cursor, topic_id, .. },
            ) => {
                if let Some(failure) = self.lacks_room_for_session() {
                    return Err(failure);
                }
                let (group, since) = (self.home_of(&pending.action), pending.applied_at);
                let subscription = Subscription { group, topic: *topic_id, subscriber: subscriber.clone(), since };
                let session = Session {
                    connection,
                    topic: topic.clone(),
                    subscription,
                    next: *cursor,
                    busy_until: None,
                    unreadable_since: None,
                };
                self.begin_session(SessionId(by), session);
            }
            (Action::Write(Write::Unsubscribe { subscriber, topic }), Done::Unsubscribed { .. }) => {
                self.end_session_of(connection, topic, subscriber, by);
            }
            _ => {}
        }
        Ok(())
    }

    /// Requests the cursor move after a read from a replica. The answer does not wait for it. The coordinator requests
    /// it, not the replica: the replica's answer can be lost, and the repeated read would then start after the lost
    /// messages.
    fn move_cursor(&mut self, action: &Action, from: Offset, to: Offset) {
        if let Action::Read(Read::Pull { subscriber, topic, read: ReadLevel::Any, commit: true, .. }) = action {
            let (subscriber, topic) = (subscriber.clone(), topic.clone());
            let commit = Write::Commit { subscriber: subscriber.clone(), topic: topic.clone(), offset: to };
            self.request_for_myself(commit.into(), Stage::Advancing(Box::new(Advance { subscriber, topic, from, to })));
        }
    }

    pub(super) fn answer(
        &mut self,
        pending: Pending,
        result: Result<Done, Failure>,
        served_by: Vertex,
        hops: Vec<Vertex>,
    ) {
        if self.observes_frequent() {
            let event = Event::RequestAnswered {
                action: pending.action.name().into(),
                subject: pending.action.subject().map(Into::into),
                error: result.as_ref().err().map(|failure| failure.code.name().into()),
                message: result.as_ref().map_or_else(|failure| failure.message.clone(), |_| String::new()),
            };
            self.observe(event, Some(pending.trace_id));
        }
        if let Some(connection) = pending.connection {
            let hops = pending.trace.then_some(hops);
            let answer = Answer { id: pending.id, served_by, hops, result };
            self.send_client(connection, ServerFrame::Answer(answer));
        }
    }
}
