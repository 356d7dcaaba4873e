//! Recordings of simulated hosts: replayed, redacted, checked and damaged.

mod damage;
mod promises;
mod redaction;
mod replays;
mod support;
