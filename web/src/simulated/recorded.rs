//! The recorded hosts of an incident, replayed. Only the page for incidents uses this module.

use std::collections::BTreeSet;
use std::rc::Rc;

use cubecast_core::identity::HostId;
use cubecast_core::io::{ConnectionId, Effect};
use cubecast_core::node::Node;
use cubecast_core::recording::incident::Incident;
use cubecast_core::recording::replay::{Replay, ReplayError, Step};
use cubecast_core::seating::Seating;
use cubecast_core::time::{Instant, Timestamp};
use cubecast_core::wire::event::WatchEvent;
use cubecast_sim::{Cluster, Simulation};

use super::spec::Recording;
use super::world::{ReplayedSoFar, World};

/// An incident that can be replayed from its beginning.
#[derive(Debug)]
pub struct OpenedIncident(Incident);

impl OpenedIncident {
    /// Opens the content of a file. Errors: it is not an incident, or its beginning cannot be replayed.
    pub fn open(bytes: &[u8]) -> Result<Rc<OpenedIncident>, ReplayError> {
        let incident = Incident::decode(bytes)?;
        Recorded::open(&incident)?;
        Ok(Rc::new(OpenedIncident(incident)))
    }

    /// The incident in a sentence.
    pub fn about(&self) -> String {
        let (recorded, all) = (self.0.hosts.len(), self.0.seating.dimension().size());
        format!("{recorded} of {all} nodes, saved at {}. Press play to see what happened.", self.0.saved_at)
    }

    /// The hosts without a recording, and why.
    pub fn missing(&self) -> &[(HostId, String)] {
        &self.0.missing
    }
}

impl Recording for OpenedIncident {
    fn begin(&self) -> Box<dyn World> {
        Box::new(Recorded::open(&self.0).expect("it was opened before"))
    }

    fn seating(&self) -> &Seating {
        &self.0.seating
    }
}

/// The hosts of an incident at an instant of it. The instant zero is its first moment.
struct Recorded {
    replay: Replay,
    now: Instant,
    events: Vec<(Instant, WatchEvent)>,
    /// Why the replay could not continue.
    problem: Option<ReplayError>,
}

impl Recorded {
    fn open(incident: &Incident) -> Result<Recorded, ReplayError> {
        let mut recorded =
            Recorded { replay: Replay::open(incident)?, now: Instant(0), events: Vec::new(), problem: None };
        recorded.advance(Instant(0));
        recorded.events.clear();
        recorded.problem.take().map_or(Ok(recorded), Err)
    }

    fn instant(&self, at: Timestamp) -> Instant {
        Instant(at.0.saturating_sub(self.replay.begins().0))
    }

    fn advance(&mut self, until: Instant) {
        while self.problem.is_none() && self.replay.next_at().is_some_and(|at| self.instant(at) <= until) {
            match self.replay.step() {
                Ok(Some(step)) => {
                    let at = self.instant(step.at);
                    let Step::Turned { effects, .. } = step.step else { continue };
                    self.events.extend(effects.into_iter().filter_map(|effect| match effect {
                        Effect::Observe(event) => Some((at, event)),
                        _ => None,
                    }));
                }
                Ok(None) => break,
                Err(problem) => self.problem = Some(problem),
            }
        }
        self.now = self.now.max(until);
    }
}

impl World for Recorded {
    fn seating(&self) -> &Seating {
        self.replay.seating()
    }

    fn node(&self, host: HostId) -> Option<&Node> {
        self.replay.node(host)
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn epoch(&self) -> Timestamp {
        self.replay.begins()
    }

    fn ends(&self) -> Instant {
        self.instant(self.replay.ends())
    }

    fn advance_to_news(&mut self, until: Instant) -> BTreeSet<ConnectionId> {
        self.advance(until);
        BTreeSet::new()
    }

    fn take_events(&mut self) -> Vec<(Instant, WatchEvent)> {
        std::mem::take(&mut self.events)
    }

    fn story(&self) -> &[(Instant, String)] {
        &[]
    }

    fn heal(&mut self) {}

    fn cluster_mut(&mut self) -> Option<&mut Cluster> {
        None
    }

    fn trace(&self) -> u64 {
        0
    }

    fn comparison(&self) -> Option<ReplayedSoFar> {
        let turns = self.replay.comparisons().map(|(_, comparison)| comparison.turns).sum();
        let different = self.replay.comparisons().filter(|(_, comparison)| !comparison.is_equal());
        let first = different.filter_map(|(host, comparison)| Some((comparison.first_difference?, host))).min();
        Some(ReplayedSoFar {
            turns,
            first_difference: first.map(|(at, host)| (host, self.instant(at))),
            problem: self.problem.as_ref().map(ToString::to_string),
        })
    }

    fn into_simulation(self: Box<Self>) -> Option<Box<Simulation>> {
        None
    }
}
