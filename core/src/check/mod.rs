//! The promises, and whether they were kept: checkers over the record of a run.
//!
//! A run, simulated or of real processes, ends as [`Evidence`]. Each checker is a file with one promise; it says how much it
//! has looked at, so that a check of nothing can be told from a check that passed, or what it found.
//!
//! Checkers are pure and know nothing of the code that they check: they reason about what clients were told. What they share is
//! the evidence sorted by topic, a [`Case`]. Those whose cores take plain iterators ([`leaders`], [`offsets`], [`prefixes`]) can
//! also look on while a cluster runs.

// What checkers look at, and with what.
pub mod case;
pub mod evidence;
pub mod history;
pub mod search;
mod words;
pub mod workload;

// The promises.
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

/// A promise and the check that guards it.
pub struct Checker {
    pub name: &'static str,
    /// What is promised, in one sentence.
    pub promise: &'static str,
    pub check: fn(&Case<'_>) -> Verdict,
}

/// How many facts were looked at, or the first one that breaks the promise.
pub type Verdict = Result<Checked, Broken>;

/// The number of facts that a checker looked at: operations, messages, terms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checked(pub u64);

/// What breaks a promise, for people: which message, which nodes, what was told and what is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken(pub String);

/// A promise that was not kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{checker}: {what}")]
pub struct Violation {
    /// The checker's name.
    pub checker: String,
    pub what: String,
}

/// What all checkers say.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Facts looked at, by checker.
    pub checked: BTreeMap<String, u64>,
    pub violations: Vec<Violation>,
}

/// All checkers, in the order in which their findings mean something: where the first of them fails, later ones may fail of it.
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
        promise: "In every read and on every holder, offsets are 0, 1, 2 … without gaps, and no two messages share \
                 one.",
        check: offsets::check,
    },
    Checker {
        name: "prefixes",
        promise: "Every holder has a prefix of the same log, and every message that was ever read or pushed agrees \
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
        promise: "Every acknowledged message is on every holder at the end of the run, at the acknowledged offset.",
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
