//! Replies to the asks of client requests, and the single answer to each request.

use super::Node;
use super::pending::{Pending, Pulled, Purpose, Stage, registers};
use super::pull_limiter::takes_turns;
use super::push::{Session, SessionId};
use super::registering::in_question;
use super::requests::TRY_AGAIN;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::names::Offset;
use crate::placement;
use crate::visible::visible;
use crate::wire::answer::{Answer, Done, ErrorCode, Failure, ServerFrame};
use crate::wire::client::{Action, ReadLevel};
use crate::wire::event::Event;
use crate::wire::peer::{Registry, Reply, Subscription};

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
                Action::Pull { commit: true, read: ReadLevel::Leader, .. },
                Ok(Done::Pulled { messages, cursor, end, topic, behind, original_node }),
            ) if !messages.is_empty() => {
                let (from, to) = (messages[0].offset, cursor);
                let done = Done::Pulled { messages, cursor, end, topic, behind, original_node };
                pending.stage = Stage::Committing(Box::new(Pulled { from, to, done, served_by, hops }));
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
        let Some((kind, name)) = in_question(&pending.action) else { return };
        let is_refused_by_any = registers(&pending.action).is_some() || self.bugs.has(Bug::AnyReplicaRefusesNames);
        pending.ask_at = now;
        pending.stuck_since = None;
        match (&pending.stage, registered) {
            (Stage::Registering { .. }, true) => {
                pending.stage = Stage::Acting;
                self.requests.known.remember_registered(kind, name, now);
                self.drive(number);
            }
            (Stage::Registering { linearizable: false }, false) if !is_refused_by_any => {
                pending.stage = Stage::Registering { linearizable: true };
                self.drive(number);
            }
            (Stage::Registering { .. }, false) if registers(&pending.action).is_some() => self.await_place(number),
            (Stage::Registering { .. }, false) => {
                let (code, what) = match kind {
                    Registry::Publisher => (ErrorCode::UnknownPublisher, "publisher"),
                    Registry::Subscriber => (ErrorCode::UnknownSubscriber, "subscriber"),
                };
                let failure = code.because(format!("there is no {what} `{}`; create it first", visible(name)));
                self.finish(number, Err(failure), self.me, vec![self.me]);
            }
            _ => {}
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
            (Action::ReplicaSubscribe { topic: name, .. }, Ok(Done::Subscribed { topic, topic_id, cursor, .. })) => {
                let original_node = Some(placement::home(name.as_str(), self.me.dimension()));
                (self.me, Ok(Done::Subscribed { topic, topic_id, cursor, original_node }))
            }
            (_, result) => (served_by, result),
        };
        let pulled = pending.connection.filter(|_| takes_turns(&pending.action));
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
                Action::Subscribe { subscriber, topic, push: true, .. }
                | Action::ReplicaSubscribe { subscriber, topic, push: true, .. },
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
            (Action::Unsubscribe { subscriber, topic }, Done::Unsubscribed { .. }) => {
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
        if let Action::Pull { subscriber, topic, read: ReadLevel::Any, commit: true, .. } = action {
            let commit = Action::Commit { subscriber: subscriber.clone(), topic: topic.clone(), offset: to };
            self.request_for_myself(commit, Stage::Advancing { from });
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
