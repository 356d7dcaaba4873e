//! What the page knows of the nodes and edges, and from whom.
//!
//! A node's own word counts while its socket is open; otherwise the others' does. Of an edge's direction the receiver
//! knows best whether frames arrive. What nobody said is shown as unknown, never as well.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::wire::answer::{ClusterView, NodeState, NodeStatus};
use cubecast_core::wire::client::LinkConditions;

use super::shared::Shared;

/// The cluster as this page knows it. Empty until the first node answered.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub dimension: Option<Dimension>,
    pub nodes: BTreeMap<Vertex, Node>,
    /// Each direction of each edge that somebody spoke of.
    pub links: BTreeMap<(Vertex, Vertex), Link>,
    /// Directions that were told to be silent although both their nodes are well.
    pub silent: BTreeSet<(Vertex, Vertex)>,
    /// By the group's home.
    pub leaders: BTreeMap<Vertex, Leadership>,
}

/// One node, as told by itself and by the others.
#[derive(Clone, Debug, Default)]
pub struct Node {
    pub address: String,
    pub socket: Socket,
    /// Its own word, over a socket that is open.
    pub said: Option<NodeState>,
    /// What the others say of it.
    pub heard: BTreeMap<Vertex, NodeState>,
    pub incarnation: u32,
    pub status: Option<Shared<NodeStatus>>,
    /// When a failure on request ends by itself, milliseconds since 1970.
    pub returns_at_ms: Option<u64>,
}

/// This page's connection to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Socket {
    #[default]
    Connecting,
    Open,
    /// Broken, and tried again.
    Closed,
}

/// One direction of an edge.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Link {
    /// Whether frames arrive, as the receiver says.
    pub receiver_says: Option<bool>,
    /// As anybody else said last.
    pub others_say: Option<bool>,
    pub conditions: LinkConditions,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Leadership {
    pub term: u64,
    pub leader: Option<Vertex>,
}

/// How a node is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// Nothing is known yet.
    Connecting,
    Up,
    Failed,
    Recovering,
    /// This page has no connection, and the others call it up or say nothing.
    Unreachable,
}

/// How an edge is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EdgeHealth {
    Up,
    /// Both directions work, and one of them has a delay or a loss.
    Slow,
    /// Frames arrive only `from` → `to`.
    OneWay {
        from: Vertex,
        to: Vertex,
    },
    Cut,
    /// One of its nodes is down.
    Idle,
    Unknown,
}

impl Health {
    /// The word that tests, screen readers and style sheets know it by.
    pub fn name(self) -> &'static str {
        match self {
            Health::Connecting => "connecting",
            Health::Up => "up",
            Health::Failed => "failed",
            Health::Recovering => "recovering",
            Health::Unreachable => "unreachable",
        }
    }

    pub fn is_running(self) -> bool {
        matches!(self, Health::Up | Health::Recovering)
    }
}

impl EdgeHealth {
    pub fn name(self) -> &'static str {
        match self {
            EdgeHealth::Up => "up",
            EdgeHealth::Slow => "slow",
            EdgeHealth::OneWay { .. } => "one-way",
            EdgeHealth::Cut => "cut",
            EdgeHealth::Idle => "idle",
            EdgeHealth::Unknown => "unknown",
        }
    }
}

impl Node {
    /// Its own word first, then the best that any other says of it.
    pub fn health(&self) -> Health {
        match (&self.socket, self.said) {
            (Socket::Open, Some(state)) => Health::from(state),
            (Socket::Open, None) => self.by_hearsay().unwrap_or(Health::Connecting),
            (Socket::Connecting, _) => self.by_hearsay().unwrap_or(Health::Connecting),
            (Socket::Closed, _) => match self.by_hearsay() {
                Some(Health::Failed) => Health::Failed,
                _ => Health::Unreachable,
            },
        }
    }

    /// One who says that it runs outweighs those who do not hear it.
    fn by_hearsay(&self) -> Option<Health> {
        let says = |state| self.heard.values().any(|heard| *heard == state);
        [NodeState::Up, NodeState::Recovering, NodeState::Failed]
            .into_iter()
            .find(|state| says(*state))
            .map(Health::from)
    }
}

