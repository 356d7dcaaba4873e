//! Faults as data. Each fault begins at a time, lasts for a while and then ends.

use std::collections::BTreeSet;

use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;
use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;
use crate::disk::{self, Damage, Lost};
use crate::network::EdgeConditions;
use crate::places::{Edge, any_node, edge_list, list, pick, some_edges};

/// One fault.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// The process is killed (SIGKILL) and restarted at the end.
    Kill { node: HostId },
    /// The machines lose power: unsynced data is lost, and the last write may be torn. The processes restart at the
    /// end.
    Power { nodes: Vec<HostId> },
    /// The process is stopped (SIGSTOP) and continues at the end. Its sockets stay open.
    Hang { node: HostId },
    /// The process is killed and its disk is lost. Only done while a quorum of disks survives.
    Wipe { node: HostId },
    /// The process is killed, and either a bit of a row on its disk flips or files of its folder are lost. It restarts
    /// at the end. Only done if a wipe would be permitted.
    Damage { node: HostId, row: DamagedRow },
    /// A bit of a row of messages flips on the disk of a running node. Only done if a wipe would be permitted.
    Rot { node: HostId },
    /// The disk has only `left` bytes of room until the end. 0: other data has filled it; otherwise publishes fill it.
    FullDisk {
        node: HostId,
        #[serde(default)]
        left: u32,
    },
    /// Every write and every read takes `delay_us` microseconds.
    SlowDisk { node: HostId, delay_us: u32 },
    /// The wall clock is wrong by `by_us` microseconds until the end.
    Clock { node: HostId, by_us: i64 },
    /// These directions of edges drop all frames.
    Cut { edges: Vec<Edge> },
    /// No frame passes between these nodes and the others. With `one_way`, only frames from these to the others are
    /// dropped.
    Partition { side: Vec<HostId>, one_way: bool },
    /// The connections between neighbours break with the frames in transit, and are then established again.
    Break { edges: Vec<Edge> },
    /// These directions of edges delay, lose, duplicate, reorder or alter frames.
    Degrade { edges: Vec<Edge>, conditions: EdgeConditions },
    /// A requested fault stops the node (`stop_node`).
    Stop { node: HostId, mode: StopMode },
    /// A requested fault degrades an edge (`set_link`).
    Link { from: HostId, to: HostId, conditions: LinkConditions },
    /// The clients of a node lose their connections, and possibly the answers on them.
    Clients { node: HostId },
}

/// The target of [`Fault::Damage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DamagedRow {
    /// A row of messages.
    Message,
    /// The last good log entry.
    LogTail,
    /// Any row.
    Any,
    /// The folder's commit marker, instead of a row.
    CommitMarker,
    /// The folder's journals.
    Journals,
    /// Both.
    CommitMarkerAndJournals,
}

impl DamagedRow {
    pub(super) fn do_to(self, cluster: &mut Cluster, node: HostId) {
        match self {
            DamagedRow::Message => cluster.damage_disk(node, Damage::Messages),
            DamagedRow::LogTail => cluster.damage_disk(node, Damage::LogTail),
            DamagedRow::Any => cluster.damage_disk(node, Damage::Any),
            DamagedRow::CommitMarker => cluster.lose_files(node, Lost { commit_marker: true, journals: false }),
            DamagedRow::Journals => cluster.lose_files(node, Lost { commit_marker: false, journals: true }),
            DamagedRow::CommitMarkerAndJournals => {
                cluster.lose_files(node, Lost { commit_marker: true, journals: true })
            }
        }
    }
}

/// The kinds of faults, used to choose and count them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    Kill,
    Power,
    Hang,
    Wipe,
    Damage,
    Rot,
    FullDisk,
    SlowDisk,
    Clock,
    Cut,
    Partition,
    Break,
    Degrade,
    Stop,
    Link,
    Clients,
}

