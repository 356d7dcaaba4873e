//! What a run is made of: all that decides what happens in it.

use cubecast_core::cube::Dimension;
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::sim::{Cut, Scenario, Simulation};
use serde::{Deserialize, Serialize};

use crate::model::load::LoadPlan;
use crate::model::task::Task;

/// So much a person can do in one run; an address with more would not fit anywhere.
pub const MAX_DEEDS: usize = 500;
/// A run ends here: going back in a longer one would take too long.
pub const LONGEST_MS: u64 = 600_000;

/// The same spec makes the same run, on every machine, with the same version of Cubecast.
#[derive(Clone, PartialEq, Debug)]
pub struct Spec {
    pub course: Course,
    pub seed: u64,
    /// In order of time.
    pub deeds: Vec<Deed>,
}

/// What happens by itself.
#[derive(Clone, PartialEq, Debug)]
pub enum Course {
    /// Nothing: a cluster to play with.
    Quiet { dimension: Dimension },
    /// Clients and faults of a scenario; after its end all is healed and time goes on.
    Scenario { scenario: Box<Scenario>, cut: Cut },
}

/// What the person did, and when.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Deed {
    /// Milliseconds on the cluster's clock.
    pub at_ms: u64,
    pub act: Act,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Act {
    Run(Task),
    StopDeliveries {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    OpenInbox {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    CloseInbox {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    /// Begins, changes or ends the load.
    SetLoad(Option<LoadPlan>),
}

impl Spec {
    pub fn quiet(dimension: Dimension, seed: u64) -> Spec {
        Spec { course: Course::Quiet { dimension }, seed, deeds: Vec::new() }
    }

    /// The scenario must have been [checked](Scenario::check).
    pub fn of(scenario: Scenario, seed: u64) -> Spec {
        let course = Course::Scenario { scenario: Box::new(scenario), cut: Cut::default() };
        Spec { course, seed, deeds: Vec::new() }
    }

    /// At its beginning: a cluster that has settled.
    pub fn simulation(&self) -> Simulation {
        match &self.course {
            Course::Quiet { dimension } => Simulation::quiet(*dimension, self.seed),
            Course::Scenario { scenario, cut } => Simulation::observed(scenario, self.seed, cut),
        }
    }

    /// The cube's dimension, as the seed draws it.
    pub fn dimension_bits(&self) -> u8 {
        match &self.course {
            Course::Quiet { dimension } => dimension.bits(),
            Course::Scenario { scenario, .. } => {
                scenario.dimensions[(self.seed % scenario.dimensions.len() as u64) as usize]
            }
        }
    }

    /// The same, but what was done after this instant.
    pub fn until(&self, at_ms: u64) -> Spec {
        let deeds = self.deeds.iter().filter(|deed| deed.at_ms <= at_ms).cloned().collect();
        Spec { deeds, ..self.clone() }
    }
}

impl Default for Spec {
    fn default() -> Spec {
        Spec::quiet(Dimension::new(3).expect("three is a dimension"), 1)
    }
}

impl Course {
    pub fn name(&self) -> &str {
        match self {
            Course::Quiet { .. } => "quiet",
            Course::Scenario { scenario, .. } => &scenario.name,
        }
    }

    pub fn about(&self) -> &str {
        match self {
            Course::Quiet { .. } => "Nothing happens but what you do.",
            Course::Scenario { scenario, .. } => &scenario.about,
        }
    }
}

impl Act {
    /// In a few words, for a mark on the timeline.
    pub fn words(&self) -> String {
        match self {
            Act::Run(task) => match task.steps.last() {
                Some(step) => step.action.name().replace('_', " "),
                None => "nothing".to_owned(),
            },
            Act::StopDeliveries { topic, .. } => format!("stop deliveries of {topic}"),
            Act::OpenInbox { topic, .. } => format!("listen to {topic}"),
            Act::CloseInbox { topic, .. } => format!("close the messages of {topic}"),
            Act::SetLoad(Some(plan)) => format!("load of {} a second", plan.rate),
            Act::SetLoad(None) => "end of the load".to_owned(),
        }
    }
}