impl From<NodeState> for Health {
    fn from(state: NodeState) -> Self {
        match state {
            NodeState::Up => Health::Up,
            NodeState::Failed => Health::Failed,
            NodeState::Recovering => Health::Recovering,
        }
    }
}

impl Link {
    pub fn arrives(&self) -> Option<bool> {
        if self.conditions.cut { Some(false) } else { self.receiver_says.or(self.others_say) }
    }

    pub fn is_slow(&self) -> bool {
        self.conditions.delay_ms > 0 || self.conditions.jitter_ms > 0 || self.conditions.loss > 0.0
    }
}

impl Cluster {
    pub fn health(&self, vertex: Vertex) -> Health {
        self.nodes.get(&vertex).map_or(Health::Connecting, Node::health)
    }

    pub fn link(&self, from: Vertex, to: Vertex) -> Link {
        self.links.get(&(from, to)).cloned().unwrap_or_default()
    }

    pub fn edge_health(&self, a: Vertex, b: Vertex) -> EdgeHealth {
        let (forth, back) = (self.link(a, b), self.link(b, a));
        if forth.conditions.cut && back.conditions.cut {
            return EdgeHealth::Cut;
        }
        if !(self.health(a).is_running() && self.health(b).is_running()) {
            return EdgeHealth::Idle;
        }
        match (forth.arrives(), back.arrives()) {
            (Some(true), Some(true)) if forth.is_slow() || back.is_slow() => EdgeHealth::Slow,
            (Some(true), Some(true)) => EdgeHealth::Up,
            (Some(false), Some(false)) => EdgeHealth::Cut,
            (Some(true), Some(false)) => EdgeHealth::OneWay { from: a, to: b },
            (Some(false), Some(true)) => EdgeHealth::OneWay { from: b, to: a },
            (None, _) | (_, None) => EdgeHealth::Unknown,
        }
    }

    /// Every edge once, the smaller end first.
    pub fn edges(&self) -> Vec<(Vertex, Vertex)> {
        let vertices = self.dimension.into_iter().flat_map(Dimension::vertices);
        vertices.flat_map(|a| a.neighbours().filter(move |b| a < *b).map(move |b| (a, b))).collect()
    }

    /// Who leads a group, as was told last.
    pub fn leader_of(&self, group: Vertex) -> Option<Vertex> {
        self.leaders.get(&group).and_then(|leadership| leadership.leader)
    }

    /// The newest term of a group that was told of; `None`: none was.
    pub fn term_of(&self, group: Vertex) -> Option<u64> {
        self.leaders.get(&group).map(|leadership| leadership.term).filter(|term| *term > 0)
    }

    /// Who leads a group and is not known to be gone: a crashed leader tells nobody that it no longer leads.
    pub fn acting_leader(&self, group: Vertex) -> Option<Vertex> {
        self.leader_of(group).filter(|leader| self.is_serving(*leader))
    }

    /// Whether a node runs, by its own word or by another's.
    fn is_serving(&self, vertex: Vertex) -> bool {
        let by_others = || self.nodes.get(&vertex).and_then(Node::by_hearsay);
        match self.health(vertex) {
            Health::Up | Health::Recovering => true,
            Health::Unreachable | Health::Connecting => by_others().is_some_and(Health::is_running),
            Health::Failed => false,
        }
    }

    /// While a node catches up: how much it has applied of what its groups are known to have committed, from 0 to 1.
    pub fn filled(&self, vertex: Vertex) -> Option<f64> {
        let status = self.nodes.get(&vertex)?.status.as_ref().filter(|_| self.health(vertex) == Health::Recovering)?;
        let all = || self.nodes.values().filter_map(|node| node.status.as_ref()).flat_map(|status| &status.groups);
        let (mut has, mut should) = (0, 0);
        for group in &status.groups {
            let known = all().filter(|known| known.home == group.home).map(|known| known.commit_index).max();
            let known = known.unwrap_or(0).max(group.commit_index);
            has += group.applied_index.min(known);
            should += known;
        }
        Some(if should == 0 { 0.0 } else { has as f64 / should as f64 })
    }

    /// The groups that a node leads, by their homes.
    pub fn led_by(&self, node: Vertex) -> Vec<Vertex> {
        self.leaders.keys().copied().filter(|group| self.acting_leader(*group) == Some(node)).collect()
    }

