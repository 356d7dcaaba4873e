//! A whole cluster in one thread and in virtual time: the same [`Node`](crate::node::Node)s, with disks and a network that are
//! simulated.
//!
//! Runs natively and in the browser; the same seed gives the same run. Time jumps from one thing that happens to the next.

mod cluster;
mod disk;

pub use cluster::Cluster;
pub use disk::Disk;
