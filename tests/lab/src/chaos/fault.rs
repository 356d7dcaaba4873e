//! The possible faults of real processes, and their random selection.
//!
//! Classes have the names of the simulator's classes ([`cubecast_sim::FaultClass`]) where it has them. They are a
//! vocabulary of their own, because neither side can carry out all faults of the other: processes have no disk to
//! damage bit by bit, and simulated nodes no orderly restart.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::ValueEnum;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use cubecast_sim::places::{Edge, any_node, edge_list, list, pick, some_edges};
use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// The classes of faults, for selection and statistics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum FaultClass {
    /// SIGKILL to a node, which is restarted.
    Kill,
    /// SIGKILL to all nodes at once.
    KillAll,
    /// The nodes are stopped in an orderly way and restarted, one after the other.
    Restart,
    /// SIGSTOP, and SIGCONT after a while.
    Hang,
    /// SIGKILL, and the data folder is lost; only while a quorum's disks survive.
    Wipe,
    /// A node is stopped by a requested fault: it crashes, pauses, or loses its disk.
    Stop,
    /// Edges drop frames, some in one direction only.
    Cut,
    /// Edges delay and drop frames.
    Degrade,
    /// All edges between two sides of the cube are cut.
    Partition,
    /// The network between two sides is cut from outside. Needs --outside.
    Outside,
}

/// One fault.
#[derive(Clone, PartialEq, Debug)]
pub enum Fault {
    Kill { node: HostId },
    KillAll,
    Restart,
    Hang { node: HostId },
    Wipe { node: HostId },
    Stop { node: HostId, mode: StopMode },
    Cut { edges: Vec<Edge> },
    Degrade { edges: Vec<Edge>, conditions: LinkConditions },
    Partition { side: Vec<HostId>, one_way: bool },
    Outside { side: Vec<HostId> },
}

impl FaultClass {
    /// The name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// All classes except those that need special privileges.
    pub fn usual() -> Vec<FaultClass> {
        FaultClass::value_variants().iter().copied().filter(|class| *class != FaultClass::Outside).collect()
    }
}

impl Fault {
    /// Draws a random fault of this class.
    pub fn draw(class: FaultClass, seating: &Seating, random: &mut Rng) -> Fault {
        let node = any_node(seating, random);
        match class {
            FaultClass::Kill => Fault::Kill { node },
            FaultClass::KillAll => Fault::KillAll,
            FaultClass::Restart => Fault::Restart,
            FaultClass::Hang => Fault::Hang { node },
            FaultClass::Wipe => Fault::Wipe { node },
            FaultClass::Stop => {
                let modes = [StopMode::Crash, StopMode::Pause, StopMode::Crash, StopMode::Pause, StopMode::Wipe];
                Fault::Stop { node, mode: pick(&modes, random) }
            }
            FaultClass::Cut => Fault::Cut { edges: some_edges(seating, random) },
            FaultClass::Degrade => {
                Fault::Degrade { edges: some_edges(seating, random), conditions: bad_conditions(random) }
            }
            FaultClass::Partition => Fault::Partition { side: a_side(seating, random), one_way: random.u8(..4) == 0 },
            FaultClass::Outside => Fault::Outside { side: a_side(seating, random) },
        }
    }

    /// Draws how long the fault lasts.
    pub fn duration(&self, random: &mut Rng) -> Duration {
        let (least, most) = match self {
            // A member that is away for 5 s loses its vote. Both shorter and longer times are tested.
            Fault::Kill { .. } | Fault::Stop { .. } => (100, pick(&[1_000, 3_000, 9_000], random)),
            Fault::Hang { .. } => (100, pick(&[800, 3_000, 7_000], random)),
            Fault::KillAll => (0, 2_000),
            Fault::Restart | Fault::Wipe { .. } => (0, 500),
            Fault::Cut { .. } | Fault::Degrade { .. } => (500, 8_000),
            Fault::Partition { .. } => (500, 8_000),
            Fault::Outside { .. } => (6_000, 10_000),
        };
        Duration::from_millis(random.u64(least..=most))
    }

    /// Whether the fault destroys a disk.
    pub fn loses_a_disk(&self) -> bool {
        matches!(self, Fault::Wipe { .. } | Fault::Stop { mode: StopMode::Wipe, .. })
    }
}

