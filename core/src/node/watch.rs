//! Clients' connections as core sees them: what waits to leave for each, and which events it watches.

use super::Node;
use crate::io::{ConnectionId, Effect};
use crate::wire::answer::ServerFrame;
use crate::wire::event::{Event, EventKind, TraceId, WatchEvent};

/// A client that lets so much pile up (in [`ServerFrame::weight`]) does not read: its connection is closed.
const MAX_QUEUED: u64 = 32 * 1024 * 1024;
/// Deliveries to a client pause while so much waits to leave for it, and events for it are left out.
pub(super) const PAUSE_AT: u64 = 1024 * 1024;

#[derive(Default)]
pub(super) struct Client {
    queued: u64,
    watch: Option<Watch>,
}

struct Watch {
    /// Empty: all.
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
        self.clients.insert(connection, Client::default());
        self.counters.clients = self.clients.len() as u64;
    }

    pub(super) fn handle_client_disconnected(&mut self, connection: ConnectionId) {
        self.clients.remove(&connection);
        self.watchers.remove(&connection);
        self.counters.clients = self.clients.len() as u64;
        self.end_sessions_of(connection);
        self.forget_requests_of(connection);
    }

    pub(super) fn handle_drained(&mut self, connection: ConnectionId, bytes: u64) {
        if let Some(client) = self.clients.get_mut(&connection) {
            let was_slow = client.queued >= PAUSE_AT;
            client.queued = client.queued.saturating_sub(bytes);
            if was_slow && client.queued < PAUSE_AT {
                self.push.stir_sessions_of(connection);
            }
        }
        self.begin_pulls(connection);
    }

    pub(super) fn send_client(&mut self, connection: ConnectionId, frame: ServerFrame) {
        let Some(client) = self.clients.get_mut(&connection) else { return };
        client.queued += frame.weight();
        if client.queued > MAX_QUEUED {
            let reason = format!("{} bytes wait to be read; read faster, or ask for less", client.queued);
            self.effects.push(Effect::CloseClient { connection, reason });
            self.handle_client_disconnected(connection);
            return;
        }
        self.effects.push(Effect::SendClient { connection, frame });
    }

    /// Whether deliveries to this client must wait until it has read some.
    pub(super) fn is_slow(&self, connection: ConnectionId) -> bool {
        self.clients.get(&connection).is_none_or(|client| client.queued >= PAUSE_AT)
    }

    pub(super) fn watch(&mut self, connection: ConnectionId, kinds: Vec<EventKind>, sample: u32) {
        if let Some(client) = self.clients.get_mut(&connection) {
            client.watch = Some(Watch { kinds, sample, frequent_seen: 0 });
            self.watchers.insert(connection);
        }
    }

    /// Whether anybody would see a frequent event: they cost something to make.
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
