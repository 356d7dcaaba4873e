//! A sample in figures, and several of them as one, with their spread.

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use super::usage::Usage;

/// One repetition.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    pub per_second: f64,
    /// Payload.
    pub bytes_per_second: f64,
    /// Latencies, microseconds.
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    pub done: u64,
    pub failed: u64,
    pub why_failed: Option<String>,
    /// CPU seconds that the servers took for a million of them.
    pub cpu_s_per_million: f64,
    /// CPU seconds that whoever asked took for a million.
    pub load_cpu_s_per_million: f64,
    /// Resident memory of the largest server, bytes.
    pub rss: u64,
}

/// The middle of several repetitions, and how far they lie apart.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Figures {
    /// `servers` and `load`: CPU seconds used meanwhile.
    pub fn of(sample: &Sample, servers: f64, load: f64, at_end: Usage) -> Figures {
        let micros = |share| sample.quantile(share).as_nanos() as f64 / 1e3;
        let seconds = sample.length.as_secs_f64();
        let million = sample.done.max(1) as f64 / 1e6;
        Figures {
            per_second: sample.done as f64 / seconds,
            bytes_per_second: sample.bytes as f64 / seconds,
            mean_us: sample.mean().as_nanos() as f64 / 1e3,
            p50_us: micros(0.5),
            p90_us: micros(0.9),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
            max_us: sample.longest().as_nanos() as f64 / 1e3,
            done: sample.done,
            failed: sample.failed,
            why_failed: sample.why_failed.clone(),
            cpu_s_per_million: servers / million,
            load_cpu_s_per_million: load / million,
            rss: at_end.largest_rss,
        }
    }
}

impl Spread {
    /// Of no values: all 0.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(least), Some(most)) = (values.first(), values.last()) else { return Spread::default() };
        let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Spread { median: f64::midpoint(lower, upper), least: *least, most: *most }
    }

    /// The same figure of several repetitions.
    pub fn over(repetitions: &[Figures], figure: impl Fn(&Figures) -> f64) -> Spread {
        Spread::of(repetitions.iter().map(figure))
    }

    /// Ratios of what was measured side by side: the first of one by the first of the other, and so on.
    pub fn of_ratios(ours: &[Figures], theirs: &[Figures], figure: impl Fn(&Figures) -> f64) -> Spread {
        Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| figure(ours) / figure(theirs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]), Spread { median: 2.5, least: 1.0, most: 4.0 });
        assert_eq!(Spread::of([7.0]), Spread { median: 7.0, least: 7.0, most: 7.0 });
        assert_eq!(Spread::of([]), Spread::default());
    }
}
