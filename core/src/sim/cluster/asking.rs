//! Clients' connections, as simple as can be: what goes in, what came out.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::Cluster;
use crate::cube::Vertex;
use crate::io::{ConnectionId, Input};
use crate::wire::answer::{Answer, Done, Failure, ServerFrame};
use crate::wire::client::{Action, Request, RequestId};

impl Cluster {
    pub fn connect_client(&mut self, node: Vertex) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.connections.insert(connection, node);
        self.frames.insert(connection, VecDeque::new());
        self.give(node, Input::ClientConnected { connection });
        connection
    }

    /// The client goes, or its connection breaks; what it has not taken yet is lost.
    pub fn disconnect_client(&mut self, connection: ConnectionId) {
        self.frames.remove(&connection);
        self.touched.remove(&connection);
        if let Some(node) = self.connections.remove(&connection) {
            self.give(node, Input::ClientDisconnected { connection });
        }
    }

    /// What comes for this client is dropped from now on; its connection stays.
    pub fn forget_client(&mut self, connection: ConnectionId) {
        self.frames.remove(&connection);
    }

    /// The connections of all clients of a node break.
    pub fn break_clients(&mut self, node: Vertex) {
        for connection in self.drop_clients(node) {
            self.give(node, Input::ClientDisconnected { connection });
        }
    }

    /// Whether neither side has closed it.
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Sends a request; the answer bears the number that is returned.
    pub fn send(&mut self, connection: ConnectionId, action: Action) -> u64 {
        self.next_request += 1;
        let id = self.next_request;
        self.request(connection, Request { id: Some(RequestId::Unsigned(id)), trace: true, action });
        id
    }

    /// Sends a request of a client that numbers its own. On a connection that was closed it is lost.
    pub fn request(&mut self, connection: ConnectionId, request: Request) {
        if let Some(node) = self.connections.get(&connection).copied() {
            self.give(node, Input::ClientRequest { connection, request });
        }
    }

    /// Sends a request on a new connection and runs until it is answered. `None`: not within `patience`.
    pub fn ask(&mut self, node: Vertex, action: Action, patience: Duration) -> Option<Answer> {
        let connection = self.connect_client(node);
        let id = self.send(connection, action);
        let until = self.now + patience;
        loop {
            if let Some(answer) = self.take_answer(connection, id) {
                return Some(answer);
            }
            if !self.step(until) {
                return None;
            }
        }
    }

    /// As [`Cluster::ask`], for tests that need the result: an answer must come.
    pub fn must(&mut self, node: Vertex, action: Action) -> Result<Done, Failure> {
        self.ask(node, action, Duration::from_secs(10)).expect("every request is answered").result
    }

    pub fn take_answer(&mut self, connection: ConnectionId, id: u64) -> Option<Answer> {
        let frames = self.frames.get_mut(&connection)?;
        let at = frames.iter().position(
            |frame| matches!(frame, ServerFrame::Answer(answer) if answer.id == Some(RequestId::Unsigned(id))),
        )?;
        match frames.remove(at) {
            Some(ServerFrame::Answer(answer)) => Some(answer),
            _ => None,
        }
    }

    /// What a client has received and nobody took yet.
    pub fn frames(&mut self, connection: ConnectionId) -> Vec<ServerFrame> {
        self.frames.get_mut(&connection).map(std::mem::take).unwrap_or_default().into()
    }

    /// Connections that received something, or were closed, since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<ConnectionId> {
        std::mem::take(&mut self.touched)
    }

    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    pub(super) fn drop_clients(&mut self, node: Vertex) -> Vec<ConnectionId> {
        let gone: Vec<ConnectionId> =
            self.connections.iter().filter(|(_, at)| **at == node).map(|(connection, _)| *connection).collect();
        for connection in &gone {
            self.connections.remove(connection);
            self.touched.insert(*connection);
        }
        gone
    }
}
