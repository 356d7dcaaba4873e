//! Routes over the cube: where a packet goes next.
//!
//! [`next_hop`] is a pure function of what the packet carries (its [`Trail`]) and of what the vertex that holds it knows: which
//! of its own edges are usable now, and, where somebody knows them, the distances to the destination over the directed graph.
//!
//! When nothing is broken this is e-cube routing (Sullivan and Bashkow, 1977): the differing bits are put right, lowest first,
//! along a shortest path. Around failures it takes the neighbour with the smallest known distance. Should what is known be wrong, it is a
//! depth-first search: forward to a neighbour that was not tried, or back to where the packet came from.
//!
//! # What is promised
//!
//! * Distances that are right: a shortest path over the usable directed edges, whatever is cut.
//! * Distances that are stale or absent, edges that are usable both ways or not at all, and [`hop_limit`] not reached (a full
//!   search of a cube up to d = 11 stays below it): delivered whenever a path exists. Wrong distances cost hops, never delivery.
//! * Edges usable one way only, distances stale: where the way back is cut the packet falls back to the latest vertex of its path that it can still reach
//!   directly. Giving up *at the origin* then still proves that there is no path. Elsewhere the packet may get stuck, on a vertex
//!   whose usable edges all lead to dead ends or that has none, and is given up there although the origin had another
//!   way; the sender's retry finds link states that know of the cut.
//! * Always: it ends. A dead end is never entered again, and between two dead ends the path only grows, without repeating a vertex.

use serde::{Deserialize, Serialize};

use crate::cube::{Dimension, Vertex};

/// The most edges that any packet crosses. A full search of a cube takes less than 2 hops a vertex, so this is enough for
/// every search up to d = 11; beyond, a search may end early.
pub const MAX_HOPS: u16 = 4096;

/// Where a packet has been. As large as the number of hops; nothing is allocated for dead ends until there is one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trail {
    /// The vertices from the origin to the one before the packet's present place, without dead ends.
    pub path: Vec<Vertex>,
    /// Dead ends: vertices that were tried and left again.
    pub dead_ends: Vec<Vertex>,
    /// Edges crossed, dead ends and all.
    pub hops: u16,
}

/// What to do with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextHop {
    /// It is where it should be.
    Arrived,
    /// Across the edge of this bit, to a vertex that it has not met.
    Forward(u8),
    /// This is a dead end: back to this neighbour, which lies on its path.
    BackTo(Vertex),
    /// Nothing is left to try.
    Unreachable,
    /// It has crossed [`hop_limit`] edges.
    HopLimit,
}

/// The number of edges after which a packet is given up.
pub fn hop_limit(dimension: Dimension) -> u16 {
    dimension.size().saturating_mul(4).min(MAX_HOPS.into()) as u16
}

/// The next hop of a packet for `to` that is at `here`.
///
/// `usable`: bit i is set when what is sent across bit i arrives now. `distance`: the known number of hops from a vertex to `to`,
/// `None` where no path is known or nothing is.
pub fn next_hop(
    here: Vertex,
    to: Vertex,
    trail: &Trail,
    usable: u16,
    distance: impl Fn(Vertex) -> Option<u32>,
) -> NextHop {
    if here == to {
        return NextHop::Arrived;
    }
    if trail.hops >= hop_limit(here.dimension()) {
        return NextHop::HopLimit;
    }
    let untried = usable_bits(here, usable).filter(|&bit| !trail.has_met(here.across(bit)));
    let nearness = |&bit: &u8| {
        let next = here.across(bit);
        (distance(next).unwrap_or(u32::MAX), next.distance(to), bit)
    };
    match untried.min_by_key(nearness) {
        Some(bit) => NextHop::Forward(bit),
        None => way_back(here, trail, usable).map_or(NextHop::Unreachable, NextHop::BackTo),
    }
}

impl Trail {
    /// Whether the packet is on a path through this vertex, or found it to be a dead end.
    pub fn has_met(&self, vertex: Vertex) -> bool {
        self.path.contains(&vertex) || self.dead_ends.contains(&vertex)
    }

