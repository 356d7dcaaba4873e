//! Cubecast performs here: sockets, disks, signals, the command line. What is done is decided by `cubecast_core`.
//!
//! ```text
//! command -> config -> process -> storage, runtime, transport      (one node)
//! command -> cluster -> child processes of `cubecast node`         (a cluster on one machine)
//! ```

pub mod bench;
pub mod client;
pub mod cluster;
pub mod command;
pub mod config;
pub mod log;
pub mod metrics;
pub mod private;
pub mod process;
pub mod runtime;
pub mod shutdown;
pub mod storage;
pub mod transport;
