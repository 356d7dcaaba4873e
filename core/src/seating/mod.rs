//! Which host serves which vertex. Every conversion between the two is in this module.
//!
//! Names, groups and routes are defined on the cube of vertices; links, packets and votes belong to hosts. Today each
//! vertex of a cluster is served by one host, which founded the cluster and is named after that vertex. So the
//! dimension alone determines the seating.

pub mod plan;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cube::{CubeError, Dimension, Vertex};
use crate::identity::{GroupId, HostId};
use crate::placement;
use crate::visible::visible;

/// The hosts of a cluster, each with its vertex. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seating {
    dimension: Dimension,
}

/// A text that names no host of this cluster.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{}` is not a node of this cube: its nodes are {bits}-bit strings", visible(given))]
pub struct NotAHost {
    given: String,
    bits: u8,
}

impl Seating {
    /// The seating of a new cluster: one host for each vertex of a cube of this dimension.
    pub fn founding(dimension: Dimension) -> Seating {
        Seating { dimension }
    }

    /// The seating of the new cluster that this host founded.
    pub fn founded_by(host: HostId) -> Seating {
        let bits = host.number().ilog2() as u8;
        Seating { dimension: Dimension::new(bits).expect("a founding host is named after a vertex") }
    }

    /// The dimension of the cube.
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    // Hosts and the vertices that they serve.

    /// The host that serves a vertex of this cube.
    pub fn host_of(&self, vertex: Vertex) -> HostId {
        debug_assert!(vertex.dimension() == self.dimension, "{vertex} is not on a cube of {:?}", self.dimension);
        HostId::new(1 << self.dimension.bits() | vertex.index() as u32).expect("a founding host's number is valid")
    }

    /// The vertex that a host serves; `None` for a host of another cluster.
    pub fn vertex_of(&self, host: HostId) -> Option<Vertex> {
        let bits = self.dimension.bits();
        let is_founder = host.number() >> bits == 1;
        is_founder.then(|| self.dimension.vertex(host.number() ^ 1 << bits).expect("a number of d bits names a vertex"))
    }

    /// Whether the host belongs to this cluster.
    pub fn has(&self, host: HostId) -> bool {
        self.vertex_of(host).is_some()
    }

    /// All hosts, in the order of their vertices.
    pub fn hosts(&self) -> impl DoubleEndedIterator<Item = HostId> + ExactSizeIterator + Clone + use<> {
        let seating = self.clone();
        self.dimension.vertices().map(move |vertex| seating.host_of(vertex))
    }

    /// The host's place in [`Seating::hosts`]; `None` for a host of another cluster.
    pub fn index_of(&self, host: HostId) -> Option<usize> {
        self.vertex_of(host).map(Vertex::index)
    }

    /// The host with this name; an error if it does not belong to this cluster.
    pub fn parse_host(&self, name: &str) -> Result<HostId, NotAHost> {
        let host = name.parse().ok().filter(|host| self.has(*host));
        host.ok_or_else(|| NotAHost { given: name.chars().take(40).collect(), bits: self.dimension.bits() })
    }

    // Links. A host of another cluster has none.

    /// The number of links of each host.
    pub fn links(&self) -> u8 {
        self.dimension.bits()
    }

    /// The host across the edge of bit `bit`.
    pub fn across(&self, host: HostId, bit: u8) -> HostId {
        self.host_of(self.seat_of(host).across(bit))
    }

    /// The neighbours of a host, across bit 0 first.
    pub fn neighbours(&self, host: HostId) -> impl DoubleEndedIterator<Item = HostId> + ExactSizeIterator + use<> {
        let seating = self.clone();
        self.seat_of(host).neighbours().map(move |vertex| seating.host_of(vertex))
    }

    /// The bit of the edge between two hosts; `None` if they are not neighbours.
    pub fn edge(&self, one: HostId, other: HostId) -> Option<u8> {
        self.vertex_of(one)?.edge_to(self.vertex_of(other)?)
    }

    /// The number of edges between two hosts, if all edges work.
    pub fn distance(&self, one: HostId, other: HostId) -> u32 {
        self.seat_of(one).distance(self.seat_of(other))
    }

