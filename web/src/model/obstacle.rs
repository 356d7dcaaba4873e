//! Why a group cannot be written now.

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;

use super::cluster::Cluster;
use super::cluster::groups::{NoQuorum, Service};

/// A group without a quorum, at the time when somebody wanted to write to it.
#[derive(Clone, PartialEq, Debug)]
pub struct Obstacle {
    /// The topic, publisher or subscriber that belongs to the group.
    pub subject: String,
    pub no_quorum: NoQuorum,
    /// Nodes of the group that return by themselves, and after how many milliseconds.
    pub returning: Vec<(HostId, u64)>,
}

impl Obstacle {
    /// `None` if `subject`, which belongs to that group, can be written, or if that is unknown.
    pub fn of(cluster: &Cluster, now_ms: u64, subject: &str, group: Vertex) -> Option<Obstacle> {
        let Service::NoQuorum(no_quorum) = cluster.service(group) else { return None };
        let returning = no_quorum.down.iter().filter_map(|node| {
            let at_ms = cluster.nodes.get(node)?.returns_at_ms.filter(|at_ms| *at_ms > now_ms)?;
            Some((*node, at_ms - now_ms))
        });
        Some(Obstacle { subject: subject.to_owned(), returning: returning.collect(), no_quorum: no_quorum.clone() })
    }
}
