//! The guarantees of [`cubecast_core::route`], tested on random cubes with dead vertices and cut edges.
#![cfg(not(target_family = "wasm"))]

use std::collections::VecDeque;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::route::{NextHop, Trail, hop_limit, next_hop};
use cubecast_core::seating::Seating;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn when_nothing_is_broken_the_path_is_a_shortest_one_lowest_bit_first(trip in trips(Damage::None)) {
        for knowledge in [Knowledge::None, Knowledge::True] {
            let walk = trip.walk(knowledge);
            prop_assert_eq!(walk.end, NextHop::Arrived);
            let bits: Vec<_> = walk.met.windows(2).map(|pair| trip.seating.edge(pair[0], pair[1]).unwrap()).collect();
            let [from, to] = [trip.from, trip.to].map(|host| trip.seating.vertex_of(host).unwrap());
            let expected: Vec<_> = from.differing_bits(to).collect();
            prop_assert_eq!(bits, expected);
        }
    }

    #[test]
    fn with_both_ways_cut_a_packet_arrives_exactly_when_a_path_exists(trip in trips(Damage::BothWays)) {
        for knowledge in [Knowledge::None, Knowledge::Wrong] {
            let walk = trip.walk(knowledge);
            let expected = if trip.shortest().is_some() { NextHop::Arrived } else { NextHop::Unreachable };
            prop_assert_eq!(walk.end, expected, "{:?}", knowledge);
            prop_assert!(walk.hops() < 2 * trip.seating.hosts().len());
        }
    }

    #[test]
    fn with_both_ways_cut_no_vertex_is_entered_forward_twice(trip in trips(Damage::BothWays)) {
        let mut entered = trip.walk(Knowledge::Wrong).entered_forward;
        let all = entered.len();
        entered.sort();
        entered.dedup();
        prop_assert_eq!(entered.len(), all);
    }

    #[test]
    fn true_distances_give_a_shortest_path_even_with_one_way_cuts(trip in trips(Damage::OneWay)) {
        let Some(shortest) = trip.shortest() else { return Ok(()) };
        let walk = trip.walk(Knowledge::True);
        prop_assert_eq!(walk.end, NextHop::Arrived);
        prop_assert_eq!(walk.hops(), shortest as usize);
    }

    #[test]
    fn with_one_way_cuts_and_no_knowledge_giving_up_at_the_source_is_the_truth(trip in trips(Damage::OneWay)) {
        for knowledge in [Knowledge::None, Knowledge::Wrong] {
            let walk = trip.walk(knowledge);
            if walk.end == NextHop::Unreachable && walk.trail.path.is_empty() {
                prop_assert_eq!(trip.shortest(), None);
            }
            prop_assert!(walk.hops() <= hop_limit(trip.seating.dimension()).into());
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    BothWays,
    OneWay,
}

/// The distances that the vertices have.
#[derive(Clone, Copy, Debug)]
enum Knowledge {
    None,
    True,
    /// Outdated: any number, or none.
    Wrong,
}

#[derive(Clone, Debug)]
struct Trip {
    seating: Seating,
    from: HostId,
    to: HostId,
    /// For each node, the edges that carry its packets.
    usable: Vec<u16>,
    seed: u64,
}

struct Walk {
    end: NextHop,
    trail: Trail,
    /// Every node that the packet visited, in order.
    met: Vec<HostId>,
    entered_forward: Vec<HostId>,
}

fn trips(damage: Damage) -> impl Strategy<Value = Trip> {
    (1..=10u8, any::<u64>(), 0..60u32)
        .prop_map(move |(d, seed, percent)| Trip::new(Dimension::new(d).unwrap(), damage, seed, percent))
}

impl Trip {
    fn new(cube: Dimension, damage: Damage, seed: u64, percent: u32) -> Trip {
        let mut rng = fastrand::Rng::with_seed(seed);
        let seating = Seating::founding(cube);
        let mut any_node = || seating.hosts().nth(rng.u32(0..cube.size() as u32) as usize).unwrap();
        let (from, to) = (any_node(), any_node());
        let mut usable = vec![u16::MAX >> (16 - cube.bits()); cube.size()];
        match damage {
            Damage::None => {}
            Damage::BothWays => cut_both_ways(&mut usable, &seating, &mut rng, percent),
            Damage::OneWay => usable.iter_mut().for_each(|edges| *edges &= random_edges(&mut rng, cube, percent)),
        }
        Trip { seating, from, to, usable, seed }
    }

    fn walk(&self, knowledge: Knowledge) -> Walk {
        let known = self.known(knowledge);
        let distance = |node: HostId| known[self.index(node)];
        let (mut here, mut trail, mut met, mut entered_forward) =
            (self.from, Trail::default(), vec![self.from], vec![self.from]);
        let end = loop {
            match next_hop(&self.seating, here, self.to, &trail, self.usable[self.index(here)], distance) {
                NextHop::Forward(bit) => {
                    trail.leave_forward(here);
                    here = self.seating.across(here, bit);
                    entered_forward.push(here);
                }
                NextHop::BackTo(back) => {
                    trail.leave_back(here, back);
                    here = back;
                }
                end @ (NextHop::Arrived | NextHop::Unreachable | NextHop::HopLimit) => break end,
            }
            met.push(here);
        };
        Walk { end, trail, met, entered_forward }
    }

    fn known(&self, knowledge: Knowledge) -> Vec<Option<u32>> {
        let mut rng = fastrand::Rng::with_seed(!self.seed);
        match knowledge {
            Knowledge::None => vec![None; self.usable.len()],
            Knowledge::True => self.distances(),
            Knowledge::Wrong => self.usable.iter().map(|_| rng.bool().then(|| rng.u32(0..20))).collect(),
        }
    }

    fn shortest(&self) -> Option<u32> {
        self.distances()[self.index(self.from)]
    }

    fn index(&self, node: HostId) -> usize {
        self.seating.index_of(node).unwrap()
    }

    /// Hops from every node to the destination.
    fn distances(&self) -> Vec<Option<u32>> {
        let mut distances = vec![None; self.usable.len()];
        distances[self.index(self.to)] = Some(0);
        let mut queue = VecDeque::from([(self.to, 0)]);
        while let Some((near, distance)) = queue.pop_front() {
            for (bit, far) in self.seating.neighbours(near).enumerate() {
                let index = self.index(far);
                if self.usable[index] & (1 << bit) != 0 && distances[index].is_none() {
                    distances[index] = Some(distance + 1);
                    queue.push_back((far, distance + 1));
                }
            }
        }
        distances
    }
}

impl Walk {
    fn hops(&self) -> usize {
        assert_eq!(self.met.len() - 1, usize::from(self.trail.hops), "the trail counts the hops");
        self.met.len() - 1
    }
}

/// Removes edges in both directions, and all edges of some nodes, which are then dead.
fn cut_both_ways(usable: &mut [u16], seating: &Seating, rng: &mut fastrand::Rng, percent: u32) {
    for (index, node) in seating.hosts().enumerate() {
        let dead = rng.u32(0..200) < percent;
        let left = if dead { 0 } else { random_edges(rng, seating.dimension(), percent / 2) };
        for (bit, other) in seating.neighbours(node).enumerate().filter(|(bit, _)| left & (1 << bit) == 0) {
            usable[index] &= !(1 << bit);
            usable[seating.index_of(other).unwrap()] &= !(1 << bit);
        }
    }
}

fn random_edges(rng: &mut fastrand::Rng, cube: Dimension, percent_cut: u32) -> u16 {
    (0..cube.bits()).filter(|_| rng.u32(0..100) >= percent_cut).fold(0, |edges, bit| edges | 1 << bit)
}
