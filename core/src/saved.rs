//! Serde for parts of a node's state that have none of their own, for `#[serde(with = "..")]`.
//!
//! A node's state is saved between two turns and restored from that ([`Node::save`](crate::node::Node::save)). The
//! saved state behaves exactly as the original: the same inputs lead to the same effects.

/// A random generator, as its state.
pub mod random {
    use fastrand::Rng;
    use serde::{Deserialize, Deserializer, Serializer};

    /// See the [module](self).
    pub fn serialize<S: Serializer>(random: &Rng, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(random.get_seed())
    }

    /// See the [module](self).
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rng, D::Error> {
        u64::deserialize(deserializer).map(Rng::with_seed)
    }
}

/// The topics of a group, as in a checkpoint, with their indices rebuilt.
pub mod topics {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::topics::Topics;

    /// See the [module](self).
    pub fn serialize<S: Serializer>(topics: &Topics, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&topics.encode())
    }

    /// See the [module](self).
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Topics, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        Topics::decode(&bytes).map_err(D::Error::custom)
    }
}

/// As [`topics`](self::topics), of a group that may have none.
pub mod optional_topics {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_bytes::ByteBuf;

    use crate::topics::Topics;

    /// See the [module](self).
    pub fn serialize<S: Serializer>(topics: &Option<Topics>, serializer: S) -> Result<S::Ok, S::Error> {
        topics.as_ref().map(|topics| ByteBuf::from(topics.encode())).serialize(serializer)
    }

    /// See the [module](self).
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Topics>, D::Error> {
        let bytes = Option::<ByteBuf>::deserialize(deserializer)?;
        bytes.map(|bytes| Topics::decode(&bytes)).transpose().map_err(D::Error::custom)
    }
}