    /// Whether a host is on a shortest path between two others, ends included.
    pub fn is_between(&self, host: HostId, one: HostId, other: HostId) -> bool {
        self.seat_of(host).is_between(self.seat_of(one), self.seat_of(other))
    }

    // Groups.

    /// The home of a group; an error if this cube has no such vertex.
    pub fn home(&self, group: GroupId) -> Result<Vertex, CubeError> {
        group.home(self.dimension)
    }

    /// The hosts of the members of a group, its home first. None for a group of another cube.
    pub fn members(&self, group: GroupId) -> Vec<HostId> {
        let homes = self.home(group).into_iter();
        homes.flat_map(placement::members).map(|vertex| self.host_of(vertex)).collect()
    }

    /// The groups that a host is a member of, its own first.
    pub fn groups_of(&self, host: HostId) -> impl Iterator<Item = GroupId> + use<> {
        self.vertex_of(host).into_iter().flat_map(placement::members).map(GroupId::of)
    }

    /// The other hosts that share a group with a host, in their order.
    pub fn co_members(&self, host: HostId) -> Vec<HostId> {
        let members: BTreeSet<HostId> = self.groups_of(host).flat_map(|group| self.members(group)).collect();
        members.into_iter().filter(|other| *other != host).collect()
    }

    /// The vertex of a host that is known to belong to this cluster: decoders refuse all others.
    fn seat_of(&self, host: HostId) -> Vertex {
        self.vertex_of(host).unwrap_or_else(|| panic!("host {host} serves no vertex of a cube of {:?}", self.dimension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seating::Seating;

    fn seating(bits: u8) -> Seating {
        Seating::founding(Dimension::new(bits).unwrap())
    }

    fn host(name: &str) -> HostId {
        name.parse().unwrap()
    }

    #[test]
    fn every_vertex_has_a_host_that_serves_it_and_is_named_after_it() {
        for bits in 1..=10 {
            let seating = seating(bits);
            assert_eq!(seating.hosts().len(), seating.dimension().size());
            for (index, (vertex, host)) in seating.dimension().vertices().zip(seating.hosts()).enumerate() {
                assert_eq!(seating.host_of(vertex), host);
                assert_eq!(seating.vertex_of(host), Some(vertex));
                assert_eq!(seating.index_of(host), Some(index));
                assert_eq!(host.to_string(), vertex.to_string());
                assert_eq!(Seating::founded_by(host), seating);
            }
        }
    }

    #[test]
    fn a_host_of_another_cluster_serves_nothing_here() {
        let seating = seating(3);
        for name in ["10", "1000", "0100"] {
            assert!(!seating.has(host(name)));
            assert_eq!((seating.vertex_of(host(name)), seating.edge(host("100"), host(name))), (None, None));
            assert_eq!(seating.groups_of(host(name)).count(), 0);
            let refused = seating.parse_host(name).unwrap_err().to_string();
            assert!(refused.ends_with("is not a node of this cube: its nodes are 3-bit strings"), "{refused}");
        }
        assert_eq!(seating.parse_host("100"), Ok(host("100")));
    }

    #[test]
    fn links_lead_to_the_hosts_of_the_neighbouring_vertices() {
        let seating = seating(3);
        assert!(seating.neighbours(host("100")).eq(["101", "110", "000"].map(host)));
        assert_eq!(seating.edge(host("100"), host("000")), Some(2));
        assert_eq!(seating.edge(host("100"), host("111")), None);
        assert_eq!(seating.across(host("100"), 1), host("110"));
        assert_eq!(seating.distance(host("100"), host("011")), 3);
    }

    #[test]
    fn a_group_and_its_members_find_each_other() {
        let seating = seating(3);
        let group = GroupId::of("100".parse().unwrap());
        assert_eq!(seating.members(group), ["100", "101", "110", "000"].map(host));
        for vertex in seating.dimension().vertices() {
            let group = GroupId::of(vertex);
            assert!(seating.hosts().all(|host| {
                seating.members(group).contains(&host) == seating.groups_of(host).any(|other| other == group)
            }));
        }
        assert_eq!(seating.members(GroupId::of("1000".parse().unwrap())), []);
        assert_eq!(seating.co_members(host("100")), ["000", "001", "010", "101", "110", "111"].map(host));
    }
}
