//! The leader, the voters and the availability of each replica group, as far as reported to this page.
//!
//! A leader is shown only if a majority of the voters is up and on its side of the cube. Without reports a group is
//! [`Service::Unknown`]: the page then claims neither that it has no leader, nor that a leader which may be gone still
//! leads.

use std::collections::{BTreeMap, BTreeSet};

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;

use super::{Cluster, Health};

/// The reported state of one group.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Group {
    /// The newest reported term; 0 if only views were received, which contain no term.
    pub term: u64,
    /// `None` if that term has no leader yet, or its leader stopped.
    pub leader: Option<HostId>,
    /// `None` if no member reported them.
    pub members: Option<Members>,
}

/// The voters, as reported by the member with the highest applied log index.
#[derive(Clone, PartialEq, Debug)]
pub struct Members {
    /// Members that vote.
    pub voters: Vec<HostId>,
    /// Members that do not vote.
    pub learners: Vec<HostId>,
    told_by: HostId,
    applied: u64,
}

/// Whether a group accepts writes, as far as reported to this page.
#[derive(Clone, PartialEq, Debug)]
pub enum Service {
    /// Not enough reports.
    Unknown,
    /// The leader is up, together with a majority of the voters.
    Led(HostId),
    /// A majority of the voters is up and connected, but has no leader at the moment.
    Leaderless,
    /// No majority of the voters is up and connected.
    NoQuorum(NoQuorum),
}

/// Why a group cannot be written.
#[derive(Clone, PartialEq, Debug)]
pub struct NoQuorum {
    /// Number of voters.
    pub voters: usize,
    /// Number of voters in a majority.
    pub needed: usize,
    /// Voters that are up, on any side of the cube.
    pub up: Vec<HostId>,
    /// Voters that are down.
    pub down: Vec<HostId>,
    /// The largest number of voters that can reach each other.
    pub together: usize,
    /// Members whose own replica can still be read.
    pub readable: Vec<HostId>,
}

impl Group {
    /// A newer term wins; within a term, a leader wins over none.
    pub(super) fn learn_leader(&mut self, term: u64, leader: Option<HostId>) {
        if term > self.term || (term == self.term && leader.is_some()) {
            (self.term, self.leader) = (term, leader);
        }
    }

    /// Reports with a lower applied index are older and ignored, unless the previous reporter is gone.
    pub(super) fn learn_members(&mut self, told: Members, told_before_is_gone: bool) {
        let is_newer = self.members.as_ref().is_none_or(|known| told.applied >= known.applied || told_before_is_gone);
        if is_newer {
            self.members = Some(told);
        }
    }
}

impl Members {
    /// `told_by`: the reporting member. `applied`: its applied log index.
    pub fn new(voters: &[HostId], learners: &[HostId], told_by: HostId, applied: u64) -> Members {
        Members { voters: voters.to_vec(), learners: learners.to_vec(), told_by, applied }
    }

    pub(super) fn told_by(&self) -> HostId {
        self.told_by
    }

    pub(super) fn applied(&self) -> u64 {
        self.applied
    }
}

/// Conclusions from all reports; computed once for each state of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Sets of running nodes that can reach each other, the largest first. One set: no partition.
    pub sides: Vec<BTreeSet<HostId>>,
    services: BTreeMap<Vertex, Service>,
}

impl Picture {
    pub(super) fn of(cluster: &Cluster) -> Picture {
        let sides = sides(cluster);
        let homes = cluster.dimension.into_iter().flat_map(|dimension| dimension.vertices());
        let services = homes.map(|home| (home, service(cluster, &sides, home))).collect();
        Picture { sides, services }
    }

    /// The availability of a group, named by its home.
    pub fn service(&self, group: Vertex) -> &Service {
        self.services.get(&group).unwrap_or(&Service::Unknown)
    }

    /// The groups that cannot be written.
    pub fn stuck(&self) -> impl Iterator<Item = (Vertex, &NoQuorum)> {
        self.services.iter().filter_map(|(group, service)| match service {
            Service::NoQuorum(stuck) => Some((*group, stuck)),
            Service::Unknown | Service::Led(_) | Service::Leaderless => None,
        })
    }
}

