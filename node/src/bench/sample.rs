//! What was measured in one while.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::slots::Slots;

/// Longer latencies count as this, nanoseconds.
const LONGEST: u64 = 120_000_000_000;
/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

#[derive(Clone, Debug)]
pub struct Sample {
    /// Nanoseconds.
    pub(super) latencies: Histogram<u64>,
    pub length: Duration,
    pub done: u64,
    /// Payload of what was done.
    pub bytes: u64,
    /// Refused, or never answered.
    pub failed: u64,
    pub why_failed: Option<String>,
    /// Where it was asked for.
    pub slots: Option<Slots>,
}

impl Sample {
    pub fn new(length: Duration) -> Sample {
        let latencies = Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("the bounds are sound");
        Sample { latencies, length, done: 0, bytes: 0, failed: 0, why_failed: None, slots: None }
    }

    pub fn note_latency(&mut self, latency: Duration) {
        self.latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(LONGEST).max(1));
    }

    pub fn note_done(&mut self, bytes: u64) {
        self.done += 1;
        self.bytes += bytes;
    }

    pub fn note_failure(&mut self, why: String) {
        self.failed += 1;
        self.why_failed.get_or_insert(why);
    }

    /// So many never came back.
    pub(super) fn abandon(mut self, count: usize) -> Sample {
        self.failed += count as u64;
        self.why_failed.get_or_insert_with(|| "no answer came".into());
        self
    }

    /// What was measured beside this, in the same while.
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

    /// How many latencies were noted.
    pub fn timed(&self) -> u64 {
        self.latencies.len()
    }

    /// The latency that this share of requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        Duration::from_nanos(self.latencies.value_at_quantile(share))
    }

    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.latencies.mean() as u64)
    }

    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.latencies.max())
    }
}
