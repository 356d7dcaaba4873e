//! The messages on the network: between clients and nodes ([`client`], in JSON or in a compact binary encoding), and
//! between nodes ([`peer`]).
//!
//! Bytes are decoded into these types once, when they arrive; no other code handles bytes. Decoders never panic, and
//! never allocate more than a small multiple of their input.

pub mod answer;
pub mod binary;
pub mod client;
pub mod event;
pub mod json;
pub mod limits;
pub mod peer;
pub mod usability;
mod weight;