/// Partitions the running nodes: two nodes are on one side if frames can travel in both directions, possibly over other
/// nodes. Links without reports are assumed to work.
fn sides(cluster: &Cluster) -> Vec<BTreeSet<HostId>> {
    let mut left: BTreeSet<HostId> =
        cluster.nodes.keys().copied().filter(|node| cluster.health(*node).is_running()).collect();
    let (Some(seating), mut sides) = (cluster.seating(), Vec::new()) else { return Vec::new() };
    while let Some(first) = left.first().copied() {
        let forth = reached(&seating, &left, first, |from, to| cluster.may_carry(from, to));
        let back = reached(&seating, &left, first, |from, to| cluster.may_carry(to, from));
        let side: BTreeSet<HostId> = forth.intersection(&back).copied().collect();
        left.retain(|node| !side.contains(node));
        sides.push(side);
    }
    sides.sort_by_key(|side| std::cmp::Reverse(side.len()));
    sides
}

fn reached(
    seating: &Seating,
    among: &BTreeSet<HostId>,
    first: HostId,
    carries: impl Fn(HostId, HostId) -> bool,
) -> BTreeSet<HostId> {
    let (mut reached, mut next) = (BTreeSet::from([first]), vec![first]);
    while let Some(from) = next.pop() {
        for to in seating.neighbours(from).filter(|to| among.contains(to) && carries(from, *to)) {
            if reached.insert(to) {
                next.push(to);
            }
        }
    }
    reached
}

