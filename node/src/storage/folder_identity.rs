//! The owner of a data folder.

use std::fmt;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use serde::{Deserialize, Serialize};

/// The owner of a folder. A folder belongs to one node of one cluster forever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FolderIdentity {
    /// The cluster's name.
    pub cluster: String,
    /// The node. The field has the name that it had in earlier formats, so that their folders are recognised.
    #[serde(rename = "vertex")]
    pub node: HostId,
    /// The cube's dimension.
    pub dimension: Dimension,
}

impl FolderIdentity {
    /// The owner with these names.
    pub fn new(cluster: impl Into<String>, node: HostId, dimension: Dimension) -> Self {
        FolderIdentity { cluster: cluster.into(), node, dimension }
    }
}

impl fmt::Display for FolderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FolderIdentity { cluster, node, dimension } = self;
        write!(f, "node {node} of cluster `{cluster}` (dimension {})", dimension.bits())
    }
}
