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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Node;
use super::pending::Purpose;
use super::queues::Queue;
use super::reads::{Range, message};
use super::serve::Requester;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::group::Group;
use crate::io::{ConnectionId, Dismissal, Effect};
use crate::names::{Offset, SubscriberId, TopicId, TopicName};
use crate::records::StoredMessage;
use crate::time::Instant;
use crate::topics::Known;
use crate::wire::answer::{Delivery, EndReason, ErrorCode, Failure, Message, ServerFrame, SubscriptionEnded};
use crate::wire::event::Event;
use crate::wire::peer::{Body, Call, Reply, Subscription};

/// Limits of one read or fetch for a session: messages, and bytes of contents.
const MESSAGES: u32 = 512;
const BYTES: u64 = 256 * 1024;
/// A replica without new messages answers a fetch after this time, so that each side sees that the other is alive.
const FETCH_WAIT: Duration = Duration::from_millis(1000);
/// Delay before a fetch without an answer is repeated.
const FETCH_AGAIN: Duration = Duration::from_millis(2000);
/// Delay after a failed read or fetch.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// A session whose messages stay unreadable for this long ends, so that its client is notified.
const UNREADABLE: Duration = Duration::from_secs(10);
/// Most sessions of one node. Beyond this, a subscribe with `push` is answered with `overloaded`.
const MAX_SESSIONS: usize = 65_536;
/// Most fetches that wait on one replica. Beyond this, the coordinator is told to ask again.
const MAX_WAITING_FETCHES: usize = 16_384;

/// The number of the request that began the session. A late read or fetch therefore matches its own session or none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SessionId(pub u64);

/// A topic by number: its home, and its number among all topics that the group ever had.
type Place = (Vertex, TopicId);

#[derive(Default)]
pub(super) struct Push {
    pub(super) sessions: BTreeMap<SessionId, Session>,
    by_client: BTreeMap<ConnectionId, BTreeMap<(TopicName, SubscriberId), SessionId>>,
    by_place: BTreeMap<Place, BTreeSet<SessionId>>,
    /// Sessions that may have work in this turn. Each housekeeping adds all idle sessions.
    dirty: BTreeSet<SessionId>,
    waiting: BTreeMap<Place, Vec<WaitingFetch>>,
    waiting_fetches: usize,
}

pub(super) struct Session {
    pub connection: ConnectionId,
    pub topic: TopicName,
    pub subscription: Subscription,
    pub next: Offset,
    /// A read or fetch is under way until then, or must not be tried before then.
    pub busy_until: Option<Instant>,
    /// Since when its messages have been unreadable.
    pub unreadable_since: Option<Instant>,
}

struct WaitingFetch {
    requester: Requester,
    subscription: Subscription,
    from: Offset,
    max_bytes: u64,
    until: Instant,
}

/// What a replica can supply for a subscription.
enum Supply {
    /// The replica has not applied the topic's creation yet.
    NotYet,
    /// All messages before this offset.
    Until(Offset),
    Ended(EndReason),
}

impl Push {
    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.sessions.is_empty() || self.waiting_fetches > 0
    }

    /// Inserts a session. It replaces an earlier one of the same client, topic and subscriber.
    fn insert(&mut self, id: SessionId, session: Session) {
        let (connection, topic, subscriber) = (session.connection, &session.topic, &session.subscription.subscriber);
        if let Some(earlier) = self.find(connection, topic, subscriber) {
            self.remove(earlier);
        }
        let key = (topic.clone(), subscriber.clone());
        self.by_client.entry(connection).or_default().insert(key, id);
        self.by_place.entry(place_of(&session.subscription)).or_default().insert(id);
        self.dirty.insert(id);
        self.sessions.insert(id, session);
    }

    fn find(&self, connection: ConnectionId, topic: &TopicName, subscriber: &SubscriberId) -> Option<SessionId> {
        self.by_client.get(&connection)?.get(&(topic.clone(), subscriber.clone())).copied()
    }

    fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.leave_place(id, &session);
        if let Some(of_client) = self.by_client.get_mut(&session.connection) {
            of_client.remove(&(session.topic.clone(), session.subscription.subscriber.clone()));
            if of_client.is_empty() {
                self.by_client.remove(&session.connection);
            }
        }
        Some(session)
    }

    fn leave_place(&mut self, id: SessionId, session: &Session) {
        let place = place_of(&session.subscription);
        if let Some(there) = self.by_place.get_mut(&place) {
            there.remove(&id);
            if there.is_empty() {
                self.by_place.remove(&place);
            }
        }
    }

    /// Marks a client's sessions for work after the client has read some data.
    pub(super) fn stir_sessions_of(&mut self, connection: ConnectionId) {
        self.dirty.extend(self.by_client.get(&connection).into_iter().flat_map(BTreeMap::values));
    }

    /// Marks a session as idle.
    fn free(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.busy_until = None;
            self.dirty.insert(id);
        }
    }

    fn take_waiting(&mut self, place: Place) -> Vec<WaitingFetch> {
        let fetches = self.waiting.remove(&place).unwrap_or_default();
        self.waiting_fetches -= fetches.len();
        fetches
    }

    fn take_late(&mut self, now: Instant) -> Vec<WaitingFetch> {
        let is_late = |fetch: &mut WaitingFetch| now >= fetch.until;
        let late: Vec<_> = self.waiting.values_mut().flat_map(|fetches| fetches.extract_if(.., is_late)).collect();
        self.waiting.retain(|_, fetches| !fetches.is_empty());
        self.waiting_fetches -= late.len();
        late
    }

    pub(super) fn queues(&self) -> [Queue; 2] {
        [
            Queue::of("push sessions", self.sessions.len(), MAX_SESSIONS),
            Queue::of("fetches that wait for messages", self.waiting_fetches, MAX_WAITING_FETCHES),
        ]
    }
}

