//! The result of one run, and the totals of many.

use std::collections::BTreeMap;

use cubecast_core::cube::Dimension;
use serde::{Deserialize, Serialize};

use crate::check::Findings;
use crate::fault::FaultClass;
use crate::network::FrameCounts;

/// The result of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    pub seed: u64,
    /// The dimension that the seed chose.
    pub dimension: Dimension,
    /// Counts of this run.
    pub totals: Totals,
    /// The findings of all checkers.
    pub findings: Findings,
    /// A hash over all events: equal for equal runs.
    pub trace: u64,
    /// Readable descriptions of the faults, in the order in which they took effect.
    pub story: Vec<String>,
}

impl Report {
    /// Whether no checker found a violation.
    pub fn is_clean(&self) -> bool {
        self.findings.violations.is_empty()
    }
}

/// Counts of one run or the sum over many.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    pub runs: u64,
    /// Virtual time in microseconds.
    pub virtual_us: u64,
    /// Faults that took effect, by class.
    pub faults: BTreeMap<FaultClass, u64>,
    /// Client operations.
    pub operations: u64,
    /// Acknowledged publishes.
    pub acknowledged: u64,
    /// Refused operations.
    pub refused: u64,
    /// Operations whose outcome the client never learned.
    pub in_doubt: u64,
    /// Messages delivered to push subscribers.
    pub delivered: u64,
    /// Frames between nodes.
    pub frames: FrameCounts,
    /// Longest virtual time from the healing to the complete recovery, in microseconds.
    pub slowest_recovery_us: u64,
    /// Number of checked facts, by checker.
    pub checked: BTreeMap<String, u64>,
}

impl Totals {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Totals) {
        self.runs += other.runs;
        self.virtual_us += other.virtual_us;
        add_counts(&mut self.faults, &other.faults);
        self.operations += other.operations;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.in_doubt += other.in_doubt;
        self.delivered += other.delivered;
        self.frames.add(other.frames);
        self.slowest_recovery_us = self.slowest_recovery_us.max(other.slowest_recovery_us);
        add_counts(&mut self.checked, &other.checked);
    }
}

fn add_counts<K: Ord + Clone>(sum: &mut BTreeMap<K, u64>, more: &BTreeMap<K, u64>) {
    for (key, count) in more {
        *sum.entry(key.clone()).or_default() += count;
    }
}
