//! The identities of a cluster: of processes, of the members that vote, of replica groups and of requests.
//!
//! A place on the cube ([`Vertex`]) and the process that serves it ([`HostId`]) are different things;
//! [`crate::seating`] connects them. A host whose disk was lost no longer has its votes or what it acknowledged, so it
//! returns as a new *incarnation*, and the two together are the [`Member`] that votes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::cube::{CubeError, Dimension, Vertex, VertexId};
use crate::visible::visible;

/// A process with one data folder. The number is given once and never reused.
///
/// A founding host is named after the vertex that it serves first: its number is 1 followed by the bits of the vertex,
/// and its text is those bits. The name stays when the cube grows. Numbers from 2^17 on are left for hosts that join
/// later; there are none yet, and they are refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u32);

impl HostId {
    /// The smallest number: the first vertex of a cube of dimension 1.
    const FIRST: u32 = 1 << 1;
    /// The end of the numbers of founding hosts.
    const END: u32 = 1 << (Dimension::MAX + 1);

    /// The host with this number; an error if no host can have it.
    pub fn new(number: u32) -> Result<HostId, NoHost> {
        if (Self::FIRST..Self::END).contains(&number) { Ok(HostId(number)) } else { Err(NoHost::Number(number)) }
    }

    /// The host's number.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Why a text or a number names no host.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoHost {
    #[error("{0} is not the number of a node")]
    Number(u32),
    #[error("`{}` is not a node; use 1 to {max} binary digits", visible(.0), max = Dimension::MAX)]
    Text(String),
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.ilog2();
        f.pad(&format!("{:0width$b}", self.0 ^ (1 << bits), width = bits as usize))
    }
}

impl fmt::Debug for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HostId {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<HostId, NoHost> {
        let refused = || NoHost::Text(text.chars().take(40).collect());
        let is_name = (1..=usize::from(Dimension::MAX)).contains(&text.len());
        if !is_name || !text.bytes().all(|byte| matches!(byte, b'0' | b'1')) {
            return Err(refused());
        }
        let bits = u32::from_str_radix(text, 2).map_err(|_| refused())?;
        HostId::new((1 << text.len()) | bits).map_err(|_| refused())
    }
}

impl Serialize for HostId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for HostId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            HostId::new(u32::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}

/// The number of a host's data folder. The members of a new cluster have [`Incarnation::FOUNDING`]. A folder that
/// replaces a lost one gets a number that was never used before (see [`crate::node`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The incarnation of the members of a new cluster.
    pub const FOUNDING: Incarnation = Incarnation(1);
}

/// A host and its incarnation: the identity under which a host votes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Member {
    pub host: HostId,
    pub incarnation: Incarnation,
}

impl Member {
    /// The founding member on this host.
    pub fn founding(host: HostId) -> Member {
        Member { host, incarnation: Incarnation::FOUNDING }
    }

    /// The member's id in Raft: the incarnation in the high half, the host in the low half. Never 0.
    pub fn to_raft(self) -> u64 {
        (u64::from(self.incarnation.0) << 32) | u64::from(self.host.0)
    }

    /// The inverse of [`Member::to_raft`]; `None` for a number whose low half is not the number of a host.
    pub fn from_raft(id: u64) -> Option<Member> {
        let host = HostId::new(id as u32).ok()?;
        Some(Member { host, incarnation: Incarnation((id >> 32) as u32) })
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.host, self.incarnation.0)
    }
}

/// A replica group. It contains no dimension, so it stays valid when the cube grows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum GroupId {
    /// The group of the names that have their home at this vertex.
    Home(VertexId),
}

impl GroupId {
    /// The group whose home is this vertex.
    pub fn of(home: Vertex) -> GroupId {
        GroupId::Home(home.id())
    }

    /// The group's home; an error if this cube has no such vertex.
    pub fn home(self, cube: Dimension) -> Result<Vertex, CubeError> {
        let GroupId::Home(home) = self;
        cube.at(home)
    }

    /// The group's name for people: the bits of its home.
    pub fn name(self, cube: Dimension) -> String {
        let GroupId::Home(id) = self;
        self.home(cube).map_or_else(|_| format!("#{}", id.0), |home| home.to_string())
    }
}

/// Identifies a command, so that a repeat of it by the node that received the request has no second effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RequestKey {
    /// The member that received the request from a client.
    pub coordinator: Member,
    /// Grows with each request of one incarnation, over restarts too.
    pub number: u64,
}

/// Identifies one request on all nodes that it crosses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostId {
        name.parse().unwrap()
    }

    #[test]
    fn a_founding_hosts_name_is_its_number_without_the_leading_one() {
        assert_eq!(host("100").number(), 0b1100);
        assert_eq!(host("000").to_string(), "000");
        assert_eq!(serde_json::to_string(&host("001")).unwrap(), "\"001\"");
        assert_ne!(host("01"), host("001"));
        for number in (2..5000).chain((1 << 17) - 100..1 << 17) {
            let host = HostId::new(number).unwrap();
            assert_eq!(host.to_string().parse(), Ok(host));
            assert_eq!(postcard::from_bytes(&postcard::to_allocvec(&host).unwrap()), Ok(host));
        }
    }

    #[test]
    fn what_names_no_host_is_refused() {
        for text in ["", "2", "0x1", "10101010101010101", "1 0", "١٠", "#200000"] {
            assert!(text.parse::<HostId>().is_err(), "{text:?}");
        }
        for number in [0, 1, 1 << 17, u32::MAX] {
            assert!(HostId::new(number).is_err(), "{number}");
            assert!(postcard::from_bytes::<HostId>(&postcard::to_allocvec(&number).unwrap()).is_err(), "{number}");
        }
    }

    #[test]
    fn a_members_raft_id_is_its_own_and_never_0() {
        let members = ["0", "1", "00", "11", "0000000000000000"].map(host).into_iter().flat_map(|host| {
            [0, 1, 2, u32::MAX].map(|incarnation| Member { host, incarnation: Incarnation(incarnation) })
        });
        let ids: std::collections::BTreeSet<u64> = members.clone().map(Member::to_raft).collect();
        assert_eq!((ids.len(), ids.contains(&0)), (members.clone().count(), false));
        assert!(members.clone().all(|member| Member::from_raft(member.to_raft()) == Some(member)));
        assert_eq!([0, 1, 1 << 17, 5 << 32].map(Member::from_raft), [None; 4]);
    }
}
