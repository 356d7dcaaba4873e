//! Executes the planned faults and ends each when its time has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::group::Group;
use cubecast_core::identity::{GroupId, HostId, Member};
use cubecast_core::node::Node;
use cubecast_core::time::Instant;
use cubecast_core::wire::client::{Action, Admin};

use crate::check::evidence::DiskLoss;
use crate::cluster::Cluster;
use crate::disk::Damage;
use crate::fault::{Fault, FaultClass};
use crate::network::EdgeConditions;
use crate::scenario::Planned;

pub(super) struct Nemesis {
    plan: Vec<Planned>,
    next: usize,
    began: Instant,
    /// Faults under way, by their end.
    active: BTreeMap<(Instant, usize), Fault>,
    /// Identities whose disk was lost or damaged. Their votes and acknowledgements may be forgotten.
    lost: BTreeSet<Member>,
    /// Number of faults that took effect, by class.
    pub counts: BTreeMap<FaultClass, u64>,
    pub disk_losses: Vec<DiskLoss>,
    pub story: Vec<(Instant, String)>,
}

impl Nemesis {
    /// A nemesis that has done nothing yet. The times in `plan` count from `began`.
    pub fn new(plan: Vec<Planned>, began: Instant) -> Nemesis {
        Nemesis {
            plan,
            next: 0,
            began,
            active: BTreeMap::new(),
            lost: BTreeSet::new(),
            counts: BTreeMap::new(),
            disk_losses: Vec::new(),
            story: Vec::new(),
        }
    }

    /// When the next fault begins or ends. `None` if no fault is active or planned.
    pub fn due(&self) -> Option<Instant> {
        let begins = self.plan.get(self.next).map(|planned| planned.begins(self.began));
        let ends = self.active.keys().next().map(|(at, _)| *at);
        [begins, ends].into_iter().flatten().min()
    }

    /// Ends and begins the faults that are due.
    pub fn act(&mut self, cluster: &mut Cluster) {
        let now = cluster.now();
        while let Some(entry) = self.active.first_entry().filter(|entry| entry.key().0 <= now) {
            let fault = entry.remove();
            self.end(cluster, fault);
        }
        while let Some(planned) = self.plan.get(self.next).filter(|planned| planned.begins(self.began) <= now) {
            let (fault, ends) = (planned.fault.clone(), now + planned.lasts);
            self.next += 1;
            if self.begin(cluster, &fault, ends) {
                *self.counts.entry(fault.class()).or_default() += 1;
                self.story.push((now, format!("{fault}, for {} ms", planned_ms(now, ends))));
                self.active.insert((ends, self.next), fault);
            }
        }
    }

    /// Ends all faults and recovers the nodes that requested faults have stopped.
    pub fn heal(&mut self, cluster: &mut Cluster) {
        self.next = self.plan.len();
        for (_, fault) in std::mem::take(&mut self.active) {
            self.end(cluster, fault);
        }
        for node in cluster.nodes() {
            self.revive(cluster, node);
            self.ask(cluster, node, Action::Admin(Admin::RecoverNode { node: None }));
            for to in cluster.seating().neighbours(node) {
                self.ask(
                    cluster,
                    node,
                    Action::Admin(Admin::SetLink { from: node, to, conditions: LinkConditions::PERFECT }),
                );
            }
        }
        self.story.push((cluster.now(), "all faults are healed".into()));
    }

    /// Gives an empty disk to each node whose damaged disk refuses the start, as its operator would do.
    pub fn replace_refused(&mut self, cluster: &mut Cluster) {
        for node in cluster.nodes() {
            if let Some(why) = cluster.refused(node).map(ToOwned::to_owned) {
                self.story
                    .push((cluster.now(), format!("{node} gets an empty disk because it refused to start: {why}")));
                self.replace_disk(cluster, node);
                cluster.start(node);
            }
        }
    }

