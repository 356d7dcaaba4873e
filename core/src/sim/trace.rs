//! A run in a file: what it takes to run it again, and what its nodes told while it ran.
//!
//! The same version of Cubecast makes the same run of it anywhere, natively or in a browser; the events are for those who only
//! want to look.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::report::Report;
use super::scenario::Scenario;
use super::simulation::{Cut, Simulation};
use crate::wire::event::WatchEvent;

/// Events in one file; the last ones are kept.
const MAX_EVENTS: usize = 50_000;
/// Events are taken this often.
const TAKE_EVERY: Duration = Duration::from_millis(100);

/// The file, as JSON.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TraceFile {
    /// 1: this format.
    pub cubecast_trace: u32,
    /// The version that made the run.
    pub version: String,
    pub scenario: Scenario,
    pub seed: u64,
    pub cut: Cut,
    pub report: Report,
    /// Events before these were left out.
    pub left_out: u64,
    pub events: Vec<WatchEvent>,
}

/// Runs it once more and keeps what the nodes tell. A run that panics gives no file of its own: `report` is then what is known.
pub fn record(scenario: &Scenario, seed: u64, cut: &Cut) -> TraceFile {
    let mut simulation = Simulation::observed(scenario, seed, cut);
    let mut events = Vec::new();
    let mut left_out = 0;
    while simulation.now() < simulation.ends() {
        simulation.advance(simulation.now() + TAKE_EVERY);
        events.extend(simulation.take_events());
        if events.len() > MAX_EVENTS {
            let excess = events.len() - MAX_EVENTS;
            events.drain(..excess);
            left_out += excess as u64;
        }
    }
    TraceFile {
        cubecast_trace: 1,
        version: env!("CARGO_PKG_VERSION").into(),
        scenario: scenario.clone(),
        seed,
        cut: cut.clone(),
        report: simulation.finish(),
        left_out,
        events,
    }
}
