//! The page's own requests: subscriptions to every node's events, and periodic polling of state.
//!
//! Pure: [`Errands::due`] returns the requests to send; [`Errands::note_done`] and [`Errands::note_answer`] record the
//! results.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::client::Target;
use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::wire::answer::{Answer, Done, NodeState};
use cubecast_core::wire::client::Action;

/// Events report changes of topics; this list, every 15 turns, fills in missed events. (It queries every group, and
/// those requests are visible on the page.)
const TOPICS_EVERY: u64 = 15;
/// The interval while some running nodes are unreachable, so that their events are missing.
const TOPICS_EVERY_UNHEARD: u64 = 3;
/// Number of unreachable nodes that are queried per turn through other nodes.
const ASKED_THROUGH_OTHERS: usize = 4;
/// Events per second of one node. Above the upper limit the page requests a smaller sample, below the lower limit a
/// larger one. The limits are more than one sampling step apart, so the sample does not oscillate.
const MANY_EVENTS: u32 = 1_500;
const FEW_EVENTS: u32 = 200;
const SAMPLE_STEP: u32 = 4;
const SMALLEST_SAMPLE: u32 = 4_096;

/// One request of the page itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Errand {
    /// Finds the cluster.
    Find,
    /// Subscribes to all events of a node; of frequent events, to one in `sample`.
    Watch {
        node: Vertex,
        sample: u32,
    },
    /// The node's view of the cluster.
    View(Vertex),
    /// The node's detailed status.
    Status(Vertex),
    Topics,
    /// The node's detailed status, requested through any other node because this page has no connection to it.
    StatusThrough(Vertex),
    /// The state of the holders of the topic under the X-ray.
    Holders,
    /// The state of one holder, requested directly because the home cannot reach it.
    HoldersAt(Vertex),
}

/// The polling state: requests in flight and the data that decides which requests are due.
#[derive(Debug, Default)]
pub struct Errands {
    under_way: BTreeSet<Errand>,
    /// The sample that each node confirmed.
    watched: BTreeMap<Vertex, u32>,
    /// Events per node since the last turn.
    told: BTreeMap<Vertex, u32>,
    turns: u64,
    /// The selected node; its status is requested every turn.
    pub attention: Option<Vertex>,
    /// Nodes that are catching up; their status is requested every turn.
    returning: BTreeSet<Vertex>,
    /// The topic under the X-ray; its holders are requested every turn.
    pub topic: Option<TopicName>,
    /// Holders of that topic that did not answer the home's last query.
    silent_holders: Vec<Vertex>,
    /// Nodes that were running in the last view.
    running: BTreeSet<Vertex>,
}

impl Errands {
    /// The requests to send now; called about once a second. Requests in flight are not repeated. `lost`: nodes without
    /// a connection to this page; those that run are queried through other nodes.
    pub fn due(&mut self, nodes: &[Vertex], lost: &BTreeSet<Vertex>) -> Vec<Errand> {
        let mut due = Vec::new();
        if nodes.is_empty() {
            due.push(Errand::Find);
        } else {
            let (unreached, reached): (Vec<Vertex>, Vec<Vertex>) = nodes.iter().partition(|node| lost.contains(node));
            due.extend(nodes.iter().filter_map(|node| self.watch(*node)));
            due.extend(
                self.turn_of(&reached, 1).into_iter().flat_map(|next| [Errand::View(next), Errand::Status(next)]),
            );
            let strangers: Vec<Vertex> = unreached.into_iter().filter(|node| self.running.contains(node)).collect();
            due.extend(self.turn_of(&strangers, ASKED_THROUGH_OTHERS).into_iter().map(Errand::StatusThrough));
            due.extend(self.attention.iter().chain(&self.returning).map(|node| match lost.contains(node) {
                true => Errand::StatusThrough(*node),
                false => Errand::Status(*node),
            }));
            due.extend(self.topic.as_ref().map(|_| Errand::Holders));
            due.extend(
                self.silent_holders.iter().filter(|holder| !lost.contains(holder)).copied().map(Errand::HoldersAt),
            );
            let topics_every = if strangers.is_empty() { TOPICS_EVERY } else { TOPICS_EVERY_UNHEARD };
            due.extend(self.turns.is_multiple_of(topics_every).then_some(Errand::Topics));
            self.turns += 1;
            self.told.clear();
        }
        due.retain(|errand| self.under_way.insert(*errand));
        due
    }

