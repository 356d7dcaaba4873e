//! What clients do: a random stream of every action, with every ack and read level, decided here and carried out by a driver.
//!
//! Each client is a sequence: it asks, waits for the answer or for its loss, and goes on. The same seed and the same answers give
//! the same stream. Contents are never used twice, so that a message found anywhere tells which publish it came from.
//!
//! Lasting topics are created first and never deleted; each has an `auditor` subscribed to it, through whom the holdings are read
//! in the end. Passing topics come and go.

use serde::{Deserialize, Serialize};

use super::history::{ClientId, Operation, SessionEnd};
use crate::cube::{Dimension, Vertex};
use crate::names::{SubscriberId, TopicName};
use crate::wire::client::Action;

/// How much is done.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    pub clients: u32,
    pub lasting_topics: u32,
    pub passing_topics: u32,
    /// The longest pause between an answer and the client's next request, milliseconds.
    pub pause_ms: u32,
    /// The largest content, bytes. Most are far smaller.
    pub content_bytes: u32,
}

impl Default for Load {
    fn default() -> Load {
        Load { clients: 5, lasting_topics: 2, passing_topics: 2, pause_ms: 200, content_bytes: 2_000 }
    }
}

/// The clients' minds.
#[derive(Clone, Debug)]
pub struct Workload {
    dimension: Dimension,
    load: Load,
}

/// What a client does next.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// After this pause, microseconds.
    pub pause_us: u64,
    pub node: Vertex,
    /// On a new connection; otherwise on the one of its last step, if that goes to the same node and still stands.
    pub new_connection: bool,
    pub action: Action,
}

impl Workload {
    pub fn new(dimension: Dimension, load: Load, seed: u64) -> Workload {
        let _ = seed;
        Workload { dimension, load }
    }

    pub fn clients(&self) -> impl Iterator<Item = ClientId> + use<> {
        (0..self.load.clients).map(ClientId)
    }

    /// What must exist before the clients begin: done one after the other, each until it is done.
    pub fn preparation(&self) -> Vec<Action> {
        let _ = self.dimension;
        Vec::new()
    }

    /// The next step of a client that has nothing under way.
    pub fn next(&mut self, client: ClientId) -> Step {
        todo!("{client:?}")
    }

    /// How the client's last step came out; `answered: None` when the connection broke.
    pub fn handle_outcome(&mut self, operation: &Operation) {
        let _ = operation;
    }

    /// A push subscription of the client ended.
    pub fn handle_session_end(&mut self, client: ClientId, topic: &TopicName, end: SessionEnd) {
        let _ = (client, topic, end);
    }

    pub fn lasting_topics(&self) -> Vec<TopicName> {
        Vec::new()
    }

    pub fn passing_topics(&self) -> Vec<TopicName> {
        Vec::new()
    }

    /// Subscribed to every lasting topic.
    pub fn auditor() -> SubscriberId {
        SubscriberId::new("auditor").expect("a valid name")
    }
}
