//! The push sessions of this node's clients.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::queues::Queue;
use super::super::supply::{Supply, TopicKey, supply, topic_key};
use super::super::view::View;
use super::super::vocabulary::SessionId;
use crate::identity::GroupId;
use crate::io::ConnectionId;
use crate::names::{Offset, SubscriberId, TopicId, TopicName};
use crate::time::Instant;
use crate::wire::answer::EndReason;
use crate::wire::peer::Subscription;

/// Most sessions of one node. Beyond this, a subscribe with `push` is answered with `overloaded`.
pub(super) const MAX_SESSIONS: usize = 65_536;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Sessions {
    pub all: BTreeMap<SessionId, Session>,
    by_client: BTreeMap<ConnectionId, BTreeMap<(TopicName, SubscriberId), SessionId>>,
    by_topic: BTreeMap<TopicKey, BTreeSet<SessionId>>,
    /// Sessions that may have work in this turn. Each housekeeping adds all idle sessions.
    dirty: BTreeSet<SessionId>,
}

#[derive(Serialize, Deserialize)]
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

impl Sessions {
    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.all.is_empty()
    }

    /// Inserts a session. It replaces an earlier one of the same client, topic and subscriber.
    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        let (connection, topic, subscriber) = (session.connection, &session.topic, &session.subscription.subscriber);
        if let Some(earlier) = self.find(connection, topic, subscriber) {
            self.remove(earlier);
        }
        let key = (topic.clone(), subscriber.clone());
        self.by_client.entry(connection).or_default().insert(key, id);
        self.by_topic.entry(topic_key(&session.subscription)).or_default().insert(id);
        self.dirty.insert(id);
        self.all.insert(id, session);
    }

    pub(super) fn find(
        &self,
        connection: ConnectionId,
        topic: &TopicName,
        subscriber: &SubscriberId,
    ) -> Option<SessionId> {
        self.by_client.get(&connection)?.get(&(topic.clone(), subscriber.clone())).copied()
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.all.remove(&id)?;
        self.leave_topic(id, &session);
        if let Some(of_client) = self.by_client.get_mut(&session.connection) {
            of_client.remove(&(session.topic.clone(), session.subscription.subscriber.clone()));
            if of_client.is_empty() {
                self.by_client.remove(&session.connection);
            }
        }
        Some(session)
    }

    fn leave_topic(&mut self, id: SessionId, session: &Session) {
        let key = topic_key(&session.subscription);
        if let Some(there) = self.by_topic.get_mut(&key) {
            there.remove(&id);
            if there.is_empty() {
                self.by_topic.remove(&key);
            }
        }
    }

    /// Marks a client's sessions for work after the client has read some data.
    pub(super) fn wake_client(&mut self, connection: ConnectionId) {
        self.dirty.extend(self.by_client.get(&connection).into_iter().flat_map(BTreeMap::values));
    }

    /// Marks a session as idle.
    pub(super) fn free(&mut self, id: SessionId) {
        if let Some(session) = self.all.get_mut(&id) {
            session.busy_until = None;
            self.dirty.insert(id);
        }
    }

    pub(super) fn queue(&self) -> Queue {
        Queue::of("push sessions", self.all.len(), MAX_SESSIONS)
    }

    /// The sessions of a topic that its replica here knows to have ended.
    pub(super) fn ended(&self, group: GroupId, topic: TopicId, view: &View) -> Vec<(SessionId, EndReason)> {
        let Some(replica) = view.groups.get(group) else { return Vec::new() };
        let ended = |id: &SessionId| match supply(replica, &self.all.get(id)?.subscription) {
            Supply::Ended(reason) => Some((*id, reason)),
            Supply::NotYet | Supply::Until(_) => None,
        };
        self.by_topic.get(&(group, topic)).into_iter().flatten().filter_map(ended).collect()
    }

    /// The topics of a group that have sessions.
    pub(super) fn topics_of(&self, group: GroupId) -> Vec<TopicId> {
        let topics = (group, TopicId(0))..=(group, TopicId(u64::MAX));
        self.by_topic.range(topics).map(|((_, topic), _)| *topic).collect()
    }

    /// The idle sessions whose next message has this offset.
    pub(super) fn due(&self, group: GroupId, topic: TopicId, offset: Offset) -> Vec<SessionId> {
        let Some(sessions) = self.by_topic.get(&(group, topic)) else { return Vec::new() };
        let waits = |id: &&SessionId| {
            self.all.get(*id).is_some_and(|session| session.next == offset && session.busy_until.is_none())
        };
        sessions.iter().filter(waits).copied().collect()
    }

    /// Takes the sessions that may have work.
    pub(super) fn take_dirty(&mut self) -> BTreeSet<SessionId> {
        std::mem::take(&mut self.dirty)
    }

    /// Marks all idle sessions, and those whose waiting is over.
    pub(super) fn wake(&mut self, now: Instant) {
        for (id, session) in &mut self.all {
            session.busy_until.take_if(|until| now >= *until);
            if session.busy_until.is_none() {
                self.dirty.insert(*id);
            }
        }
    }

    /// Removes all sessions of a client.
    pub(super) fn remove_client(&mut self, connection: ConnectionId) {
        for id in self.by_client.remove(&connection).unwrap_or_default().into_values() {
            self.remove(id);
        }
    }

    /// The clients that have sessions.
    pub(super) fn clients(&self) -> impl Iterator<Item = ConnectionId> {
        self.by_client.keys().copied()
    }

    /// Makes the session deliver the message at `end` next: a deliberate bug.
    pub(super) fn skip_to(&mut self, id: SessionId, end: Offset) {
        if let Some(session) = self.all.get_mut(&id) {
            session.next = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::VertexId;

    const CLIENT: ConnectionId = ConnectionId(1);

    fn group() -> GroupId {
        GroupId::Home(VertexId(0))
    }

    fn session(topic: u64, next: u64) -> Session {
        let subscriber: SubscriberId = "s".parse().unwrap();
        let subscription = Subscription { group: group(), topic: TopicId(topic), subscriber, since: 1 };
        let topic = format!("t{topic}").parse().unwrap();
        Session {
            connection: CLIENT,
            topic,
            subscription,
            next: Offset(next),
            busy_until: None,
            unreadable_since: None,
        }
    }

    #[test]
    fn a_message_goes_to_the_idle_sessions_that_expect_it() {
        let mut sessions = Sessions::default();
        sessions.insert(SessionId(1), session(1, 5));
        sessions.insert(SessionId(2), session(2, 5));
        assert_eq!(sessions.due(group(), TopicId(1), Offset(5)), [SessionId(1)]);
        assert_eq!(sessions.due(group(), TopicId(1), Offset(6)), []);
        sessions.all.get_mut(&SessionId(1)).unwrap().busy_until = Some(Instant(7));
        assert_eq!(sessions.due(group(), TopicId(1), Offset(5)), []);
        sessions.take_dirty();
        sessions.wake(Instant(6));
        assert_eq!(sessions.take_dirty(), [SessionId(2)].into());
        sessions.wake(Instant(7));
        assert_eq!(sessions.take_dirty(), [1, 2].map(SessionId).into());
    }

    #[test]
    fn a_later_subscribe_replaces_the_session_and_a_client_takes_all_of_its_own_away() {
        let mut sessions = Sessions::default();
        sessions.insert(SessionId(1), session(1, 5));
        sessions.insert(SessionId(2), session(1, 0));
        assert_eq!((sessions.queue().len, sessions.topics_of(group())), (1, vec![TopicId(1)]));
        sessions.remove_client(CLIENT);
        assert_eq!((sessions.queue().len, sessions.topics_of(group())), (0, Vec::new()));
    }
}
