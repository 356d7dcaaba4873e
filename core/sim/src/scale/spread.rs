//! Statistics of many figures.

use serde::{Deserialize, Serialize};

/// The distribution of figures. All values are 0 if there were none.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Spread {
    /// The smallest figure.
    pub least: f64,
    /// The median, by nearest rank.
    pub median: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The 99th percentile, by nearest rank.
    pub p99: f64,
    /// The largest figure.
    pub most: f64,
}

impl Spread {
    /// Computes the statistics.
    pub fn of(mut figures: Vec<f64>) -> Spread {
        if figures.is_empty() {
            return Spread::default();
        }
        figures.sort_by(f64::total_cmp);
        // The nearest rank: the first figure that is not below the requested share.
        let rank = |share: f64| figures[((figures.len() as f64 * share).ceil() as usize).max(1) - 1];
        Spread {
            least: figures[0],
            median: rank(0.5),
            mean: figures.iter().sum::<f64>() / figures.len() as f64,
            p99: rank(0.99),
            most: figures[figures.len() - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_names_figures_that_were_there_and_their_mean() {
        let spread = Spread::of((1..=200).rev().map(f64::from).collect());
        assert_eq!(spread, Spread { least: 1.0, median: 100.0, mean: 100.5, p99: 198.0, most: 200.0 });
        assert_eq!(Spread::of(vec![7.0]).p99, 7.0);
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
