//! A minimal client interface: connections, requests and received frames.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::io::{ConnectionId, Input};
use cubecast_core::wire::answer::{Answer, Done, Failure, ServerFrame};
use cubecast_core::wire::client::{Action, Request, RequestId};

use super::Cluster;

impl Cluster {
    /// Connects a client to a node.
    pub fn connect_client(&mut self, node: HostId) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.connections.insert(connection, node);
        self.frames.insert(connection, VecDeque::new());
        self.give(node, Input::ClientConnected { connection });
        connection
    }

    /// Closes a client's connection, as if the client left or the connection broke. Frames that were not taken are
    /// lost.
    pub fn disconnect_client(&mut self, connection: ConnectionId) {
        self.frames.remove(&connection);
        self.touched.remove(&connection);
        if let Some(node) = self.connections.remove(&connection) {
            self.give(node, Input::ClientDisconnected { connection });
        }
    }

    /// Drops all further frames for this client. Its connection stays open.
    pub fn forget_client(&mut self, connection: ConnectionId) {
        self.frames.remove(&connection);
    }

    /// Breaks the connections of all clients of a node.
    pub fn break_clients(&mut self, node: HostId) {
        for connection in self.drop_clients(node) {
            self.give(node, Input::ClientDisconnected { connection });
        }
    }

    /// Whether neither side has closed the connection.
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Sends a request. The answer has the returned number as its id.
    pub fn send(&mut self, connection: ConnectionId, action: Action) -> u64 {
        self.next_request += 1;
        let id = self.next_request;
        self.request(connection, Request { id: Some(RequestId::Unsigned(id)), trace: true, action });
        id
    }

    /// Sends a request whose id the caller chose. On a closed connection it is lost.
    pub fn request(&mut self, connection: ConnectionId, request: Request) {
        if let Some(node) = self.connections.get(&connection).copied() {
            self.give(node, Input::ClientRequest { connection, request });
        }
    }

    /// Sends a request on a new connection and runs until the answer arrives. `None`: no answer within `patience`.
    pub fn ask(&mut self, node: HostId, action: Action, patience: Duration) -> Option<Answer> {
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

    /// As [`Cluster::ask`] with 10 s of patience. Panics without an answer.
    pub fn must(&mut self, node: HostId, action: Action) -> Result<Done, Failure> {
        self.ask(node, action, Duration::from_secs(10)).expect("every request is answered").result
    }

    /// Takes the answer with this id, if it has arrived.
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

    /// Takes all frames that a client has received.
    pub fn frames(&mut self, connection: ConnectionId) -> Vec<ServerFrame> {
        self.frames.get_mut(&connection).map(std::mem::take).unwrap_or_default().into()
    }

    /// Connections that received frames or were closed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<ConnectionId> {
        std::mem::take(&mut self.touched)
    }

    /// Whether [`Cluster::take_touched`] would return any.
    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    pub(super) fn drop_clients(&mut self, node: HostId) -> Vec<ConnectionId> {
        let gone: Vec<ConnectionId> =
            self.connections.iter().filter(|(_, at)| **at == node).map(|(connection, _)| *connection).collect();
        for connection in &gone {
            self.connections.remove(connection);
            self.touched.insert(*connection);
        }
        gone
    }
}
