//! The result of one measurement.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::slots::Slots;

/// Longer latencies count as this. Nanoseconds.
const LONGEST: u64 = 120_000_000_000;
/// Significant digits of a recorded latency.
const DIGITS: u8 = 3;

/// The result of one measurement.
#[derive(Clone, Debug)]
pub struct Sample {
    /// In nanoseconds.
    pub(super) latencies: Histogram<u64>,
    /// The measured time.
    pub length: Duration,
    /// Completed requests.
    pub done: u64,
    /// Payload bytes of completed requests.
    pub bytes: u64,
    /// Requests that were refused or never answered.
    pub failed: u64,
    /// The reason for the first failure.
    pub why_failed: Option<String>,
    /// The timeline, if one was requested.
    pub slots: Option<Slots>,
}

impl Sample {
    /// An empty sample of this length.
    pub fn new(length: Duration) -> Sample {
        let latencies = Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are sound");
        Sample { latencies, length, done: 0, bytes: 0, failed: 0, why_failed: None, slots: None }
    }

    /// Records a latency.
    pub fn note_latency(&mut self, latency: Duration) {
        self.latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST).max(1));
    }

    /// Counts a completed request with this many payload bytes.
    pub fn note_done(&mut self, bytes: u64) {
        self.done += 1;
        self.bytes += bytes;
    }

    /// Counts a failed request.
    pub fn note_failure(&mut self, why: String) {
        self.failed += 1;
        self.why_failed.get_or_insert(why);
    }

    /// Counts this many requests as never answered.
    pub(super) fn abandon(mut self, count: usize) -> Sample {
        self.failed += count as u64;
        self.why_failed.get_or_insert_with(|| "no answer came".into());
        self
    }

    /// Adds a sample that was measured in parallel.
    pub fn add(&mut self, other: &Sample) {
        self.latencies.add(&other.latencies).expect("both have the same bounds");
        self.done += other.done;
        self.bytes += other.bytes;
        self.failed += other.failed;
        if let (Some(slots), Some(others)) = (&mut self.slots, &other.slots) {
            slots.add(others);
        }
        if self.why_failed.is_none() {
            self.why_failed.clone_from(&other.why_failed);
        }
    }

    /// The number of recorded latencies.
    pub fn timed(&self) -> u64 {
        self.latencies.len()
    }

    /// The latency that this share of requests (0 to 1) did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.latencies.value_at_quantile(share))
    }

    /// The mean latency.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.latencies.mean() as u64)
    }

    /// The longest latency.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.latencies.max())
    }
}