    /// The next `count` nodes, round robin.
    fn turn_of(&self, nodes: &[Vertex], count: usize) -> Vec<Vertex> {
        let first = self.turns as usize * count;
        (first..first + count.min(nodes.len())).map(|at| nodes[at % nodes.len()]).collect()
    }

    /// Learns from an answer: a view names the running nodes, and a topic's location names its silent holders.
    pub fn note_answer(&mut self, errand: Errand, answer: &Answer) {
        match (errand, &answer.result) {
            (_, Ok(Done::Cluster(view))) => {
                let running = view.nodes.iter().filter(|seen| seen.state != NodeState::Failed);
                self.running = running.map(|seen| seen.node).collect();
            }
            (Errand::Holders, Ok(Done::Located(location))) => {
                self.silent_holders =
                    location.holders.iter().filter(|found| !found.alive).map(|found| found.node).collect();
            }
            _ => {}
        }
    }

    /// Changes the topic under the X-ray; `None` for no topic.
    pub fn look_into(&mut self, topic: Option<TopicName>) {
        self.topic = topic;
        self.silent_holders.clear();
    }

    /// The requests to a node as soon as its events arrive.
    pub fn greeting(&mut self, node: Vertex) -> Vec<Errand> {
        let mut due = vec![Errand::View(node), Errand::Status(node)];
        due.retain(|errand| self.under_way.insert(*errand));
        due
    }

    /// Records the end of a request. The client itself renews a watch that succeeded.
    pub fn note_done(&mut self, errand: Errand, succeeded: bool) {
        self.under_way.remove(&errand);
        if let (Errand::Watch { node, sample }, true) = (errand, succeeded) {
            self.watched.insert(node, sample);
        }
    }

    /// Counts one event of a node.
    pub fn note_event(&mut self, node: Vertex) {
        *self.told.entry(node).or_default() += 1;
    }

    /// Records that a node started or finished catching up.
    pub fn note_returning(&mut self, node: Vertex, returns: bool) {
        if returns {
            self.returning.insert(node);
        } else {
            self.returning.remove(&node);
        }
    }

    /// The client request for an errand; `None` if its subject is no longer of interest.
    pub fn request(&self, errand: Errand) -> Option<(Action, Target)> {
        let request = match errand {
            Errand::Find => (Action::Cluster, Target::Any),
            Errand::Watch { node, sample } => (Action::Watch { kinds: Vec::new(), sample }, Target::Node(node)),
            Errand::View(node) => (Action::Cluster, Target::Node(node)),
            Errand::Status(node) => (Action::Status { node: None }, Target::Node(node)),
            Errand::Topics => (Action::Topics, Target::Any),
            Errand::StatusThrough(node) => (Action::Status { node: Some(node) }, Target::Any),
            Errand::Holders => (Action::Locate { topic: self.topic.clone()? }, Target::Home),
            Errand::HoldersAt(node) => (Action::Locate { topic: self.topic.clone()? }, Target::Node(node)),
        };
        Some(request)
    }

    /// The watch to request from this node, if its sample must change.
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
    use cubecast_core::wire::answer::{ClusterView, Holder, Location, NodeView};

    use super::*;

    fn none() -> BTreeSet<Vertex> {
        BTreeSet::new()
    }

    fn cube() -> Vec<Vertex> {
        ["0", "1"].map(|name| name.parse().unwrap()).to_vec()
    }

    #[test]
    fn before_the_cluster_is_known_it_is_looked_for_once_at_a_time() {
        let mut errands = Errands::default();
        assert_eq!(errands.due(&[], &none()), [Errand::Find]);
        assert!(errands.due(&[], &none()).is_empty());
        errands.note_done(Errand::Find, false);
        assert_eq!(errands.due(&[], &none()), [Errand::Find]);
    }

    #[test]
    fn a_node_that_could_not_be_watched_is_asked_again_and_one_that_is_watched_is_not() {
        let (mut errands, nodes) = (Errands::default(), cube());
        let first = errands.due(&nodes, &none());
        assert!(
            first.contains(&Errand::Watch { node: nodes[0], sample: 1 })
                && first.contains(&Errand::Watch { node: nodes[1], sample: 1 })
        );
        errands.note_done(Errand::Watch { node: nodes[0], sample: 1 }, true);
        errands.note_done(Errand::Watch { node: nodes[1], sample: 1 }, false);
        let second = errands.due(&nodes, &none());
        assert!(
            !second.contains(&Errand::Watch { node: nodes[0], sample: 1 })
                && second.contains(&Errand::Watch { node: nodes[1], sample: 1 })
        );
    }

