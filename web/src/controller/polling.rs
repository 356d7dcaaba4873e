//! The page's own requests: subscriptions to every node's events, and periodic polling of state.
//!
//! Pure: [`Polling::due`] returns the requests to send; [`Polling::note_done`] and [`Polling::note_answer`] record the
//! results.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::client::Target;
use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::states::NodeState;
use cubecast_core::wire::answer::{Answer, Done};
use cubecast_core::wire::client::{Action, Admin, Local, Query};

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
pub enum Poll {
    /// Finds the cluster.
    Find,
    /// Subscribes to all events of a node; of frequent events, to one in `sample`.
    Watch {
        node: HostId,
        sample: u32,
    },
    /// The node's view of the cluster.
    View(HostId),
    /// The node's detailed status.
    Status(HostId),
    Topics,
    /// The node's detailed status, requested through any other node because this page has no connection to it.
    StatusThrough(HostId),
    /// The state of the replicas of the topic under the X-ray.
    Replicas,
    /// The state of one replica, requested directly because the home cannot reach it.
    ReplicasAt(HostId),
}

/// The polling state: requests in flight and the data that decides which requests are due.
#[derive(Debug, Default)]
pub struct Polling {
    under_way: BTreeSet<Poll>,
    /// The sample that each node confirmed.
    watched: BTreeMap<HostId, u32>,
    /// Events per node since the last turn.
    told: BTreeMap<HostId, u32>,
    turns: u64,
    /// The selected node; its status is requested every turn.
    pub attention: Option<HostId>,
    /// Nodes that are catching up; their status is requested every turn.
    returning: BTreeSet<HostId>,
    /// The topic under the X-ray; its replicas are requested every turn.
    pub topic: Option<TopicName>,
    /// Replicas of that topic that did not answer the home's last query.
    silent_replicas: Vec<HostId>,
    /// Nodes that were running in the last view.
    running: BTreeSet<HostId>,
}

impl Polling {
    /// The requests to send now; called about once a second. Requests in flight are not repeated. `lost`: nodes without
    /// a connection to this page; those that run are queried through other nodes.
    pub fn due(&mut self, nodes: &[HostId], lost: &BTreeSet<HostId>) -> Vec<Poll> {
        let mut due = Vec::new();
        if nodes.is_empty() {
            due.push(Poll::Find);
        } else {
            let (unreached, reached): (Vec<HostId>, Vec<HostId>) = nodes.iter().partition(|node| lost.contains(node));
            due.extend(nodes.iter().filter_map(|node| self.watch(*node)));
            due.extend(self.turn_of(&reached, 1).into_iter().flat_map(|next| [Poll::View(next), Poll::Status(next)]));
            let strangers: Vec<HostId> = unreached.into_iter().filter(|node| self.running.contains(node)).collect();
            due.extend(self.turn_of(&strangers, ASKED_THROUGH_OTHERS).into_iter().map(Poll::StatusThrough));
            due.extend(self.attention.iter().chain(&self.returning).map(|node| match lost.contains(node) {
                true => Poll::StatusThrough(*node),
                false => Poll::Status(*node),
            }));
            due.extend(self.topic.as_ref().map(|_| Poll::Replicas));
            due.extend(
                self.silent_replicas.iter().filter(|replica| !lost.contains(replica)).copied().map(Poll::ReplicasAt),
            );
            let topics_every = if strangers.is_empty() { TOPICS_EVERY } else { TOPICS_EVERY_UNHEARD };
            due.extend(self.turns.is_multiple_of(topics_every).then_some(Poll::Topics));
            self.turns += 1;
            self.told.clear();
        }
        due.retain(|poll| self.under_way.insert(*poll));
        due
    }

    /// The next `count` nodes, round robin.
    fn turn_of(&self, nodes: &[HostId], count: usize) -> Vec<HostId> {
        let first = self.turns as usize * count;
        (first..first + count.min(nodes.len())).map(|at| nodes[at % nodes.len()]).collect()
    }

    /// Learns from an answer: a view names the running nodes, and a topic's location names its silent replicas.
    pub fn note_answer(&mut self, poll: Poll, answer: &Answer) {
        match (poll, &answer.result) {
            (_, Ok(Done::Cluster(view))) => {
                let running = view.nodes.iter().filter(|seen| seen.state != NodeState::Failed);
                self.running = running.map(|seen| seen.node).collect();
            }
            (Poll::Replicas, Ok(Done::Located(location))) => {
                self.silent_replicas =
                    location.members.iter().filter(|found| !found.alive).map(|found| found.node).collect();
            }
            _ => {}
        }
    }

    /// Changes the topic under the X-ray; `None` for no topic.
    pub fn look_into(&mut self, topic: Option<TopicName>) {
        self.topic = topic;
        self.silent_replicas.clear();
    }

