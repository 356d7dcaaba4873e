//! The node, with a recorder beside it.

use std::time::Duration;

use cubecast_core::io::{Effect, Input};
use cubecast_core::node::Node;
use cubecast_core::recording::recorder::Recorder;
use cubecast_core::time::{Instant, Now};

use super::writer::Writer;
use crate::runtime::machine::Machine;

/// Pieces are given to the writer when they have this size or this age. A killed process loses what is younger.
const PIECE_BYTES: usize = 256 << 10;
const PIECE_AGE: Duration = Duration::from_millis(10);

/// See the [module](self).
pub struct RecordedNode {
    node: Node,
    recording: Option<Recording>,
}

struct Recording {
    recorder: Recorder,
    writer: Writer,
    /// When pieces were given to the writer last.
    given: Instant,
}

impl RecordedNode {
    /// A node without a recorder.
    pub fn plain(node: Node) -> RecordedNode {
        RecordedNode { node, recording: None }
    }

    /// A node whose turns are recorded by `recorder` and written by `writer`.
    pub fn recorded(node: Node, recorder: Recorder, writer: Writer) -> RecordedNode {
        let given = node.now().monotonic;
        RecordedNode { node, recording: Some(Recording { recorder, writer, given }) }
    }
}

impl Machine for RecordedNode {
    fn handle(&mut self, now: Now, inputs: Vec<Input>) -> Vec<Effect> {
        let Some(recording) = &mut self.recording else { return self.node.handle(now, inputs) };
        recording.recorder.begin_turn(&self.node, now, &inputs);
        let effects = self.node.handle(now, inputs);
        recording.end_turn(now, &effects);
        effects
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.node.next_deadline()
    }
}

impl Recording {
    fn end_turn(&mut self, now: Now, effects: &[Effect]) {
        self.recorder.end_turn(effects);
        let is_due = now.monotonic.since(self.given) >= PIECE_AGE;
        if is_due || self.recorder.waiting() >= PIECE_BYTES {
            self.given = now.monotonic;
            if !self.writer.write(self.recorder.take()) {
                self.recorder.begin_anew();
            }
        }
    }
}
