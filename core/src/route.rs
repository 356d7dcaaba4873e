//! Routes over the cube.

use serde::{Deserialize, Serialize};

use crate::cube::Vertex;

/// Where a packet has been.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trail {
    /// The vertices from the origin to the one before the packet's present place, without dead ends.
    pub path: Vec<Vertex>,
    /// Dead ends: vertices that were tried and left again.
    pub dead_ends: Vec<Vertex>,
}
