//! Deliveries to push subscribers: the origin keeps one session for each connection, topic and subscriber.
//!
//! A session knows the offset it delivers next. Where this node holds the topic, messages come from its own replica: as they are
//! applied, or from disk for a session that is behind. Elsewhere they are fetched from a holder, which answers when there are
//! some. A client that reads slowly pauses its own sessions and nothing else; nothing is skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Node;
use super::reads::{Range, message};
use super::requests::Purpose;
use super::serve::Asker;
use crate::cube::Vertex;
use crate::io::{ConnectionId, Effect};
use crate::names::{Offset, SubscriberId, TopicName};
use crate::placement;
use crate::store::StoredMessage;
use crate::time::Instant;
use crate::wire::answer::{Delivery, ServerFrame};
use crate::wire::event::Event;
use crate::wire::peer::{Body, Call, Reply};

/// Messages and contents in one read or fetch for a session.
const MESSAGES: u32 = 512;
const BYTES: u64 = 256 * 1024;
/// A holder that has nothing new answers a fetch after this, so that both know that the other lives.
const FETCH_WAIT: Duration = Duration::from_millis(1000);
/// A fetch without an answer is repeated after this.
const FETCH_AGAIN: Duration = Duration::from_millis(2000);
/// After a failed read or fetch.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// Fetches that wait on one holder; beyond, they are answered at once, with nothing.
const MAX_WAITING_FETCHES: usize = 16_384;

/// One client's subscription to one topic.
pub(super) type SessionId = (ConnectionId, TopicName, SubscriberId);

#[derive(Default)]
pub(super) struct Push {
    sessions: BTreeMap<SessionId, Session>,
    by_topic: BTreeMap<TopicName, BTreeSet<SessionId>>,
    /// Those that may have something to do this turn; at every housekeeping, all.
    stirred: BTreeSet<SessionId>,
    waiting: BTreeMap<TopicName, Vec<WaitingFetch>>,
    waiting_fetches: usize,
}

struct Session {
    home: Vertex,
    next: Offset,
    /// A read or fetch is under way, or not to be tried before this.
    busy_until: Option<Instant>,
}

struct WaitingFetch {
    asker: Asker,
    home: Vertex,
    topic: TopicName,
    from: Offset,
    max_bytes: u64,
    until: Instant,
}

impl Push {
    fn insert(&mut self, id: SessionId, session: Session) {
        self.by_topic.entry(id.1.clone()).or_default().insert(id.clone());
        self.stirred.insert(id.clone());
        self.sessions.insert(id, session);
    }

    fn remove(&mut self, id: &SessionId) {
        self.sessions.remove(id);
        if let Some(sessions) = self.by_topic.get_mut(&id.1) {
            sessions.remove(id);
            if sessions.is_empty() {
                self.by_topic.remove(&id.1);
            }
        }
    }

    fn remove_where(&mut self, goes: impl Fn(&SessionId, &Session) -> bool) {
        let gone: Vec<SessionId> =
            self.sessions.iter().filter(|(id, session)| goes(id, session)).map(|(id, _)| id.clone()).collect();
        gone.iter().for_each(|id| self.remove(id));
    }

    /// Its client reads again.
    pub(super) fn stir_sessions_of(&mut self, connection: ConnectionId) {
        self.stirred.extend(self.sessions.keys().filter(|(owner, ..)| *owner == connection).cloned());
    }

    /// Nothing is under way for it any more.
    fn free(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.busy_until = None;
            self.stirred.insert(id.clone());
        }
    }
}

impl Node {
    pub(super) fn begin_session(
        &mut self,
        connection: ConnectionId,
        topic: TopicName,
        subscriber: SubscriberId,
        cursor: Offset,
    ) {
        if self.clients.contains_key(&connection) {
            let home = placement::home(topic.as_str(), self.me.dimension());
            self.push.insert((connection, topic, subscriber), Session { home, next: cursor, busy_until: None });
        }
    }

    pub(super) fn end_session(&mut self, connection: ConnectionId, topic: &TopicName, subscriber: &SubscriberId) {
        self.push.remove(&(connection, topic.clone(), subscriber.clone()));
    }

