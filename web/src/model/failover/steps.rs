//! The steps of a failover, as the nodes reported them.

use cubecast_core::faults::StopMode;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::states::{NodeState, Role};
use cubecast_core::wire::event::{Event, WatchEvent};

use super::Election;

/// Steps that are kept.
const MAX_STEPS: usize = 24;

/// One step of a failover.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Microseconds since the start of the replay.
    pub at_us: u64,
    /// The node that reported it.
    pub node: HostId,
    pub what: StepKind,
}

/// The kind of a step.
#[derive(Clone, PartialEq, Debug)]
pub enum StepKind {
    /// The former leader was stopped.
    Stopped { mode: StopMode },
    /// The node no longer receives frames of the former leader. Only the first report is kept.
    Silence,
    /// The node became a candidate.
    Candidate { term: u64 },
    /// The node was elected.
    Elected { term: u64 },
    /// The first message that the new leader stored after its election.
    Stored { topic: TopicName, offset: Offset },
    /// The former leader runs again.
    Returned,
    /// The former leader installed a snapshot.
    CaughtUp,
}

/// `events`: with their times, in order of time.
pub fn steps<'a>(election: Election, events: impl Iterator<Item = (u64, &'a WatchEvent)>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (at_us, told) in events {
        let Some(what) = step(election, told) else { continue };
        let is_elected = steps.iter().any(|step| matches!(step.what, StepKind::Elected { .. }));
        let is_known = |step: &Step| step.node == told.node && step.what == what;
        let is_superfluous = match &what {
            StepKind::Stopped { .. } => is_elected,
            StepKind::Candidate { .. } | StepKind::Elected { .. } => steps.iter().any(is_known),
            // Nodes that notice it after the election do not change its course.
            StepKind::Silence => is_elected || steps.iter().any(|step| step.what == StepKind::Silence),
            StepKind::Stored { .. } => {
                !is_elected || steps.iter().any(|step| matches!(step.what, StepKind::Stored { .. }))
            }
            StepKind::Returned | StepKind::CaughtUp => !is_elected,
        };
        if is_superfluous {
            continue;
        }
        if matches!(what, StepKind::Stopped { .. }) {
            // The failover begins with the last stop before the election.
            steps.clear();
        }
        if steps.len() < MAX_STEPS {
            steps.push(Step { at_us, node: told.node, what });
        }
    }
    steps
}

fn step(election: Election, told: &WatchEvent) -> Option<StepKind> {
    let Election { group, before, leader, term, .. } = election;
    Some(match &told.event {
        Event::Stopped { mode, .. } if told.node == before => StepKind::Stopped { mode: *mode },
        Event::NodeState { subject, state: NodeState::Failed } if *subject == before && told.node != before => {
            StepKind::Silence
        }
        Event::LinkState { from, to, up: false } if *from == before && *to == told.node => StepKind::Silence,
        Event::RoleChanged { group: of, role: Role::Candidate, term: stood, .. } if *of == group && *stood <= term => {
            StepKind::Candidate { term: *stood }
        }
        Event::RoleChanged { group: of, role: Role::Leader, term: won, .. } if *of == group && *won == term => {
            StepKind::Elected { term }
        }
        Event::ReplicaStored { topic, group: of, offset } if *of == group && told.node == leader => {
            StepKind::Stored { topic: topic.clone(), offset: *offset }
        }
        Event::Returned { .. } if told.node == before => StepKind::Returned,
        Event::CaughtUp { group: of, .. } if *of == group && told.node == before => StepKind::CaughtUp,
        _ => return None,
    })
}