fn place_of(subscription: &Subscription) -> Place {
    (subscription.group, subscription.topic)
}

fn supply(group: &Group, subscription: &Subscription) -> Supply {
    let topics = group.topics();
    match topics.known(subscription.topic) {
        Known::NotYet => Supply::NotYet,
        Known::Deleted => Supply::Ended(EndReason::TopicDeleted),
        Known::Here(end) => {
            let has_applied = group.applied_index() >= subscription.since;
            match has_applied && !topics.is_subscribed(subscription.topic, &subscription.subscriber) {
                true => Supply::Ended(EndReason::Unsubscribed),
                false => Supply::Until(end),
            }
        }
    }
}

// The coordinator's part.
impl Node {
    /// The failure to answer with if the node has no room for one more session.
    pub(super) fn lacks_room_for_session(&self) -> Option<Failure> {
        (self.push.sessions.len() >= MAX_SESSIONS).then(|| {
            let text = format!(
                "node {} has reached its limit of {MAX_SESSIONS} push subscriptions; subscribe through another node",
                self.me
            );
            ErrorCode::Overloaded.because(text)
        })
    }

    pub(super) fn begin_session(&mut self, id: SessionId, session: Session) {
        if self.clients.contains_key(&session.connection) {
            self.push.insert(id, session);
        }
    }

    /// Ends a session because its own client unsubscribed. `by` is the number of that request.
    pub(super) fn end_session_of(
        &mut self,
        connection: ConnectionId,
        topic: &TopicName,
        subscriber: &SubscriberId,
        by: u64,
    ) {
        // A session that began after the unsubscribe belongs to a newer subscription.
        if let Some(id) = self.push.find(connection, topic, subscriber).filter(|id| id.0 < by) {
            self.end_session(id, EndReason::Unsubscribed);
        }
    }

    pub(super) fn end_sessions_of(&mut self, connection: ConnectionId) {
        for id in self.push.by_client.remove(&connection).unwrap_or_default().into_values() {
            self.push.remove(id);
        }
    }

    /// Drops all sessions in a crash and closes their connections, as the death of the process would. Without this
    /// their clients would wait forever.
    pub(super) fn crash_sessions(&mut self) {
        for connection in std::mem::take(&mut self.push).by_client.into_keys() {
            let reason = format!("node {} was crashed by a requested fault, and its push subscriptions ended", self.me);
            self.effects.push(Effect::CloseClient { connection, why: Dismissal::NodeFails, reason });
        }
    }

    /// Removes a session and notifies its client.
    fn end_session(&mut self, id: SessionId, reason: EndReason) {
        let Some(session) = self.push.remove(id) else { return };
        let Session { connection, topic, subscription, .. } = session;
        let ended = SubscriptionEnded { topic, subscriber: subscription.subscriber, reason };
        self.send_client(connection, ServerFrame::SubscriptionEnded(ended));
    }

    /// Ends the sessions and waiting fetches of a topic whose subscription or whole topic was deleted.
    pub(super) fn review_topic(&mut self, group: Vertex, topic: TopicId) {
        let place = (group, topic);
        let sessions = self.push.by_place.get(&place).into_iter().flatten();
        let ended: Vec<(SessionId, EndReason)> =
            sessions.filter_map(|id| Some((*id, self.has_ended(&self.push.sessions.get(id)?.subscription)?))).collect();
        for (id, reason) in ended {
            self.end_session(id, reason);
        }
        self.serve_fetches(group, topic);
    }

