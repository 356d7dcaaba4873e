//! What the page asks for by itself: to be told everything, and how things stand now and then.
//!
//! Pure: [`Errands::due`] says what to ask, [`Errands::note_done`] hears of the answers.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::client::Target;
use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::wire::client::Action;

/// Topics are told by events as they change; the list fills what was missed. (It asks every group, which is to be seen.)
const TOPICS_EVERY: u64 = 15;
/// A node that tells more a second than the page can draw is asked for a smaller sample, and for a larger one when it is
/// calmer again. Between the two lies more than one step, so that the sample does not swing.
const MANY_EVENTS: u32 = 1_500;
const FEW_EVENTS: u32 = 200;
const SAMPLE_STEP: u32 = 4;
const SMALLEST_SAMPLE: u32 = 4_096;

/// One thing that the page asks for by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Errand {
    /// Who is there at all?
    Find,
    /// To be told everything, or one in so many of what is frequent.
    Watch {
        node: Vertex,
        sample: u32,
    },
    /// The node's view of the cluster.
    View(Vertex),
    /// The node itself, in detail.
    Status(Vertex),
    Topics,
    /// How the holders of the topic under the X-ray stand.
    Holders,
}

#[derive(Debug, Default)]
pub struct Errands {
    under_way: BTreeSet<Errand>,
    /// The samples that nodes were asked for, and agreed to.
    watched: BTreeMap<Vertex, u32>,
    /// Events since the last turn.
    told: BTreeMap<Vertex, u32>,
    turns: u64,
    /// Asked for its status every time: the node that the person looks at.
    pub attention: Option<Vertex>,
    /// Asked for their status every time until they have caught up.
    returning: BTreeSet<Vertex>,
    /// Asked for its holders every time: the topic under the X-ray.
    pub topic: Option<TopicName>,
}

impl Errands {
    /// What to ask now, called about once a second. What is under way already is not asked again.
    pub fn due(&mut self, nodes: &[Vertex]) -> Vec<Errand> {
        let mut due = Vec::new();
        if nodes.is_empty() {
            due.push(Errand::Find);
        } else {
            let next = nodes[(self.turns % nodes.len() as u64) as usize];
            due.extend(nodes.iter().filter_map(|node| self.watch(*node)));
            due.extend([Errand::View(next), Errand::Status(next)]);
            due.extend(self.attention.iter().chain(&self.returning).copied().map(Errand::Status));
            due.extend(self.topic.as_ref().map(|_| Errand::Holders));
            due.extend(self.turns.is_multiple_of(TOPICS_EVERY).then_some(Errand::Topics));
            self.turns += 1;
            self.told.clear();
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
        if let (Errand::Watch { node, sample }, true) = (errand, succeeded) {
            self.watched.insert(node, sample);
        }
    }

    pub fn note_event(&mut self, node: Vertex) {
        *self.told.entry(node).or_default() += 1;
    }

    /// A node began to catch up, or has.
    pub fn note_returning(&mut self, node: Vertex, returns: bool) {
        if returns {
            self.returning.insert(node);
        } else {
            self.returning.remove(&node);
        }
    }

    /// `None`: what it was about is no longer of interest.
    pub fn request(&self, errand: Errand) -> Option<(Action, Target)> {
        let request = match errand {
            Errand::Find => (Action::Cluster, Target::Any),
            Errand::Watch { node, sample } => (Action::Watch { kinds: Vec::new(), sample }, Target::Node(node)),
            Errand::View(node) => (Action::Cluster, Target::Node(node)),
            Errand::Status(node) => (Action::Status { node: None }, Target::Node(node)),
            Errand::Topics => (Action::Topics, Target::Any),
            Errand::Holders => (Action::Locate { topic: self.topic.clone()? }, Target::Home),
        };
        Some(request)
    }

    /// The watch to ask this node for, where it is not the one that stands.
    fn watch(&self, node: Vertex) -> Option<Errand> {
        let told = self.told.get(&node).copied().unwrap_or(0);
        let known = self.watched.get(&node).copied();
        let sample = match known {
            None => 1,
            Some(sample) if told > MANY_EVENTS => (sample * SAMPLE_STEP).min(SMALLEST_SAMPLE),
            Some(sample) if told < FEW_EVENTS => (sample / SAMPLE_STEP).max(1),
            Some(sample) => sample,
        };
        (known != Some(sample)).then_some(Errand::Watch { node, sample })
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
            first.contains(&Errand::Watch { node: nodes[0], sample: 1 })
                && first.contains(&Errand::Watch { node: nodes[1], sample: 1 })
        );
        errands.note_done(Errand::Watch { node: nodes[0], sample: 1 }, true);
        errands.note_done(Errand::Watch { node: nodes[1], sample: 1 }, false);
        let second = errands.due(&nodes);
        assert!(
            !second.contains(&Errand::Watch { node: nodes[0], sample: 1 })
                && second.contains(&Errand::Watch { node: nodes[1], sample: 1 })
        );
    }

    #[test]
    fn each_node_has_its_turn_and_the_one_looked_at_has_every_turn() {
        let (mut errands, nodes) = (Errands { attention: Some(cube()[0]), ..Errands::default() }, cube());
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
                due.iter().for_each(|errand| errands.note_done(*errand, true));
                due
            })
            .collect();
        assert!(asked.contains(&Errand::View(nodes[0])) && asked.contains(&Errand::View(nodes[1])));
    }

    #[test]
    fn a_node_that_tells_too_much_is_asked_for_less_until_it_is_calm_again() {
        let (mut errands, node) = (Errands::default(), cube()[0]);
        let mut turn = |events| {
            (0..events).for_each(|_| errands.note_event(node));
            let due = errands.due(&[node]);
            due.iter().for_each(|errand| errands.note_done(*errand, true));
            due.into_iter().find(|errand| matches!(errand, Errand::Watch { .. }))
        };
        assert_eq!(turn(0), Some(Errand::Watch { node, sample: 1 }));
        assert_eq!(turn(MANY_EVENTS), None);
        assert_eq!(turn(MANY_EVENTS + 1), Some(Errand::Watch { node, sample: 4 }));
        assert_eq!(turn(FEW_EVENTS), None);
        assert_eq!(turn(FEW_EVENTS - 1), Some(Errand::Watch { node, sample: 1 }));
        assert_eq!(turn(0), None);
    }

    #[test]
    fn the_holders_of_the_topic_under_the_x_ray_are_asked_for_every_time() {
        let mut errands = Errands { topic: TopicName::new("news").ok(), ..Errands::default() };
        for _ in 0..3 {
            assert!(errands.due(&cube()).contains(&Errand::Holders));
            assert!(matches!(errands.request(Errand::Holders), Some((Action::Locate { .. }, Target::Home))));
            errands.note_done(Errand::Holders, true);
        }
        errands.topic = None;
        assert!(!errands.due(&cube()).contains(&Errand::Holders));
        assert_eq!(errands.request(Errand::Holders), None);
    }
}