impl FaultClass {
    /// All classes.
    pub const ALL: &[FaultClass] = &[
        FaultClass::Kill,
        FaultClass::Power,
        FaultClass::Hang,
        FaultClass::Wipe,
        FaultClass::Damage,
        FaultClass::Rot,
        FaultClass::FullDisk,
        FaultClass::SlowDisk,
        FaultClass::Clock,
        FaultClass::Cut,
        FaultClass::Partition,
        FaultClass::Break,
        FaultClass::Degrade,
        FaultClass::Stop,
        FaultClass::Link,
        FaultClass::Clients,
    ];

    /// The name used in scenario files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            FaultClass::Kill => "kill",
            FaultClass::Power => "power",
            FaultClass::Hang => "hang",
            FaultClass::Wipe => "wipe",
            FaultClass::Damage => "damage",
            FaultClass::Rot => "rot",
            FaultClass::FullDisk => "full_disk",
            FaultClass::SlowDisk => "slow_disk",
            FaultClass::Clock => "clock",
            FaultClass::Cut => "cut",
            FaultClass::Partition => "partition",
            FaultClass::Break => "break",
            FaultClass::Degrade => "degrade",
            FaultClass::Stop => "stop",
            FaultClass::Link => "link",
            FaultClass::Clients => "clients",
        }
    }

    /// A short description.
    pub fn about(self) -> &'static str {
        match self {
            FaultClass::Kill => "a process is killed and restarted",
            FaultClass::Power => "machines lose power: unsynced writes are lost, and the last one is torn",
            FaultClass::Hang => "a process is suspended and resumed",
            FaultClass::Wipe => "a disk is lost",
            FaultClass::Damage => "a bit on a disk is flipped, or files are lost, while its node is down",
            FaultClass::Rot => "a stored message is damaged while its node runs",
            FaultClass::FullDisk => "a disk is full",
            FaultClass::SlowDisk => "a disk is slow",
            FaultClass::Clock => "a wall clock jumps",
            FaultClass::Cut => "edges drop all frames, some in one direction only",
            FaultClass::Partition => "the cube is split into two sides",
            FaultClass::Break => "connections break, and frames in transit are lost",
            FaultClass::Degrade => "edges delay, lose, duplicate, reorder and corrupt frames",
            FaultClass::Stop => "a node is stopped by a requested fault: crash, wipe or pause",
            FaultClass::Link => "an edge is cut, delayed or made lossy by a requested fault",
            FaultClass::Clients => "clients lose their connections, and the answers in transit",
        }
    }
}

impl std::fmt::Display for FaultClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The error for an unknown class name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "there is no fault class `{0}`; the classes are: {names}",
    names = FaultClass::ALL.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ")
)]
pub struct UnknownFaultClass(pub String);

impl std::str::FromStr for FaultClass {
    type Err = UnknownFaultClass;

    fn from_str(name: &str) -> Result<FaultClass, UnknownFaultClass> {
        let found = FaultClass::ALL.iter().find(|class| class.name() == name);
        found.copied().ok_or_else(|| UnknownFaultClass(name.into()))
    }
}

impl Fault {
    /// The fault's class.
    pub fn class(&self) -> FaultClass {
        match self {
            Fault::Kill { .. } => FaultClass::Kill,
            Fault::Power { .. } => FaultClass::Power,
            Fault::Hang { .. } => FaultClass::Hang,
            Fault::Wipe { .. } => FaultClass::Wipe,
            Fault::Damage { .. } => FaultClass::Damage,
            Fault::Rot { .. } => FaultClass::Rot,
            Fault::FullDisk { .. } => FaultClass::FullDisk,
            Fault::SlowDisk { .. } => FaultClass::SlowDisk,
            Fault::Clock { .. } => FaultClass::Clock,
            Fault::Cut { .. } => FaultClass::Cut,
            Fault::Partition { .. } => FaultClass::Partition,
            Fault::Break { .. } => FaultClass::Break,
            Fault::Degrade { .. } => FaultClass::Degrade,
            Fault::Stop { .. } => FaultClass::Stop,
            Fault::Link { .. } => FaultClass::Link,
            Fault::Clients { .. } => FaultClass::Clients,
        }
    }

