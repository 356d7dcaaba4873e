//! Replies to the asks of client requests, and the single answer to each request.

use super::super::out::{Out, PartEffect};
use super::super::view::View;
use super::super::vocabulary::{Advance, SessionId};
use super::Coordinator;
use super::pending::{Pending, Pulled, Registering, Stage};
use super::requests::TRY_AGAIN;
use super::sessions::Session;
use crate::bugs::Bug;
use crate::identity::HostId;
use crate::names::Offset;
use crate::visible::visible;
use crate::wire::answer::{Answer, Done, ErrorCode, Failure, ServerFrame};
use crate::wire::client::{Action, Read, ReadLevel, Registry, Write};
use crate::wire::event::Event;
use crate::wire::peer::{Reply, Subscription};

impl Coordinator {
    /// Handles the reply to the latest ask of a request. A request that has ended ignores it.
    pub fn handle_request_reply(&mut self, number: u64, reply: Reply, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        pending.asked = None;
        match reply {
            Reply::Answer(answer) => self.handle_answer(number, *answer, view, out),
            Reply::Subscribed { answer, index } => {
                pending.applied_at = index;
                self.handle_answer(number, *answer, view, out);
            }
            Reply::Registered(registered) => self.handle_registered(number, registered, view, out),
            Reply::NotLeader { proposed, .. } => {
                pending.uncertain |= proposed;
                pending.ask_at = now + TRY_AGAIN;
                pending.stuck_since.get_or_insert(now);
                self.stay_stuck(number, view, out);
            }
            Reply::Unavailable { why } => {
                pending.problem = Some(why);
                pending.ask_at = now + TRY_AGAIN;
                pending.stuck_since.get_or_insert(now);
                self.stay_stuck(number, view, out);
            }
            Reply::Fetched { .. } | Reply::SubscriptionEnded { .. } => {}
            Reply::Stored { .. } | Reply::Unreadable { .. } => {}
            Reply::Holding { .. } | Reply::Topics(_) => {}
        }
    }

