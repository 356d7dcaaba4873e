//! The binary hypercube: its dimension, its vertices, and their neighbours.
//!
//! A [`Vertex`] is a place, not a process; [`crate::identity::HostId`] names a process, and [`crate::seating`] says
//! which one serves which vertex. A vertex
//! includes the dimension of its cube, so it can print itself as a d-bit string and list its neighbours. The state of
//! the nodes is not part of this module; see [`crate::overlay`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::visible::visible;

/// The number of bits in a vertex: the cube has 2^d vertices, and each has d neighbours.
///
/// From 1 to 16. Clusters of real processes use 1 to [`Dimension::MAX_PROCESSES`]; simulations use more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Dimension(u8);

impl Dimension {
    /// The largest dimension that this type can hold.
    pub const MAX: u8 = 16;
    /// The largest dimension for real processes: 64 of them.
    pub const MAX_PROCESSES: u8 = 6;

    /// A dimension from 1 to 16; an error for any other number.
    pub fn new(bits: u8) -> Result<Self, CubeError> {
        if (1..=Self::MAX).contains(&bits) { Ok(Self(bits)) } else { Err(CubeError::Dimension { given: bits.into() }) }
    }

    /// The number of bits, d.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The number of vertices, 2^d.
    pub fn size(self) -> usize {
        1 << self.0
    }

    /// All vertices, beginning with `0…0`.
    pub fn vertices(self) -> impl DoubleEndedIterator<Item = Vertex> + ExactSizeIterator + Clone {
        (0..1u32 << self.0)
            .map(move |bits| Vertex { dimension: self, bits: bits as u16 })
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The vertex whose bits are `index`; an error if `index` is 2^d or more.
    pub fn vertex(self, index: u32) -> Result<Vertex, CubeError> {
        if index < 1 << self.0 {
            Ok(Vertex { dimension: self, bits: index as u16 })
        } else {
            Err(CubeError::Vertex { given: index.to_string(), dimension: self })
        }
    }

    /// The vertex with this id; an error if this cube has no such vertex.
    pub fn at(self, id: VertexId) -> Result<Vertex, CubeError> {
        self.vertex(id.0.into())
    }

    /// The vertex written as a d-bit string, for example `"100"`.
    pub fn parse_vertex(self, text: &str) -> Result<Vertex, CubeError> {
        text.parse::<Vertex>()
            .ok()
            .filter(|vertex| vertex.dimension == self)
            .ok_or_else(|| CubeError::Vertex { given: text.chars().take(40).collect(), dimension: self })
    }
}

/// A vertex without the dimension of its cube: its bits as a number.
///
/// It stands in everything that is stored or agreed on for long. When the cube grows, each old vertex keeps its id: the
/// new bit is the most significant one, and is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct VertexId(pub u16);

/// A corner of the cube. Printed, parsed and written in JSON as its d bits, most significant first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vertex {
    dimension: Dimension,
    bits: u16,
}

impl Vertex {
    /// The bits as a number from 0 to 2^d - 1.
    pub fn index(self) -> usize {
        self.bits.into()
    }

    /// The vertex without its dimension.
    pub fn id(self) -> VertexId {
        VertexId(self.bits)
    }

    /// The cube's dimension.
    pub fn dimension(self) -> Dimension {
        self.dimension
    }

    /// The neighbour across the edge of bit `bit` (0 is the least significant).
    pub fn across(self, bit: u8) -> Vertex {
        debug_assert!(bit < self.dimension.0, "bit {bit} is outside a cube of dimension {}", self.dimension.0);
        Vertex { bits: self.bits ^ (1 << bit), ..self }
    }

    /// The d neighbours, across bit 0 first. Replicas are listed in this order.
    pub fn neighbours(self) -> impl DoubleEndedIterator<Item = Vertex> + ExactSizeIterator {
        (0..self.dimension.0).map(move |bit| self.across(bit))
    }

    /// The number of edges on a shortest path: the number of bits that differ.
    pub fn distance(self, other: Vertex) -> u32 {
        (self.bits ^ other.bits).count_ones()
    }

    /// Whether this vertex is on a shortest path between the two, ends included.
    pub fn is_between(self, one: Vertex, other: Vertex) -> bool {
        one.distance(self) + self.distance(other) == one.distance(other)
    }

    /// The bit of the edge between two neighbours; `None` if the two are not neighbours.
    pub fn edge_to(self, other: Vertex) -> Option<u8> {
        (self.dimension == other.dimension && self.distance(other) == 1)
            .then(|| (self.bits ^ other.bits).trailing_zeros() as u8)
    }

