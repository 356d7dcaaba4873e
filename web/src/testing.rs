//! Helpers for tests.

use std::fmt::Debug;
use std::str::FromStr;

use cubecast_core::cube::Dimension;
use cubecast_core::states::NodeState;

use crate::model::State;
use crate::model::cluster::{Cluster, Socket};
use crate::model::shared::Shared;

/// The node or the vertex with this name: both are named by bits.
pub fn named<T: FromStr<Err: Debug>>(name: &str) -> T {
    name.parse().unwrap()
}

/// A page that is connected to all nodes of a cluster in which each home leads its group.
pub fn led_by_homes(bits: u8) -> State {
    let dimension = Dimension::new(bits).unwrap();
    let mut cluster = Cluster::of(dimension);
    for node in cluster.all_nodes() {
        cluster.learn_socket(node, Socket::Open);
        cluster.learn_state(node, node, NodeState::Up);
    }
    for home in dimension.vertices() {
        let members = cluster.members(home);
        cluster.learn_leader(home, 1, Some(members[0]));
        cluster.learn_members(home, &members, &[], members[0]);
    }
    State { cluster: Shared::from(cluster), now_ms: 1_000, ..State::default() }
}
