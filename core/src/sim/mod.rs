//! A whole cluster in one thread and in virtual time: the same [`Node`](crate::node::Node)s, with disks and a network that are
//! simulated, with clients that do anything and faults that break everything.
//!
//! Runs natively and in the browser; the same seed gives the same run. Time jumps from one thing that happens to the next.
//!
//! | file | what |
//! |---|---|
//! | `cluster` | nodes, their clock, and all that is on its way between them |
//! | `host` | one machine: a process, its disk and its clock |
//! | `network` | what happens to a frame on an edge |
//! | `disk` | what is on a disk, and what a crash or a flipped bit makes of it |
//! | `fault` | what can go wrong, as data |

mod cluster;
mod disk;
mod fault;
mod host;
mod network;

pub use cluster::{Cluster, ClusterConfig};
pub use disk::{CrashLeft, Damage, Disk, Undetected, WriteFailed};
pub use fault::{DamagedRow, Fault, FaultClass, UnknownFaultClass};
pub use network::{EdgeConditions, FrameCounts};
