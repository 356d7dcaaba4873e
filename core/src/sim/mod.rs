//! A whole cluster in one thread and in virtual time: the same [`Node`](crate::node::Node)s, with disks and a network that are
//! simulated, with clients that do anything and faults that break everything.
//!
//! Runs natively and in the browser; the same seed gives the same run. Time jumps from one thing that happens to the next.
//!
//! | file | what |
//! |---|---|
//! | `scenario` | what a run is made of, as data; what a seed draws from it |
//! | `simulation` | one run, step by step: clients and faults, healing, the evidence |
//! | `cluster`, `host` | nodes, their clock, and all that is on its way between them; one machine |
//! | `network`, `disk` | what happens to a frame on an edge; what a crash or a flipped bit makes of a disk |
//! | `fault`, `nemesis` | what can go wrong, as data; who does it, and ends it |
//! | `clients` | who carries out the workload and writes the history |
//! | `recovery` | healing, and what must come back by itself |
//! | `traffic`, `scale` | what frames were for; how routing, news of failures and leadership grow with the cube |
//! | `report`, `shrink`, `trace` | what came of it; the shortest run that still fails; a run in a file |

mod clients;
mod cluster;
mod disk;
mod fault;
mod host;
mod nemesis;
mod network;
mod recovery;
mod report;
pub mod scale;
mod scenario;
mod shrink;
mod simulation;
pub mod trace;
mod traffic;

pub use cluster::{Cluster, ClusterConfig, EPOCH};
pub use disk::{CrashLeft, Damage, Disk, Lost, RESERVE, Undetected, WriteFailed};
pub use fault::{DamagedRow, Fault, FaultClass, UnknownFaultClass};
pub use network::{EdgeConditions, FrameCounts};
pub use report::{Report, Totals};
pub use scenario::{BadScenario, Plan, Planned, Scenario, Scripted};
pub use shrink::{Shrunk, shrink};
pub use simulation::{Cut, Simulation, run};
pub use traffic::Traffic;