    /// The bits that differ, least significant first.
    pub fn differing_bits(self, other: Vertex) -> impl Iterator<Item = u8> {
        let difference = self.bits ^ other.bits;
        (0..self.dimension.0).filter(move |bit| difference & (1 << bit) != 0)
    }

    /// The vertex in binary encodings of clients: `1` followed by the d bits.
    fn to_code(self) -> u32 {
        (1 << self.dimension.0) | u32::from(self.bits)
    }

    /// The inverse of [`Vertex::to_code`].
    fn from_code(code: u32) -> Result<Vertex, CubeError> {
        let bits = code.checked_ilog2().unwrap_or(0);
        let dimension = Dimension::new(bits.min(255) as u8).map_err(|_| CubeError::Code { given: code })?;
        Ok(Vertex { dimension, bits: (code ^ (1 << bits)) as u16 })
    }
}

impl fmt::Display for Vertex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:0width$b}", self.bits, width = usize::from(self.dimension.0)))
    }
}

impl fmt::Debug for Vertex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Vertex {
    type Err = CubeError;

    fn from_str(text: &str) -> Result<Self, CubeError> {
        let malformed = || CubeError::Text { given: text.chars().take(40).collect() };
        if text.len() > usize::from(Dimension::MAX) || !text.bytes().all(|byte| matches!(byte, b'0' | b'1')) {
            return Err(malformed());
        }
        let dimension = Dimension::new(text.len() as u8).map_err(|_| malformed())?;
        let bits = u16::from_str_radix(text, 2).map_err(|_| malformed())?;
        Ok(Vertex { dimension, bits })
    }
}

impl Serialize for Vertex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.to_code().serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Vertex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            Vertex::from_code(u32::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Dimension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Dimension::new(u8::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Why a dimension or a vertex from outside is not valid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CubeError {
    #[error("a dimension must be 1 to {max}, not {given}", max = Dimension::MAX)]
    Dimension { given: u32 },
    #[error(
        "`{}` is not a vertex of this cube: its vertices are {bits}-bit strings",
        visible(given),
        bits = dimension.0
    )]
    Vertex { given: String, dimension: Dimension },
    #[error("`{}` is not a vertex; use 1 to {max} binary digits", visible(given), max = Dimension::MAX)]
    Text { given: String },
    #[error("{given} does not encode a vertex")]
    Code { given: u32 },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    #[test]
    fn neighbours_differ_in_one_bit_and_come_bit_0_first() {
        let names: Vec<_> = vertex("100").neighbours().map(|v| v.to_string()).collect();
        assert_eq!(names, ["101", "110", "000"]);
    }

    #[test]
    fn a_vertex_keeps_its_leading_zeros() {
        assert_eq!(vertex("000").to_string(), "000");
        assert_eq!(serde_json::to_string(&vertex("001")).unwrap(), "\"001\"");
        assert_ne!(vertex("01"), vertex("001"));
    }

    #[test]
    fn every_vertex_survives_its_code_and_its_text() {
        for bits in 1..=10 {
            for vertex in Dimension::new(bits).unwrap().vertices() {
                assert_eq!(Vertex::from_code(vertex.to_code()), Ok(vertex));
                assert_eq!(vertex.to_string().parse(), Ok(vertex));
            }
        }
    }

    #[test]
    fn a_vertex_keeps_its_id_when_the_cube_grows() {
        for bits in 1..Dimension::MAX.min(9) {
            let (cube, grown) = (Dimension::new(bits).unwrap(), Dimension::new(bits + 1).unwrap());
            for vertex in cube.vertices() {
                assert_eq!(cube.at(vertex.id()), Ok(vertex));
                assert_eq!(grown.at(vertex.id()).unwrap().to_string(), format!("0{vertex}"));
            }
            let new = grown.vertices().filter(|vertex| cube.at(vertex.id()).is_err());
            assert!(new.eq(cube.vertices().map(|vertex| grown.at(vertex.id()).unwrap().across(bits))));
        }
    }

    #[test]
    fn what_is_no_vertex_is_refused() {
        for text in ["", "2", "0x1", "10101010101010101", "1 0", "١٠"] {
            assert!(text.parse::<Vertex>().is_err(), "{text:?}");
        }
        for code in [0, 1, 1 << 17, u32::MAX] {
            assert!(Vertex::from_code(code).is_err(), "{code}");
        }
        let cube = Dimension::new(3).unwrap();
        assert!(cube.parse_vertex("10").is_err());
        assert!(cube.vertex(8).is_err());
        assert!(Dimension::new(0).is_err());
        assert!(Dimension::new(17).is_err());
    }
}