    pub fn count(&self, health: Health) -> usize {
        self.nodes.values().filter(|node| node.health() == health).count()
    }

    /// Takes in how `by` sees the cluster.
    pub fn learn_view(&mut self, by: Vertex, view: &ClusterView) {
        self.dimension = Some(view.dimension);
        for seen in &view.nodes {
            let node = self.nodes.entry(seen.node).or_default();
            node.address.clone_from(&seen.address);
            node.incarnation = seen.incarnation;
            self.learn_state(by, seen.node, seen.state);
            for group in &seen.leads {
                self.learn_leader_without_term(*group, seen.node);
            }
        }
        for link in &view.links {
            self.learn_link(by, link.from, link.to, link.up);
        }
    }

    /// `by` says of `subject` that it is in this state.
    pub fn learn_state(&mut self, by: Vertex, subject: Vertex, state: NodeState) {
        let node = self.nodes.entry(subject).or_default();
        if by == subject {
            node.said = Some(state);
        } else {
            node.heard.insert(by, state);
        }
        if by == subject && state != NodeState::Failed {
            node.returns_at_ms = None;
        }
    }

    /// `by` says whether frames arrive from `from` at `to`.
    pub fn learn_link(&mut self, by: Vertex, from: Vertex, to: Vertex, up: bool) {
        let link = self.links.entry((from, to)).or_default();
        if by == to {
            link.receiver_says = Some(up);
        } else {
            link.others_say = Some(up);
        }
    }

    pub fn learn_conditions(&mut self, from: Vertex, to: Vertex, conditions: LinkConditions) {
        self.links.entry((from, to)).or_default().conditions = conditions;
    }

    /// A newer term wins; within a term, a leader wins over none.
    pub fn learn_leader(&mut self, group: Vertex, term: u64, leader: Option<Vertex>) {
        let known = self.leaders.entry(group).or_default();
        if term > known.term || (term == known.term && leader.is_some()) {
            *known = Leadership { term, leader };
        }
    }

    /// A view names no term: it fills a gap, and does not overrule an election that was seen.
    fn learn_leader_without_term(&mut self, group: Vertex, leader: Vertex) {
        if self.acting_leader(group).is_none() {
            self.leaders.entry(group).or_default().leader = Some(leader);
        }
    }

    pub fn learn_status(&mut self, status: &NodeStatus) {
        self.learn_state(status.node, status.node, status.state);
        for group in &status.groups {
            self.learn_leader(group.home, group.term, group.leader);
        }
        for link in &status.links {
            self.learn_link(status.node, link.to, status.node, link.hears);
            self.learn_conditions(status.node, link.to, link.conditions);
        }
        let node = self.nodes.entry(status.node).or_default();
        node.incarnation = status.incarnation;
        node.status = Some(Shared::from(status.clone()));
    }

    /// The connection to a node changed. Without one, its word no longer counts, neither on itself nor on others.
    pub fn learn_socket(&mut self, vertex: Vertex, socket: Socket) {
        if socket != Socket::Open {
            self.forget_words_of(vertex);
        }
        self.nodes.entry(vertex).or_default().socket = socket;
    }

