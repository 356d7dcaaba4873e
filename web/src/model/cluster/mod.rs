//! The page's knowledge of nodes and edges, with its sources.
//!
//! Two facts are kept apart: a node's health according to the cluster ([`Node::health`]), and this page's connection to
//! it ([`Node::socket`]). A node's own report counts while its socket is open; otherwise the reports of others count.
//! For a direction of an edge, the receiver's report takes precedence. Without reports, a node or edge is shown as
//! unknown, never as healthy.

pub mod groups;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::faults::LinkConditions;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::seating::Seating;
use cubecast_core::states::{NodeState, Role};
use cubecast_core::wire::answer::{ClusterView, GroupStatus, NodeStatus};

use super::shared::Shared;
use groups::{Group, Members, Picture, Service};

/// The cluster as known to this page. Empty until the first node answers.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// `None` until a node answered with its view.
    pub dimension: Option<Dimension>,
    /// The nodes that a report mentioned.
    pub nodes: BTreeMap<HostId, Node>,
    /// Reported directions of edges.
    pub links: BTreeMap<(HostId, HostId), Link>,
    /// Directions reported as silent although both nodes are healthy.
    pub silent: BTreeSet<(HostId, HostId)>,
    /// Reported groups, by home. Missing groups are unknown.
    pub groups: BTreeMap<Vertex, Group>,
    /// Conclusions from the rest, computed on first use.
    picture: Derived,
}

/// A cached value, valid until the cluster changes. `Debug` omits it because it contains no further information.
#[derive(Clone, Default)]
struct Derived(OnceCell<Rc<Picture>>);

impl std::fmt::Debug for Derived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

/// One node, as reported by itself and by others.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The node's `HOST:PORT`, from a view; empty before.
    pub address: String,
    /// This page's connection to the node.
    pub socket: Socket,
    /// The state that it reported itself over an open socket.
    pub said: Option<NodeState>,
    /// The state reported by other nodes, by reporter.
    pub heard: BTreeMap<HostId, NodeState>,
    /// 0 before the first report.
    pub incarnation: u32,
    /// Its last detailed status; `None` while it is failing or unknown.
    pub status: Option<Shared<NodeStatus>>,
    /// When an injected stop ends by itself, milliseconds since 1970.
    pub returns_at_ms: Option<u64>,
}

/// This page's connection to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Socket {
    #[default]
    Connecting,
    Open,
    /// Lost; the client tries to reconnect.
    Closed,
}

/// One direction of an edge.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Link {
    /// Whether frames arrive, as reported by the receiver.
    pub receiver_says: Option<bool>,
    /// Whether frames arrive, as last reported by another node.
    pub others_say: Option<bool>,
    /// Injected conditions.
    pub conditions: LinkConditions,
}

/// A node's health, as reported by the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// No node that this page reaches has reported anything about it.
    Unknown,
    Up,
    /// Reported by the node itself, or no node that this page reaches receives its frames: it is then down or cut off.
    Failed,
    Recovering,
}

/// The displayed state of an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EdgeHealth {
    Up,
    /// Both directions work, and at least one has an injected delay or loss.
    Slow,
    /// Frames arrive only in this direction.
    OneWay {
        from: HostId,
        to: HostId,
    },
    Cut,
    /// At least one of its nodes is down.
    Idle,
    /// No reports about it, or about one of its nodes.
    Unknown,
}

impl Health {
    /// The name used in tests, attributes and style sheets.
    pub fn name(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Failed => "failed",
            Health::Recovering => "recovering",
        }
    }

    /// Whether the node is up or recovering.
    pub fn is_running(self) -> bool {
        matches!(self, Health::Up | Health::Recovering)
    }
}

impl EdgeHealth {
    /// The name used in tests, attributes and style sheets.
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
    /// The node's own report if its socket is open; otherwise the best report of the others.
    pub fn health(&self) -> Health {
        match (self.socket, self.said) {
            (Socket::Open, Some(state)) => Health::from(state),
            _ => self.by_hearsay().unwrap_or(Health::Unknown),
        }
    }

    /// Whether the node itself reported that it is failing. Of other failed nodes it is only known that no reachable
    /// node receives their frames.
    pub fn says_that_it_fails(&self) -> bool {
        self.returns_at_ms.is_some() || (self.socket == Socket::Open && self.said == Some(NodeState::Failed))
    }