fn service(cluster: &Cluster, sides: &[BTreeSet<HostId>], home: Vertex) -> Service {
    let all = cluster.members(home);
    let group = cluster.groups.get(&home);
    let told = group.and_then(|group| group.members.as_ref());
    let voters = told.map_or_else(|| all.clone(), |members| members.voters.clone());
    let with = |health: fn(Health) -> bool| -> Vec<HostId> {
        voters.iter().copied().filter(|voter| health(cluster.health(*voter))).collect()
    };
    let (up, unknown) = (with(Health::is_running), with(|health| health == Health::Unknown));
    let on = |side: &BTreeSet<HostId>| up.iter().filter(|voter| side.contains(voter)).count();
    let best = sides.iter().max_by_key(|side| on(side));
    let (together, needed) = (best.map_or(0, on), voters.len() / 2 + 1);
    if together + unknown.len() < needed && (told.is_some() || up.is_empty()) {
        let down = with(|health| health == Health::Failed);
        let readable = all.into_iter().filter(|member| cluster.health(*member) == Health::Up).collect();
        return Service::NoQuorum(NoQuorum { voters: voters.len(), needed, up, down, together, readable });
    }
    match (group, best) {
        // If the voters are unknown, `needed` is a majority of all members: a group never reduces its voters below that
        // number.
        (Some(group), Some(best)) if together >= needed => match group.leader {
            Some(leader) if best.contains(&leader) => Service::Led(leader),
            Some(_) | None => Service::Leaderless,
        },
        _ => Service::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::faults::LinkConditions;
    use cubecast_core::states::NodeState;

    use super::super::Socket;
    use super::*;
    use crate::testing::named as v;

    const CUT: LinkConditions = LinkConditions { cut: true, ..LinkConditions::PERFECT };

    #[test]
    fn two_of_four_voters_are_no_quorum_and_three_are() {
        let mut cluster = led_by_their_homes();
        cluster.learn_state(v("101"), v("101"), NodeState::Failed);
        assert_eq!(cluster.service(v("100")), &Service::Led(v("100")));
        cluster.learn_state(v("110"), v("110"), NodeState::Failed);
        let Service::NoQuorum(stuck) = cluster.service(v("100")) else { panic!("{:?}", cluster.service(v("100"))) };
        assert_eq!((stuck.up.len(), stuck.voters, stuck.needed), (2, 4, 3));
        assert_eq!((&stuck.down[..], &stuck.readable[..]), (&[v("101"), v("110")][..], &[v("100"), v("000")][..]));
        assert_eq!(cluster.acting_leader(v("100")), None, "a leader without a majority leads nobody");
    }

    #[test]
    fn a_group_that_went_on_without_a_lost_voter_needs_fewer() {
        let mut cluster = led_by_their_homes();
        cluster.learn_members(v("100"), &[v("100"), v("101"), v("000")], &[v("110")], v("100"));
        for node in ["110", "101"] {
            cluster.learn_state(v(node), v(node), NodeState::Failed);
        }
        assert_eq!(cluster.service(v("100")), &Service::Led(v("100")));
    }

    #[test]
    fn who_votes_is_not_guessed_where_it_decides() {
        let mut cluster = cube();
        cluster.learn_leader(v("100"), 3, Some(v("100")));
        assert_eq!(cluster.service(v("100")), &Service::Led(v("100")), "all members are up: whoever votes");
        for node in ["110", "101"] {
            cluster.learn_state(v(node), v(node), NodeState::Failed);
        }
        assert_eq!(cluster.service(v("100")), &Service::Unknown);
    }

    #[test]
    fn what_nobody_told_is_unknown_and_not_leaderless() {
        let cluster = Cluster::of(Dimension::new(3).unwrap());
        assert_eq!(cluster.service(v("100")), &Service::Unknown);
        assert_eq!(cube().service(v("100")), &Service::Unknown);
        let mut cluster = cube();
        cluster.learn_leader(v("100"), 4, None);
        assert_eq!(cluster.service(v("100")), &Service::Leaderless);
    }

    #[test]
    fn a_cube_cut_in_two_has_two_sides_and_each_group_serves_where_its_majority_is() {
        let mut cluster = led_by_their_homes();
        assert_eq!(cluster.sides().len(), 1);
        for (a, b) in cluster.edges().into_iter().filter(|(a, b)| a.number() ^ b.number() == 4) {
            cluster.learn_conditions(a, b, CUT);
            cluster.learn_conditions(b, a, CUT);
        }
        let sides: Vec<Vec<String>> =
            cluster.sides().iter().map(|side| side.iter().map(HostId::to_string).collect()).collect();
        assert_eq!(sides, [["000", "001", "010", "011"], ["100", "101", "110", "111"]]);
        assert_eq!(cluster.service(v("100")), &Service::Led(v("100")), "three of its four are with it");
    }

    #[test]
    fn a_leader_cut_off_from_its_majority_leads_no_more_though_it_is_up() {
        let mut cluster = led_by_their_homes();
        for peer in ["101", "110", "000"].map(v) {
            cluster.learn_conditions(v("100"), peer, CUT);
            cluster.learn_conditions(peer, v("100"), CUT);
        }
        assert_eq!(cluster.service(v("100")), &Service::Leaderless);
        cluster.learn_leader(v("100"), 2, Some(v("101")));
        assert_eq!(cluster.service(v("100")), &Service::Led(v("101")));
    }

    #[test]
    fn a_link_that_carries_one_way_only_does_not_join_two_sides() {
        let mut cluster = Cluster::of(Dimension::new(1).unwrap());
        for node in ["0", "1"] {
            cluster.learn_socket(v(node), Socket::Open);
            cluster.learn_state(v(node), v(node), NodeState::Up);
        }
        assert_eq!(cluster.sides().len(), 1);
        cluster.learn_link(v("1"), v("0"), v("1"), false);
        assert_eq!(cluster.sides().len(), 2);
    }

    #[test]
    fn what_a_node_led_before_it_stopped_it_does_not_lead_when_it_is_back() {
        let mut cluster = led_by_their_homes();
        cluster.learn_state(v("100"), v("100"), NodeState::Failed);
        cluster.learn_state(v("100"), v("100"), NodeState::Recovering);
        assert!(cluster.led_by(v("100")).is_empty());
        assert_eq!(cluster.service(v("100")), &Service::Leaderless);
    }

    /// Eight running nodes without reports about their groups.
    fn cube() -> Cluster {
        let dimension = Dimension::new(3).unwrap();
        let mut cluster = Cluster::of(dimension);
        for node in cluster.all_nodes() {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
        }
        cluster
    }

    fn led_by_their_homes() -> Cluster {
        let mut cluster = cube();
        for home in Dimension::new(3).unwrap().vertices() {
            let members = cluster.members(home);
            cluster.learn_leader(home, 1, Some(members[0]));
            cluster.learn_members(home, &members, &[], members[0]);
        }
        cluster
    }
}