    pub(super) fn end_sessions_of(&mut self, connection: ConnectionId) {
        self.push.remove_where(|(owner, ..), _| *owner == connection);
    }

    /// A crash forgets what is only in memory. The connections with subscriptions break, as those to a process that died would:
    /// silence would leave their clients waiting for ever.
    pub(super) fn crash_sessions(&mut self) {
        let lost: BTreeSet<ConnectionId> =
            std::mem::take(&mut self.push).sessions.into_keys().map(|(connection, ..)| connection).collect();
        for connection in lost {
            let reason = format!("node {} has crashed on request, and its push subscriptions with it", self.me);
            self.effects.push(Effect::CloseClient { connection, reason });
        }
    }

    /// The topic is gone.
    pub(super) fn end_sessions(&mut self, topic: &TopicName) {
        self.push.remove_where(|(_, name, _), _| name == topic);
    }

    /// After a snapshot: topics may have gone unseen.
    pub(super) fn review_sessions(&mut self, group: Vertex) {
        let Some(topics) = self.groups.get(&group).map(|group| group.topics()) else { return };
        self.push.remove_where(|(_, name, _), session| session.home == group && topics.place(name).is_none());
    }

    /// A message was applied in this node's replica: sessions that wait for just this one get it from memory.
    pub(super) fn feed_sessions(&mut self, topic: &TopicName, stored: StoredMessage) {
        let Some(sessions) = self.push.by_topic.get(topic) else { return };
        let waits = |id: &&SessionId| {
            self.push
                .sessions
                .get(*id)
                .is_some_and(|session| session.next == stored.offset && session.busy_until.is_none())
        };
        let due: Vec<SessionId> = sessions.iter().filter(waits).cloned().collect();
        for id in due {
            if !self.is_slow(id.0) {
                self.deliver(&id, stored.clone());
            }
        }
    }

    fn deliver(&mut self, id: &SessionId, stored: StoredMessage) {
        let Some(session) = self.push.sessions.get_mut(id) else { return };
        session.next = stored.offset.next();
        self.counters.deliveries += 1;
        let (connection, topic, subscriber) = id.clone();
        if self.observes_frequent() {
            let event =
                Event::Delivered { topic: topic.clone(), subscriber: subscriber.clone(), offset: stored.offset };
            self.observe(event, None);
        }
        let delivery = Delivery { topic, subscriber, message: message(stored) };
        self.send_client(connection, ServerFrame::Message(delivery));
    }

    /// Starts a read or a fetch for every session that is behind and whose client reads.
    pub(super) fn pump_sessions(&mut self) {
        for id in std::mem::take(&mut self.push.stirred) {
            let idle = self.push.sessions.get(&id).is_some_and(|session| session.busy_until.is_none());
            if idle && !self.is_slow(id.0) {
                self.pump(&id);
            }
        }
    }

    fn pump(&mut self, id: &SessionId) {
        let now = self.now.monotonic;
        let Some(session) = self.push.sessions.get(id) else { return };
        let (home, next) = (session.home, session.next);
        let busy_until = match self.groups.get(&home) {
            Some(group) => match group.topics().place(&id.1) {
                Some((topic, end)) if next < end => {
                    let range = Range { group: home, topic, from: next, end, max_messages: MESSAGES, max_bytes: BYTES };
                    self.read_for_session(range, id.clone());
                    // A read always comes back.
                    Instant(u64::MAX)
                }
                // All delivered, or the replica does not know the topic yet.
                _ => return,
            },
            None => match self.find_member(home) {
                Some(holder) => {
                    self.fetch(id, holder, next);
                    now + FETCH_AGAIN
                }
                None => now + TRY_AGAIN,
            },
        };
        if let Some(session) = self.push.sessions.get_mut(id) {
            session.busy_until = Some(busy_until);
        }
    }

    fn fetch(&mut self, id: &SessionId, holder: Vertex, from: Offset) {
        let token = self.next_token();
        self.expect_reply(token, Purpose::Fetch(id.clone()));
        let call = Call::Fetch { topic: id.1.clone(), from, max_bytes: BYTES as u32 };
        self.send(holder, None, Body::Ask { token, call });
    }

