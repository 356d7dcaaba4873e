//! Client connections: the bytes queued for each, and the events that each watches.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::super::out::Out;
use super::super::queues::Queue;
use crate::identity::HostId;
use crate::io::{ConnectionId, Dismissal, Effect};
use crate::wire::answer::ServerFrame;
use crate::wire::event::EventKind;

/// Most bytes queued for one client, by [`ServerFrame::weight`]. Beyond this, its connection is closed because it does
/// not read.
const MAX_QUEUED: u64 = 32 * 1024 * 1024;
/// Most bytes queued for all clients together. Beyond this, the connection with the most queued bytes is closed.
const MAX_QUEUED_BY_ALL: u64 = 96 * 1024 * 1024;
/// Most connections; a further one is closed at once. The operator of a node can set a lower limit.
const MAX_CLIENTS: usize = 65_536;
/// With this many bytes queued for a client, deliveries to it pause and its events are dropped.
const PAUSE_AT: u64 = 1024 * 1024;

/// See the [module](self).
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Clients {
    all: BTreeMap<ConnectionId, Client>,
    /// Clients that watch events. They are few, and every event is checked against them.
    watchers: BTreeSet<ConnectionId>,
    /// Bytes queued for all clients together.
    queued: u64,
}

#[derive(Default, Serialize, Deserialize)]
struct Client {
    queued: u64,
    watch: Option<Watch>,
}

#[derive(Serialize, Deserialize)]
struct Watch {
    /// Empty: all kinds.
    kinds: Vec<EventKind>,
    sample: u32,
    frequent_seen: u32,
}

impl Watch {
    fn wants(&mut self, kind: EventKind) -> bool {
        if !self.kinds.is_empty() && !self.kinds.contains(&kind) {
            return false;
        }
        if !kind.is_frequent() {
            return true;
        }
        self.frequent_seen = self.frequent_seen.wrapping_add(1);
        self.frequent_seen.is_multiple_of(self.sample.max(1))
    }
}

impl Clients {
    /// The connections that are open.
    pub fn connections(&self) -> Vec<ConnectionId> {
        self.all.keys().copied().collect()
    }

    /// Adds a client, or closes its connection if there are too many. `me`: this node.
    pub fn connect(&mut self, me: HostId, connection: ConnectionId, out: &mut Out) {
        if self.all.len() >= MAX_CLIENTS {
            let reason = format!("node {me} has reached its limit of {MAX_CLIENTS} clients; connect to another node");
            return out.effects.push(Effect::CloseClient { connection, why: Dismissal::TooManyClients, reason });
        }
        self.all.insert(connection, Client::default());
        out.counters.clients = self.all.len() as u64;
    }

    /// Removes a client, the bytes queued for it and its watch. An unknown connection changes nothing.
    pub fn disconnect(&mut self, connection: ConnectionId, out: &mut Out) {
        let queued = self.all.remove(&connection).map_or(0, |client| client.queued);
        self.queued -= queued;
        self.watchers.remove(&connection);
        out.counters.clients = self.all.len() as u64;
    }

