//! The guarantees of the cluster, and checkers that test them against the record of a run.
//!
//! A run, simulated or of real processes, ends as [`Evidence`]. Each checker is a file with one guarantee. It returns
//! the number of checked facts, so that an empty check can be told from a passed one, or the first violation.
//!
//! Checkers are pure and independent of the code that they check: they reason only about what clients and nodes
//! reported. They share the evidence sorted by topic, a [`Case`]. Checkers whose cores take plain iterators
//! ([`leaders`], [`offsets`], [`prefixes`]) can also run while a cluster runs.

// The data that checkers read, and their tools.
pub mod case;
pub mod evidence;
pub mod history;
pub mod search;
mod words;
pub mod workload;

// The guarantees.
mod acknowledged;
mod changes;
mod checksums;
mod cursors;
mod deletions;
mod deliveries;
mod invented;
pub mod leaders;
mod linearizable;
pub mod offsets;
mod once;
mod outbox;
pub mod prefixes;
#[cfg(all(test, not(target_family = "wasm")))]
mod properties;
mod queues;
mod recovery;
mod refused;
#[cfg(test)]
mod register;
mod registrations;
mod routes;
mod storage;
#[cfg(test)]
mod story;
mod times;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use case::Case;
pub use evidence::Evidence;
pub use history::History;

/// A guarantee and the check that tests it.
pub struct Checker {
    /// The short name, used in reports.
    pub name: &'static str,
    /// The guarantee in one sentence.
    pub promise: &'static str,
    pub check: fn(&Case<'_>) -> Verdict,
}

/// The number of checked facts, or the first violation.
pub type Verdict = Result<Checked, Broken>;

/// The number of facts that a checker examined: operations, messages, terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checked(pub u64);

/// A readable description of a violation: the message, the nodes, the reported and the actual state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken(pub String);

/// A guarantee that was violated.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{checker}: {what}")]
pub struct Violation {
    /// The checker's name.
    pub checker: String,
    /// The description.
    pub what: String,
}

/// The results of all checkers.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Number of checked facts, by checker.
    pub checked: BTreeMap<String, u64>,
    /// The violations, in the order of [`CHECKERS`].
    pub violations: Vec<Violation>,
}

/// All checkers, in order of significance: a failure of one can be the cause of later failures.
pub const CHECKERS: &[Checker] = &[
    Checker { name: "checksums", promise: "Every damage to a disk is detected.", check: checksums::check },
    Checker { name: "leaders", promise: "A group has at most one leader in a term.", check: leaders::check },
    Checker {
        name: "changes",
        promise: "A group's members are changed only after every reachable voter has applied the previous change.",
        check: changes::check,
    },
    Checker {
        name: "offsets",
        promise: "In every read and on every replica, offsets are 0, 1, 2 … without gaps, and no two messages share \
                 one.",
        check: offsets::check,
    },
    Checker {
        name: "prefixes",
        promise: "Every replica has a prefix of the same log, and every message that was ever read or pushed agrees \
                 with it.",
        check: prefixes::check,
    },
    Checker {
        name: "times",
        promise: "The times of a topic's messages never decrease, even if clocks are set back and the topic is created \
                 again.",
        check: times::check,
    },
    Checker {
        name: "acknowledged",
        promise: "Every acknowledged message is on every replica at the end of the run, at the acknowledged offset.",
        check: acknowledged::check,
    },
    Checker { name: "once", promise: "No message is stored twice, however often it was sent.", check: once::check },
    Checker {
        name: "outbox",
        promise: "Every publish in an outbox enters the log exactly once.",
        check: outbox::check,
    },
    Checker { name: "refused", promise: "A refused publish is never stored and never read.", check: refused::check },
    Checker {
        name: "invented",
        promise: "Every message that is read or stored was published to that topic by a client before.",
        check: invented::check,
    },
    Checker {
        name: "linearizable",
        promise: "Leader reads, and publishes that return an offset, are linearizable.",
        check: linearizable::check,
    },
    Checker {
        name: "cursors",
        promise: "A cursor moves backward only if a client sets it back, and no subscriber skips messages that it was \
                 not given.",
        check: cursors::check,
    },
    Checker {
        name: "deliveries",
        promise: "A push subscription delivers every message from its cursor on, once and in order.",
        check: deliveries::check,
    },
    Checker {
        name: "deletions",
        promise: "Deleted topics stay deleted, other topics stay, and a topic that is created again starts empty.",
        check: deletions::check,
    },
    Checker {
        name: "registrations",
        promise: "Deleted publishers and subscribers stay deleted, and registered ones stay registered.",
        check: registrations::check,
    },
    Checker {
        name: "routes",
        promise: "A request crosses only edges of the cube, and no node twice.",
        check: routes::check,
    },
    Checker { name: "queues", promise: "No queue exceeds its limit.", check: queues::check },
    Checker {
        name: "storage",
        promise: "A full disk ends no process, publishes never use its last bytes, and reads and deletions continue.",
        check: storage::check,
    },
    Checker {
        name: "recovery",
        promise: "After the last fault is healed, everything works again within a stated time.",
        check: recovery::check,
    },
];

/// Runs every checker.
pub fn check_all(evidence: &Evidence) -> Findings {
    let case = Case::new(evidence);
    let mut findings = Findings::default();
    for checker in CHECKERS {
        match (checker.check)(&case) {
            Ok(Checked(facts)) => {
                findings.checked.insert(checker.name.into(), facts);
            }
            Err(Broken(what)) => findings.violations.push(Violation { checker: checker.name.into(), what }),
        }
    }
    findings
}
