//! The protocols of clients and nodes, in JSON and in binary: equal vocabulary, equal limits, and stable bytes.
#![cfg(not(target_family = "wasm"))]

#[path = "wire/binary.rs"]
mod binary;
#[path = "wire/equality.rs"]
mod equality;
#[path = "wire/examples/mod.rs"]
mod examples;
#[path = "wire/json.rs"]
mod json;
#[path = "wire/properties.rs"]
mod properties;

/// The nodes of the cluster of the examples.
fn seating() -> cubecast_core::seating::Seating {
    cubecast_core::seating::Seating::founding(examples::cube())
}
