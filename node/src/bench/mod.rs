//! Measuring: how fast anything is that answers requests. Used by `cubecast bench` on its own clusters, and by the comparison with
//! other systems on theirs, so that all are measured by the same code.
//!
//! | file | what |
//! |---|---|
//! | `drive` | clients that ask, at a [`Pace`], for a while |
//! | `metronome` | the moments at which requests are due, for an open loop |
//! | `sample` | what one such while showed: a histogram of latencies, and counts |
//! | `slots` | where asked for, the same by the time at which it happened |
//! | `measure` | clients driven once, with what servers and this program used meanwhile |
//! | `figures` | a sample in figures, and several of them as one with their spread |
//! | `usage` | what processes used: CPU seconds, memory |
//! | `floor`, `echo` | what this machine's disk and loopback can do at all |

pub mod drive;
pub mod echo;
pub mod figures;
pub mod floor;
mod measure;
mod metronome;
pub mod sample;
pub mod slots;
pub mod usage;

pub use drive::{Client, Done, Pace, Timing, drive};
pub use figures::{Figures, Spread};
pub use measure::measure;
pub use sample::Sample;
pub use slots::Timeline;