    /// Reviews all topics of a group after a snapshot, which can delete topics and subscriptions without separate
    /// effects.
    pub(super) fn review_group(&mut self, group: Vertex) {
        let places = (group, TopicId(0))..=(group, TopicId(u64::MAX));
        let pushed = self.push.by_place.range(places.clone()).map(|(place, _)| *place);
        let topics: BTreeSet<TopicId> =
            pushed.chain(self.push.waiting.range(places).map(|(place, _)| *place)).map(|(_, topic)| topic).collect();
        for topic in topics {
            self.review_topic(group, topic);
        }
    }

    fn has_ended(&self, subscription: &Subscription) -> Option<EndReason> {
        match supply(self.groups.get(&subscription.group)?, subscription) {
            Supply::Ended(reason) => Some(reason),
            Supply::NotYet | Supply::Until(_) => None,
        }
    }

    /// Delivers a newly applied message from memory to the sessions whose next offset it is.
    pub(super) fn feed_sessions(&mut self, group: Vertex, topic: TopicId, stored: StoredMessage) {
        let Some(sessions) = self.push.by_place.get(&(group, topic)) else { return };
        let waits = |id: &&SessionId| {
            self.push
                .sessions
                .get(*id)
                .is_some_and(|session| session.next == stored.offset && session.busy_until.is_none())
        };
        let due: Vec<SessionId> = sessions.iter().filter(waits).copied().collect();
        for id in due {
            if !self.is_slow_session(id) {
                self.deliver(id, stored.clone());
            }
        }
    }

    fn is_slow_session(&self, id: SessionId) -> bool {
        self.push.sessions.get(&id).is_none_or(|session| self.is_slow(session.connection))
    }

    fn deliver(&mut self, id: SessionId, stored: StoredMessage) {
        let Some(session) = self.push.sessions.get_mut(&id) else { return };
        session.next = stored.offset.next();
        session.unreadable_since = None;
        self.counters.deliveries += 1;
        let (topic, subscriber) = (session.topic.clone(), session.subscription.subscriber.clone());
        let connection = session.connection;
        if self.observes_frequent() {
            let event =
                Event::Delivered { topic: topic.clone(), subscriber: subscriber.clone(), offset: stored.offset };
            self.observe(event, None);
        }
        let delivery = Delivery { topic, subscriber, message: message(stored) };
        self.send_client(connection, ServerFrame::Message(delivery));
    }

    /// Starts a read or fetch for each marked session that is behind and whose client reads.
    pub(super) fn pump_sessions(&mut self) {
        for id in std::mem::take(&mut self.push.dirty) {
            let idle = self.push.sessions.get(&id).is_some_and(|session| session.busy_until.is_none());
            if idle && !self.is_slow_session(id) {
                self.pump(id);
            }
        }
    }

    fn pump(&mut self, id: SessionId) {
        let Some(Session { subscription, next, .. }) = self.push.sessions.get(&id) else { return };
        let (next, group) = (*next, subscription.group);
        match self.groups.get(&group).map(|replica| supply(replica, subscription)) {
            Some(Supply::Ended(reason)) => self.end_session(id, reason),
            Some(Supply::Until(end)) if next < end && self.bugs.has(Bug::PushSkipsToTheEnd) => self.skip_to(id, end),
            Some(Supply::Until(end)) if next < end => {
                let (topic, max_messages, max_bytes) = (subscription.topic, MESSAGES, BYTES);
                // A read always completes.
                self.set_busy(id, Instant(u64::MAX));
                self.read_for_session(Range { group, topic, from: next, end, max_messages, max_bytes }, id);
            }
            // Everything is delivered, or the replica does not know the topic yet.
            Some(Supply::Until(_) | Supply::NotYet) => {}
            None => self.fetch(id, next),
        }
    }

    fn fetch(&mut self, id: SessionId, from: Offset) {
        let now = self.now.monotonic;
        let Some(subscription) = self.push.sessions.get(&id).map(|session| session.subscription.clone()) else {
            return;
        };
        let Some(replica) = self.find_member(subscription.group) else { return self.set_busy(id, now + TRY_AGAIN) };
        self.set_busy(id, now + FETCH_AGAIN);
        let token = self.next_token();
        self.expect_reply(token, Purpose::Fetch(id));
        let call = Call::Fetch { subscription, from, max_bytes: BYTES as u32 };
        self.send(replica, None, Body::Ask { token, call });
    }

