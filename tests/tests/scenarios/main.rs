//! Scenarios on real processes. Each name is a claim; shared helpers are in the crate's library.
//!
//! All scenarios are one program, because linking many programs takes longer than running them. Scenarios that do not
//! harm the cluster share one; the others start their own.

mod accessibility;
mod bad_input;
mod bench;
mod command_line;
mod command_line_io;
mod dashboard;
mod descriptors;
mod disk_loss;
mod encodings;
mod evaluations;
mod expiry;
mod finding;
mod first_load;
mod full_disk;
mod headers;
mod impostors;
mod incident;
mod isolation;
mod kill;
mod log;
mod look_closer;
mod minority;
mod phone;
mod readiness;
mod restart;
mod rot;
mod secrets;
mod simulated;
mod slow;
mod strangers;
mod truth;
