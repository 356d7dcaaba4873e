//! Tests of a node's port in front of a fake machine: accepted and refused input, and the isolation of connections
//! from each other.

mod clients;
mod closing;
mod http;
mod peers;
mod support;
