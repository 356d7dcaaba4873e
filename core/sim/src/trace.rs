//! A run in a file: everything needed to repeat it, and the nodes' events.
//!
//! The same version of Cubecast reproduces the run from the file on any platform, natively or in a browser. The events
//! are only for viewing. An incident contains everything, and can be replayed without the simulator.

use std::time::Duration;

use cubecast_core::recording::incident::Incident;
use cubecast_core::time::Instant;
use cubecast_core::wire::event::WatchEvent;
use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::scenario::Scenario;
use crate::simulation::{Reduction, Simulation};

/// Most events in one file. The latest ones are kept.
const MAX_EVENTS: usize = 50_000;
/// Interval at which events are collected.
const TAKE_EVERY: Duration = Duration::from_millis(100);

/// The file's content, as JSON.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TraceFile {
    /// Version of this format: 1.
    pub cubecast_trace: u32,
    /// The version of Cubecast that made the run.
    pub version: String,
    pub scenario: Scenario,
    pub seed: u64,
    /// The reduction of the run.
    pub reduction: Reduction,
    /// The run's result.
    pub report: Report,
    /// Number of earlier events that were omitted.
    pub left_out: u64,
    /// The events in order.
    pub events: Vec<WatchEvent>,
}

/// The time after the end of clients and faults that an incident also contains, so that it shows the recovery.
const RECOVERY: Duration = Duration::from_secs(5);

/// Repeats the run and records all hosts, as real ones do. Ends a few seconds after everything was healed.
pub fn record_incident(scenario: &Scenario, seed: u64, reduction: &Reduction) -> Incident {
    let mut simulation = Simulation::recorded(scenario, seed, reduction);
    simulation.advance(simulation.ends());
    simulation.heal();
    simulation.advance(simulation.now() + RECOVERY);
    let whole = simulation.now().since(Instant(0));
    simulation.cluster().incident(whole)
}

/// Repeats the run and records the nodes' events. If the run panics, this function panics too; the caller can then
/// write a file with the known report and without events.
pub fn record(scenario: &Scenario, seed: u64, reduction: &Reduction) -> TraceFile {
    let mut simulation = Simulation::observed(scenario, seed, reduction);
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
        cubecast_trace: 2,
        version: env!("CARGO_PKG_VERSION").into(),
        scenario: scenario.clone(),
        seed,
        reduction: reduction.clone(),
        report: simulation.finish(),
        left_out,
        events,
    }
}
