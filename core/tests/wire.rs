//! What clients and nodes say to each other, in JSON and in binary: the same words, the same limits, and bytes that stay.
#![cfg(not(target_family = "wasm"))]

#[path = "wire/binary.rs"]
mod binary;
#[path = "wire/equality.rs"]
mod equality;
#[path = "wire/examples.rs"]
mod examples;
#[path = "wire/json.rs"]
mod json;
#[path = "wire/properties.rs"]
mod properties;
