//! Measures the speed of anything that answers requests. `cubecast-lab bench` uses it on its own clusters, and the
//! comparison uses it on other systems, so the same code measures all of them.
//!
//! | file | what |
//! |---|---|
//! | `drive` | clients that send requests at a [`Pace`] for a limited time |
//! | `metronome` | the times at which requests are due in an open loop |
//! | `sample` | the result of one measurement: a histogram of latencies, and counts |
//! | `slots` | optionally, the same over time |
//! | `measurement` | one measurement, with the resource usage of the servers and of this process |
//! | `figures`, `spread` | the figures of a sample; the spread of several repetitions |
//! | `usage` | the resource usage of processes: CPU seconds, memory |
//! | `floor`, `echo` | the limits of this machine's disk and loopback |

pub mod drive;
pub mod echo;
pub mod figures;
pub mod floor;
mod measurement;
mod metronome;
pub mod sample;
pub mod slots;
pub mod spread;
pub mod usage;

pub use drive::{Client, Done, Pace, Timing, drive};
pub use figures::Figures;
pub use measurement::measure;
pub use sample::Sample;
pub use slots::Timeline;
pub use spread::Spread;
