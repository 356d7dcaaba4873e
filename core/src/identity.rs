//! Which process serves a vertex.
//!
//! A place on the cube ([`Vertex`]) and the process that serves it are different things: a process whose disk was lost
//! has forgotten its votes and what it acknowledged, so it comes back to the same vertex as a new *incarnation*.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cube::Vertex;

/// One life of a data folder at a vertex. [`Incarnation::FOUNDING`] is the member a new cluster starts with;
/// a folder that replaces a lost one gets a number that was never used before (see [`crate::node`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

impl Incarnation {
    pub const FOUNDING: Incarnation = Incarnation(1);
}

/// A vertex and the incarnation that serves it: the identity under which a node votes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId {
    pub vertex: Vertex,
    pub incarnation: Incarnation,
}

impl NodeId {
    pub fn founding(vertex: Vertex) -> NodeId {
        NodeId { vertex, incarnation: Incarnation::FOUNDING }
    }

    /// The id by which raft knows this member: incarnation in the high half, vertex code in the low half. Never 0.
    pub fn to_raft(self) -> u64 {
        (u64::from(self.incarnation.0) << 32) | u64::from(self.vertex.to_code())
    }

    /// The inverse of [`NodeId::to_raft`]; `None` for a number that no member has.
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
