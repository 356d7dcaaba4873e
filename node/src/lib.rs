//! The node crate performs input and output: sockets, disks, signals and the command line. `cubecast_core` makes the
//! decisions.
//!
//! ```text
//! command -> config -> process -> storage, runtime, queues, transport   (one node)
//! command -> cluster -> child processes of `cubecast node`              (a cluster on one machine)
//! ```

pub mod client;
pub mod cluster;
pub mod codec;
pub mod command;
pub mod config;
pub mod dashboard;
pub mod executor;
pub mod failure;
pub mod fetch;
pub mod log;
pub mod metrics;
pub mod output;
pub mod panics;
pub mod private;
pub mod process;
pub mod queues;
pub mod recording;
pub mod runtime;
pub mod shutdown;
pub mod storage;
pub mod transport;
