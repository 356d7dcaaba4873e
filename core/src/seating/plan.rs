//! The planner: which host serves which vertex after hosts joined, left or died.
//!
//! It keeps the seats as they are and repairs them by the shortest chains of moves it finds. Each host gets its share of
//! the vertices, by weight, rounded down or up. Carried out in order, each move leaves a legal seating: the members of a
//! group are on different hosts, as long as there are enough hosts.
//!
//! A group consists of its home and the home's neighbours across the lowest bits, so two vertices conflict if they
//! differ in one or two of these bits. Ties are broken by rendezvous hashing of vertex and host (Thaler and Ravishankar
//! 1998), so equal input gives equal plans. The result is only a proposal: it takes effect once it is in the replicated
//! seating, so versions of the planner may differ.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sha2::{Digest, Sha256};

use crate::cube::{Dimension, Vertex};
use crate::identity::HostId;

/// The longest chain of moves that is considered.
const MAX_CHAIN: usize = 5;
/// Hosts that the search for one chain looks at. With 1,024 vertices and 60 hosts it needs far fewer.
const MAX_LOOKS: usize = 60_000;

/// The hosts that may serve vertices, with their weights. A host of weight 2 gets twice as many vertices as one of
/// weight 1. Weights are positive.
pub type Weights = BTreeMap<HostId, u32>;

/// One vertex changes its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    pub vertex: Vertex,
    /// `None` if no host served the vertex.
    pub from: Option<HostId>,
    pub to: HostId,
}

/// A plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// In the order in which they are legal.
    pub moves: Vec<Move>,
    /// The host of each vertex afterwards, by the vertex's index. `None` if no host could be found for it.
    pub seats: Vec<Option<HostId>>,
    /// Whether all vertices have hosts, and all hosts their shares.
    pub is_balanced: bool,
}

/// Plans the seats of a cube. `copies`: the members of each group, at least 1 and at most the dimension plus 1.
/// `seats`: the current host of each vertex, by index; seats of hosts without a weight count as empty.
///
/// # Panics
///
/// If there is not one seat for each vertex.
pub fn plan(dimension: Dimension, copies: u8, seats: &[Option<HostId>], weights: &Weights) -> Plan {
    assert_eq!(seats.len(), dimension.size(), "each vertex has a seat");
    let mut planner = Planner::new(dimension, copies, seats, weights);
    let is_balanced = planner.run();
    let seats = dimension.vertices().map(|vertex| planner.seats[vertex.index()]).collect();
    Plan { moves: planner.moves, seats, is_balanced }
}

/// The vertices that must not be served by the host of `vertex`, because a group contains both.
pub fn conflicting(vertex: Vertex, copies: u8) -> impl Iterator<Item = Vertex> {
    let bits = copies.saturating_sub(1).min(vertex.dimension().bits());
    let across_one = (0..bits).map(move |bit| vertex.across(bit));
    let across_two = (0..bits).flat_map(move |one| (one + 1..bits).map(move |two| vertex.across(one).across(two)));
    across_one.chain(across_two)
}

/// The least and the greatest number of vertices of each host: its share, rounded down and up.
fn shares(dimension: Dimension, weights: &Weights) -> BTreeMap<HostId, Share> {
    let total: u64 = weights.values().map(|weight| u64::from(*weight)).sum();
    let share = |weight: u32| {
        let parts = dimension.size() as u64 * u64::from(weight);
        Share { least: (parts / total) as usize, most: parts.div_ceil(total) as usize }
    };
    weights.iter().map(|(host, weight)| (*host, share(*weight))).collect()
}

#[derive(Clone, Copy, Debug)]
struct Share {
    least: usize,
    most: usize,
}

struct Planner<'a> {
    dimension: Dimension,
    copies: u8,
    weights: &'a Weights,
    shares: BTreeMap<HostId, Share>,
    seats: Vec<Option<HostId>>,
    /// The inverse of `seats`.
    served: BTreeMap<HostId, BTreeSet<Vertex>>,
    moves: Vec<Move>,
}