    /// Begins a fault. `false`: it has no effect now, or would violate the fault model of the guarantees.
    fn begin(&mut self, cluster: &mut Cluster, fault: &Fault, ends: Instant) -> bool {
        let now = cluster.now();
        let runs = |cluster: &Cluster, node: &HostId| cluster.node(*node).is_some();
        match fault {
            Fault::Kill { node } => {
                let ran = runs(cluster, node);
                cluster.kill(*node);
                ran
            }
            Fault::Power { nodes } => {
                let ran = nodes.iter().any(|node| runs(cluster, node));
                nodes.iter().for_each(|node| cluster.kill(*node));
                ran
            }
            Fault::Hang { node } => {
                cluster.hang(*node, ends);
                runs(cluster, node)
            }
            Fault::Wipe { node } => {
                let may = self.may_lose_disk(cluster, *node);
                if may {
                    self.note_loss(cluster, *node);
                    cluster.kill(*node);
                    cluster.wipe(*node);
                }
                may
            }
            Fault::Damage { node, row } => {
                let may = self.may_lose_disk(cluster, *node);
                if may {
                    self.note_loss(cluster, *node);
                    cluster.kill(*node);
                    row.do_to(cluster, *node);
                }
                may
            }
            Fault::Rot { node } => {
                let may = self.may_lose_disk(cluster, *node);
                if may {
                    cluster.damage_disk(*node, Damage::Messages);
                }
                may
            }
            Fault::FullDisk { node, left } => {
                cluster.limit_disk(*node, Some((*left).into()));
                true
            }
            Fault::SlowDisk { node, delay_us } => {
                cluster.slow_disk(*node, Duration::from_micros((*delay_us).into()));
                true
            }
            Fault::Clock { node, by_us } => {
                cluster.set_clock_error(*node, *by_us);
                true
            }
            Fault::Cut { .. } | Fault::Partition { .. } | Fault::Degrade { .. } => {
                self.apply_to_edges(cluster, Some(fault));
                true
            }
            Fault::Break { edges } => {
                edges.iter().for_each(|(from, to)| cluster.break_edge(*from, *to));
                true
            }
            Fault::Stop { node, mode } => {
                let may = runs(cluster, node) && (*mode != StopMode::Wipe || self.may_lose_disk(cluster, *node));
                if may {
                    if *mode == StopMode::Wipe {
                        self.note_loss(cluster, *node);
                    }
                    let duration_ms = planned_ms(now, ends);
                    self.ask(cluster, *node, Action::Admin(Admin::StopNode { node: None, mode: *mode, duration_ms }));
                }
                may
            }
            Fault::Link { from, to, conditions } => {
                self.ask(
                    cluster,
                    *from,
                    Action::Admin(Admin::SetLink { from: *from, to: *to, conditions: *conditions }),
                );
                runs(cluster, from)
            }
            Fault::Clients { node } => {
                cluster.break_clients(*node);
                runs(cluster, node)
            }
        }
    }

    fn end(&mut self, cluster: &mut Cluster, fault: Fault) {
        match fault {
            Fault::Kill { node } | Fault::Wipe { node } | Fault::Damage { node, .. } => self.revive(cluster, node),
            Fault::Power { nodes } => nodes.into_iter().for_each(|node| self.revive(cluster, node)),
            Fault::FullDisk { node, .. } => {
                if !self.still(|fault| matches!(fault, Fault::FullDisk { node: at, .. } if *at == node)) {
                    cluster.limit_disk(node, None);
                }
            }
            Fault::SlowDisk { node, .. } => cluster.usual_disk(node),
            Fault::Clock { node, .. } => cluster.set_clock_error(node, 0),
            Fault::Cut { .. } | Fault::Partition { .. } | Fault::Degrade { .. } => self.apply_to_edges(cluster, None),
            Fault::Link { from, to, .. } => {
                self.ask(
                    cluster,
                    from,
                    Action::Admin(Admin::SetLink { from, to, conditions: LinkConditions::PERFECT }),
                );
            }
            // These end by themselves.
            Fault::Rot { .. }
            | Fault::Hang { .. }
            | Fault::Stop { .. }
            | Fault::Break { .. }
            | Fault::Clients { .. } => {}
        }
    }

    /// Starts a process unless another fault keeps it down.
    fn revive(&mut self, cluster: &mut Cluster, node: HostId) {
        let kept_down = self.still(|fault| match fault {
            Fault::Kill { node: at } | Fault::Wipe { node: at } | Fault::Damage { node: at, .. } => *at == node,
            Fault::Power { nodes } => nodes.contains(&node),
            Fault::Hang { .. }
            | Fault::Rot { .. }
            | Fault::FullDisk { .. }
            | Fault::SlowDisk { .. }
            | Fault::Clock { .. }
            | Fault::Cut { .. }
            | Fault::Partition { .. }
            | Fault::Break { .. }
            | Fault::Degrade { .. }
            | Fault::Stop { .. }
            | Fault::Link { .. }
            | Fault::Clients { .. } => false,
        });
        if !kept_down && cluster.node(node).is_none() {
            cluster.start(node);
        }
    }

    fn still(&self, such: impl Fn(&Fault) -> bool) -> bool {
        self.active.values().any(such)
    }

    /// Replaces a damaged disk by an empty one. Its votes already counted as lost.
    fn replace_disk(&mut self, cluster: &mut Cluster, node: HostId) {
        cluster.wipe(node);
        self.disk_losses.push(DiskLoss { node, at: cluster.now() });
    }

