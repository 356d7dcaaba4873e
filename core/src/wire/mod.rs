//! What travels: between clients and nodes ([`client`], in JSON or in a compact binary form), and between nodes ([`peer`]).
//!
//! Bytes are turned into these types once, at the door; nothing behind the door sees bytes. Decoders never panic and
//! never allocate more than a small multiple of their input.

pub mod answer;
pub mod binary;
pub mod client;
pub mod event;
pub mod json;
pub mod limits;
pub mod peer;
pub mod usability;