    #[test]
    fn each_node_has_its_turn_and_the_one_looked_at_has_every_turn() {
        let (mut errands, nodes) = (Errands { attention: Some(cube()[0]), ..Errands::default() }, cube());
        for _ in 0..4 {
            let due = errands.due(&nodes, &none());
            assert!(due.contains(&Errand::Status(nodes[0])));
            for errand in due {
                errands.note_done(errand, true);
            }
        }
        let asked: Vec<_> = (0..2)
            .flat_map(|_| {
                let due = errands.due(&nodes, &none());
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
            let due = errands.due(&[node], &none());
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
    fn with_one_node_in_reach_it_is_asked_for_its_view_every_time_and_the_others_through_it() {
        let nodes: Vec<Vertex> = ["00", "01", "10", "11"].map(|name| name.parse().unwrap()).to_vec();
        let lost: BTreeSet<Vertex> = nodes[1..].iter().copied().collect();
        let mut errands = Errands::default();
        let node = |node: Vertex| NodeView {
            node,
            address: String::new(),
            state: if node == nodes[3] { NodeState::Failed } else { NodeState::Up },
            incarnation: 1,
            leads: Vec::new(),
        };
        let view = ClusterView {
            dimension: nodes[0].dimension(),
            nodes: nodes.iter().copied().map(node).collect(),
            links: Vec::new(),
        };
        let answer = Answer { id: None, served_by: nodes[0], hops: None, result: Ok(Done::Cluster(view)) };
        errands.note_answer(Errand::Find, &answer);
        for _ in 0..3 {
            let due = errands.due(&nodes, &lost);
            assert!(due.contains(&Errand::View(nodes[0])) && due.contains(&Errand::Topics) == (errands.turns % 3 == 1));
            assert!(due.contains(&Errand::StatusThrough(nodes[1])) && due.contains(&Errand::StatusThrough(nodes[2])));
            assert!(!due.contains(&Errand::StatusThrough(nodes[3])), "it is down");
            due.iter().for_each(|errand| errands.note_done(*errand, true));
        }
        let through = errands.request(Errand::StatusThrough(nodes[1]));
        assert_eq!(through, Some((Action::Status { node: Some(nodes[1]) }, Target::Any)));
    }

    #[test]
    fn a_holder_that_its_home_cannot_ask_is_asked_itself() {
        let topic = TopicName::new("news").unwrap();
        let mut errands = Errands { topic: Some(topic.clone()), ..Errands::default() };
        let holder = |node: Vertex, alive| Holder { node, alive, last_offset: None, lag: None, voter: alive };
        let (home, away) = (cube()[0], cube()[1]);
        let location = Location {
            topic,
            exists: true,
            home,
            replicas: vec![away],
            leader: None,
            holders: vec![holder(home, true), holder(away, false)],
        };
        let answer = Answer { id: None, served_by: home, hops: None, result: Ok(Done::Located(location)) };
        errands.note_answer(Errand::Holders, &answer);
        assert!(errands.due(&cube(), &none()).contains(&Errand::HoldersAt(away)));
        errands.note_done(Errand::HoldersAt(away), true);
        assert!(!errands.due(&cube(), &BTreeSet::from([away])).contains(&Errand::HoldersAt(away)));
    }

    #[test]
    fn the_holders_of_the_topic_under_the_x_ray_are_asked_for_every_time() {
        let mut errands = Errands { topic: TopicName::new("news").ok(), ..Errands::default() };
        for _ in 0..3 {
            assert!(errands.due(&cube(), &none()).contains(&Errand::Holders));
            assert!(matches!(errands.request(Errand::Holders), Some((Action::Locate { .. }, Target::Home))));
            errands.note_done(Errand::Holders, true);
        }
        errands.look_into(None);
        assert!(!errands.due(&cube(), &none()).contains(&Errand::Holders));
        assert_eq!(errands.request(Errand::Holders), None);
    }
}