    fn set_busy(&mut self, id: SessionId, until: Instant) {
        if let Some(session) = self.push.sessions.get_mut(&id) {
            session.busy_until = Some(until);
        }
    }

    pub(super) fn handle_session_messages(&mut self, id: SessionId, messages: Vec<StoredMessage>) {
        self.push.free(id);
        let unchecked = self.bugs.has(Bug::PushRepeatsWhatWasFetched);
        for stored in messages {
            // An earlier fetch may have delivered it already.
            if unchecked || self.push.sessions.get(&id).is_some_and(|session| session.next == stored.offset) {
                self.deliver(id, stored);
            }
        }
    }

    pub(super) fn try_session_later(&mut self, id: SessionId) {
        self.set_busy(id, self.now.monotonic + TRY_AGAIN);
    }

    /// Handles messages that are damaged here or at the replica and not repaired yet.
    pub(super) fn handle_session_read_failed(&mut self, id: SessionId) {
        let now = self.now.monotonic;
        let Some(session) = self.push.sessions.get_mut(&id) else { return };
        let since = *session.unreadable_since.get_or_insert(now);
        if now.since(since) >= UNREADABLE {
            return self.end_session(id, EndReason::Unreadable);
        }
        self.try_session_later(id);
    }

    pub(super) fn handle_fetched(&mut self, id: SessionId, reply: Reply) {
        match reply {
            Reply::SubscriptionEnded { reason } => self.end_session(id, reason),
            Reply::Fetched { messages } => {
                let stored = |message: Message| {
                    let Message { offset, publisher, content, time } = message;
                    StoredMessage { offset, publisher, sequence: None, time, content }
                };
                self.handle_session_messages(id, messages.into_iter().map(stored).collect());
            }
            Reply::Unreadable { .. } => self.handle_session_read_failed(id),
            _ => self.try_session_later(id),
        }
    }

    pub(super) fn handle_push_time(&mut self) {
        let now = self.now.monotonic;
        for session in self.push.sessions.values_mut() {
            session.busy_until.take_if(|until| now >= *until);
        }
        let idle = self.push.sessions.iter().filter(|(_, session)| session.busy_until.is_none());
        self.push.dirty.extend(idle.map(|(id, _)| *id));
        for fetch in self.push.take_late(now) {
            self.reply(&fetch.requester, Reply::Fetched { messages: Vec::new() });
        }
    }
}

// The replica's part of a fetch.
impl Node {
    pub(super) fn handle_fetch(
        &mut self,
        requester: Requester,
        subscription: Subscription,
        from: Offset,
        max_bytes: u32,
    ) {
        let until = self.now.monotonic + FETCH_WAIT;
        let max_bytes = u64::from(max_bytes).min(BYTES);
        self.serve_fetch(WaitingFetch { requester, subscription, from, max_bytes, until });
    }

    fn serve_fetch(&mut self, fetch: WaitingFetch) {
        let Some(replica) = self.groups.get(&fetch.subscription.group) else {
            return self.reply(&fetch.requester, Reply::NotLeader { leader: None, proposed: false });
        };
        match supply(replica, &fetch.subscription) {
            Supply::Ended(reason) => self.reply(&fetch.requester, Reply::SubscriptionEnded { reason }),
            Supply::Until(end) if fetch.from < end => {
                let (group, topic) = place_of(&fetch.subscription);
                let WaitingFetch { requester, from, max_bytes, .. } = fetch;
                self.read_for_fetch(Range { group, topic, from, end, max_messages: MESSAGES, max_bytes }, requester);
            }
            Supply::Until(_) | Supply::NotYet => self.let_fetch_wait(fetch),
        }
    }

    fn let_fetch_wait(&mut self, fetch: WaitingFetch) {
        if self.push.waiting_fetches >= MAX_WAITING_FETCHES {
            return self.reply(
                &fetch.requester,
                Reply::Unavailable { why: "too many fetches are waiting on this node".into() },
            );
        }
        self.push.waiting_fetches += 1;
        self.push.waiting.entry(place_of(&fetch.subscription)).or_default().push(fetch);
    }

    /// Retries the fetches that wait for a topic, after a change to it.
    pub(super) fn serve_fetches(&mut self, group: Vertex, topic: TopicId) {
        for fetch in self.push.take_waiting((group, topic)) {
            self.serve_fetch(fetch);
        }
    }
}
