//! Scenarios on real processes. Each name is a claim; what a scenario needs besides is in the crate's library.
//!
//! One program, because linking many takes longer than running them. Scenarios that do the cluster no harm share one; the others
//! start their own.

mod disk_loss;
mod evaluations;
mod isolation;
mod kill;
mod minority;
mod restart;