    /// A report that the node runs outweighs reports that its frames do not arrive.
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
    /// Whether frames arrive; `None` without a report.
    pub fn arrives(&self) -> Option<bool> {
        if self.conditions.cut { Some(false) } else { self.receiver_says.or(self.others_say) }
    }

    /// Whether a delay, jitter or loss is injected.
    pub fn is_slow(&self) -> bool {
        self.conditions.delay_ms > 0 || self.conditions.jitter_ms > 0 || self.conditions.loss > 0.0
    }
}

impl Cluster {
    /// A cluster of which only the dimension is known.
    pub fn of(dimension: Dimension) -> Cluster {
        Cluster { dimension: Some(dimension), ..Cluster::default() }
    }

    /// Which node serves which node; `None` until a node answered with its view.
    pub fn seating(&self) -> Option<Seating> {
        self.dimension.map(Seating::founding)
    }

    /// All nodes of the cluster; none until a node answered with its view.
    pub fn all_nodes(&self) -> impl Iterator<Item = HostId> + use<> {
        self.seating().into_iter().flat_map(|seating| seating.hosts())
    }

    /// The nodes of a group's members, its home first.
    pub fn members(&self, home: Vertex) -> Vec<HostId> {
        self.seating().map(|seating| seating.members(GroupId::of(home))).unwrap_or_default()
    }

    /// The health of a node; unknown without reports.
    pub fn health(&self, node: HostId) -> Health {
        self.nodes.get(&node).map_or(Health::Unknown, Node::health)
    }

