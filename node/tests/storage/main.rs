//! Tests of storage through its public interface: written data comes back, or its loss is reported.

mod bench;
mod damage;
mod engine;
mod engines;
mod flips;
mod journal;
mod support;
mod thread;
mod twins;
