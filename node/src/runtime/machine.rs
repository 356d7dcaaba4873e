//! The machine that the runtime drives: core's node, or a fake one in tests of the transport.

use cubecast_core::io::{Effect, Input};
use cubecast_core::time::{Instant, Now};

/// The decision maker. One call of [`Machine::handle`] is a turn.
pub trait Machine: Send + 'static {
    /// Takes the inputs since the last turn and returns the effects, which are performed in order.
    fn handle(&mut self, now: Now, inputs: Vec<Input>) -> Vec<Effect>;

    /// The time of the next turn if no input arrives before it.
    fn next_deadline(&self) -> Option<Instant>;
}

impl Machine for cubecast_core::node::Node {
    fn handle(&mut self, now: Now, inputs: Vec<Input>) -> Vec<Effect> {
        cubecast_core::node::Node::handle(self, now, inputs)
    }

    fn next_deadline(&self) -> Option<Instant> {
        cubecast_core::node::Node::next_deadline(self)
    }
}