    /// The nodes that the fault names.
    pub fn places(&self) -> Vec<HostId> {
        match self {
            Fault::Kill { node }
            | Fault::Hang { node }
            | Fault::Wipe { node }
            | Fault::Damage { node, .. }
            | Fault::Rot { node }
            | Fault::FullDisk { node, .. }
            | Fault::SlowDisk { node, .. }
            | Fault::Clock { node, .. }
            | Fault::Stop { node, .. }
            | Fault::Clients { node } => vec![*node],
            Fault::Power { nodes } => nodes.clone(),
            Fault::Partition { side, .. } => side.clone(),
            Fault::Cut { edges } | Fault::Break { edges } | Fault::Degrade { edges, .. } => {
                edges.iter().flat_map(|(from, to)| [*from, *to]).collect()
            }
            Fault::Link { from, to, .. } => vec![*from, *to],
        }
    }

    /// Draws a fault of this class at a random place.
    pub fn draw(class: FaultClass, seating: &Seating, random: &mut fastrand::Rng) -> Fault {
        let node = any_node(seating, random);
        match class {
            FaultClass::Kill => Fault::Kill { node },
            FaultClass::Power => Fault::Power { nodes: some_nodes(seating, random) },
            FaultClass::Hang => Fault::Hang { node },
            FaultClass::Wipe => Fault::Wipe { node },
            FaultClass::Damage => {
                let rows = [
                    DamagedRow::Message,
                    DamagedRow::LogTail,
                    DamagedRow::Any,
                    DamagedRow::CommitMarker,
                    DamagedRow::Journals,
                    DamagedRow::CommitMarkerAndJournals,
                ];
                Fault::Damage { node, row: pick(&rows, random) }
            }
            FaultClass::Rot => Fault::Rot { node },
            FaultClass::FullDisk => {
                let reserve = disk::RESERVE as u32;
                Fault::FullDisk { node, left: pick(&[0, 0, reserve, reserve + 20_000, 3 * reserve], random) }
            }
            FaultClass::SlowDisk => Fault::SlowDisk { node, delay_us: pick(&[5_000, 50_000, 400_000], random) },
            FaultClass::Clock => {
                const HOUR: i64 = 3_600_000_000;
                Fault::Clock { node, by_us: pick(&[-HOUR, -1_000_000, 1_000_000, HOUR, 24 * HOUR], random) }
            }
            FaultClass::Cut => Fault::Cut { edges: some_edges(seating, random) },
            FaultClass::Partition => {
                Fault::Partition { side: some_nodes(seating, random), one_way: random.u8(..4) == 0 }
            }
            FaultClass::Break => Fault::Break { edges: some_edges(seating, random) },
            FaultClass::Degrade => {
                Fault::Degrade { edges: some_edges(seating, random), conditions: bad_conditions(random) }
            }
            FaultClass::Stop => {
                let mode = pick(&[StopMode::Crash, StopMode::Pause, StopMode::Crash, StopMode::Wipe], random);
                Fault::Stop { node, mode }
            }
            FaultClass::Link => {
                let to = seating.across(node, random.u8(..seating.links()));
                Fault::Link { from: node, to, conditions: bad_link(random) }
            }
            FaultClass::Clients => Fault::Clients { node },
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Kill { node } => write!(f, "{node} is killed"),
            Fault::Power { nodes } => write!(f, "{} lose power", list(nodes)),
            Fault::Hang { node } => write!(f, "{node} is suspended"),
            Fault::Wipe { node } => write!(f, "{node} loses its disk"),
            Fault::Damage { node, row } => write!(f, "the disk of {node} is damaged ({row:?})"),
            Fault::Rot { node } => write!(f, "a message on the disk of {node} is damaged while it runs"),
            Fault::FullDisk { node, left: 0 } => write!(f, "the disk of {node} is full"),
            Fault::FullDisk { node, left } => write!(f, "the disk of {node} has room for {left} bytes"),
            Fault::SlowDisk { node, delay_us } => write!(f, "every access to the disk of {node} takes {delay_us} us"),
            Fault::Clock { node, by_us } => write!(f, "the clock of {node} jumps by {} s", by_us / 1_000_000),
            Fault::Cut { edges } => write!(f, "cut: {}", edge_list(edges)),
            Fault::Partition { side, one_way: false } => write!(f, "{} are cut off from the others", list(side)),
            Fault::Partition { side, one_way: true } => {
                write!(f, "frames from {} to the others are dropped", list(side))
            }
            Fault::Break { edges } => write!(f, "connections break: {}", edge_list(edges)),
            Fault::Degrade { edges, conditions } => {
                let EdgeConditions { delay_us, jitter_us, loss, duplication, reordering, altering, .. } = conditions;
                write!(
                    f,
                    "{}: {delay_us}+{jitter_us} us, {:.0} % lost, {:.0} % duplicated, {:.0} % reordered, {:.0} % \
                     corrupted",
                    edge_list(edges),
                    loss * 100.0,
                    duplication * 100.0,
                    reordering * 100.0,
                    altering * 100.0
                )
            }
            Fault::Stop { node, mode } => write!(f, "{node} is stopped by a requested fault: {mode:?}"),
            Fault::Link { from, to, conditions } => write!(f, "{from} -> {to} by a requested fault: {conditions:?}"),
            Fault::Clients { node } => write!(f, "the clients of {node} lose their connections"),
        }
    }
}