    /// The packet leaves `here` forward.
    pub fn leave_forward(&mut self, here: Vertex) {
        self.hops = self.hops.saturating_add(1);
        self.path.push(here);
    }

    /// The packet leaves `here`, a dead end, for `back`, a vertex of its path. Those between the two are forgotten: they may be tried again.
    pub fn leave_back(&mut self, here: Vertex, back: Vertex) {
        self.hops = self.hops.saturating_add(1);
        self.dead_ends.push(here);
        let kept = self.path.iter().rposition(|&met| met == back).unwrap_or(0);
        self.path.truncate(kept);
    }
}

/// The latest vertex of the path that can be reached directly: the one before, unless the way back is cut.
fn way_back(here: Vertex, trail: &Trail, usable: u16) -> Option<Vertex> {
    let reached = |met: &&Vertex| here.edge_to(**met).is_some_and(|bit| usable & (1 << bit) != 0);
    trail.path.iter().rev().find(reached).copied()
}

fn usable_bits(here: Vertex, usable: u16) -> impl Iterator<Item = u8> {
    (0..here.dimension().bits()).filter(move |bit| usable & (1 << bit) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    fn unknown(_: Vertex) -> Option<u32> {
        None
    }

    #[test]
    fn differing_bits_are_put_right_lowest_first() {
        let (to, all) = (vertex("110"), 0b111);
        assert_eq!(next_hop(vertex("000"), to, &Trail::default(), all, unknown), NextHop::Forward(1));
        let trail = Trail { path: vec![vertex("000")], dead_ends: vec![], hops: 1 };
        assert_eq!(next_hop(vertex("010"), to, &trail, all, unknown), NextHop::Forward(2));
        assert_eq!(next_hop(to, to, &trail, all, unknown), NextHop::Arrived);
    }

    #[test]
    fn a_known_distance_outweighs_a_differing_bit() {
        let distance = |v: Vertex| if v == vertex("001") { Some(2) } else { Some(5) };
        let hop = next_hop(vertex("000"), vertex("110"), &Trail::default(), 0b111, distance);
        assert_eq!(hop, NextHop::Forward(0));
    }

    #[test]
    fn a_dead_end_is_left_backwards_and_not_entered_again() {
        let (origin, dead_end, to) = (vertex("00"), vertex("01"), vertex("11"));
        let mut trail = Trail::default();
        trail.leave_forward(origin);
        assert_eq!(next_hop(dead_end, to, &trail, 0b01, unknown), NextHop::BackTo(origin));
        trail.leave_back(dead_end, origin);
        assert_eq!(trail, Trail { path: vec![], dead_ends: vec![dead_end], hops: 2 });
        assert_eq!(next_hop(origin, to, &trail, 0b11, unknown), NextHop::Forward(1));
        assert_eq!(next_hop(origin, to, &trail, 0b01, unknown), NextHop::Unreachable);
    }

    #[test]
    fn where_the_way_back_is_cut_an_earlier_vertex_of_the_path_will_do() {
        // 000 -> 001 -> 011 -> 010, whose edges to 011 and 110 are cut: what is left is the one to the origin.
        let path = vec![vertex("000"), vertex("001"), vertex("011")];
        let mut trail = Trail { path, dead_ends: vec![], hops: 3 };
        assert_eq!(next_hop(vertex("010"), vertex("110"), &trail, 0b010, unknown), NextHop::BackTo(vertex("000")));
        trail.leave_back(vertex("010"), vertex("000"));
        assert_eq!(trail, Trail { path: vec![], dead_ends: vec![vertex("010")], hops: 4 });
    }

    #[test]
    fn the_hop_limit_ends_a_packet_but_not_one_that_has_arrived() {
        let trail = Trail { hops: hop_limit(vertex("000").dimension()), ..Trail::default() };
        assert_eq!(next_hop(vertex("000"), vertex("001"), &trail, 0b111, unknown), NextHop::HopLimit);
        assert_eq!(next_hop(vertex("001"), vertex("001"), &trail, 0b111, unknown), NextHop::Arrived);
    }
}
