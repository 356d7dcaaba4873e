//! Space-time diagrams: events reported while a request was in flight, drawn as lanes and arrows.
//!
//! [`Recorder`] keeps the newest events and requests; [`Story`] is one request, assembled from them; [`export`] writes
//! it for other tools.
//!
//! *Reported and drawn.* Nodes report when a frame leaves, not when it arrives. Its arrow therefore ends half a
//! measured round trip later, but never after the receiver's first reported reaction. A request's own frames carry its
//! number. raft's frames carry none, because one frame may carry entries of several requests; the story shows all
//! frames of the topic's group in its time span. Times are the nodes' own clocks. A clock with an offset of more than
//! [`clocks::MAX_SKEW_US`] is corrected by the time at which this page received its events, and the story mentions it.

pub mod clocks;
pub mod export;
mod record;
mod recorder;
pub mod story;

pub use record::{Answered, RecordedEvent, Request};
pub use recorder::{MAX_EVENTS, Recorder};
pub use story::Story;
