//! The simultaneous start of all nodes.

use std::time::Duration;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use serde::{Deserialize, Serialize};

use super::{EDGE, Stand};
use crate::cluster::Cluster;

/// Figures of the start of a whole cube.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Start {
    /// Time until every node sees all others alive, in milliseconds.
    pub seen_ms: f64,
    /// Time until every group also has a leader that all its members follow, in milliseconds.
    pub led_ms: f64,
    /// Frames per node until then, without the background of pings and heartbeats.
    pub frames: f64,
    /// Those of them with link states.
    pub link_state_frames: f64,
    /// Number of link states in these.
    pub words: f64,
}

pub(super) fn measure(stand: &mut Stand) -> Start {
    let began = stand.cluster.now();
    let mut unsettled: Vec<HostId> = stand.cluster.nodes().collect();
    stand.run_until(EDGE, "all see all", |cluster| {
        while unsettled.last().is_some_and(|node| sees_all(cluster, *node)) {
            unsettled.pop();
        }
        unsettled.is_empty()
    });
    let seen_ms = stand.ms_since(began);
    let mut unled: Vec<Vertex> = stand.dimension().vertices().collect();
    stand.run_until(Duration::from_millis(5), "all groups are led", |cluster| {
        unled.retain(|home| !is_led(cluster, *home));
        unled.is_empty()
    });
    let (traffic, nodes) = (stand.cluster.traffic(), stand.dimension().size() as f64);
    Start {
        seen_ms,
        led_ms: stand.ms_since(began),
        frames: (traffic.frames() - traffic.background()) as f64 / nodes,
        link_state_frames: traffic.link_states as f64 / nodes,
        words: traffic.words as f64 / nodes,
    }
}

fn sees_all(cluster: &Cluster, node: HostId) -> bool {
    cluster.node(node).is_some_and(|node| cluster.nodes().all(|other| node.sees(other)))
}

fn is_led(cluster: &Cluster, home: Vertex) -> bool {
    let followed = |member: HostId| cluster.group(member, home)?.leader();
    let leader = followed(cluster.seating().host_of(home));
    leader.is_some_and(|leader| {
        let group = cluster.group(leader.host, home);
        group.is_some_and(|group| group.leads_fully())
            && cluster.members(home).into_iter().all(|member| followed(member) == Some(leader))
    })
}
