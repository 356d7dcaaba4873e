//! What the cube promises on paper, to stand beside what was counted.

/// Mean edges between two vertices drawn at random, which may be the same: each of d bits differs in half of the cases.
pub fn mean_hops(dimension: u8) -> f64 {
    f64::from(dimension) / 2.0
}

/// The most edges from the first notice of a death to the last: one for the break to be noticed, then from the neighbours to everywhere.
///
/// A vertex at distance h of the dead one is at most h + 1 from its neighbours, and its antipode d - 1: d is the most.
pub fn news_edges(dimension: u8) -> f64 {
    f64::from(dimension) + 1.0
}

/// Frames that each node sends on average for one death: the d neighbours each tell it, and each node passes each word on to all but the one
/// from whom it came.
pub fn flood_of_a_death(dimension: u8) -> f64 {
    f64::from(dimension) * (f64::from(dimension) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::Dimension;

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