/// The directions of edges that must be cut to isolate these nodes.
pub fn edges_across(seating: &Seating, side: &[HostId], one_way: bool) -> Vec<Edge> {
    let out = side.iter().flat_map(|from| seating.neighbours(*from).map(|to| (*from, to)));
    let out = out.filter(|(_, to)| !side.contains(to));
    if one_way { out.collect() } else { out.flat_map(|(from, to)| [(from, to), (to, from)]).collect() }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Kill { node } => write!(f, "{node} is killed"),
            Fault::KillAll => write!(f, "all nodes are killed"),
            Fault::Restart => write!(f, "all nodes are restarted, one after the other"),
            Fault::Hang { node } => write!(f, "{node} hangs"),
            Fault::Wipe { node } => write!(f, "{node} is killed and loses its disk"),
            Fault::Stop { node, mode } => write!(f, "{node} is stopped by a requested fault: {mode:?}"),
            Fault::Cut { edges } => write!(f, "cut: {}", edge_list(edges)),
            Fault::Degrade { edges, conditions } => {
                let LinkConditions { delay_ms, jitter_ms, loss, .. } = conditions;
                write!(f, "{}: {delay_ms}+{jitter_ms} ms, {:.0} % lost", edge_list(edges), loss * 100.0)
            }
            Fault::Partition { side, one_way: false } => write!(f, "{} are cut off from the others", list(side)),
            Fault::Partition { side, one_way: true } => write!(f, "frames from {} do not reach the others", list(side)),
            Fault::Outside { side } => write!(f, "{} are cut off from the others by the external program", list(side)),
        }
    }
}

/// Half of the cube, one node, or a random subset; never none and never all.
fn a_side(seating: &Seating, random: &mut Rng) -> Vec<HostId> {
    let node = any_node(seating, random);
    match random.u8(..4) {
        0 => vec![node],
        1 => {
            let others = seating.hosts().filter(|other| *other != node && random.bool());
            others
                .chain([seating.across(node, 0)])
                .filter(|other| *other != node)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        }
        _ => {
            let bit = random.u8(..seating.links());
            let half = |host: &HostId| (host.number() ^ node.number()) & (1 << bit) == 0;
            seating.hosts().filter(half).collect()
        }
    }
}

fn bad_conditions(random: &mut Rng) -> LinkConditions {
    let perfect = LinkConditions::PERFECT;
    match random.u8(..4) {
        0 => LinkConditions { delay_ms: 30, jitter_ms: 50, ..perfect },
        1 => LinkConditions { delay_ms: 200, jitter_ms: 300, ..perfect },
        2 => LinkConditions { loss: 0.3, ..perfect },
        _ => LinkConditions { delay_ms: 5, jitter_ms: 20, loss: 0.1, ..perfect },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::cube::Dimension;

    #[test]
    fn a_side_is_never_empty_and_never_all() {
        let mut random = Rng::with_seed(1);
        for bits in 1..=4 {
            let seating = Seating::founding(Dimension::new(bits).unwrap());
            for _ in 0..200 {
                let side = a_side(&seating, &mut random);
                assert!((1..seating.hosts().len()).contains(&side.len()), "{side:?}");
                assert_eq!(side.iter().collect::<BTreeSet<_>>().len(), side.len());
            }
        }
    }

    #[test]
    fn a_partition_cuts_every_edge_between_the_sides_and_no_other() {
        let cube = Seating::founding(Dimension::new(3).unwrap());
        let face: Vec<HostId> = cube.hosts().take(4).collect();
        let edges = edges_across(&cube, &face, false);
        assert_eq!(edges.len(), 8);
        assert!(edges.iter().all(|(from, to)| face.contains(from) != face.contains(to)));
        assert!(edges_across(&cube, &face, true).iter().all(|(from, _)| face.contains(from)));
    }

    #[test]
    fn every_usual_class_can_be_drawn_and_told() {
        let mut random = Rng::with_seed(2);
        let cube = Seating::founding(Dimension::new(3).unwrap());
        for class in FaultClass::usual() {
            let fault = Fault::draw(class, &cube, &mut random);
            assert!(!fault.to_string().is_empty() && fault.duration(&mut random) <= Duration::from_secs(10));
        }
        assert_eq!(FaultClass::KillAll.name(), "kill_all");
        assert!(!FaultClass::usual().contains(&FaultClass::Outside));
    }
}
