//! The laboratory: programs that test and measure Cubecast, and that nobody deploys.
//!
//! ```text
//! command -> sim, scale    -> cubecast_sim: whole clusters in virtual time
//!         -> chaos, bench  -> cluster: processes of `cubecast node`; measure: clients at a pace
//!         -> verify        -> a running cluster
//! ```

pub mod bench;
pub mod chaos;
pub mod cluster;
pub mod command;
pub mod measure;
pub mod output;
pub mod scale;
pub mod sim;
pub mod verify;
