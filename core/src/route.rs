//! Routing over the cube: the next hop of a packet.
//!
//! [`next_hop`] is a pure function of the packet's [`Trail`] and of the state known at the current vertex: which of its
//! own edges are usable now, and, if known, the distances to the destination over the directed graph.
//!
//! Without failures this is e-cube routing (Sullivan and Bashkow, 1977): the differing bits are corrected, lowest
//! first, along a shortest path. Around failures, the next hop is the neighbour with the smallest known distance. If
//! the known distances are wrong, the route is a depth-first search: forward to an untried neighbour, or back along the
//! packet's path.
//!
//! # Guarantees
//!
//! * With correct distances: a shortest path over the usable directed edges, for any set of cuts.
//! * With stale or missing distances, if every edge is usable in both directions or in neither, and [`hop_limit`] is
//!   not reached (a full search of a cube up to d = 11 stays below it): the packet is delivered whenever a path exists.
//!   Wrong distances cost hops, never delivery.
//! * With stale distances and edges that are usable in one direction only: if the way back is cut, the packet returns
//!   to the latest vertex of its path that it can reach directly. If it is then given up *at the source*, there is no
//!   path. Elsewhere it can get stuck on a vertex that has no usable edge, or whose usable edges all lead to dead ends,
//!   and is given up there although the source had another route. The sender's retry uses link states that include the
//!   cut.
//! * Always: the search ends. A dead end is never entered again, and between two dead ends the path only grows, without
//!   repeating a vertex.

use serde::{Deserialize, Serialize};

use crate::cube::{Dimension, Vertex};

/// The maximum number of edges that a packet crosses. A full search of a cube takes less than 2 hops per vertex, so
/// this suffices for every search up to d = 11. On larger cubes a search may end early.
pub const MAX_HOPS: u16 = 4096;

/// The vertices that a packet has visited. Its size is proportional to the number of hops. A trail without dead ends
/// allocates nothing for them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trail {
    /// The vertices from the source to the one before the packet's current vertex, without dead ends.
    pub path: Vec<Vertex>,
    /// Dead ends: vertices that were visited and left again.
    pub dead_ends: Vec<Vertex>,
    /// The number of edges crossed, including those to dead ends.
    pub hops: u16,
}

/// The decision about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextHop {
    /// The packet is at its destination.
    Arrived,
    /// Send it across the edge of this bit, to a vertex that it has not visited.
    Forward(u8),
    /// This vertex is a dead end: send it back to this neighbour, which is on its path.
    BackTo(Vertex),
    /// No untried edge is left.
    Unreachable,
    /// The packet has crossed [`hop_limit`] edges.
    HopLimit,
}

/// The number of edges after which a packet is given up.
pub fn hop_limit(dimension: Dimension) -> u16 {
    dimension.size().saturating_mul(4).min(MAX_HOPS.into()) as u16
}

/// The next hop of a packet to `to` that is at `here`.
///
/// `usable`: bit i is set if frames sent across bit i arrive now. `distance`: the known number of hops from a vertex to
/// `to`; `None` if no path is known.
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
    /// Whether the vertex is on the packet's path, or is one of its dead ends.
    pub fn has_met(&self, vertex: Vertex) -> bool {
        self.path.contains(&vertex) || self.dead_ends.contains(&vertex)
    }

    /// Records that the packet leaves `here` forward.
    pub fn leave_forward(&mut self, here: Vertex) {
        self.hops = self.hops.saturating_add(1);
        self.path.push(here);
    }

    /// Records that the packet leaves the dead end `here` for `back`, a vertex of its path. The vertices between the
    /// two are removed from the path, so they may be tried again.
    pub fn leave_back(&mut self, here: Vertex, back: Vertex) {
        self.hops = self.hops.saturating_add(1);
        self.dead_ends.push(here);
        let kept = self.path.iter().rposition(|&met| met == back).unwrap_or(0);
        self.path.truncate(kept);
    }
}

/// The latest vertex of the path that can be reached directly: the previous one, unless the edge to it is cut.
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
        let (source, dead_end, to) = (vertex("00"), vertex("01"), vertex("11"));
        let mut trail = Trail::default();
        trail.leave_forward(source);
        assert_eq!(next_hop(dead_end, to, &trail, 0b01, unknown), NextHop::BackTo(source));
        trail.leave_back(dead_end, source);
        assert_eq!(trail, Trail { path: vec![], dead_ends: vec![dead_end], hops: 2 });
        assert_eq!(next_hop(source, to, &trail, 0b11, unknown), NextHop::Forward(1));
        assert_eq!(next_hop(source, to, &trail, 0b01, unknown), NextHop::Unreachable);
    }

    #[test]
    fn where_the_way_back_is_cut_an_earlier_vertex_of_the_path_will_do() {
        // 000 -> 001 -> 011 -> 010, whose edges to 011 and 110 are cut: only the edge to the source is left.
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