    /// The requests to a node as soon as its events arrive.
    pub fn greeting(&mut self, node: HostId) -> Vec<Poll> {
        let mut due = vec![Poll::View(node), Poll::Status(node)];
        due.retain(|poll| self.under_way.insert(*poll));
        due
    }

    /// Records the end of a request. The client itself renews a watch that succeeded.
    pub fn note_done(&mut self, poll: Poll, succeeded: bool) {
        self.under_way.remove(&poll);
        if let (Poll::Watch { node, sample }, true) = (poll, succeeded) {
            self.watched.insert(node, sample);
        }
    }

    /// Counts one event of a node.
    pub fn note_event(&mut self, node: HostId) {
        *self.told.entry(node).or_default() += 1;
    }

    /// Records that a node started or finished catching up.
    pub fn note_returning(&mut self, node: HostId, returns: bool) {
        if returns {
            self.returning.insert(node);
        } else {
            self.returning.remove(&node);
        }
    }

    /// The client request for an poll; `None` if its subject is no longer of interest.
    pub fn request(&self, poll: Poll) -> Option<(Action, Target)> {
        let request = match poll {
            Poll::Find => (Action::Local(Local::Cluster), Target::Any),
            Poll::Watch { node, sample } => {
                (Action::Local(Local::Watch { kinds: Vec::new(), sample }), Target::Node(node))
            }
            Poll::View(node) => (Action::Local(Local::Cluster), Target::Node(node)),
            Poll::Status(node) => (Action::Admin(Admin::Status { node: None }), Target::Node(node)),
            Poll::Topics => (Action::Query(Query::Topics), Target::Any),
            Poll::StatusThrough(node) => (Action::Admin(Admin::Status { node: Some(node) }), Target::Any),
            Poll::Replicas => (Action::Query(Query::Locate { topic: self.topic.clone()? }), Target::Home),
            Poll::ReplicasAt(node) => (Action::Query(Query::Locate { topic: self.topic.clone()? }), Target::Node(node)),
        };
        Some(request)
    }