    /// The health as text for the user. A failed node that did not report its failure itself is "down or cut off".
    pub fn health_words(&self, node: HostId) -> &'static str {
        let says_so = self.nodes.get(&node).is_some_and(Node::says_that_it_fails);
        match self.health(node) {
            Health::Failed if !says_so => "down or cut off",
            health => health.name(),
        }
    }

    /// One direction of an edge; default values without reports.
    pub fn link(&self, from: HostId, to: HostId) -> Link {
        self.links.get(&(from, to)).cloned().unwrap_or_default()
    }

    /// The state of the edge between two neighbours.
    pub fn edge_health(&self, a: HostId, b: HostId) -> EdgeHealth {
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
    pub fn edges(&self) -> Vec<(HostId, HostId)> {
        let Some(seating) = self.seating() else { return Vec::new() };
        let ends = |a| seating.neighbours(a).filter(move |b| a < *b).map(move |b| (a, b));
        seating.hosts().flat_map(ends).collect()
    }

    /// Whether frames may travel in this direction: true unless a report says that they do not arrive.
    pub(super) fn may_carry(&self, from: HostId, to: HostId) -> bool {
        self.links.get(&(from, to)).and_then(Link::arrives).unwrap_or(true)
    }

    /// The running nodes, grouped by mutual reachability; more than one group means a partition.
    pub fn sides(&self) -> &[BTreeSet<HostId>] {
        &self.picture().sides
    }

    /// The conclusions from all reports, cached until the cluster changes.
    pub fn picture(&self) -> &Picture {
        self.picture.0.get_or_init(|| Rc::new(Picture::of(self)))
    }

    /// The availability and the leader of a group.
    pub fn service(&self, group: Vertex) -> &Service {
        self.picture().service(group)
    }

    /// The last reported leader of a group. It may have stopped since.
    pub fn leader_of(&self, group: Vertex) -> Option<HostId> {
        self.groups.get(&group).and_then(|group| group.leader)
    }

    /// The newest reported term of a group.
    pub fn term_of(&self, group: Vertex) -> Option<u64> {
        self.groups.get(&group).map(|group| group.term).filter(|term| *term > 0)
    }

    /// The leader of a group, if the group is available. A leader that crashed or lost its majority does not report the
    /// end of its leadership.
    pub fn acting_leader(&self, group: Vertex) -> Option<HostId> {
        match self.service(group) {
            Service::Led(leader) => Some(*leader),
            Service::Unknown | Service::Leaderless | Service::NoQuorum(_) => None,
        }
    }

    /// The nodes to which this page has an open connection.
    pub fn reached(&self) -> Vec<HostId> {
        self.nodes.iter().filter(|(_, node)| node.socket == Socket::Open).map(|(node, _)| *node).collect()
    }

    /// The share, from 0 to 1, of its groups' committed entries that a recovering node has applied. `None` if the node
    /// is not recovering, or if the commit index of one of its groups is unknown.
    pub fn filled(&self, node: HostId) -> Option<f64> {
        let status = self.nodes.get(&node)?.status.as_ref().filter(|_| self.health(node) == Health::Recovering)?;
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

    /// The groups that a node leads, by home.
    pub fn led_by(&self, node: HostId) -> Vec<Vertex> {
        self.groups.keys().copied().filter(|group| self.acting_leader(*group) == Some(node)).collect()
    }

    /// Number of nodes with this health.
    pub fn count(&self, health: Health) -> usize {
        self.nodes.values().filter(|node| node.health() == health).count()
    }

    /// Applies a node's view of the cluster.
    pub fn learn_view(&mut self, by: HostId, view: &ClusterView) {
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

    /// Records that node `by` reported this state of node `subject`.
    pub fn learn_state(&mut self, by: HostId, subject: HostId, state: NodeState) {
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

    /// The node stopped or restarted: discards its status, and its leadership until it reports it again.
    pub(super) fn forget_work_of(&mut self, node: HostId) {
        self.picture.0.take();
        self.nodes.entry(node).or_default().status = None;
        for group in self.groups.values_mut().filter(|group| group.leader == Some(node)) {
            group.leader = None;
        }
    }

    /// Records that node `by` reported whether frames from `from` arrive at `to`. A negative report of a node that does
    /// not receive the receiver's frames is ignored.
    pub fn learn_link(&mut self, by: HostId, from: HostId, to: HostId, up: bool) {
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

    /// Records the injected conditions of a direction.
    pub fn learn_conditions(&mut self, from: HostId, to: HostId, conditions: LinkConditions) {
        self.picture.0.take();
        self.links.entry((from, to)).or_default().conditions = conditions;
    }

    /// Records the leader of a group in a term; `None`: no leader yet.
    pub fn learn_leader(&mut self, group: Vertex, term: u64, leader: Option<HostId>) {
        self.picture.0.take();
        self.groups.entry(group).or_default().learn_leader(term, leader);
    }

    /// Records the voters that the group's leader `by` reported.
    pub fn learn_members(&mut self, group: Vertex, voters: &[HostId], learners: &[HostId], by: HostId) {
        self.picture.0.take();
        let group = self.groups.entry(group).or_default();
        let applied = group.members.as_ref().map_or(0, Members::applied);
        group.learn_members(Members::new(voters, learners, by, applied), false);
    }

    /// A view contains no terms. Its leader fills a gap, but does not replace one known from an election.
    fn learn_leader_without_term(&mut self, group: Vertex, leader: HostId) {
        self.picture.0.take();
        let known = self.groups.get(&group);
        let is_gap = known
            .is_none_or(|known| known.term == 0 || known.leader.is_none_or(|known| !self.health(known).is_running()));
        if is_gap {
            self.groups.entry(group).or_default().leader = Some(leader);
        }
    }

    /// Applies a node's status, received over its own socket or forwarded by node `asked`.
    pub fn learn_status(&mut self, asked: HostId, status: &NodeStatus) {
        self.learn_state(asked, status.node, status.state);
        // A failing node still answers, with outdated group data.
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

    fn learn_members_of(&mut self, by: HostId, group: &GroupStatus) {
        if group.voters.is_empty() {
            return;
        }
        let told_by = self.groups.get(&group.home).and_then(|known| known.members.as_ref()).map(Members::told_by);
        let is_gone = told_by.is_some_and(|told_by| !self.health(told_by).is_running());
        let told = Members::new(&group.voters, &group.learners, by, group.applied_index);
        self.groups.entry(group.home).or_default().learn_members(told, is_gone);
    }

    /// Records a change of the connection to a node. If it closed, that node's reports about itself and others are
    /// discarded; without any connection, all group data is discarded.
    pub fn learn_socket(&mut self, node: HostId, socket: Socket) {
        self.picture.0.take();
        if socket != Socket::Open {
            self.forget_words_of(node);
        }
        self.nodes.entry(node).or_default().socket = socket;
        if self.reached().is_empty() {
            self.groups.clear();
        }
    }

    fn forget_words_of(&mut self, node: HostId) {
        for (subject, known) in &mut self.nodes {
            known.heard.remove(&node);
            if *subject == node {
                known.said = None;
                known.status = None;
            }
        }
        for ((_, to), link) in &mut self.links {
            if *to == node {
                link.receiver_says = None;
            }
        }
    }
}
