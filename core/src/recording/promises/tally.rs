//! The result of one check.

use crate::time::Timestamp;

/// A promise, and the result of its check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The short name, used in reports.
    pub name: &'static str,
    /// The promise in one sentence.
    pub promise: &'static str,
    /// The number of facts that were compared.
    pub checked: u64,
    /// The number of facts that could not be compared, because a recording that is needed for it does not cover them.
    pub not_covered: u64,
    /// The number of violations.
    pub violations: u64,
    /// The first one.
    pub first: Option<Violation>,
}

/// A promise was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    pub at: Timestamp,
    /// A description for people.
    pub what: String,
}

/// The counts of a check under way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    checked: u64,
    not_covered: u64,
    violations: u64,
    first: Option<Violation>,
}

impl Tally {
    /// Counts a fact that was compared. `what` describes the violation.
    pub fn check(&mut self, at: Timestamp, is_kept: bool, what: impl FnOnce() -> String) {
        self.checked += 1;
        if !is_kept {
            self.violations += 1;
            self.first.get_or_insert_with(|| Violation { at, what: what() });
        }
    }

    /// Counts facts that cannot be compared.
    pub fn skip(&mut self, facts: u64) {
        self.not_covered += facts;
    }

    pub fn finding(self, name: &'static str, promise: &'static str) -> Finding {
        let Tally { checked, not_covered, violations, first } = self;
        Finding { name, promise, checked, not_covered, violations, first }
    }
}
