//! The identity of the process that serves a vertex, and of the requests that enter through it.
//!
//! A place on the cube ([`Vertex`]) and the process that serves it are different things. A process whose disk was lost
//! no longer has its votes or what it acknowledged, so it returns to the same vertex as a new *incarnation*.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cube::Vertex;

/// The number of a data folder at a vertex. The members of a new cluster have [`Incarnation::FOUNDING`]. A folder that
/// replaces a lost one gets a number that was never used before (see [`crate::node`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The incarnation of the members of a new cluster.
    pub const FOUNDING: Incarnation = Incarnation(1);
}

/// A vertex and the incarnation that serves it: the identity under which a node votes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId {
    pub vertex: Vertex,
    pub incarnation: Incarnation,
}

impl NodeId {
    /// The founding member at this vertex.
    pub fn founding(vertex: Vertex) -> NodeId {
        NodeId { vertex, incarnation: Incarnation::FOUNDING }
    }

    /// The member's id in Raft: the incarnation in the high half, the vertex code in the low half. Never 0.
    pub fn to_raft(self) -> u64 {
        (u64::from(self.incarnation.0) << 32) | u64::from(self.vertex.to_code())
    }

    /// The inverse of [`NodeId::to_raft`]; `None` for a number whose low half is not a vertex code.
    pub fn from_raft(id: u64) -> Option<NodeId> {
        let vertex = Vertex::from_code(id as u32).ok()?;
        Some(NodeId { vertex, incarnation: Incarnation((id >> 32) as u32) })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.vertex, self.incarnation.0)
    }
}

/// Identifies a command, so that a repeat of it by the node that received the request has no second effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RequestKey {
    /// The node that received the request from a client.
    pub coordinator: NodeId,
    /// Grows with each request of one incarnation, over restarts too.
    pub number: u64,
}

/// Identifies one request on all nodes that it crosses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceId(pub u64);