/// Draws a set of nodes: half of the time about a quarter of all, a quarter of the time about half, otherwise all.
/// It has at least one.
fn some_nodes(seating: &Seating, random: &mut fastrand::Rng) -> Vec<HostId> {
    let share = pick(&[4, 4, 2, 1], random);
    let mut chosen: BTreeSet<HostId> = seating.hosts().filter(|_| random.u8(..4) < 4 / share).collect();
    chosen.insert(any_node(seating, random));
    chosen.into_iter().collect()
}

fn bad_conditions(random: &mut fastrand::Rng) -> EdgeConditions {
    let usual = EdgeConditions::default();
    match random.u8(..6) {
        0 => EdgeConditions { delay_us: 30_000, jitter_us: 50_000, ..usual },
        1 => EdgeConditions { loss: 0.3, ..usual },
        2 => EdgeConditions { duplication: 0.4, jitter_us: 20_000, ..usual },
        3 => EdgeConditions { reordering: 0.5, jitter_us: 40_000, ..usual },
        4 => EdgeConditions { altering: 0.03, ..usual },
        _ => EdgeConditions {
            cut: false,
            delay_us: 2_000,
            jitter_us: 100_000,
            loss: 0.1,
            duplication: 0.1,
            reordering: 0.2,
            altering: 0.01,
        },
    }
}

fn bad_link(random: &mut fastrand::Rng) -> LinkConditions {
    match random.u8(..3) {
        0 => LinkConditions { cut: true, ..LinkConditions::PERFECT },
        1 => LinkConditions { loss: 0.3, ..LinkConditions::PERFECT },
        _ => LinkConditions { delay_ms: 30, jitter_ms: 50, ..LinkConditions::PERFECT },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::cube::Dimension;

    #[test]
    fn every_class_has_a_name_of_its_own_and_draws_faults_of_its_own() {
        let mut random = fastrand::Rng::with_seed(1);
        for class in FaultClass::ALL {
            assert_eq!(class.name().parse(), Ok(*class));
            for bits in 1..=4 {
                let fault = Fault::draw(*class, &Seating::founding(Dimension::new(bits).unwrap()), &mut random);
                assert_eq!(fault.class(), *class);
            }
        }
        assert!("lightning".parse::<FaultClass>().unwrap_err().to_string().contains("kill, power"));
    }
}