    fn handle_answer(&mut self, number: u64, answer: Answer, view: &View, out: &mut Out) {
        let now = view.monotonic();
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
                self.drive(number, view, out);
            }
            (Stage::Committing(_), _, Err(failure))
                if failure.code.is_transient() && !failure.code.is_storage_full() =>
            {
                pending.ask_at = now + TRY_AGAIN
            }
            (Stage::Committing(_), ..) => self.finish_committing(number, view, out),
            (_, _, result) => self.finish(number, result, served_by, hops, view, out),
        }
    }

    /// Answers with the messages whether or not the cursor moved: delivering twice is better than never.
    pub(super) fn finish_committing(&mut self, number: u64, view: &View, out: &mut Out) {
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        if let Stage::Committing(pulled) = std::mem::replace(&mut pending.stage, Stage::Acting) {
            self.finish(number, Ok(pulled.done), pulled.served_by, pulled.hops, view, out);
        }
    }

    fn handle_registered(&mut self, number: u64, registered: bool, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(pending) = self.requests.pending.get_mut(&number) else { return };
        let Stage::Registering(registering) = &mut pending.stage else { return };
        let Registering { kind, name, linearizable, is_new } = &mut **registering;
        let any_may_refuse = *is_new || view.bugs.has(Bug::AnyReplicaRefusesNames);
        pending.ask_at = now;
        pending.stuck_since = None;
        if registered {
            self.names.known.remember_registered(*kind, name, now);
            pending.stage = Stage::Acting;
            self.drive(number, view, out);
        } else if !*linearizable && !any_may_refuse {
            *linearizable = true;
            self.drive(number, view, out);
        } else if *is_new {
            self.await_place(number);
        } else {
            let (code, what) = match kind {
                Registry::Publisher => (ErrorCode::UnknownPublisher, "publisher"),
                Registry::Subscriber => (ErrorCode::UnknownSubscriber, "subscriber"),
            };
            let failure = code.because(format!("there is no {what} `{}`; create it first", visible(name)));
            self.finish(number, Err(failure), view.me, vec![view.me], view, out);
        }
    }

    /// Answers a request once and applies the local consequences of the answer.
    pub fn finish(
        &mut self,
        number: u64,
        result: Result<Done, Failure>,
        served_by: HostId,
        hops: Vec<HostId>,
        view: &View,
        out: &mut Out,
    ) {
        let Some(pending) = self.requests.remove(number) else { return };
        if let Some((token, _)) = pending.asked {
            out.push(PartEffect::ForgetAsk(token));
        }
        let result = result.and_then(|done| self.follow_up(&pending, &done, view, out).map(|()| done));
        let (served_by, result) = match (&pending.action, result) {
            (
                Action::Write(Write::ReplicaSubscribe { topic: name, .. }),
                Ok(Done::Subscribed { topic, topic_id, cursor, .. }),
            ) => {
                let original_node = Some(view.home_of(name.as_str()));
                (view.me, Ok(Done::Subscribed { topic, topic_id, cursor, original_node }))
            }
            (_, result) => (served_by, result),
        };
        let pulled = pending.connection.filter(|_| matches!(pending.action, Action::Read(_)));
        self.answer(pending, result, served_by, hops, view, out);
        if let Some(connection) = pulled {
            self.end_pull(connection, number, view, out);
        }
    }

    /// Applies the local consequences of a success. Returns an error if one of them is impossible.
    fn follow_up(&mut self, pending: &Pending, done: &Done, view: &View, out: &mut Out) -> Result<(), Failure> {
        match done {
            Done::PublisherCreated { publisher, existed } => {
                self.registered(pending, Registry::Publisher, publisher.as_str(), *existed, view);
            }
            Done::SubscriberCreated { subscriber, existed } => {
                self.registered(pending, Registry::Subscriber, subscriber.as_str(), *existed, view);
            }
            Done::PublisherDeleted { publisher } => {
                self.names.known.remember_deleted(Registry::Publisher, publisher.as_str());
            }
            Done::SubscriberDeleted { subscriber } => {
                self.names.known.remember_deleted(Registry::Subscriber, subscriber.as_str());
            }
            Done::Pulled { messages, cursor, .. } => {
                if let Some(first) = messages.first() {
                    self.move_cursor(&pending.action, first.offset, *cursor, view, out);
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
                if let Some(failure) = self.lacks_room_for_session(view) {
                    return Err(failure);
                }
                let (group, since) = (view.group_of_action(&pending.action), pending.applied_at);
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
                self.end_session_of(connection, topic, subscriber, by, out);
            }
            _ => {}
        }
        Ok(())
    }

    /// Requests the cursor move after a read from a replica. The answer does not wait for it. The coordinator requests
    /// it, not the replica: the replica's answer can be lost, and the repeated read would then start after the lost
    /// messages.
    fn move_cursor(&mut self, action: &Action, from: Offset, to: Offset, view: &View, out: &mut Out) {
        if let Action::Read(Read::Pull { subscriber, topic, read: ReadLevel::Any, commit: true, .. }) = action {
            let (subscriber, topic) = (subscriber.clone(), topic.clone());
            let commit = Write::Commit { subscriber: subscriber.clone(), topic: topic.clone(), offset: to };
            let stage = Stage::Advancing(Box::new(Advance { subscriber, topic, from, to }));
            self.request_for_myself(commit.into(), stage, view, out);
        }
    }

    pub(super) fn answer(
        &mut self,
        pending: Pending,
        result: Result<Done, Failure>,
        served_by: HostId,
        hops: Vec<HostId>,
        view: &View,
        out: &mut Out,
    ) {
        if self.observes_frequent(view) {
            let event = Event::RequestAnswered {
                action: pending.action.name().into(),
                subject: pending.action.subject().map(Into::into),
                error: result.as_ref().err().map(|failure| failure.code.name().into()),
                message: result.as_ref().map_or_else(|failure| failure.message.clone(), |_| String::new()),
            };
            self.handle_event(event, Some(pending.trace_id), view, out);
        }
        if let Some(connection) = pending.connection {
            let hops = pending.trace.then_some(hops);
            let answer = Answer { id: pending.id, served_by, hops, result };
            self.send_client(connection, ServerFrame::Answer(answer), out);
        }
    }
}
