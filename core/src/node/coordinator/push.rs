//! Deliveries to push subscribers. The coordinator keeps one session per connection, topic and subscriber.
//!
//! A session holds the next offset to deliver. If this node holds the topic, messages come from its own replica: from
//! memory as they are applied, or from disk for a session that is behind. Otherwise the coordinator fetches them from a
//! replica, which answers as soon as it has messages. A client that reads slowly pauses its own sessions and no others;
//! no message is skipped.
//!
//! A session belongs to one subscription to one topic, identified by the topic's number. It never continues into a
//! topic that was created again under the same name. When the topic or the subscription is deleted, the session ends
//! and its client is notified once. Every replica can detect this: topic numbers are assigned in order, so a replica
//! can tell a deleted topic from one whose creation it has not applied yet.

use std::time::Duration;

use super::super::out::{Out, PartEffect};
use super::super::supply::{Supply, supply};
use super::super::view::View;
use super::super::vocabulary::{AskedFor, ReadRange, SessionId, message};
use super::Coordinator;
use super::sessions::{MAX_SESSIONS, Session};
use crate::bugs::Bug;
use crate::identity::GroupId;
use crate::io::ConnectionId;
use crate::names::{Offset, SubscriberId, TopicId, TopicName};
use crate::records::StoredMessage;
use crate::time::Instant;
use crate::wire::answer::{Delivery, EndReason, ErrorCode, Failure, Message, ServerFrame, SubscriptionEnded};
use crate::wire::event::Event;
use crate::wire::peer::{Call, Reply};

/// Limits of one read or fetch for a session: messages, and bytes of contents.
const MESSAGES: u32 = 512;
const BYTES: u64 = 256 * 1024;
/// Delay before a fetch without an answer is repeated.
const FETCH_AGAIN: Duration = Duration::from_millis(2000);
/// Delay after a failed read or fetch.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// A session whose messages stay unreadable for this long ends, so that its client is notified.
const UNREADABLE: Duration = Duration::from_secs(10);

impl Coordinator {
    /// The failure to answer with if the node has no room for one more session.
    pub(super) fn lacks_room_for_session(&self, view: &View) -> Option<Failure> {
        (self.sessions.all.len() >= MAX_SESSIONS).then(|| {
            let text = format!(
                "node {} has reached its limit of {MAX_SESSIONS} push subscriptions; subscribe through another node",
                view.me
            );
            ErrorCode::Overloaded.because(text)
        })
    }

    pub(super) fn begin_session(&mut self, id: SessionId, session: Session) {
        if self.clients.is_connected(session.connection) {
            self.sessions.insert(id, session);
        }
    }

    /// Ends a session because its own client unsubscribed. `by` is the number of that request.
    pub(super) fn end_session_of(
        &mut self,
        connection: ConnectionId,
        topic: &TopicName,
        subscriber: &SubscriberId,
        by: u64,
        out: &mut Out,
    ) {
        // A session that began after the unsubscribe belongs to a newer subscription.
        if let Some(id) = self.sessions.find(connection, topic, subscriber).filter(|id| id.0 < by) {
            self.end_session(id, EndReason::Unsubscribed, out);
        }
    }

    /// Removes a session and notifies its client.
    fn end_session(&mut self, id: SessionId, reason: EndReason, out: &mut Out) {
        let Some(session) = self.sessions.remove(id) else { return };
        let Session { connection, topic, subscription, .. } = session;
        let ended = SubscriptionEnded { topic, subscriber: subscription.subscriber, reason };
        self.send_client(connection, ServerFrame::SubscriptionEnded(ended), out);
    }

    /// Ends the sessions of a topic whose subscription or whole topic was deleted.
    pub fn review_topic(&mut self, group: GroupId, topic: TopicId, view: &View, out: &mut Out) {
        for (id, reason) in self.sessions.ended(group, topic, view) {
            self.end_session(id, reason, out);
        }
    }

    /// Reviews all topics of a group after a snapshot, which can delete topics and subscriptions without separate
    /// effects.
    pub fn review_sessions(&mut self, group: GroupId, view: &View, out: &mut Out) {
        for topic in self.sessions.topics_of(group) {
            self.review_topic(group, topic, view, out);
        }
    }

    /// Delivers a newly applied message from memory to the sessions whose next offset it is.
    pub fn feed_sessions(&mut self, group: GroupId, topic: TopicId, stored: StoredMessage, view: &View, out: &mut Out) {
        for id in self.sessions.due(group, topic, stored.offset) {
            if !self.is_slow_session(id) {
                self.deliver(id, stored.clone(), view, out);
            }
        }
    }

    fn is_slow_session(&self, id: SessionId) -> bool {
        self.sessions.all.get(&id).is_none_or(|session| self.clients.is_slow(session.connection))
    }

