//! What the page asks for by itself: to be told everything, and how things stand now and then.
//!
//! Pure: [`Errands::due`] says what to ask, [`Errands::note_done`] hears of the answers.

use std::collections::BTreeSet;

use cubecast_core::client::Target;
use cubecast_core::cube::Vertex;
use cubecast_core::wire::client::Action;

/// Every frame that crosses an edge is told; the page itself draws no more than it can.
const SAMPLE: u32 = 1;

/// One thing that the page asks for by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Errand {
    /// Who is there at all?
    Find,
    Watch(Vertex),
    /// The node's view of the cluster.
    View(Vertex),
    /// The node itself, in detail.
    Status(Vertex),
    Topics,
}

#[derive(Debug, Default)]
pub struct Errands {
    under_way: BTreeSet<Errand>,
    watched: BTreeSet<Vertex>,
    /// Whose turn it is to be asked for its view and its status.
    turn: usize,
    /// Asked for its status every time: the node that the person looks at.
    pub attention: Option<Vertex>,
}

impl Errands {
    /// What to ask now, called about once a second. What is under way already is not asked again.
    pub fn due(&mut self, nodes: &[Vertex]) -> Vec<Errand> {
        let mut due = Vec::new();
        if nodes.is_empty() {
            due.push(Errand::Find);
        } else {
            self.turn = (self.turn + 1) % nodes.len();
            let next = nodes[self.turn];
            due.extend(
                nodes
                    .iter()
                    .filter(|node| !self.watched.contains(node))
                    .map(|node| Errand::Watch(*node)),
            );
            due.extend([Errand::View(next), Errand::Status(next), Errand::Topics]);
            due.extend(self.attention.map(Errand::Status));
        }
        due.retain(|errand| self.under_way.insert(*errand));
        due
    }

    /// What to ask a node about itself as soon as it is watched.
    pub fn greeting(&mut self, node: Vertex) -> Vec<Errand> {
        let mut due = vec![Errand::View(node), Errand::Status(node)];
        due.retain(|errand| self.under_way.insert(*errand));
        due
    }

    /// A watch that stands is kept up by the client itself.
    pub fn note_done(&mut self, errand: Errand, succeeded: bool) {
        self.under_way.remove(&errand);
        if let (Errand::Watch(node), true) = (errand, succeeded) {
            self.watched.insert(node);
        }
    }
}

impl Errand {
    pub fn request(self) -> (Action, Target) {
        match self {
            Errand::Find => (Action::Cluster, Target::Any),
            Errand::Watch(node) => (
                Action::Watch {
                    kinds: Vec::new(),
                    sample: SAMPLE,
                },
                Target::Node(node),
            ),
            Errand::View(node) => (Action::Cluster, Target::Node(node)),
            Errand::Status(node) => (Action::Status { node: None }, Target::Node(node)),
            Errand::Topics => (Action::Topics, Target::Any),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cube() -> Vec<Vertex> {
        ["0", "1"].map(|name| name.parse().unwrap()).to_vec()
    }

    #[test]
    fn before_the_cluster_is_known_it_is_looked_for_once_at_a_time() {
        let mut errands = Errands::default();
        assert_eq!(errands.due(&[]), [Errand::Find]);
        assert!(errands.due(&[]).is_empty());
        errands.note_done(Errand::Find, false);
        assert_eq!(errands.due(&[]), [Errand::Find]);
    }

    #[test]
    fn a_node_that_could_not_be_watched_is_asked_again_and_one_that_is_watched_is_not() {
        let (mut errands, nodes) = (Errands::default(), cube());
        let first = errands.due(&nodes);
        assert!(
            first.contains(&Errand::Watch(nodes[0])) && first.contains(&Errand::Watch(nodes[1]))
        );
        errands.note_done(Errand::Watch(nodes[0]), true);
        errands.note_done(Errand::Watch(nodes[1]), false);
        let second = errands.due(&nodes);
        assert!(
            !second.contains(&Errand::Watch(nodes[0])) && second.contains(&Errand::Watch(nodes[1]))
        );
    }

    #[test]
    fn each_node_has_its_turn_and_the_one_looked_at_has_every_turn() {
        let (mut errands, nodes) = (
            Errands {
                attention: Some(cube()[0]),
                ..Errands::default()
            },
            cube(),
        );
        for _ in 0..4 {
            let due = errands.due(&nodes);
            assert!(due.contains(&Errand::Status(nodes[0])));
            for errand in due {
                errands.note_done(errand, true);
            }
        }
        let asked: Vec<_> = (0..2)
            .flat_map(|_| {
                let due = errands.due(&nodes);
                due.iter()
                    .for_each(|errand| errands.note_done(*errand, true));
                due
            })
            .collect();
        assert!(asked.contains(&Errand::View(nodes[0])) && asked.contains(&Errand::View(nodes[1])));
    }
}
