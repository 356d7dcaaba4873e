//! The figures of a sample.

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use super::usage::Usage;

/// The figures of one repetition.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Completed requests per second.
    pub per_second: f64,
    /// Payload bytes per second.
    pub bytes_per_second: f64,
    /// Latencies in microseconds: the mean, the quantiles and the maximum.
    pub mean_us: f64,
    /// The median.
    pub p50_us: f64,
    /// The 90 % quantile.
    pub p90_us: f64,
    /// The 99 % quantile.
    pub p99_us: f64,
    /// The 99.9 % quantile.
    pub p999_us: f64,
    /// The maximum.
    pub max_us: f64,
    /// Completed requests.
    pub done: u64,
    /// Failed requests.
    pub failed: u64,
    /// The reason for the first failure.
    pub why_failed: Option<String>,
    /// CPU seconds of the servers for a million requests.
    pub cpu_s_per_million: f64,
    /// CPU seconds of the clients for a million requests.
    pub load_cpu_s_per_million: f64,
    /// Resident memory of the largest server in bytes.
    pub rss: u64,
}

impl Figures {
    /// The figures of a sample. `servers` and `load`: CPU seconds of the servers and of the clients in the same time.
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