    fn note_loss(&mut self, cluster: &Cluster, node: HostId) {
        self.lost.extend(cluster.node(node).and_then(Node::identity));
        self.disk_losses.push(DiskLoss { node, at: cluster.now() });
    }

    /// Whether the guarantees survive the loss of this disk. In each of its groups, there must be a leader that knows
    /// the committed entries and the voters; every voter must run, know the same voters, and have kept its disk since
    /// it became a voter. Then each commit is on a majority of the voters' disks, and the disks that keep it intersect
    /// every majority that can form without this disk. (If only the leader knew that a lost disk has no vote any more,
    /// that disk and the leader's would be two of the same voters.)
    fn may_lose_disk(&self, cluster: &Cluster, node: HostId) -> bool {
        let is_whole = |voter: &Member| {
            let is_there = cluster.node(voter.host).and_then(Node::identity) == Some(*voter);
            is_there && !self.lost.contains(voter)
        };
        let is_damaged = |member: HostId| cluster.disk(member).has_bad_row();
        cluster.seating().groups_of(node).all(|id| {
            // A second member must not lose a message before the first one has repaired its own loss.
            if cluster.seating().members(id).into_iter().any(is_damaged) {
                return false;
            }
            let newest = groups_of(cluster, id).map(Group::term).max();
            newest_leader(cluster, id).is_some_and(|group| {
                let voters = group.voters();
                let knows = |voter: &Member| {
                    let own = cluster.node(voter.host).and_then(|node| node.group(id));
                    own.is_some_and(|own| own.voters() == voters)
                };
                let is_settled = Some(group.term()) == newest && !group.changes_members();
                is_settled && voters.len() >= 3 && voters.iter().all(|voter| is_whole(voter) && knows(voter))
            })
        })
    }

    /// Sets every edge to the combined effect of all faults. `new`: a fault that is about to become active.
    fn apply_to_edges(&self, cluster: &mut Cluster, new: Option<&Fault>) {
        let mut edges: BTreeMap<(HostId, HostId), EdgeConditions> = BTreeMap::new();
        for fault in self.active.values().chain(new) {
            for (edge, conditions) in edges_of(fault, cluster) {
                let so_far = edges.entry(edge).or_default();
                *so_far = so_far.and(conditions);
            }
        }
        for from in cluster.nodes() {
            for to in cluster.seating().neighbours(from) {
                cluster.set_edge(from, to, edges.get(&(from, to)).copied());
            }
        }
    }

    fn ask(&mut self, cluster: &mut Cluster, node: HostId, action: Action) {
        let connection = cluster.connect_client(node);
        cluster.send(connection, action);
        cluster.forget_client(connection);
    }
}

fn planned_ms(from: Instant, to: Instant) -> u64 {
    to.since(from).as_millis() as u64
}

fn edges_of(fault: &Fault, cluster: &Cluster) -> Vec<((HostId, HostId), EdgeConditions)> {
    let cut = EdgeConditions { cut: true, ..EdgeConditions::default() };
    match fault {
        Fault::Cut { edges } => edges.iter().map(|edge| (*edge, cut)).collect(),
        Fault::Degrade { edges, conditions } => edges.iter().map(|edge| (*edge, *conditions)).collect(),
        Fault::Partition { side, one_way } => {
            let side: BTreeSet<&HostId> = side.iter().collect();
            let mut edges = Vec::new();
            for from in cluster.nodes().filter(|node| side.contains(node)) {
                for to in cluster.seating().neighbours(from).filter(|to| !side.contains(to)) {
                    edges.push(((from, to), cut));
                    if !one_way {
                        edges.push(((to, from), cut));
                    }
                }
            }
            edges
        }
        Fault::Kill { .. }
        | Fault::Power { .. }
        | Fault::Hang { .. }
        | Fault::Wipe { .. }
        | Fault::Damage { .. }
        | Fault::Rot { .. }
        | Fault::FullDisk { .. }
        | Fault::SlowDisk { .. }
        | Fault::Clock { .. }
        | Fault::Break { .. }
        | Fault::Stop { .. }
        | Fault::Link { .. }
        | Fault::Clients { .. } => Vec::new(),
    }
}

/// The leader of a group in the newest term, among leaders that know the committed entries.
pub(super) fn newest_leader(cluster: &Cluster, id: GroupId) -> Option<&Group> {
    groups_of(cluster, id).filter(|group| group.leads_fully()).max_by_key(|group| group.term())
}

/// The state of one group at each running member.
fn groups_of(cluster: &Cluster, id: GroupId) -> impl Iterator<Item = &Group> {
    cluster.seating().members(id).into_iter().filter_map(move |member| cluster.node(member)?.group(id))
}