impl<'a> Planner<'a> {
    fn new(dimension: Dimension, copies: u8, seats: &[Option<HostId>], weights: &'a Weights) -> Planner<'a> {
        let mut planner = Planner {
            dimension,
            copies,
            weights,
            shares: shares(dimension, weights),
            seats: vec![None; seats.len()],
            served: weights.keys().map(|host| (*host, BTreeSet::new())).collect(),
            moves: Vec::new(),
        };
        for vertex in dimension.vertices() {
            if let Some(host) = seats[vertex.index()].filter(|host| weights.contains_key(host)) {
                planner.put(vertex, Some(host));
            }
        }
        planner
    }

    /// Returns whether everything is seated and balanced.
    fn run(&mut self) -> bool {
        self.match_orphans();
        loop {
            let orphans = self.orphans();
            if orphans.is_empty() {
                break;
            }
            let is_placed = orphans.iter().any(|vertex| self.chain(&[*vertex], |planner, host| planner.lacks(host)))
                || orphans.iter().any(|vertex| self.chain(&[*vertex], |planner, host| planner.has_room(host)))
                || orphans.iter().any(|vertex| self.chain(&[*vertex], |_, _| true));
            if !is_placed {
                return false;
            }
        }
        while let Some(poor) = self.poorest() {
            if !self.chain(&self.spare(), |_, host| host == poor) {
                return false;
            }
        }
        loop {
            let starts = self.served_by(|share, load| load > share.most);
            if starts.is_empty() {
                return true;
            }
            if !self.chain(&starts, |planner, host| planner.has_room(host)) {
                return false;
            }
        }
    }

    fn load(&self, host: HostId) -> usize {
        self.served[&host].len()
    }

    fn lacks(&self, host: HostId) -> bool {
        self.load(host) < self.shares[&host].least
    }

    fn has_room(&self, host: HostId) -> bool {
        self.load(host) < self.shares[&host].most
    }

    fn orphans(&self) -> Vec<Vertex> {
        self.dimension.vertices().filter(|vertex| self.seats[vertex.index()].is_none()).collect()
    }

    /// The host that lacks most.
    fn poorest(&self) -> Option<HostId> {
        let poor = self.weights.keys().copied().filter(|host| self.lacks(*host));
        poor.max_by_key(|host| (self.shares[host].least - self.load(*host), Reverse(*host)))
    }

    /// The vertices of hosts that have more than their share; if there are none, of hosts with more than its floor.
    fn spare(&self) -> Vec<Vertex> {
        let above_most = self.served_by(|share, load| load > share.most);
        if above_most.is_empty() { self.served_by(|share, load| load > share.least) } else { above_most }
    }

    /// The vertices of all hosts for which this holds, in their order.
    fn served_by(&self, holds: impl Fn(Share, usize) -> bool) -> Vec<Vertex> {
        let hosts = self.served.iter().filter(|(host, served)| holds(self.shares[host], served.len()));
        let vertices: BTreeSet<Vertex> = hosts.flat_map(|(_, served)| served.iter().copied()).collect();
        vertices.into_iter().collect()
    }

    /// The vertices that keep `vertex` from `host` now.
    fn blockers(&self, vertex: Vertex, host: HostId) -> BTreeSet<Vertex> {
        let served = &self.served[&host];
        conflicting(vertex, self.copies).filter(|other| served.contains(other)).collect()
    }

    fn put(&mut self, vertex: Vertex, host: Option<HostId>) {
        let before = std::mem::replace(&mut self.seats[vertex.index()], host);
        if let Some(served) = before.and_then(|before| self.served.get_mut(&before)) {
            served.remove(&vertex);
        }
        if let Some(served) = host.and_then(|host| self.served.get_mut(&host)) {
            served.insert(vertex);
        }
    }

    // Orphans that need no other move.

    /// Seats as many orphans as possible without moving anything else: a bipartite matching by augmenting paths. First
    /// hosts get the floor of their share, then its ceiling. Orphans that conflict with each other are left out.
    fn match_orphans(&mut self) {
        let all: BTreeSet<Vertex> = self.orphans().into_iter().collect();
        let conflicts_with_none =
            |vertex: &Vertex| !conflicting(*vertex, self.copies).any(|other| all.contains(&other));
        let mut orphans: Vec<Vertex> = all.iter().copied().filter(conflicts_with_none).collect();
        let fitting = |vertex: Vertex| {
            let mut hosts: Vec<HostId> =
                self.weights.keys().copied().filter(|host| self.blockers(vertex, *host).is_empty()).collect();
            hosts.sort_by_key(|host| Reverse(rendezvous(vertex, *host)));
            hosts
        };
        let fits: BTreeMap<Vertex, Vec<HostId>> = orphans.iter().map(|vertex| (*vertex, fitting(*vertex))).collect();
        orphans.sort_by_key(|vertex| (fits[vertex].len(), *vertex));
        let mut matching = Matching { fits, taken: BTreeMap::new() };
        for target in [|share: Share| share.least, |share: Share| share.most] {
            let rooms: BTreeMap<HostId, usize> = self
                .shares
                .iter()
                .map(|(host, share)| (*host, target(*share).saturating_sub(self.load(*host))))
                .collect();
            orphans.retain(|vertex| !matching.augment(*vertex, &rooms, &mut BTreeSet::new()));
        }
        for (host, vertices) in matching.taken {
            for vertex in vertices {
                self.moves.push(Move { vertex, from: None, to: host });
                self.put(vertex, Some(host));
            }
        }
    }

    // Chains.

    /// Carries out the shortest chain of moves that begins with one of `starts` and ends on a host that accepts one more
    /// vertex. Each vertex of the chain takes the place that the next one leaves. Returns whether one was found.
    fn chain(&mut self, starts: &[Vertex], accepts: impl Fn(&Planner<'_>, HostId) -> bool) -> bool {
        let mut starts = starts.to_vec();
        starts.sort_by_key(|vertex| (self.seats[vertex.index()].is_some(), *vertex));
        let mut seen: BTreeSet<Vertex> = starts.iter().copied().collect();
        let mut queue: VecDeque<Chain> = starts.into_iter().map(Chain::from).collect();
        let mut looks = 0;
        while let Some(chain) = queue.pop_front().filter(|_| looks < MAX_LOOKS) {
            for host in self.preferred(chain.last()) {
                if self.seats[chain.last().index()] == Some(host) || chain.to.contains(&host) {
                    continue;
                }
                looks += 1;
                let mut blockers = self.blockers(chain.last(), host);
                blockers.retain(|blocker| !chain.vertices.contains(blocker));
                if blockers.is_empty() && accepts(self, host) {
                    if self.carry_out(&chain.to(host)) {
                        return true;
                    }
                } else if chain.vertices.len() < MAX_CHAIN {
                    for next in self.displaceable(blockers, host) {
                        if seen.insert(next) {
                            queue.push_back(chain.to(host).then(next));
                        }
                    }
                }
            }
        }
        false
    }

    /// All hosts, those with the least load for their weight first.
    fn preferred(&self, vertex: Vertex) -> Vec<HostId> {
        let mut hosts: Vec<HostId> = self.weights.keys().copied().collect();
        let relative = |host: HostId, other: HostId| self.load(host) as u64 * u64::from(self.weights[&other]);
        hosts.sort_by(|one, other| {
            let by_load = relative(*one, *other).cmp(&relative(*other, *one));
            by_load.then_with(|| rendezvous(vertex, *other).cmp(&rendezvous(vertex, *one)))
        });
        hosts
    }

    /// The vertices of which one must leave `host`: its only blocker, or any if the host is full.
    fn displaceable(&self, blockers: BTreeSet<Vertex>, host: HostId) -> Vec<Vertex> {
        let mut vertices: Vec<Vertex> = match blockers.len() {
            0 => self.served[&host].iter().copied().collect(),
            1 => blockers.into_iter().collect(),
            _ => Vec::new(),
        };
        vertices.sort_by_key(|vertex| rendezvous(*vertex, host));
        vertices
    }

    /// From the chain's end, so that each move finds its place free. Undone if a move would not be legal.
    fn carry_out(&mut self, chain: &Chain) -> bool {
        let mut done: Vec<Move> = Vec::new();
        for (vertex, host) in chain.vertices.iter().copied().zip(chain.to.iter().copied()).rev() {
            if !self.blockers(vertex, host).is_empty() {
                for Move { vertex, from, .. } in done.into_iter().rev() {
                    self.put(vertex, from);
                }
                return false;
            }
            done.push(Move { vertex, from: self.seats[vertex.index()], to: host });
            self.put(vertex, Some(host));
        }
        self.moves.extend(done);
        true
    }
}

/// Vertices and the hosts that they go to, in pairs; the last vertex may have no host yet.
#[derive(Clone)]
struct Chain {
    vertices: Vec<Vertex>,
    to: Vec<HostId>,
}

impl From<Vertex> for Chain {
    fn from(start: Vertex) -> Chain {
        Chain { vertices: vec![start], to: Vec::new() }
    }
}

impl Chain {
    fn last(&self) -> Vertex {
        *self.vertices.last().expect("a chain has a start")
    }

    fn to(&self, host: HostId) -> Chain {
        let mut chain = self.clone();
        chain.to.push(host);
        chain
    }

    fn then(mut self, next: Vertex) -> Chain {
        self.vertices.push(next);
        self
    }
}

struct Matching {
    /// The hosts that can take each vertex, the preferred first.
    fits: BTreeMap<Vertex, Vec<HostId>>,
    taken: BTreeMap<HostId, Vec<Vertex>>,
}

impl Matching {
    fn augment(&mut self, vertex: Vertex, rooms: &BTreeMap<HostId, usize>, seen: &mut BTreeSet<HostId>) -> bool {
        for host in self.fits[&vertex].clone() {
            if !seen.insert(host) {
                continue;
            }
            let taken = self.taken.entry(host).or_default();
            if taken.len() < rooms[&host] {
                taken.push(vertex);
                return true;
            }
            for other in taken.clone() {
                if self.augment(other, rooms, seen) {
                    let taken = self.taken.entry(host).or_default();
                    taken.retain(|moved| *moved != other);
                    taken.push(vertex);
                    return true;
                }
            }
        }
        false
    }
}

/// The hash of a vertex and a host, by which ties are broken.
fn rendezvous(vertex: Vertex, host: HostId) -> u64 {
    let digest = Sha256::digest(format!("{}/{}", vertex.index(), host.number()));
    u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(number: u32) -> HostId {
        HostId::new(number).unwrap()
    }

    fn cube(bits: u8) -> Dimension {
        Dimension::new(bits).unwrap()
    }

    /// Four hosts, each with the vertices of one colour of its cell: a perfect code.
    fn four_hosts(dimension: Dimension) -> (Vec<Option<HostId>>, Weights) {
        let colour =
            |vertex: Vertex| (0..3).filter(|bit| vertex.index() >> bit & 1 == 1).fold(0, |sum, bit| sum ^ (bit + 1));
        let seats = dimension.vertices().map(|vertex| Some(host(2 + colour(vertex)))).collect();
        (seats, (2..6).map(|number| (host(number), 1)).collect())
    }

    /// The seats after the moves; panics if one of them is not legal.
    fn carried_out(seats: &[Option<HostId>], copies: u8, moves: &[Move]) -> Vec<Option<HostId>> {
        let mut seats = seats.to_vec();
        for Move { vertex, from, to } in moves {
            assert_eq!(seats[vertex.index()], *from);
            let blocker = conflicting(*vertex, copies).find(|other| seats[other.index()] == Some(*to));
            assert_eq!(blocker, None, "{to} would serve {vertex} too");
            seats[vertex.index()] = Some(*to);
        }
        seats
    }

    /// No plan moves fewer: the seats without a host, those above a share, and those below one.
    fn least_moves(dimension: Dimension, seats: &[Option<HostId>], weights: &Weights) -> usize {
        let shares = shares(dimension, weights);
        let load = |host: &HostId| seats.iter().filter(|seat| **seat == Some(*host)).count();
        let orphans = seats.iter().filter(|seat| seat.is_none_or(|host| !weights.contains_key(&host))).count();
        let above: usize = shares.iter().map(|(host, share)| load(host).saturating_sub(share.most)).sum();
        let below: usize = shares.iter().map(|(host, share)| share.least.saturating_sub(load(host))).sum();
        (orphans + above).max(below)
    }

    fn without_the_gone(seats: &[Option<HostId>], weights: &Weights) -> Vec<Option<HostId>> {
        seats.iter().map(|seat| seat.filter(|host| weights.contains_key(host))).collect()
    }

    /// `tests/data/seating.txt` lists joins and leaves with the moves of an independent implementation in Python.
    #[test]
    fn the_plans_are_those_of_the_reference() {
        let reference = include_str!("../../tests/data/seating.txt");
        let (mut dimension, mut copies, mut seats, mut weights) = (cube(1), 1, Vec::new(), Weights::new());
        let mut events = 0;
        for line in reference.lines() {
            if let Some(shape) = line.strip_prefix("cube ") {
                let (bits, members) = shape.split_once(' ').unwrap();
                (dimension, copies) = (cube(bits.parse().unwrap()), members.parse().unwrap());
                (seats, weights) = four_hosts(dimension);
                continue;
            }
            let mut words = line.split(' ');
            let event = words.next().unwrap();
            match event.strip_prefix('+').map(|joined| joined.split_once('*').unwrap()) {
                Some((joined, weight)) => weights.insert(host(joined.parse().unwrap()), weight.parse().unwrap()),
                None => weights.remove(&host(event[1..].parse().unwrap())),
            };
            let is_balanced = words.next() == Some("balanced");
            let expected: Vec<&str> = words.collect();
            seats = without_the_gone(&seats, &weights);
            let plan = plan(dimension, copies, &seats, &weights);
            let moves: Vec<String> =
                plan.moves.iter().map(|one| format!("{}>{}", one.vertex.index(), one.to.number())).collect();
            assert_eq!(
                (moves, plan.is_balanced),
                (expected.iter().map(|word| word.to_string()).collect(), is_balanced),
                "{line}"
            );
            seats = carried_out(&seats, copies, &plan.moves);
            assert_eq!(seats, plan.seats);
            events += 1;
        }
        assert_eq!(events, 118);
    }

    #[test]
    fn one_two_and_three_hosts_get_what_they_can_serve_apart() {
        let dimension = cube(3);
        let one = plan(dimension, 1, &[None; 8], &Weights::from([(host(2), 1)]));
        assert!(one.is_balanced && one.seats.iter().all(|seat| *seat == Some(host(2))));
        // With four copies, no host may serve two members of a group, so fewer than four hosts cannot serve all.
        let weights = (2..5).map(|number| (host(number), 1)).collect();
        let three = plan(dimension, 4, &[None; 8], &weights);
        assert!(!three.is_balanced);
        assert_eq!(three.seats.iter().flatten().count(), 6);
    }

    #[test]
    fn a_weight_is_a_share() {
        let (seats, mut weights) = four_hosts(cube(6));
        for (number, weight) in [(6, 2), (7, 1), (8, 1), (9, 3), (10, 2), (11, 1), (12, 1), (13, 1)] {
            weights.insert(host(number), weight);
        }
        let plan = plan(cube(6), 4, &seats, &weights);
        assert!(plan.is_balanced);
        let load = |number| plan.seats.iter().filter(|seat| **seat == Some(host(number))).count();
        assert_eq!(load(9), 12);
        assert!([2, 7, 13].into_iter().all(|number| (4..=5).contains(&load(number))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Hosts join and leave, several at a time, between four and one for each vertex.
        #[test]
        fn every_move_is_legal_and_few_are_needed(
            bits in 3..=6_u8,
            events in prop::collection::vec((any::<bool>(), 1..=3_usize, any::<prop::sample::Index>()), 1..12),
        ) {
            let dimension = cube(bits);
            let (mut seats, mut weights) = four_hosts(dimension);
            let mut next = 6;
            let (mut moved, mut least) = (0, 0);
            for (joins, count, which) in events {
                for _ in 0..count {
                    if (joins || weights.len() == 4) && weights.len() < dimension.size() {
                        weights.insert(host(next), 1);
                        next += 1;
                    } else {
                        let gone = *which.get(&weights.keys().copied().collect::<Vec<_>>());
                        weights.remove(&gone);
                    }
                }
                seats = without_the_gone(&seats, &weights);
                least += least_moves(dimension, &seats, &weights);
                let plan = plan(dimension, 4, &seats, &weights);
                prop_assert!(plan.is_balanced);
                moved += plan.moves.len();
                seats = carried_out(&seats, 4, &plan.moves);
                let loads: Vec<usize> =
                    weights.keys().map(|host| seats.iter().filter(|seat| **seat == Some(*host)).count()).collect();
                prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
            }
            prop_assert!(moved <= least * 2, "{moved} moves instead of {least}");
        }
    }
}