    pub(super) fn handle_session_messages(&mut self, id: SessionId, from: Offset, messages: Vec<StoredMessage>) {
        self.push.free(&id);
        if self.push.sessions.get(&id).is_none_or(|session| session.next != from) {
            return;
        }
        for stored in messages {
            self.deliver(&id, stored);
        }
    }

    pub(super) fn handle_session_read_failed(&mut self, id: SessionId) {
        let until = self.now.monotonic + TRY_AGAIN;
        if let Some(session) = self.push.sessions.get_mut(&id) {
            session.busy_until = Some(until);
        }
    }

    pub(super) fn handle_fetched(&mut self, id: SessionId, _from: Vertex, reply: Reply) {
        let now = self.now.monotonic;
        let Some(session) = self.push.sessions.get_mut(&id) else { return };
        match reply {
            Reply::Fetched { deleted: true, .. } => {
                self.push.remove(&id);
            }
            Reply::Fetched { messages, .. } => {
                self.push.free(&id);
                for message in messages {
                    let expected = self.push.sessions.get(&id).map(|session| session.next);
                    if expected == Some(message.offset) {
                        let crate::wire::answer::Message { offset, publisher, content, time } = message;
                        self.deliver(&id, StoredMessage { offset, publisher, sequence: None, time, content });
                    }
                }
            }
            _ => session.busy_until = Some(now + TRY_AGAIN),
        }
    }

    pub(super) fn handle_push_time(&mut self) {
        let now = self.now.monotonic;
        for session in self.push.sessions.values_mut() {
            session.busy_until.take_if(|until| now >= *until);
        }
        let idle = self.push.sessions.iter().filter(|(_, session)| session.busy_until.is_none());
        self.push.stirred.extend(idle.map(|(id, _)| id.clone()));
        let late: Vec<WaitingFetch> = self
            .push
            .waiting
            .values_mut()
            .flat_map(|fetches| fetches.extract_if(.., |fetch| now >= fetch.until))
            .collect();
        self.push.waiting.retain(|_, fetches| !fetches.is_empty());
        self.push.waiting_fetches -= late.len();
        for fetch in late {
            // Only a leader knows that a topic is gone; a replica may not have heard of it yet.
            let group = self.groups.get(&fetch.home);
            let deleted =
                group.is_some_and(|group| group.leads_fully() && group.topics().topic(&fetch.topic).is_none());
            self.reply(&fetch.asker, Reply::Fetched { messages: Vec::new(), end: fetch.from, deleted });
        }
    }

    // The holder's side of a fetch.

    pub(super) fn handle_fetch(&mut self, asker: Asker, topic: TopicName, from: Offset, max_bytes: u32) {
        let home = placement::home(topic.as_str(), self.me.dimension());
        let Some(group) = self.groups.get(&home) else {
            return self.reply(&asker, Reply::NotLeader { leader: None, proposed: false });
        };
        let max_bytes = u64::from(max_bytes).min(BYTES);
        match group.topics().place(&topic) {
            Some((id, end)) if from < end => {
                let range = Range { group: home, topic: id, from, end, max_messages: MESSAGES, max_bytes };
                self.read_for_fetch(range, asker);
            }
            _ if self.push.waiting_fetches >= MAX_WAITING_FETCHES => {
                self.reply(&asker, Reply::Unavailable { why: "too many fetches wait here".into() });
            }
            _ => {
                let until = self.now.monotonic + FETCH_WAIT;
                self.push.waiting_fetches += 1;
                let waiting = self.push.waiting.entry(topic.clone()).or_default();
                waiting.push(WaitingFetch { asker, home, topic, from, max_bytes, until });
            }
        }
    }

    /// A message was stored: fetches that waited for it are answered.
    pub(super) fn serve_fetches(&mut self, topic: &TopicName) {
        let ready = self.push.waiting.remove(topic).unwrap_or_default();
        self.push.waiting_fetches -= ready.len();
        for fetch in ready {
            self.handle_fetch(fetch.asker, fetch.topic, fetch.from, fetch.max_bytes as u32);
        }
    }
}
