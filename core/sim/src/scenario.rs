//! Scenarios: the cluster, the workload and the faults of a run, as data. Each is a TOML file in `core/sim/scenarios/`.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::group::LogLimits;
use cubecast_core::seating::Seating;
use cubecast_core::time::Instant;
use serde::{Deserialize, Serialize};

use crate::check::workload::Load;
use crate::cluster::ClusterConfig;
use crate::fault::{Fault, FaultClass};
use crate::network::EdgeConditions;

/// The description of a run, without its seed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// A unique name.
    pub name: String,
    /// The purpose of the scenario, in one sentence.
    pub about: String,
    /// Dimensions from which the seed chooses, each 1 to 6.
    pub dimensions: Vec<u8>,
    /// Duration of clients and faults before the healing, in seconds of virtual time.
    pub seconds: u32,
    /// The workload of the clients.
    pub load: Load,
    /// Classes from which random faults are drawn.
    pub faults: Vec<FaultClass>,
    /// Mean time between random faults, in milliseconds.
    pub fault_every_ms: u32,
    /// Longest duration of a random fault, in milliseconds.
    pub fault_lasts_ms: u32,
    /// Faults at fixed times.
    pub script: Vec<Scripted>,
    /// Whether the seed also draws the speed of edges and disks and the limits of the logs, so that rare code paths
    /// become common.
    pub variety: bool,
    /// Seeds that are run in every case, because they found a failure once.
    pub seeds: Vec<u64>,
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            name: "anything".into(),
            about: "Every fault at any time, on cubes of one to four dimensions.".into(),
            dimensions: vec![3, 3, 2, 3, 1, 3, 2, 3, 3, 4],
            seconds: 20,
            load: Load::default(),
            faults: FaultClass::ALL.to_vec(),
            fault_every_ms: 900,
            fault_lasts_ms: 4_000,
            script: Vec::new(),
            variety: true,
            seeds: Vec::new(),
        }
    }
}

/// A fault at a fixed time after the clients started.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scripted {
    /// Start in milliseconds after the clients started.
    pub at_ms: u32,
    /// Duration in milliseconds.
    pub lasts_ms: u32,
    pub fault: Fault,
}

/// Why a scenario is invalid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("scenario `{name}`: {why}")]
pub struct BadScenario {
    /// The scenario's name.
    pub name: String,
    pub why: String,
}

/// A fault with its start and duration.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// Start, relative to the start of the clients.
    pub at: Duration,
    pub lasts: Duration,
    pub fault: Fault,
}

/// Everything that a seed draws from a scenario before the run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub cluster: ClusterConfig,
    /// The workload's parameters.
    pub load: Load,
    /// The seed of the workload.
    pub workload_seed: u64,
    /// Duration of clients and faults.
    pub length: Duration,
    /// The faults in order of time.
    pub faults: Vec<Planned>,
}

impl Scenario {
    /// Checks that all values are valid. Call it before running the scenario.
    pub fn check(&self) -> Result<(), BadScenario> {
        let bad = |why: String| Err(BadScenario { name: self.name.clone(), why });
        if self.dimensions.is_empty() {
            return bad("`dimensions` is empty".into());
        }
        if let Some(dimension) = self.dimensions.iter().find(|bits| !(1..=6).contains(*bits)) {
            return bad(format!("`dimensions` contains {dimension}; simulations with clients support 1 to 6"));
        }
        if self.load.clients == 0 || self.load.lasting_topics == 0 {
            return bad("`load` needs at least one client and one lasting topic".into());
        }
        if !self.faults.is_empty() && (self.fault_every_ms == 0 || self.fault_lasts_ms == 0) {
            return bad("`fault_every_ms` and `fault_lasts_ms` must be more than 0".into());
        }
        for bits in &self.dimensions {
            let elsewhere = self.script.iter().flat_map(|scripted| scripted.fault.places());
            let seating = Seating::founding(Dimension::new(*bits).expect("checked above"));
            if let Some(place) = elsewhere.into_iter().find(|place| !seating.has(*place)) {
                return bad(format!("`script` names {place}, which is not a node of a cube of dimension {bits}"));
            }
        }
        Ok(())
    }