    fn forget_words_of(&mut self, vertex: Vertex) {
        for (subject, node) in &mut self.nodes {
            node.heard.remove(&vertex);
            if *subject == vertex {
                node.said = None;
                node.status = None;
            }
        }
        for ((_, to), link) in &mut self.links {
            if *to == vertex {
                link.receiver_says = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    fn open_cluster() -> Cluster {
        let dimension = Dimension::new(3).unwrap();
        let mut cluster = Cluster { dimension: Some(dimension), ..Cluster::default() };
        for node in dimension.vertices() {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
            for peer in node.neighbours() {
                cluster.learn_link(node, peer, node, true);
            }
        }
        cluster
    }

    #[test]
    fn a_node_nobody_spoke_of_is_connecting_and_its_edges_are_not_called_up() {
        let cluster = Cluster { dimension: Some(Dimension::new(3).unwrap()), ..Cluster::default() };
        assert_eq!(cluster.health(vertex("100")), Health::Connecting);
        assert_ne!(cluster.edge_health(vertex("100"), vertex("101")), EdgeHealth::Up);
    }

    #[test]
    fn a_nodes_own_word_counts_while_its_socket_is_open() {
        let mut cluster = open_cluster();
        cluster.learn_state(vertex("101"), vertex("100"), NodeState::Failed);
        assert_eq!(cluster.health(vertex("100")), Health::Up);
        cluster.learn_state(vertex("100"), vertex("100"), NodeState::Failed);
        assert_eq!(cluster.health(vertex("100")), Health::Failed);
    }

    #[test]
    fn without_a_socket_the_others_tell_dead_from_merely_unreachable() {
        let mut cluster = open_cluster();
        cluster.learn_socket(vertex("100"), Socket::Closed);
        assert_eq!(cluster.health(vertex("100")), Health::Unreachable);
        cluster.learn_state(vertex("101"), vertex("100"), NodeState::Failed);
        assert_eq!(cluster.health(vertex("100")), Health::Failed);
        cluster.learn_state(vertex("110"), vertex("100"), NodeState::Up);
        assert_eq!(cluster.health(vertex("100")), Health::Unreachable, "a neighbour still hears it");
    }

    #[test]
    fn an_edge_is_cut_both_ways_one_way_slow_or_idle() {
        let (a, b) = (vertex("100"), vertex("101"));
        let mut cluster = open_cluster();
        assert_eq!(cluster.edge_health(a, b), EdgeHealth::Up);
        cluster.learn_conditions(a, b, LinkConditions { delay_ms: 200, ..LinkConditions::PERFECT });
        assert_eq!(cluster.edge_health(a, b), EdgeHealth::Slow);
        cluster.learn_conditions(a, b, LinkConditions { cut: true, ..LinkConditions::PERFECT });
        assert_eq!(cluster.edge_health(a, b), EdgeHealth::OneWay { from: b, to: a });
        assert_eq!(cluster.edge_health(b, a), EdgeHealth::OneWay { from: b, to: a });
        cluster.learn_conditions(b, a, LinkConditions { cut: true, ..LinkConditions::PERFECT });
        assert_eq!(cluster.edge_health(a, b), EdgeHealth::Cut);
        cluster.learn_conditions(a, b, LinkConditions::PERFECT);
        cluster.learn_conditions(b, a, LinkConditions::PERFECT);
        cluster.learn_state(a, a, NodeState::Failed);
        assert_eq!(cluster.edge_health(a, b), EdgeHealth::Idle);
    }

    #[test]
    fn the_receiver_knows_best_whether_frames_arrive() {
        let (a, b) = (vertex("100"), vertex("101"));
        let mut cluster = open_cluster();
        cluster.learn_link(vertex("000"), a, b, false);
        assert_eq!(cluster.edge_health(a, b), EdgeHealth::Up);
        cluster.learn_link(b, a, b, false);
        assert_eq!(cluster.edge_health(a, b), EdgeHealth::OneWay { from: b, to: a });
    }

    #[test]
    fn an_older_term_never_unseats_a_leader() {
        let group = vertex("100");
        let mut cluster = open_cluster();
        cluster.learn_leader(group, 4, Some(vertex("101")));
        cluster.learn_leader(group, 3, Some(vertex("100")));
        cluster.learn_leader(group, 4, None);
        assert_eq!(cluster.leader_of(group), Some(vertex("101")));
        cluster.learn_leader(group, 5, None);
        assert_eq!(cluster.leader_of(group), None);
        assert!(cluster.led_by(vertex("101")).is_empty());
    }

    #[test]
    fn a_leader_that_crashed_leads_no_more_though_nobody_said_so() {
        let group = vertex("100");
        let mut cluster = open_cluster();
        cluster.learn_leader(group, 2, Some(group));
        cluster.learn_socket(group, Socket::Closed);
        assert_eq!(cluster.acting_leader(group), None);
        cluster.learn_state(vertex("101"), group, NodeState::Up);
        assert_eq!(cluster.acting_leader(group), Some(group), "only this page cannot reach it");
        cluster.learn_state(vertex("101"), group, NodeState::Failed);
        assert_eq!(cluster.acting_leader(group), None);
    }

    #[test]
    fn a_cube_has_its_edges_once() {
        assert_eq!(open_cluster().edges().len(), 12);
    }
}
