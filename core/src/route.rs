//! Routing over the cube: the next hop of a packet.
//!
//! [`next_hop`] is a pure function of the packet's [`Trail`] and of the state known at the current host: which of its
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
//!   to the latest host of its path that it can reach directly. If it is then given up *at the source*, there is no
//!   path. Elsewhere it can get stuck on a host that has no usable edge, or whose usable edges all lead to dead ends,
//!   and is given up there although the source had another route. The sender's retry uses link states that include the
//!   cut.
//! * Always: the search ends. A dead end is never entered again, and between two dead ends the path only grows, without
//!   repeating a host.

use serde::{Deserialize, Serialize};

use crate::cube::Dimension;
use crate::identity::HostId;
use crate::seating::Seating;

/// The maximum number of edges that a packet crosses. A full search of a cube takes less than 2 hops per host, so
/// this suffices for every search up to d = 11. On larger cubes a search may end early.
pub const MAX_HOPS: u16 = 4096;

/// The hosts that a packet has visited. Its size is proportional to the number of hops. A trail without dead ends
/// allocates nothing for them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trail {
    /// The hosts from the source to the one before the packet's current host, without dead ends.
    pub path: Vec<HostId>,
    /// Dead ends: hosts that were visited and left again.
    pub dead_ends: Vec<HostId>,
    /// The number of edges crossed, including those to dead ends.
    pub hops: u16,
}

/// The decision about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NextHop {
    /// The packet is at its destination.
    Arrived,
    /// Send it across the edge of this bit, to a host that it has not visited.
    Forward(u8),
    /// This host is a dead end: send it back to this neighbour, which is on its path.
    BackTo(HostId),
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
/// `usable`: bit i is set if frames sent across bit i arrive now. `distance`: the known number of hops from a host to
/// `to`; `None` if no path is known.
pub fn next_hop(
    seating: &Seating,
    here: HostId,
    to: HostId,
    trail: &Trail,
    usable: u16,
    distance: impl Fn(HostId) -> Option<u32>,
) -> NextHop {
    if here == to {
        return NextHop::Arrived;
    }
    if trail.hops >= hop_limit(seating.dimension()) {
        return NextHop::HopLimit;
    }
    let untried = usable_bits(seating, usable).filter(|&bit| !trail.has_met(seating.across(here, bit)));
    let nearness = |&bit: &u8| {
        let next = seating.across(here, bit);
        (distance(next).unwrap_or(u32::MAX), seating.distance(next, to), bit)
    };
    match untried.min_by_key(nearness) {
        Some(bit) => NextHop::Forward(bit),
        None => way_back(seating, here, trail, usable).map_or(NextHop::Unreachable, NextHop::BackTo),
    }
}

impl Trail {
    /// Whether the host is on the packet's path, or is one of its dead ends.
    pub fn has_met(&self, host: HostId) -> bool {
        self.path.contains(&host) || self.dead_ends.contains(&host)
    }

    /// Records that the packet leaves `here` forward.
    pub fn leave_forward(&mut self, here: HostId) {
        self.hops = self.hops.saturating_add(1);
        self.path.push(here);
    }

    /// Records that the packet leaves the dead end `here` for `back`, a host of its path. The hosts between the
    /// two are removed from the path, so they may be tried again.
    pub fn leave_back(&mut self, here: HostId, back: HostId) {
        self.hops = self.hops.saturating_add(1);
        self.dead_ends.push(here);
        let kept = self.path.iter().rposition(|&met| met == back).unwrap_or(0);
        self.path.truncate(kept);
    }
}

/// The latest host of the path that can be reached directly: the previous one, unless the edge to it is cut.
fn way_back(seating: &Seating, here: HostId, trail: &Trail, usable: u16) -> Option<HostId> {
    let reached = |met: &&HostId| seating.edge(here, **met).is_some_and(|bit| usable & (1 << bit) != 0);
    trail.path.iter().rev().find(reached).copied()
}

fn usable_bits(seating: &Seating, usable: u16) -> impl Iterator<Item = u8> {
    (0..seating.links()).filter(move |bit| usable & (1 << bit) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostId {
        text.parse().unwrap()
    }

    /// The next hop on the cube of these hosts.
    fn next_hop(
        here: HostId,
        to: HostId,
        trail: &Trail,
        usable: u16,
        distance: impl Fn(HostId) -> Option<u32>,
    ) -> NextHop {
        super::next_hop(&Seating::founded_by(here), here, to, trail, usable, distance)
    }

    fn unknown(_: HostId) -> Option<u32> {
        None
    }

    #[test]
    fn differing_bits_are_put_right_lowest_first() {
        let (to, all) = (host("110"), 0b111);
        assert_eq!(next_hop(host("000"), to, &Trail::default(), all, unknown), NextHop::Forward(1));
        let trail = Trail { path: vec![host("000")], dead_ends: vec![], hops: 1 };
        assert_eq!(next_hop(host("010"), to, &trail, all, unknown), NextHop::Forward(2));
        assert_eq!(next_hop(to, to, &trail, all, unknown), NextHop::Arrived);
    }

    #[test]
    fn a_known_distance_outweighs_a_differing_bit() {
        let distance = |v: HostId| if v == host("001") { Some(2) } else { Some(5) };
        let hop = next_hop(host("000"), host("110"), &Trail::default(), 0b111, distance);
        assert_eq!(hop, NextHop::Forward(0));
    }

    #[test]
    fn a_dead_end_is_left_backwards_and_not_entered_again() {
        let (source, dead_end, to) = (host("00"), host("01"), host("11"));
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
        let path = vec![host("000"), host("001"), host("011")];
        let mut trail = Trail { path, dead_ends: vec![], hops: 3 };
        assert_eq!(next_hop(host("010"), host("110"), &trail, 0b010, unknown), NextHop::BackTo(host("000")));
        trail.leave_back(host("010"), host("000"));
        assert_eq!(trail, Trail { path: vec![], dead_ends: vec![host("010")], hops: 4 });
    }

    #[test]
    fn the_hop_limit_ends_a_packet_but_not_one_that_has_arrived() {
        let trail = Trail { hops: hop_limit(Dimension::new(3).unwrap()), ..Trail::default() };
        assert_eq!(next_hop(host("000"), host("001"), &trail, 0b111, unknown), NextHop::HopLimit);
        assert_eq!(next_hop(host("001"), host("001"), &trail, 0b111, unknown), NextHop::Arrived);
    }
}
