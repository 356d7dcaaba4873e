//! The complete input of a run.

use std::fmt::Debug;
use std::rc::Rc;

use cubecast_core::cube::Dimension;
use cubecast_core::seating::Seating;
use cubecast_sim::{Reduction, Scenario, Simulation};
use serde::{Deserialize, Serialize};

use super::world::World;
use crate::model::Act;

/// Limit of user actions per run; an address with more would be too long.
pub const MAX_USER_ACTIONS: usize = 500;
/// Milliseconds. A run ends here, because going back in a longer one would take too long.
pub const LONGEST_MS: u64 = 600_000;

/// Equal specs give equal runs on every machine with the same version of Cubecast.
#[derive(Clone, PartialEq, Debug)]
pub struct Spec {
    /// What happens without the user.
    pub course: Course,
    /// Seeds all random choices.
    pub seed: u64,
    /// When an incident becomes a simulation, milliseconds on the cluster's clock. `None`: never, or it is one already.
    pub forked_at_ms: Option<u64>,
    /// The user's actions, in order of time.
    pub user_actions: Vec<UserAction>,
}

/// What happens without the user.
#[derive(Clone, Debug)]
pub enum Course {
    /// Nothing happens.
    Quiet { dimension: Dimension },
    /// The clients and faults of a scenario. After its end all faults are healed and time goes on.
    Scenario { scenario: Box<Scenario>, reduction: Reduction },
    /// What was recorded on real hosts.
    Recorded(Rc<dyn Recording>),
}

/// An incident that was opened from a file.
pub trait Recording: Debug {
    /// The hosts at the beginning of the incident.
    fn begin(&self) -> Box<dyn World>;

    /// The hosts of the cluster.
    fn seating(&self) -> &Seating;
}

impl PartialEq for Course {
    fn eq(&self, other: &Course) -> bool {
        match (self, other) {
            (Course::Quiet { dimension }, Course::Quiet { dimension: other }) => dimension == other,
            (Course::Scenario { scenario, reduction }, Course::Scenario { scenario: other, reduction: others }) => {
                scenario == other && reduction == others
            }
            // The same file, not merely an equal one.
            (Course::Recorded(recording), Course::Recorded(other)) => Rc::ptr_eq(recording, other),
            _ => false,
        }
    }
}

/// A user action with its time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct UserAction {
    /// Milliseconds on the cluster's clock.
    pub at_ms: u64,
    pub act: Act,
}

impl Spec {
    /// A run without scenario.
    pub fn quiet(dimension: Dimension, seed: u64) -> Spec {
        Spec { course: Course::Quiet { dimension }, seed, forked_at_ms: None, user_actions: Vec::new() }
    }

    /// The scenario must have been [checked](Scenario::check).
    pub fn of(scenario: Scenario, seed: u64) -> Spec {
        let course = Course::Scenario { scenario: Box::new(scenario), reduction: Reduction::default() };
        Spec { course, seed, forked_at_ms: None, user_actions: Vec::new() }
    }

    /// The world at the start of the run: a settled cluster, or the first moment of an incident.
    pub fn world(&self) -> Box<dyn World> {
        match &self.course {
            Course::Quiet { dimension } => Box::new(Simulation::quiet(*dimension, self.seed)),
            Course::Scenario { scenario, reduction } => Box::new(Simulation::observed(scenario, self.seed, reduction)),
            Course::Recorded(recording) => recording.begin(),
        }
    }

    /// The cube's dimension, as chosen by the seed.
    pub fn dimension_bits(&self) -> u8 {
        match &self.course {
            Course::Quiet { dimension } => dimension.bits(),
            Course::Recorded(recording) => recording.seating().dimension().bits(),
            Course::Scenario { scenario, .. } => {
                scenario.dimensions[(self.seed % scenario.dimensions.len() as u64) as usize]
            }
        }
    }

    /// The same spec without the user actions after this instant.
    pub fn until(&self, at_ms: u64) -> Spec {
        let user_actions = self.user_actions.iter().filter(|user_action| user_action.at_ms <= at_ms).cloned().collect();
        let forked_at_ms = self.forked_at_ms.filter(|forked_at_ms| *forked_at_ms <= at_ms);
        Spec { forked_at_ms, user_actions, ..self.clone() }
    }
}

impl Default for Spec {
    fn default() -> Spec {
        Spec::quiet(Dimension::new(3).expect("three is a dimension"), 1)
    }
}

impl Course {
    /// The scenario's name, or `quiet`.
    pub fn name(&self) -> &str {
        match self {
            Course::Quiet { .. } => "quiet",
            Course::Scenario { scenario, .. } => &scenario.name,
            Course::Recorded(_) => "incident",
        }
    }

    /// A description for the user.
    pub fn about(&self) -> &str {
        match self {
            Course::Quiet { .. } => "No scenario: only your actions.",
            Course::Scenario { scenario, .. } => &scenario.about,
            Course::Recorded(_) => "What was recorded on real nodes.",
        }
    }
}
