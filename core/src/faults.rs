//! The faults that a client can request for a drill: a failing node, and a bad link.

use serde::{Deserialize, Serialize};

/// How a requested fault stops a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// Unpersisted state is lost.
    #[default]
    Crash,
    /// The disk is lost too.
    Wipe,
    /// The node stops communicating and loses nothing.
    Pause,
}

/// The conditions of one direction of an edge.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LinkConditions {
    /// No frames pass.
    pub cut: bool,
    /// A delay for every frame, in milliseconds.
    pub delay_ms: u32,
    /// Extra delay in milliseconds, uniformly distributed from 0 to this value. Frames keep their order.
    pub jitter_ms: u32,
    /// The fraction of frames that are lost, 0 to 1.
    pub loss: f32,
}

impl LinkConditions {
    /// No faults: not cut, no delay, no jitter, no loss.
    pub const PERFECT: LinkConditions = LinkConditions { cut: false, delay_ms: 0, jitter_ms: 0, loss: 0.0 };
}
