//! Injected faults: what is broken, and how to mend it.

use cubecast_core::client::Target;
use cubecast_core::faults::LinkConditions;
use cubecast_core::identity::HostId;
use cubecast_core::wire::client::{Action, Admin};

use super::cluster::{Cluster, Health};
use super::task::{Panel, Task, TaskStep};
use super::tasks::{set_both_ways, set_one_way};

/// Faults injected within this time belong to one user action and are mended together.
const TOGETHER_MS: u64 = 1_500;

/// One injected fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Broken {
    Node(HostId),
    /// Both directions of a link, with equal conditions; the smaller end first.
    Edge(HostId, HostId),
    /// One direction of a link.
    Link(HostId, HostId),
}

/// All injected faults with the time they were noticed (milliseconds since 1970), oldest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Breakages(Vec<(Broken, u64)>);

impl Breakages {
    /// Whether there are no requested faults.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All injected faults, oldest first.
    pub fn all(&self) -> Vec<Broken> {
        self.0.iter().map(|(broken, _)| *broken).collect()
    }

    /// The newest fault and all faults within 1.5 s before it.
    pub fn last(&self) -> Vec<Broken> {
        let newest = self.0.last().map_or(0, |(_, since_ms)| *since_ms);
        self.0.iter().filter(|(_, since_ms)| since_ms + TOGETHER_MS >= newest).map(|(broken, _)| *broken).collect()
    }

    /// Updates the list from the cluster's state.
    pub fn update(&mut self, cluster: &Cluster, now_ms: u64) {
        let now = Broken::all(cluster);
        self.0.retain(|(broken, _)| now.contains(broken));
        for broken in now {
            if self.0.iter().all(|(known, _)| *known != broken) {
                self.0.push((broken, now_ms));
            }
        }
    }
}

impl Broken {
    /// All injected faults of the cluster, nodes first.
    pub fn all(cluster: &Cluster) -> Vec<Broken> {
        let nodes = cluster
            .nodes
            .iter()
            .filter(|(vertex, node)| node.says_that_it_fails() && cluster.health(**vertex) == Health::Failed);
        let nodes = nodes.map(|(vertex, _)| Broken::Node(*vertex));
        let links = cluster.links.iter().filter(|(_, link)| link.conditions != LinkConditions::PERFECT);
        let links = links.filter_map(|((from, to), link)| {
            if cluster.link(*to, *from).conditions != link.conditions {
                return Some(Broken::Link(*from, *to));
            }
            (from < to).then_some(Broken::Edge(*from, *to))
        });
        nodes.chain(links).collect()
    }

    /// The requests that mend it.
    fn mending(self) -> Vec<TaskStep> {
        match self {
            Broken::Node(node) => {
                let recover = Action::Admin(Admin::RecoverNode { node: Some(node) });
                vec![TaskStep::new(recover, Target::Node(node))]
            }
            Broken::Edge(a, b) => set_both_ways(a, b, LinkConditions::PERFECT).to_vec(),
            Broken::Link(from, to) => vec![set_one_way(from, to, LinkConditions::PERFECT)],
        }
    }
}

/// A task that mends these faults, nodes first, because a stopped node accepts no changes to its links.
pub fn mend(broken: &[Broken]) -> Task {
    let mut broken = broken.to_vec();
    broken.sort();
    Task { panel: Panel::Break, steps: broken.into_iter().flat_map(Broken::mending).collect() }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::states::NodeState;

    use super::super::cluster::Socket;
    use super::*;
    use crate::testing::named;

    const CUT: LinkConditions = LinkConditions { cut: true, ..LinkConditions::PERFECT };

    /// Eight healthy nodes.
    fn cluster() -> Cluster {
        let dimension = Dimension::new(3).unwrap();
        let mut cluster = Cluster::of(dimension);
        for (node, home) in cluster.all_nodes().zip(dimension.vertices()) {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
            cluster.learn_leader(home, 1, Some(node));
        }
        cluster
    }

    #[test]
    fn what_is_broken_is_listed_until_it_works_and_nodes_are_mended_first() {
        let (a, b) = (named("100"), named("101"));
        let mut cluster = cluster();
        assert!(Broken::all(&cluster).is_empty());
        cluster.learn_conditions(a, b, CUT);
        cluster.learn_state(b, b, NodeState::Failed);
        cluster.nodes.get_mut(&b).unwrap().returns_at_ms = Some(4_000);
        let broken = Broken::all(&cluster);
        assert_eq!(broken, [Broken::Node(b), Broken::Link(a, b)]);
        let task = mend(&[Broken::Link(a, b), Broken::Node(b)]);
        assert!(matches!(task.steps[0].action, Action::Admin(Admin::RecoverNode { .. })));
        cluster.learn_conditions(b, a, CUT);
        assert_eq!(Broken::all(&cluster)[1..], [Broken::Edge(a, b)], "both ways alike are one thing");
        assert_eq!(mend(&[Broken::Edge(a, b)]).steps.len(), 2);
        for (from, to) in [(a, b), (b, a)] {
            cluster.learn_conditions(from, to, LinkConditions::PERFECT);
        }
        assert_eq!(Broken::all(&cluster), [Broken::Node(b)]);
    }

    #[test]
    fn the_last_break_is_undone_first_and_as_a_whole() {
        let mut cluster = cluster();
        let (mut breakages, home) = (Breakages::default(), named("100"));
        let mut cut = |from: HostId, to: HostId, now_ms: u64| {
            cluster.learn_conditions(from, to, CUT);
            breakages.update(&cluster, now_ms);
        };
        cut(named("000"), named("001"), 1_000);
        cut(home, named("101"), 9_000);
        cut(home, named("110"), 9_000 + TOGETHER_MS);
        assert_eq!(breakages.last(), [Broken::Link(home, named("101")), Broken::Link(home, named("110"))]);
        for peer in ["101", "110", "000"].map(named) {
            cluster.learn_conditions(home, peer, LinkConditions::PERFECT);
        }
        breakages.update(&cluster, 12_000);
        assert_eq!(breakages.last(), [Broken::Link(named("000"), named("001"))]);
        assert_eq!(breakages.all().len(), 1);
    }
}
