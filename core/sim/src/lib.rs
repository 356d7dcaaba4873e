//! Simulation of a whole cluster in one thread and in virtual time. It runs the real
//! [`Node`](cubecast_core::node::Node)s on a simulated network and simulated disks, with a random workload of clients
//! and random faults. [`check`] tests the guarantees of the cluster against the record of a run.
//!
//! The crate is sans-IO like `cubecast_core`: it runs natively and in the browser. The same seed gives the same run.
//! Time advances directly from one event to the next.
//!
//! | module | content |
//! |---|---|
//! | `check` | the guarantees, each with its checker; the workload of clients that exercises them |
//! | `scenario` | the description of a run, as data; the plan that a seed draws from it |
//! | `simulation` | one run, step by step: clients and faults, healing, the evidence |
//! | `cluster`, `host` | the nodes, their clock and everything in transit between them; one machine |
//! | `network`, `disk` | the effect of an edge on a frame; the effect of a crash or a flipped bit on a disk |
//! | `fault`, `places`, `nemesis` | the possible faults, as data; their random places; their execution and end |
//! | `clients` | execution of the workload, and its history |
//! | `recording` | the recordings of the hosts |
//! | `recovery` | healing, and the checks that the cluster recovers by itself |
//! | `traffic`, `scale` | frames by purpose; growth of routing, failure news and leadership costs with the cube |
//! | `report`, `shrink`, `trace` | the result of a run; the shortest run that still fails; a run in a file |

pub mod check;
mod clients;
mod cluster;
mod disk;
mod fault;
mod host;
mod nemesis;
mod network;
pub mod places;
mod recording;
mod recovery;
mod report;
pub mod scale;
mod scenario;
mod shrink;
mod simulation;
pub mod trace;
mod traffic;

pub use cluster::{Cluster, ClusterConfig, EPOCH, Resumed};
pub use disk::{CrashLeft, Damage, Disk, Lost, RESERVE, Undetected, WriteFailed};
pub use fault::{DamagedRow, Fault, FaultClass, UnknownFaultClass};
pub use network::{EdgeConditions, FrameCounts};
pub use recording::{Recording, TurnRecorder};
pub use report::{Report, Totals};
pub use scenario::{BadScenario, Plan, Planned, Scenario, Scripted};
pub use shrink::{Shrunk, shrink};
pub use simulation::{Reduction, Simulation, run};
pub use traffic::Traffic;