    /// The watch to request from this node, if its sample must change.
    fn watch(&self, node: HostId) -> Option<Poll> {
        let told = self.told.get(&node).copied().unwrap_or(0);
        let known = self.watched.get(&node).copied();
        let sample = match known {
            None => 1,
            Some(sample) if told > MANY_EVENTS => (sample * SAMPLE_STEP).min(SMALLEST_SAMPLE),
            Some(sample) if told < FEW_EVENTS => (sample / SAMPLE_STEP).max(1),
            Some(sample) => sample,
        };
        (known != Some(sample)).then_some(Poll::Watch { node, sample })
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::wire::answer::{ClusterView, Location, NodeView, Replica};

    use super::*;

    fn none() -> BTreeSet<HostId> {
        BTreeSet::new()
    }

    fn cube() -> Vec<HostId> {
        ["0", "1"].map(|name| name.parse().unwrap()).to_vec()
    }

    #[test]
    fn before_the_cluster_is_known_it_is_looked_for_once_at_a_time() {
        let mut polling = Polling::default();
        assert_eq!(polling.due(&[], &none()), [Poll::Find]);
        assert!(polling.due(&[], &none()).is_empty());
        polling.note_done(Poll::Find, false);
        assert_eq!(polling.due(&[], &none()), [Poll::Find]);
    }

    #[test]
    fn a_node_that_could_not_be_watched_is_asked_again_and_one_that_is_watched_is_not() {
        let (mut polling, nodes) = (Polling::default(), cube());
        let first = polling.due(&nodes, &none());
        assert!(
            first.contains(&Poll::Watch { node: nodes[0], sample: 1 })
                && first.contains(&Poll::Watch { node: nodes[1], sample: 1 })
        );
        polling.note_done(Poll::Watch { node: nodes[0], sample: 1 }, true);
        polling.note_done(Poll::Watch { node: nodes[1], sample: 1 }, false);
        let second = polling.due(&nodes, &none());
        assert!(
            !second.contains(&Poll::Watch { node: nodes[0], sample: 1 })
                && second.contains(&Poll::Watch { node: nodes[1], sample: 1 })
        );
    }

    #[test]
    fn each_node_has_its_turn_and_the_one_looked_at_has_every_turn() {
        let (mut polling, nodes) = (Polling { attention: Some(cube()[0]), ..Polling::default() }, cube());
        for _ in 0..4 {
            let due = polling.due(&nodes, &none());
            assert!(due.contains(&Poll::Status(nodes[0])));
            for poll in due {
                polling.note_done(poll, true);
            }
        }
        let asked: Vec<_> = (0..2)
            .flat_map(|_| {
                let due = polling.due(&nodes, &none());
                due.iter().for_each(|poll| polling.note_done(*poll, true));
                due
            })
            .collect();
        assert!(asked.contains(&Poll::View(nodes[0])) && asked.contains(&Poll::View(nodes[1])));
    }

    #[test]
    fn a_node_that_tells_too_much_is_asked_for_less_until_it_is_calm_again() {
        let (mut polling, node) = (Polling::default(), cube()[0]);
        let mut turn = |events| {
            (0..events).for_each(|_| polling.note_event(node));
            let due = polling.due(&[node], &none());
            due.iter().for_each(|poll| polling.note_done(*poll, true));
            due.into_iter().find(|poll| matches!(poll, Poll::Watch { .. }))
        };
        assert_eq!(turn(0), Some(Poll::Watch { node, sample: 1 }));
        assert_eq!(turn(MANY_EVENTS), None);
        assert_eq!(turn(MANY_EVENTS + 1), Some(Poll::Watch { node, sample: 4 }));
        assert_eq!(turn(FEW_EVENTS), None);
        assert_eq!(turn(FEW_EVENTS - 1), Some(Poll::Watch { node, sample: 1 }));
        assert_eq!(turn(0), None);
    }

    #[test]
    fn with_one_node_in_reach_it_is_asked_for_its_view_every_time_and_the_others_through_it() {
        let nodes: Vec<HostId> = ["00", "01", "10", "11"].map(|name| name.parse().unwrap()).to_vec();
        let lost: BTreeSet<HostId> = nodes[1..].iter().copied().collect();
        let mut polling = Polling::default();
        let node = |node: HostId| NodeView {
            node,
            address: String::new(),
            state: if node == nodes[3] { NodeState::Failed } else { NodeState::Up },
            incarnation: 1,
            leads: Vec::new(),
        };
        let view = ClusterView {
            dimension: Dimension::new(2).unwrap(),
            nodes: nodes.iter().copied().map(node).collect(),
            links: Vec::new(),
        };
        let answer = Answer { id: None, served_by: nodes[0], hops: None, result: Ok(Done::Cluster(view)) };
        polling.note_answer(Poll::Find, &answer);
        for _ in 0..3 {
            let due = polling.due(&nodes, &lost);
            assert!(due.contains(&Poll::View(nodes[0])) && due.contains(&Poll::Topics) == (polling.turns % 3 == 1));
            assert!(due.contains(&Poll::StatusThrough(nodes[1])) && due.contains(&Poll::StatusThrough(nodes[2])));
            assert!(!due.contains(&Poll::StatusThrough(nodes[3])), "it is down");
            due.iter().for_each(|poll| polling.note_done(*poll, true));
        }
        let through = polling.request(Poll::StatusThrough(nodes[1]));
        assert_eq!(through, Some((Action::Admin(Admin::Status { node: Some(nodes[1]) }), Target::Any)));
    }

    #[test]
    fn a_replica_that_its_home_cannot_ask_is_asked_itself() {
        let topic = TopicName::new("news").unwrap();
        let mut polling = Polling { topic: Some(topic.clone()), ..Polling::default() };
        let replica = |node: HostId, alive| Replica { node, alive, last_offset: None, lag: None, voter: alive };
        let (home, away) = (cube()[0], cube()[1]);
        let location = Location {
            topic,
            exists: true,
            home: "000".parse().unwrap(),
            neighbours: Vec::new(),
            leader: None,
            members: vec![replica(home, true), replica(away, false)],
        };
        let answer = Answer { id: None, served_by: home, hops: None, result: Ok(Done::Located(location)) };
        polling.note_answer(Poll::Replicas, &answer);
        assert!(polling.due(&cube(), &none()).contains(&Poll::ReplicasAt(away)));
        polling.note_done(Poll::ReplicasAt(away), true);
        assert!(!polling.due(&cube(), &BTreeSet::from([away])).contains(&Poll::ReplicasAt(away)));
    }

    #[test]
    fn the_replicas_of_the_topic_under_the_x_ray_are_asked_for_every_time() {
        let mut polling = Polling { topic: TopicName::new("news").ok(), ..Polling::default() };
        for _ in 0..3 {
            assert!(polling.due(&cube(), &none()).contains(&Poll::Replicas));
            assert!(matches!(
                polling.request(Poll::Replicas),
                Some((Action::Query(Query::Locate { .. }), Target::Home))
            ));
            polling.note_done(Poll::Replicas, true);
        }
        polling.look_into(None);
        assert!(!polling.due(&cube(), &none()).contains(&Poll::Replicas));
        assert_eq!(polling.request(Poll::Replicas), None);
    }
}
