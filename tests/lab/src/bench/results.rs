//! The results as data.

use serde::{Deserialize, Serialize};

use crate::measure::{Figures, Sample, Spread, Timeline};

/// The results of a run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// The version of Cubecast.
    pub version: String,
    /// The machine.
    pub machine: Machine,
    /// The seed of names, contents and nodes.
    pub seed: u64,
    /// The length of one repetition.
    pub seconds: f64,
    /// Repetitions of each case.
    pub repetitions: u32,
    /// The duration of the whole run in seconds.
    pub took_s: f64,
    /// Measured cases.
    pub rows: Vec<Row>,
    /// Other figures.
    pub facts: Vec<Fact>,
    /// Measurements over time.
    pub histories: Vec<History>,
}

/// The machine of the measurement.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Number of processors.
    pub processors: usize,
    /// Model of the processor.
    pub model: String,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Version of the kernel.
    pub kernel: String,
}

/// Requests of one kind.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// The group of the case.
    pub group: String,
    /// The case in words.
    pub case: String,
    /// The pace of the requests in words.
    pub pace: String,
    /// The figures of each repetition.
    pub repetitions: Vec<Figures>,
    /// Limits of the machine for similar work.
    pub bounds: Vec<Bound>,
}

/// A limit of the machine for similar work, measured in the same run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Bound {
    /// The work in words.
    pub what: String,
    /// Its rate per second.
    pub per_second: f64,
    /// The median latency in microseconds.
    pub p50_us: f64,
    /// The 99 % quantile of the latency in microseconds.
    pub p99_us: f64,
}

/// A figure that is not a rate of requests.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Fact {
    /// The group of the figure.
    pub group: String,
    /// The figure in words.
    pub what: String,
    /// Its unit.
    pub unit: String,
    /// Its value.
    pub value: Spread,
    /// The number of single values behind it.
    pub of: usize,
    /// The target, and whether it was reached.
    pub target: Option<(String, bool)>,
}

/// One run of requests at a fixed rate, over time.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// The group of the case.
    pub group: String,
    /// The case in words.
    pub case: String,
    /// The pace of the requests in words.
    pub pace: String,
    /// The figures over time.
    pub timeline: Timeline,
    /// Events during the run.
    pub marks: Vec<Mark>,
    /// Failed requests.
    pub failed: u64,
    /// The reason for the first failure.
    pub why_failed: Option<String>,
}

/// An event during a run, for example the kill of a node.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Mark {
    /// Seconds since the start of the history.
    pub at_s: f64,
    /// The event in words.
    pub what: String,
}

impl Results {
    /// The groups in the order of measurement.
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
    /// The limit that a sample shows. `each`: the number of the row's requests that one request of the sample stands
    /// for.
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
    /// The spread of a figure over the repetitions.
    pub fn over(&self, figure: impl Fn(&Figures) -> f64) -> Spread {
        Spread::over(&self.repetitions, figure)
    }

    /// Failed requests of all repetitions.
    pub fn failed(&self) -> u64 {
        self.repetitions.iter().map(|figures| figures.failed).sum()
    }
}

impl Machine {
    /// This machine. Unknown values are empty or 0.
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
