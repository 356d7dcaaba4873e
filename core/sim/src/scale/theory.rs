//! Theoretical values of a cube, to compare with the measured ones.

/// Mean edges between two random vertices, which may be equal: each of d bits differs in half of the cases.
pub fn mean_hops(dimension: u8) -> f64 {
    f64::from(dimension) / 2.0
}

/// The most edges from a death to its last notice: one until a neighbour detects the break, then those from the
/// neighbours to every vertex.
///
/// A vertex at distance h from the dead one is at most h + 1 from its neighbours, and its antipode is d - 1 from them.
/// The maximum is therefore d.
pub fn news_edges(dimension: u8) -> f64 {
    f64::from(dimension) + 1.0
}

/// Mean frames that each node sends for one death. Each of the d neighbours announces it, and every node forwards each
/// announcement to all neighbours except the one from which it came.
pub fn flood_of_a_death(dimension: u8) -> f64 {
    f64::from(dimension) * (f64::from(dimension) - 1.0)
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;

    use super::*;

    #[test]
    fn half_the_bits_differ_on_average() {
        for bits in 1..=6 {
            let cube = Dimension::new(bits).unwrap();
            let pairs = cube.vertices().flat_map(|from| cube.vertices().map(move |to| from.distance(to)));
            let sum: u32 = pairs.sum();
            assert_eq!(f64::from(sum) / (cube.size() * cube.size()) as f64, mean_hops(bits));
        }
    }
}
