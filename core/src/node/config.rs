//! What a node is told at its start.

use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::group::LogLimits;
use crate::wire::binary::Limits;

/// The configuration of one node, checked by whoever made it.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    pub vertex: Vertex,
    /// `host:port` of every node, by the vertex's index: told to clients, never used by core.
    pub addresses: Vec<String>,
    /// Whether `stop_node` and `set_link` are obeyed.
    pub allow_faults: bool,
    /// Seeds election timeouts, loss and jitter.
    pub seed: u64,
    /// The sync mode and the version, as `status` shows them.
    pub sync: String,
    pub version: String,
    pub limits: Limits,
    /// When the groups' logs are cut.
    pub log: LogLimits,
    /// Whether frequent events are told to [`crate::io::Effect::Observe`] too (watching clients always get theirs).
    pub observe_all: bool,
    /// A mistake that a test wants to see noticed; nothing without the feature `bugs`.
    pub bug: Option<Bug>,
}
