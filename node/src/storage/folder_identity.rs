//! The owner of a data folder.

use std::fmt;

use cubecast_core::cube::{Dimension, Vertex};
use serde::{Deserialize, Serialize};

/// The owner of a folder. A folder belongs to one vertex of one cube of one cluster forever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FolderIdentity {
    /// The cluster's name.
    pub cluster: String,
    /// The node's vertex.
    pub vertex: Vertex,
    /// The cube's dimension.
    pub dimension: Dimension,
}

impl FolderIdentity {
    /// The owner with these names.
    pub fn new(cluster: impl Into<String>, vertex: Vertex) -> Self {
        FolderIdentity { cluster: cluster.into(), vertex, dimension: vertex.dimension() }
    }
}

impl fmt::Display for FolderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FolderIdentity { cluster, vertex, dimension } = self;
        write!(f, "node {vertex} of cluster `{cluster}` (dimension {})", dimension.bits())
    }
}
