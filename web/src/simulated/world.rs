//! What a session looks at: a simulated cluster, or the recorded hosts of an incident ([`super::recorded`]).

use std::collections::BTreeSet;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::group::Group;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::io::ConnectionId;
use cubecast_core::node::Node;
use cubecast_core::seating::Seating;
use cubecast_core::time::{Instant, Now, Timestamp};
use cubecast_core::wire::event::WatchEvent;
use cubecast_sim::{Cluster, Simulation};

/// See the [module](self). A page that never opens an incident does not load what incidents need, so this is a trait.
pub trait World {
    /// The hosts, and the vertices that they serve.
    fn seating(&self) -> &Seating;

    /// The node of a host, if its process runs.
    fn node(&self, host: HostId) -> Option<&Node>;

    /// The present instant.
    fn now(&self) -> Instant;

    /// The wall clock at the instant zero.
    fn epoch(&self) -> Timestamp;

    /// When the course of events ends; a simulation goes on after it.
    fn ends(&self) -> Instant;

    /// Advances until then, or until guests' connections have news, which are returned.
    fn advance_to_news(&mut self, until: Instant) -> BTreeSet<ConnectionId>;

    /// The nodes' events since the last call, with their instants.
    fn take_events(&mut self) -> Vec<(Instant, WatchEvent)>;

    /// The faults of a scenario so far.
    fn story(&self) -> &[(Instant, String)];

    /// Heals all faults of a simulation.
    fn heal(&mut self);

    /// The simulated cluster, which takes requests; recorded hosts take none.
    fn cluster_mut(&mut self) -> Option<&mut Cluster>;

    /// A hash of everything that has happened; equal runs have equal hashes.
    fn trace(&self) -> u64;

    /// Whether this is an incident, in which nothing can be changed.
    fn is_recorded(&self) -> bool;

    /// A simulation that goes on from the present moment of an incident, which cannot go on after this. `None`: this is
    /// no incident.
    fn fork(&mut self, seed: u64) -> Option<Box<dyn World>>;

    /// For an incident: how the replay so far compares with the recording.
    fn comparison(&self) -> Option<ReplayedSoFar>;

    /// The simulation; `None` for an incident.
    fn into_simulation(self: Box<Self>) -> Option<Box<Simulation>>;
}

/// How the replay of an incident so far compares with its recording.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplayedSoFar {
    /// The turns of all hosts.
    pub turns: u64,
    /// The first host that did something else than its recording, and when.
    pub first_difference: Option<(HostId, Instant)>,
    /// Why the replay could not continue.
    pub problem: Option<String>,
}

impl dyn World + '_ {
    /// The cube's dimension.
    pub fn dimension(&self) -> Dimension {
        self.seating().dimension()
    }

    /// All hosts.
    pub fn nodes(&self) -> impl Iterator<Item = HostId> + use<> {
        self.seating().hosts()
    }

    /// A host's member of the group of `home`, if it has one now.
    pub fn group(&self, host: HostId, home: Vertex) -> Option<&Group> {
        self.node(host)?.group(GroupId::of(home))
    }

    /// The hosts of a group's members, its home first.
    pub fn members(&self, home: Vertex) -> Vec<HostId> {
        self.seating().members(GroupId::of(home))
    }

    /// Both clocks at the present instant.
    pub fn clocks(&self) -> Now {
        Now { monotonic: self.now(), wall: Timestamp(self.epoch().0 + self.now().0) }
    }
}

impl World for Simulation {
    fn seating(&self) -> &Seating {
        self.cluster().seating()
    }

    fn node(&self, host: HostId) -> Option<&Node> {
        self.cluster().node(host)
    }

    fn now(&self) -> Instant {
        self.now()
    }

    fn epoch(&self) -> Timestamp {
        cubecast_sim::EPOCH
    }

    fn ends(&self) -> Instant {
        self.ends()
    }

    fn advance_to_news(&mut self, until: Instant) -> BTreeSet<ConnectionId> {
        self.advance_to_news(until)
    }

    fn take_events(&mut self) -> Vec<(Instant, WatchEvent)> {
        self.take_events().into_iter().map(|event| (Instant(event.at_us), event)).collect()
    }

    fn story(&self) -> &[(Instant, String)] {
        self.story()
    }

    fn heal(&mut self) {
        self.heal();
    }

    fn cluster_mut(&mut self) -> Option<&mut Cluster> {
        Some(self.cluster_mut())
    }

    fn trace(&self) -> u64 {
        self.cluster().trace()
    }

    fn is_recorded(&self) -> bool {
        false
    }

    fn fork(&mut self, _seed: u64) -> Option<Box<dyn World>> {
        None
    }

    fn comparison(&self) -> Option<ReplayedSoFar> {
        None
    }

    fn into_simulation(self: Box<Self>) -> Option<Box<Simulation>> {
        Some(self)
    }
}