    /// Draws everything that is random before the run.
    pub fn plan(&self, seed: u64) -> Plan {
        let mut random = fastrand::Rng::with_seed(seed);
        let bits = self.dimensions[(seed % self.dimensions.len() as u64) as usize];
        let dimension = Dimension::new(bits).expect("the scenario was checked");
        let mut cluster = ClusterConfig::new(dimension, random.u64(..));
        if self.variety {
            vary(&mut cluster, &mut random);
        }
        let workload_seed = random.u64(..);
        let mut faults = self.random_faults(&Seating::founding(dimension), &mut random);
        faults.extend(self.script.iter().map(Planned::from));
        faults.sort_by_key(|planned| planned.at);
        Plan { cluster, load: self.load.clone(), workload_seed, length: self.length(), faults }
    }

    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    fn random_faults(&self, seating: &Seating, random: &mut fastrand::Rng) -> Vec<Planned> {
        let mut planned = Vec::new();
        if self.faults.is_empty() {
            return planned;
        }
        let mut at = Duration::ZERO;
        loop {
            at += Duration::from_micros(random.u64(..u64::from(self.fault_every_ms) * 2_000));
            if at >= self.length() {
                return planned;
            }
            let class = self.faults[random.u32(..self.faults.len() as u32) as usize];
            let lasts = Duration::from_micros(random.u64(20_000..20_001 + u64::from(self.fault_lasts_ms) * 1_000));
            planned.push(Planned { at, lasts, fault: Fault::draw(class, seating, random) });
        }
    }
}

impl From<&Scripted> for Planned {
    fn from(scripted: &Scripted) -> Planned {
        Planned {
            at: Duration::from_millis(scripted.at_ms.into()),
            lasts: Duration::from_millis(scripted.lasts_ms.into()),
            fault: scripted.fault.clone(),
        }
    }
}

impl Planned {
    /// The time at which the fault begins.
    pub fn begins(&self, clients_began: Instant) -> Instant {
        clients_began + self.at
    }
}

fn vary(cluster: &mut ClusterConfig, random: &mut fastrand::Rng) {
    let mut draw = |choices: &[u32]| choices[random.u32(..choices.len() as u32) as usize];
    cluster.edges = EdgeConditions {
        delay_us: draw(&[20, 100, 100, 500, 5_000]),
        jitter_us: draw(&[0, 50, 1_000, 10_000]),
        ..EdgeConditions::default()
    };
    cluster.disk_delay = Duration::from_micros(draw(&[50, 500, 500, 3_000, 20_000]).into());
    if draw(&[0, 1, 1]) == 1 {
        let entries = u64::from(draw(&[4, 16, 64]));
        cluster.log = LogLimits {
            checkpoint_log_bytes: u64::from(draw(&[1_000, 10_000, 100_000])),
            checkpoint_log_entries: entries,
            log_to_checkpoint_ratio: 1,
            slack_entries: u64::from(draw(&[0, 4, 16])),
            slack_bytes: u64::from(draw(&[1_000, 10_000])),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_plan_and_another_makes_another() {
        let scenario = Scenario::default();
        assert_eq!(scenario.check(), Ok(()));
        assert_eq!(scenario.plan(7).faults, scenario.plan(7).faults);
        assert_ne!(scenario.plan(7).faults, scenario.plan(8).faults);
        assert!(scenario.plan(7).faults.is_sorted_by_key(|planned| planned.at));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_reason() {
        let why = |scenario: Scenario| scenario.check().unwrap_err().to_string();
        assert!(why(Scenario { dimensions: vec![], ..Scenario::default() }).contains("`dimensions` is empty"));
        assert!(why(Scenario { dimensions: vec![9], ..Scenario::default() }).contains("contains 9"));
        let kill = Scripted { at_ms: 0, lasts_ms: 1, fault: Fault::Kill { node: "0101".parse().unwrap() } };
        let script = Scenario { dimensions: vec![3], script: vec![kill], ..Scenario::default() };
        assert!(why(script).contains("names 0101"));
    }
}
