//! Random places of faults, and their descriptions. The simulator draws from a seed, and so does chaos with real
//! processes.

use std::collections::BTreeSet;

use cubecast_core::cube::{Dimension, Vertex};
use fastrand::Rng;

/// One direction of an edge.
pub type Edge = (Vertex, Vertex);

/// One of the choices.
pub fn pick<T: Copy>(choices: &[T], random: &mut Rng) -> T {
    choices[random.u32(..choices.len() as u32) as usize]
}

/// Any vertex of the cube.
pub fn any_vertex(dimension: Dimension, random: &mut Rng) -> Vertex {
    dimension.vertex(random.u32(..dimension.size() as u32)).expect("the number is below the cube's size")
}

/// Up to four edges, each in one direction or, half of the time, in both.
pub fn some_edges(dimension: Dimension, random: &mut Rng) -> Vec<Edge> {
    let mut edges = BTreeSet::new();
    for _ in 0..random.u8(1..=4) {
        let from = any_vertex(dimension, random);
        let to = from.across(random.u8(..dimension.bits()));
        edges.insert((from, to));
        if random.bool() {
            edges.insert((to, from));
        }
    }
    edges.into_iter().collect()
}

/// The vertices as text: `000, 001`.
pub fn list(vertices: &[Vertex]) -> String {
    vertices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The edges as text: `000->001, 001->000`.
pub fn edge_list(edges: &[Edge]) -> String {
    edges.iter().map(|(from, to)| format!("{from}->{to}")).collect::<Vec<_>>().join(", ")
}
