//! What the page knows of the nodes and edges, and from whom.
//!
//! Two facts are kept apart: what the cluster says of a node ([`Node::health`]), and whether this page has a connection to it
//! ([`Node::socket`]). A node's own word counts while its socket is open; otherwise the others' does. Of an edge's direction the receiver
//! knows best whether frames arrive. What nobody said is shown as unknown, never as well.

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::wire::answer::{ClusterView, GroupStatus, NodeState, NodeStatus, Role};
use cubecast_core::wire::client::LinkConditions;

use super::groups::{Group, Members, Picture, Service};
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
    /// What was told of each group, by its home. One that is not here nobody spoke of.
    pub groups: BTreeMap<Vertex, Group>,
    /// What follows from all this; made when it is first asked for.
    picture: Derived,
}

/// Made once and kept until the cluster changes. It adds nothing to what the cluster is, so it is not shown with it.
#[derive(Clone, Default)]
struct Derived(OnceCell<Rc<Picture>>);

impl std::fmt::Debug for Derived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
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

/// How a node is, as the cluster says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// Neither it nor any node that this page reaches has said anything.
    Unknown,
    Up,
    /// It says so itself, or no node that this page reaches hears it: then it is down or cut off.
    Failed,
    Recovering,
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
    /// Nobody told of it, or of one of its nodes.
    Unknown,
}

impl Health {
    /// The word that tests, screen readers and style sheets know it by.
    pub fn name(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Failed => "failed",
            Health::Recovering => "recovering",
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
        match (self.socket, self.said) {
            (Socket::Open, Some(state)) => Health::from(state),
            _ => self.by_hearsay().unwrap_or(Health::Unknown),
        }
    }

    /// Whether it said itself that it fails; of another that failed it is only known that nobody hears it.
    pub fn says_that_it_fails(&self) -> bool {
        self.returns_at_ms.is_some() || (self.socket == Socket::Open && self.said == Some(NodeState::Failed))
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
    /// One of which only the size is known.
    pub fn of(dimension: Dimension) -> Cluster {
        Cluster { dimension: Some(dimension), ..Cluster::default() }
    }

    pub fn health(&self, vertex: Vertex) -> Health {
        self.nodes.get(&vertex).map_or(Health::Unknown, Node::health)
    }

    /// How a node is, for people: of one that failed and did not say so itself it is known only that nobody hears it.
    pub fn health_words(&self, vertex: Vertex) -> &'static str {
        let says_so = self.nodes.get(&vertex).is_some_and(Node::says_that_it_fails);
        match self.health(vertex) {
            Health::Failed if !says_so => "down or cut off",
            health => health.name(),
        }
    }

    pub fn link(&self, from: Vertex, to: Vertex) -> Link {
        self.links.get(&(from, to)).cloned().unwrap_or_default()
    }

