//! Space and time: what the nodes told while a request was under way, as lanes and arrows.
//!
//! [`Recorder`] keeps the newest events and requests; [`Story`] is one request, put together from them; [`export`] writes it down
//! for other tools.
//!
//! *What is known and what is drawn.* Nodes tell when a frame leaves, not when it arrives; so an arrow ends half a measured round
//! trip later, and never after the first thing that the receiver told it did with it. A request's own frames bear its number.
//! raft's bear none, because one of them carries whatever waits: those of the topic's group that left meanwhile are drawn.
//! Times are the nodes' own clocks. One that is off by more than [`story::MAX_SKEW_US`] is set right by when this page heard of its
//! events, and the story says so.

pub mod export;
mod recorder;
pub mod story;

pub use recorder::{MAX_EVENTS, Recorder, Request, Told};
pub use story::Story;