    /// Whether this client is connected.
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.all.contains_key(&connection)
    }

    /// Queues a frame. Returns the connection that was closed because too much is queued, if one was.
    pub fn send(&mut self, connection: ConnectionId, frame: ServerFrame, out: &mut Out) -> Option<ConnectionId> {
        let client = self.all.get_mut(&connection)?;
        client.queued += frame.weight();
        self.queued += frame.weight();
        if client.queued > MAX_QUEUED {
            return Some(self.close(connection, out));
        }
        out.effects.push(Effect::SendClient { connection, frame });
        if self.queued <= MAX_QUEUED_BY_ALL {
            return None;
        }
        let fullest = self.all.iter().max_by_key(|(_, client)| client.queued).map(|(fullest, _)| *fullest);
        Some(self.close(fullest.unwrap_or(connection), out))
    }

    fn close(&self, connection: ConnectionId, out: &mut Out) -> ConnectionId {
        let queued = self.all.get(&connection).map_or(0, |client| client.queued);
        let reason = format!("{queued} bytes are waiting for this client; read faster, or request less");
        out.effects.push(Effect::CloseClient { connection, why: Dismissal::ReadsTooSlowly, reason });
        connection
    }

    /// Frames of this weight have left. Returns whether the client is no longer slow.
    pub fn drain(&mut self, connection: ConnectionId, bytes: u64) -> bool {
        let Some(client) = self.all.get_mut(&connection) else { return false };
        let was_slow = client.queued >= PAUSE_AT;
        let bytes = bytes.min(client.queued);
        client.queued -= bytes;
        self.queued -= bytes;
        was_slow && client.queued < PAUSE_AT
    }

    /// Whether deliveries to this client must pause until it has read some data.
    pub fn is_slow(&self, connection: ConnectionId) -> bool {
        self.all.get(&connection).is_none_or(|client| client.queued >= PAUSE_AT)
    }

    /// Replaces what a client watches.
    pub fn watch(&mut self, connection: ConnectionId, kinds: Vec<EventKind>, sample: u32) {
        if let Some(client) = self.all.get_mut(&connection) {
            client.watch = Some(Watch { kinds, sample, frequent_seen: 0 });
            self.watchers.insert(connection);
        }
    }

    /// Whether any client watches events.
    pub fn is_any_watching(&self) -> bool {
        !self.watchers.is_empty()
    }

    /// The clients that receive an event of this kind now.
    pub fn recipients(&mut self, kind: EventKind) -> Vec<ConnectionId> {
        let wants = |connection: &&ConnectionId| {
            let client = self.all.get_mut(*connection).filter(|client| client.queued < PAUSE_AT);
            client.and_then(|client| client.watch.as_mut()).is_some_and(|watch| watch.wants(kind))
        };
        self.watchers.iter().filter(wants).copied().collect()
    }

    /// The number of clients, the most bytes queued for one client, and the bytes queued for all, each with its limit.
    pub fn queues(&self) -> [Queue; 3] {
        let most = self.all.values().map(|client| client.queued).max().unwrap_or(0);
        [
            Queue::of("clients", self.all.len(), MAX_CLIENTS),
            Queue { name: "bytes that wait for one client", len: most, limit: MAX_QUEUED },
            Queue { name: "bytes that wait for all clients", len: self.queued, limit: MAX_QUEUED_BY_ALL },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Offset;
    use crate::time::Timestamp;
    use crate::wire::answer::{Delivery, Message};

    const ME: &str = "0";

    fn clients(count: u64) -> (Clients, Out) {
        let (mut clients, mut out) = (Clients::default(), Out::default());
        (0..count).for_each(|number| clients.connect(ME.parse().unwrap(), ConnectionId(number), &mut out));
        (clients, out)
    }

    fn frame(bytes: usize) -> ServerFrame {
        let (publisher, content) = ("p".parse().unwrap(), "x".repeat(bytes).into());
        let message = Message { offset: Offset(0), publisher, content, time: Timestamp(0) };
        ServerFrame::Message(Delivery { topic: "t".parse().unwrap(), subscriber: "s".parse().unwrap(), message })
    }

    #[test]
    fn when_too_much_is_queued_for_all_the_client_with_most_is_closed() {
        let deaf = MAX_QUEUED_BY_ALL / (20 << 20) + 1;
        let (mut clients, mut out) = clients(deaf + 1);
        assert_eq!(clients.send(ConnectionId(0), frame(1 << 20), &mut out), None);
        let closed = (1..=deaf).filter_map(|number| clients.send(ConnectionId(number), frame(20 << 20), &mut out));
        let closed: Vec<ConnectionId> = closed.collect();
        assert_eq!(closed.len(), 1);
        assert_ne!(closed, [ConnectionId(0)], "it reads");
    }

    #[test]
    fn frames_that_left_or_whose_client_is_gone_no_longer_count() {
        let (mut clients, mut out) = clients(2);
        let bytes = frame(1000).weight();
        (0..2).for_each(|number| assert_eq!(clients.send(ConnectionId(number), frame(1000), &mut out), None));
        assert_eq!(clients.queues()[2].len, 2 * bytes);
        clients.drain(ConnectionId(0), bytes);
        clients.disconnect(ConnectionId(1), &mut out);
        assert_eq!(clients.queues().map(|queue| queue.len), [1, 0, 0]);
    }

    #[test]
    fn a_watcher_receives_the_kinds_that_it_selected_as_often_as_it_asked() {
        let (mut clients, _) = clients(1);
        clients.watch(ConnectionId(0), vec![EventKind::States, EventKind::Requests], 3);
        let told = |clients: &mut Clients, kind| clients.recipients(kind).len();
        let requests = [(); 4].map(|()| told(&mut clients, EventKind::Requests));
        assert_eq!((requests, told(&mut clients, EventKind::States)), ([0, 0, 1, 0], 1));
        assert_eq!(told(&mut clients, EventKind::Links), 0);
    }
}