    fn deliver(&mut self, id: SessionId, stored: StoredMessage, view: &View, out: &mut Out) {
        let Some(session) = self.sessions.all.get_mut(&id) else { return };
        session.next = stored.offset.next();
        session.unreadable_since = None;
        out.counters.deliveries += 1;
        let (topic, subscriber) = (session.topic.clone(), session.subscription.subscriber.clone());
        let connection = session.connection;
        if self.observes_frequent(view) {
            let event =
                Event::Delivered { topic: topic.clone(), subscriber: subscriber.clone(), offset: stored.offset };
            self.handle_event(event, None, view, out);
        }
        let delivery = Delivery { topic, subscriber, message: message(stored) };
        self.send_client(connection, ServerFrame::Message(delivery), out);
    }

    /// Starts a read or fetch for each marked session that is behind and whose client reads.
    pub fn pump_sessions(&mut self, view: &View, out: &mut Out) {
        for id in self.sessions.take_dirty() {
            let idle = self.sessions.all.get(&id).is_some_and(|session| session.busy_until.is_none());
            if idle && !self.is_slow_session(id) {
                self.pump(id, view, out);
            }
        }
    }

    fn pump(&mut self, id: SessionId, view: &View, out: &mut Out) {
        let Some(Session { subscription, next, .. }) = self.sessions.all.get(&id) else { return };
        let (next, group) = (*next, subscription.group);
        match view.groups.get(group).map(|replica| supply(replica, subscription)) {
            Some(Supply::Ended(reason)) => self.end_session(id, reason, out),
            Some(Supply::Until(end)) if next < end && view.bugs.has(Bug::PushSkipsToTheEnd) => {
                self.sessions.skip_to(id, end)
            }
            Some(Supply::Until(end)) if next < end => {
                let (topic, max_messages, max_bytes) = (subscription.topic, MESSAGES, BYTES);
                // A read always completes.
                self.set_busy(id, Instant(u64::MAX));
                let range = ReadRange { group, topic, from: next, end, max_messages, max_bytes };
                out.push(PartEffect::ReadForSession { range, session: id });
            }
            // Everything is delivered, or the replica does not know the topic yet.
            Some(Supply::Until(_) | Supply::NotYet) => {}
            None => self.fetch(id, next, view, out),
        }
    }

    fn fetch(&mut self, id: SessionId, from: Offset, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(subscription) = self.sessions.all.get(&id).map(|session| session.subscription.clone()) else {
            return;
        };
        let Some(replica) = view.find_member(subscription.group) else {
            return self.set_busy(id, now + TRY_AGAIN);
        };
        self.set_busy(id, now + FETCH_AGAIN);
        let token = view.next_token(out);
        let call = Call::Fetch { subscription, from, max_bytes: BYTES as u32 };
        out.push(PartEffect::Ask { to: replica, trace: None, token, call, asked_for: AskedFor::Session(id) });
    }

    fn set_busy(&mut self, id: SessionId, until: Instant) {
        if let Some(session) = self.sessions.all.get_mut(&id) {
            session.busy_until = Some(until);
        }
    }

    /// Handles the messages that were read or fetched for a session.
    pub fn handle_session_messages(&mut self, id: SessionId, messages: Vec<StoredMessage>, view: &View, out: &mut Out) {
        self.sessions.free(id);
        let unchecked = view.bugs.has(Bug::PushRepeatsWhatWasFetched);
        for stored in messages {
            // An earlier fetch may have delivered it already.
            if unchecked || self.sessions.all.get(&id).is_some_and(|session| session.next == stored.offset) {
                self.deliver(id, stored, view, out);
            }
        }
    }

    /// Pauses a session for a short time before its next read or fetch.
    pub fn try_session_later(&mut self, id: SessionId, view: &View) {
        self.set_busy(id, view.monotonic() + TRY_AGAIN);
    }

    /// Handles messages that are damaged here or at the replica and not repaired yet.
    pub fn handle_session_read_failed(&mut self, id: SessionId, view: &View, out: &mut Out) {
        let now = view.monotonic();
        let Some(session) = self.sessions.all.get_mut(&id) else { return };
        let since = *session.unreadable_since.get_or_insert(now);
        if now.since(since) >= UNREADABLE {
            return self.end_session(id, EndReason::Unreadable, out);
        }
        self.try_session_later(id, view);
    }

    /// Handles a replica's reply to a fetch: delivers the messages, ends the session or retries.
    pub fn handle_fetched(&mut self, id: SessionId, reply: Reply, view: &View, out: &mut Out) {
        match reply {
            Reply::SubscriptionEnded { reason } => self.end_session(id, reason, out),
            Reply::Fetched { messages } => {
                let stored = |message: Message| {
                    let Message { offset, publisher, content, time } = message;
                    StoredMessage { offset, publisher, sequence: None, time, content }
                };
                self.handle_session_messages(id, messages.into_iter().map(stored).collect(), view, out);
            }
            Reply::Unreadable { .. } => self.handle_session_read_failed(id, view, out),
            _ => self.try_session_later(id, view),
        }
    }
}
