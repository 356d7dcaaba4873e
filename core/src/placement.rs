//! The placement of names: a topic, publisher or subscriber has its home at the vertex that its hash selects, and
//! replicas on that vertex's neighbours.
//!
//! home = SHA-256(name in UTF-8), read as a big-endian integer, modulo 2^d: the last d bits of the digest. The rule
//! comes from the source report; a test pins its eight published placements.

use sha2::{Digest, Sha256};

use crate::cube::{Dimension, Vertex};

/// The home of `name`.
pub fn home(name: &str, dimension: Dimension) -> Vertex {
    let digest = Sha256::digest(name.as_bytes());
    let last_bits = u32::from_be_bytes([digest[28], digest[29], digest[30], digest[31]]);
    let index = last_bits & (dimension.size() as u32 - 1);
    dimension.vertex(index).expect("a number modulo 2^d names a vertex")
}

/// The members of the home's replica group: the home, then its d neighbours.
pub fn members(home: Vertex) -> impl Iterator<Item = Vertex> {
    std::iter::once(home).chain(home.neighbours())
}

/// Whether `vertex` stores a replica of names whose home is `home`.
pub fn holds(vertex: Vertex, home: Vertex) -> bool {
    vertex.distance(home) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eight_placements_of_the_report_are_reproduced() {
        let cube = Dimension::new(3).unwrap();
        for (topic, expected_home, expected_replicas) in [
            ("news", "100", ["101", "110", "000"]),
            ("cricket", "111", ["110", "101", "011"]),
            ("topic2", "110", ["111", "100", "010"]),
            ("topic4", "101", ["100", "111", "001"]),
            ("topic6", "110", ["111", "100", "010"]),
            ("topic8", "111", ["110", "101", "011"]),
            ("topic16", "010", ["011", "000", "110"]),
            ("topic19", "010", ["011", "000", "110"]),
        ] {
            let home = home(topic, cube);
            let replicas: Vec<_> = home.neighbours().map(|vertex| vertex.to_string()).collect();
            assert_eq!(
                (home.to_string().as_str(), replicas),
                (expected_home, expected_replicas.map(String::from).to_vec())
            );
        }
    }

    #[test]
    fn a_group_is_the_home_and_those_that_hold_its_replicas() {
        let cube = Dimension::new(4).unwrap();
        for home in cube.vertices() {
            let group: Vec<_> = members(home).collect();
            assert_eq!(group.len(), 5);
            assert!(cube.vertices().all(|vertex| holds(vertex, home) == group.contains(&vertex)));
        }
    }
}
