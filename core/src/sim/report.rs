//! What came of a run, and of many.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fault::FaultClass;
use super::network::FrameCounts;
use crate::check::Findings;
use crate::cube::Dimension;

/// What came of one run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub scenario: String,
    pub seed: u64,
    pub dimension: Dimension,
    pub totals: Totals,
    pub findings: Findings,
    /// The hash over all that happened.
    pub trace: u64,
    /// The faults in the order in which they took effect, for people.
    pub story: Vec<String>,
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.findings.violations.is_empty()
    }
}

/// What one run did, or many together.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    pub runs: u64,
    pub virtual_us: u64,
    /// Faults that took effect.
    pub faults: BTreeMap<FaultClass, u64>,
    pub operations: u64,
    /// Publishes that were acknowledged.
    pub acknowledged: u64,
    /// Operations refused, and those of which the client never learnt whether they were done.
    pub refused: u64,
    pub in_doubt: u64,
    pub delivered: u64,
    pub frames: FrameCounts,
    /// Virtual time from the healing to the last of what had to come back, microseconds: the longest.
    pub slowest_recovery_us: u64,
    /// Facts looked at, by checker.
    pub checked: BTreeMap<String, u64>,
}

impl Totals {
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
