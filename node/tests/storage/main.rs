//! Storage, by its public face: what is written comes back, or its loss is said.

mod bench;
mod damage;
mod engine;
mod flips;
mod journal;
mod support;
mod thread;
mod twins;