    pub fn edge_health(&self, a: Vertex, b: Vertex) -> EdgeHealth {
        let (forth, back) = (self.link(a, b), self.link(b, a));
        if forth.conditions.cut && back.conditions.cut {
            return EdgeHealth::Cut;
        }
        match (self.health(a), self.health(b)) {
            (Health::Failed, _) | (_, Health::Failed) => return EdgeHealth::Idle,
            (Health::Unknown, _) | (_, Health::Unknown) => return EdgeHealth::Unknown,
            (Health::Up | Health::Recovering, Health::Up | Health::Recovering) => {}
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

    /// Whether frames may travel this way: nobody said that they do not arrive.
    pub(super) fn may_carry(&self, from: Vertex, to: Vertex) -> bool {
        self.links.get(&(from, to)).and_then(Link::arrives).unwrap_or(true)
    }

    /// The nodes that run, by whom they can reach; more than one side: the cube is cut.
    pub fn sides(&self) -> &[BTreeSet<Vertex>] {
        &self.picture().sides
    }

    pub fn picture(&self) -> &Picture {
        self.picture.0.get_or_init(|| Rc::new(Picture::of(self)))
    }

    /// Whether a group can be written, and who leads it.
    pub fn service(&self, group: Vertex) -> &Service {
        self.picture().service(group)
    }

    /// Who leads a group, as was told last; it may be gone since.
    pub fn leader_of(&self, group: Vertex) -> Option<Vertex> {
        self.groups.get(&group).and_then(|group| group.leader)
    }

    /// The newest term of a group that was told of; `None`: none was.
    pub fn term_of(&self, group: Vertex) -> Option<u64> {
        self.groups.get(&group).map(|group| group.term).filter(|term| *term > 0)
    }

    /// Who leads a group and can: a leader that crashed, or that was cut off from its majority, tells nobody that it no longer leads.
    pub fn acting_leader(&self, group: Vertex) -> Option<Vertex> {
        match self.service(group) {
            Service::Led(leader) => Some(*leader),
            Service::Unknown | Service::Leaderless | Service::NoQuorum(_) => None,
        }
    }

    /// The nodes that this page has a connection to.
    pub fn reached(&self) -> Vec<Vertex> {
        self.nodes.iter().filter(|(_, node)| node.socket == Socket::Open).map(|(vertex, _)| *vertex).collect()
    }

    /// While a node catches up: how much it has applied of what its groups have committed, from 0 to 1. `None`: of one of its groups
    /// this page does not know how much that is.
    pub fn filled(&self, vertex: Vertex) -> Option<f64> {
        let status = self.nodes.get(&vertex)?.status.as_ref().filter(|_| self.health(vertex) == Health::Recovering)?;
        let all = || self.nodes.values().filter_map(|node| node.status.as_ref()).flat_map(|status| &status.groups);
        let (mut has, mut should) = (0, 0);
        for group in &status.groups {
            let others = all().filter(|known| known.home == group.home && known.role != Role::Learner);
            let known = others.map(|known| known.commit_index).max()?.max(group.commit_index);
            has += group.applied_index.min(known);
            should += known;
        }
        (should > 0).then(|| has as f64 / should as f64)
    }

    /// The groups that a node leads, by their homes.
    pub fn led_by(&self, node: Vertex) -> Vec<Vertex> {
        self.groups.keys().copied().filter(|group| self.acting_leader(*group) == Some(node)).collect()
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
        }
        for link in &view.links {
            self.learn_link(by, link.from, link.to, link.up);
        }
        for group in view.dimension.vertices() {
            self.groups.entry(group).or_default();
        }
        for seen in &view.nodes {
            for group in &seen.leads {
                self.learn_leader_without_term(*group, seen.node);
            }
        }
    }

    /// `by` says of `subject` that it is in this state.
    pub fn learn_state(&mut self, by: Vertex, subject: Vertex, state: NodeState) {
        self.picture.0.take();
        let node = self.nodes.entry(subject).or_default();
        let was = node.health();
        if by == subject {
            node.said = Some(state);
        } else {
            node.heard.insert(by, state);
        }
        if by == subject && state != NodeState::Failed {
            node.returns_at_ms = None;
        }
        let is_new = was != node.health();
        if is_new && matches!(node.health(), Health::Failed | Health::Recovering) {
            self.forget_work_of(subject);
        }
    }

    /// It stopped, or was started anew: it leads nothing until it says so again, and how it was it is no longer.
    pub(super) fn forget_work_of(&mut self, vertex: Vertex) {
        self.picture.0.take();
        self.nodes.entry(vertex).or_default().status = None;
        for group in self.groups.values_mut().filter(|group| group.leader == Some(vertex)) {
            group.leader = None;
        }
    }

    /// `by` says whether frames arrive from `from` at `to`. One that does not hear the receiver knows nothing of what arrives there.
    pub fn learn_link(&mut self, by: Vertex, from: Vertex, to: Vertex, up: bool) {
        self.picture.0.take();
        let hears_receiver = || self.nodes.get(&to).and_then(|node| node.heard.get(&by)) != Some(&NodeState::Failed);
        let counts = by == to || up || hears_receiver();
        let link = self.links.entry((from, to)).or_default();
        if by == to {
            link.receiver_says = Some(up);
        } else if counts {
            link.others_say = Some(up);
        }
    }

    pub fn learn_conditions(&mut self, from: Vertex, to: Vertex, conditions: LinkConditions) {
        self.picture.0.take();
        self.links.entry((from, to)).or_default().conditions = conditions;
    }

    pub fn learn_leader(&mut self, group: Vertex, term: u64, leader: Option<Vertex>) {
        self.picture.0.take();
        self.groups.entry(group).or_default().learn_leader(term, leader);
    }

    /// Who votes from now on, as `by` says, which leads.
    pub fn learn_members(&mut self, group: Vertex, voters: &[Vertex], learners: &[Vertex], by: Vertex) {
        self.picture.0.take();
        let group = self.groups.entry(group).or_default();
        let applied = group.members.as_ref().map_or(0, Members::applied);
        group.learn_members(Members::new(voters, learners, by, applied), false);
    }

    /// A view names no term: it fills a gap, and does not overrule an election that was seen.
    fn learn_leader_without_term(&mut self, group: Vertex, leader: Vertex) {
        self.picture.0.take();
        let known = self.groups.get(&group);
        let is_gap = known
            .is_none_or(|known| known.term == 0 || known.leader.is_none_or(|known| !self.health(known).is_running()));
        if is_gap {
            self.groups.entry(group).or_default().leader = Some(leader);
        }
    }

    /// What a node said of itself when `asked` passed the question on to it, or over its own socket.
    pub fn learn_status(&mut self, asked: Vertex, status: &NodeStatus) {
        self.learn_state(asked, status.node, status.state);
        // One that fails still answers this, and tells how it was before.
        let works = status.state != NodeState::Failed;
        for group in status.groups.iter().filter(|_| works) {
            self.learn_leader(group.home, group.term, group.leader);
            self.learn_members_of(status.node, group);
        }
        for link in &status.links {
            let by = if asked == status.node { status.node } else { asked };
            self.learn_link(by, link.to, status.node, link.hears);
            self.learn_conditions(status.node, link.to, link.conditions);
        }
        let node = self.nodes.entry(status.node).or_default();
        node.incarnation = status.incarnation;
        node.status = works.then(|| Shared::from(status.clone()));
    }

    fn learn_members_of(&mut self, by: Vertex, group: &GroupStatus) {
        if group.voters.is_empty() {
            return;
        }
        let told_by = self.groups.get(&group.home).and_then(|known| known.members.as_ref()).map(Members::told_by);
        let is_gone = told_by.is_some_and(|told_by| !self.health(told_by).is_running());
        let told = Members::new(&group.voters, &group.learners, by, group.applied_index);
        self.groups.entry(group.home).or_default().learn_members(told, is_gone);
    }

    /// The connection to a node changed. Without one, its word no longer counts, neither on itself nor on others; without any, nothing
    /// is known of who leads.
    pub fn learn_socket(&mut self, vertex: Vertex, socket: Socket) {
        self.picture.0.take();
        if socket != Socket::Open {
            self.forget_words_of(vertex);
        }
        self.nodes.entry(vertex).or_default().socket = socket;
        if self.reached().is_empty() {
            self.groups.clear();
        }
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
