//! Random places of faults, and their descriptions. The simulator draws from a seed, and so does chaos with real
//! processes.

use std::collections::BTreeSet;

use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use fastrand::Rng;

/// One direction of an edge.
pub type Edge = (HostId, HostId);

/// One of the choices.
pub fn pick<T: Copy>(choices: &[T], random: &mut Rng) -> T {
    choices[random.u32(..choices.len() as u32) as usize]
}

/// Any node of the cluster.
pub fn any_node(seating: &Seating, random: &mut Rng) -> HostId {
    let mut nodes = seating.hosts();
    nodes.nth(random.u32(..nodes.len() as u32) as usize).expect("the index is below the number of nodes")
}

/// Up to four edges, each in one direction or, half of the time, in both.
pub fn some_edges(seating: &Seating, random: &mut Rng) -> Vec<Edge> {
    let mut edges = BTreeSet::new();
    for _ in 0..random.u8(1..=4) {
        let from = any_node(seating, random);
        let to = seating.across(from, random.u8(..seating.links()));
        edges.insert((from, to));
        if random.bool() {
            edges.insert((to, from));
        }
    }
    edges.into_iter().collect()
}

/// The nodes as text: `000, 001`.
pub fn list(nodes: &[HostId]) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The edges as text: `000->001, 001->000`.
pub fn edge_list(edges: &[Edge]) -> String {
    edges.iter().map(|(from, to)| format!("{from}->{to}")).collect::<Vec<_>>().join(", ")
}
