//! The configuration of a node at its start.

use serde::{Deserialize, Serialize};

use crate::bugs::Bug;
use crate::group::LogLimits;
use crate::identity::HostId;
use crate::seating::Seating;
use crate::wire::binary::Limits;

/// The configuration of one node. The caller validates it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeConfig {
    /// This host.
    pub host: HostId,
    /// The hosts of the cluster.
    pub seating: Seating,
    /// `host:port` of every host, in the order of the seating. Reported to clients; not used by core.
    pub addresses: Vec<String>,
    /// Whether `stop_node`, `recover_node` and `set_link` are permitted.
    pub allow_faults: bool,
    /// Seeds election timeouts, loss and jitter.
    pub seed: u64,
    /// The sync mode, as `status` shows it.
    pub sync: String,
    /// The version, as `status` shows it.
    pub version: String,
    /// Limits on requests, set by the operator.
    pub limits: Limits,
    /// When the groups truncate their logs.
    pub log: LogLimits,
    /// Whether frequent events also go to [`crate::io::Effect::Observe`]. Watching clients receive them in any case.
    ///
    /// It is not part of a saved state: a restored node is replayed to be watched.
    #[serde(skip, default = "always")]
    pub observe_all: bool,
    /// A deliberate bug that a test expects to be detected. Has no effect in builds without bugs.
    pub bug: Option<Bug>,
}

fn always() -> bool {
    true
}
