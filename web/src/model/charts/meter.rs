//! Counts and latencies of one second.

use super::Sum;

/// Latency classes per doubling. Neighbouring classes differ by 9 %, which is the precision of the percentiles.
const PER_DOUBLING: f64 = 8.0;

/// Collects the results of one second.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Meter {
    done: u32,
    failed: u32,
    /// Number of measurements per latency class; a class is 8 · log2 of microseconds.
    classes: std::collections::BTreeMap<u16, u32>,
    measured: u32,
}

/// Latency percentiles, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Percentiles {
    pub p50: u32,
    pub p95: u32,
    pub p99: u32,
}

impl Meter {
    /// Counts successes.
    pub fn add_done(&mut self, count: u32) {
        self.done = self.done.saturating_add(count);
    }

    /// Counts failures.
    pub fn add_failed(&mut self, count: u32) {
        self.failed = self.failed.saturating_add(count);
    }

    /// Records a latency, in microseconds.
    pub fn add_latency(&mut self, took_us: u64) {
        *self.classes.entry(class(took_us)).or_default() += 1;
        self.measured += 1;
    }

    /// The counts, and the percentiles if there is a measurement.
    pub fn sum(&self) -> Sum {
        let latency = (self.measured > 0).then(|| Percentiles {
            p50: self.percentile(0.50),
            p95: self.percentile(0.95),
            p99: self.percentile(0.99),
        });
        Sum { done: self.done, failed: self.failed, latency }
    }

    /// The latency that this share of the measurements does not exceed, to within one class.
    fn percentile(&self, share: f64) -> u32 {
        let wanted = (f64::from(self.measured) * share).ceil().max(1.0) as u32;
        let mut seen = 0;
        for (class, count) in &self.classes {
            seen += count;
            if seen >= wanted {
                return upper_end(*class);
            }
        }
        0
    }
}

fn class(took_us: u64) -> u16 {
    ((took_us.max(1) as f64).log2() * PER_DOUBLING).round() as u16
}

fn upper_end(class: u16) -> u32 {
    (f64::from(class) / PER_DOUBLING).exp2().round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_within_a_class() {
        let mut meter = Meter::default();
        for took_us in 1..=1_000 {
            meter.add_latency(took_us);
        }
        let latency = meter.sum().latency.unwrap();
        for (found, right) in [(latency.p50, 500.0), (latency.p95, 950.0), (latency.p99, 990.0)] {
            assert!((f64::from(found) / right - 1.0).abs() < 0.05, "{found} for {right}");
        }
    }

    #[test]
    fn one_slow_publish_among_a_hundred_is_the_99th_percentile_only_when_it_is_more_than_one_in_a_hundred() {
        let mut meter = Meter::default();
        (0..98).for_each(|_| meter.add_latency(1_000));
        (0..2).for_each(|_| meter.add_latency(1_000_000));
        let latency = meter.sum().latency.unwrap();
        assert!(latency.p95 < 1_100 && latency.p99 > 900_000, "{latency:?}");
    }

    #[test]
    fn a_second_without_a_measurement_has_no_latency() {
        let mut meter = Meter::default();
        meter.add_done(3);
        assert_eq!(meter.sum(), Sum { done: 3, failed: 0, latency: None });
    }
}
