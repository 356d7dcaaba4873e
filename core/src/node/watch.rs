//! Client connections: the bytes queued for each, and the events that each watches.

use super::Node;
use super::queues::Queue;
use crate::identity::TraceId;
use crate::io::{ConnectionId, Dismissal, Effect};
use crate::wire::answer::ServerFrame;
use crate::wire::event::{Event, EventKind, WatchEvent};

/// Most bytes queued for one client, by [`ServerFrame::weight`]. Beyond this, its connection is closed because it does
/// not read.
const MAX_QUEUED: u64 = 32 * 1024 * 1024;
/// Most bytes queued for all clients together. Beyond this, the connection with the most queued bytes is closed.
const MAX_QUEUED_BY_ALL: u64 = 96 * 1024 * 1024;
/// Most connections; a further one is closed at once. The operator of a node can set a lower limit.
const MAX_CLIENTS: usize = 65_536;
/// With this many bytes queued for a client, deliveries to it pause and its events are dropped.
pub(super) const PAUSE_AT: u64 = 1024 * 1024;

#[derive(Default)]
pub(super) struct Client {
    queued: u64,
    watch: Option<Watch>,
}

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

impl Node {
    pub(super) fn handle_client_connected(&mut self, connection: ConnectionId) {
        if self.clients.len() >= MAX_CLIENTS {
            let reason =
                format!("node {} has reached its limit of {MAX_CLIENTS} clients; connect to another node", self.me);
            return self.effects.push(Effect::CloseClient { connection, why: Dismissal::TooManyClients, reason });
        }
        self.clients.insert(connection, Client::default());
        self.counters.clients = self.clients.len() as u64;
    }

    pub(super) fn handle_client_disconnected(&mut self, connection: ConnectionId) {
        let waited = self.clients.remove(&connection).map_or(0, |client| client.queued);
        self.queued_by_all -= waited;
        self.watchers.remove(&connection);
        self.counters.clients = self.clients.len() as u64;
        self.end_sessions_of(connection);
        self.forget_requests_of(connection);
    }

    pub(super) fn handle_drained(&mut self, connection: ConnectionId, bytes: u64) {
        if let Some(client) = self.clients.get_mut(&connection) {
            let was_slow = client.queued >= PAUSE_AT;
            let bytes = bytes.min(client.queued);
            client.queued -= bytes;
            self.queued_by_all -= bytes;
            if was_slow && client.queued < PAUSE_AT {
                self.push.stir_sessions_of(connection);
            }
        }
        self.begin_pulls(connection);
    }

    pub(super) fn send_client(&mut self, connection: ConnectionId, frame: ServerFrame) {
        let Some(client) = self.clients.get_mut(&connection) else { return };
        client.queued += frame.weight();
        self.queued_by_all += frame.weight();
        if client.queued > MAX_QUEUED {
            return self.close_slow_client(connection);
        }
        self.effects.push(Effect::SendClient { connection, frame });
        if self.queued_by_all > MAX_QUEUED_BY_ALL {
            let fullest = self.clients.iter().max_by_key(|(_, client)| client.queued).map(|(fullest, _)| *fullest);
            self.close_slow_client(fullest.unwrap_or(connection));
        }
    }

    fn close_slow_client(&mut self, connection: ConnectionId) {
        let queued = self.clients.get(&connection).map_or(0, |client| client.queued);
        let reason = format!("{queued} bytes are waiting for this client; read faster, or request less");
        self.effects.push(Effect::CloseClient { connection, why: Dismissal::ReadsTooSlowly, reason });
        self.handle_client_disconnected(connection);
    }

    pub(super) fn clients_queues(&self) -> [Queue; 3] {
        let most = self.clients.values().map(|client| client.queued).max().unwrap_or(0);
        [
            Queue::of("clients", self.clients.len(), MAX_CLIENTS),
            Queue { name: "bytes that wait for one client", len: most, limit: MAX_QUEUED },
            Queue { name: "bytes that wait for all clients", len: self.queued_by_all, limit: MAX_QUEUED_BY_ALL },
        ]
    }

    /// Whether deliveries to this client must pause until it has read some data.
    pub(super) fn is_slow(&self, connection: ConnectionId) -> bool {
        self.clients.get(&connection).is_none_or(|client| client.queued >= PAUSE_AT)
    }

    pub(super) fn watch(&mut self, connection: ConnectionId, kinds: Vec<EventKind>, sample: u32) {
        if let Some(client) = self.clients.get_mut(&connection) {
            client.watch = Some(Watch { kinds, sample, frequent_seen: 0 });
            self.watchers.insert(connection);
        }
    }

    /// Whether a frequent event has any recipient. Creating such events has a cost.
    pub(super) fn observes_frequent(&self) -> bool {
        self.config.observe_all || !self.watchers.is_empty()
    }

    pub(super) fn observe(&mut self, event: Event, trace: Option<TraceId>) {
        let (kind, frequent) = (event.kind(), event.is_frequent());
        if frequent && !self.observes_frequent() {
            return;
        }
        let event = WatchEvent { node: self.me, time: self.now.wall, at_us: self.now.monotonic.0, trace, event };
        let wants = |connection: &&ConnectionId| {
            let client = self.clients.get_mut(*connection).filter(|client| client.queued < PAUSE_AT);
            client.and_then(|client| client.watch.as_mut()).is_some_and(|watch| watch.wants(kind))
        };
        let told: Vec<ConnectionId> = self.watchers.iter().filter(wants).copied().collect();
        for connection in told {
            self.send_client(connection, ServerFrame::Event(event.clone()));
        }
        if !frequent || self.config.observe_all {
            self.effects.push(Effect::Observe(event));
        }
    }
}
