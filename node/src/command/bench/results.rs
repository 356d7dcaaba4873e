//! What was measured, as data.

use serde::{Deserialize, Serialize};

use crate::bench::{Figures, Sample, Spread, Timeline};

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub version: String,
    pub machine: Machine,
    pub seed: u64,
    /// Of one repetition.
    pub seconds: f64,
    pub repetitions: u32,
    /// How long all of it took, seconds.
    pub took_s: f64,
    pub rows: Vec<Row>,
    pub facts: Vec<Fact>,
    pub histories: Vec<History>,
}

/// Where it was measured.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    pub processors: usize,
    pub model: String,
    pub memory_bytes: u64,
    pub kernel: String,
}

/// Requests of one kind.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    pub group: String,
    pub case: String,
    /// How the requests followed each other.
    pub pace: String,
    pub repetitions: Vec<Figures>,
    pub bounds: Vec<Bound>,
}

/// What the machine can do of the same kind, measured in the same run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Bound {
    pub what: String,
    pub per_second: f64,
    /// Latencies, microseconds.
    pub p50_us: f64,
    pub p99_us: f64,
}

/// A figure that is no rate of requests.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Fact {
    pub group: String,
    pub what: String,
    pub unit: String,
    pub value: Spread,
    /// How many single values it is made of.
    pub of: usize,
    /// What is aimed at, and whether it was reached.
    pub target: Option<(String, bool)>,
}

/// Requests at a fixed rate, as one run of them went over time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct History {
    pub group: String,
    pub case: String,
    pub pace: String,
    pub timeline: Timeline,
    pub marks: Vec<Mark>,
    pub failed: u64,
    pub why_failed: Option<String>,
}

/// What was done to the cluster meanwhile.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Mark {
    /// Seconds since the history's beginning.
    pub at_s: f64,
    pub what: String,
}

impl Results {
    /// The groups, in the order in which they were measured.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        let of_rows = self.rows.iter().map(|row| row.group.as_str());
        let of_histories = self.histories.iter().map(|history| history.group.as_str());
        let of_facts = self.facts.iter().map(|fact| fact.group.as_str());
        for group in of_rows.chain(of_histories).chain(of_facts) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }
}

impl Bound {
    /// `each`: how many of the row's requests one of the sample's stands for.
    pub fn of(what: impl Into<String>, sample: &Sample, each: usize) -> Bound {
        let micros = |share| sample.quantile(share).as_nanos() as f64 / 1e3;
        Bound {
            what: what.into(),
            per_second: (sample.done * each as u64) as f64 / sample.length.as_secs_f64(),
            p50_us: micros(0.5),
            p99_us: micros(0.99),
        }
    }
}

impl Row {
    pub fn over(&self, figure: impl Fn(&Figures) -> f64) -> Spread {
        Spread::over(&self.repetitions, figure)
    }

    pub fn failed(&self) -> u64 {
        self.repetitions.iter().map(|figures| figures.failed).sum()
    }
}

impl Machine {
    pub fn this() -> Machine {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let kib = after(&read("/proc/meminfo"), "MemTotal");
        Machine {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            model: after(&read("/proc/cpuinfo"), "model name"),
            memory_bytes: kib.trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}
