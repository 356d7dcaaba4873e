//! The recordings of simulated hosts, as a real host keeps them on its disk.

use std::time::Duration;

use bytes::Bytes;
use cubecast_core::identity::HostId;
use cubecast_core::io::{Effect, Input};
use cubecast_core::node::Node;
use cubecast_core::recording::incident::HostRecording;
use cubecast_core::recording::recorder::{Piece, Recorder};
use cubecast_core::time::{Now, Timestamp};

/// Records the turns of one host. Clusters without recordings do not contain the code for them, so this is a trait.
pub trait TurnRecorder {
    /// A process starts: the one with this number.
    fn begin_process(&mut self, host: HostId, process: u64);

    /// See [`Recorder::begin_turn`].
    fn begin_turn(&mut self, node: &Node, now: Now, inputs: &[Input]);

    /// See [`Recorder::end_turn`].
    fn end_turn(&mut self, effects: &[Effect]);

    /// The last part of the recording, at least this long.
    fn last(&self, host: HostId, now: Timestamp, last: Duration) -> HostRecording;
}

/// The recording of one host. It outlives the host's processes.
#[derive(Debug, Default)]
pub struct Recording {
    segments: Vec<Vec<u8>>,
    /// Of the present process.
    recorder: Option<Recorder>,
}

impl Recording {
    /// An empty recording, for [`ClusterConfig::recorder`](crate::ClusterConfig::recorder).
    pub fn begin() -> Box<dyn TurnRecorder> {
        Box::new(Recording::default())
    }
}

impl TurnRecorder for Recording {
    fn begin_process(&mut self, host: HostId, process: u64) {
        self.recorder = Some(Recorder::new(host, process, env!("CARGO_PKG_VERSION").to_owned()));
    }

    fn begin_turn(&mut self, node: &Node, now: Now, inputs: &[Input]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.begin_turn(node, now, inputs);
        }
    }

    fn end_turn(&mut self, effects: &[Effect]) {
        let Some(recorder) = &mut self.recorder else { return };
        recorder.end_turn(effects);
        for piece in recorder.take() {
            match piece {
                Piece::Begin { bytes, .. } => self.segments.push(bytes),
                Piece::More(bytes) => self.segments.last_mut().expect("a segment has begun").extend(bytes),
            }
        }
    }

    fn last(&self, host: HostId, now: Timestamp, last: Duration) -> HostRecording {
        let since = Timestamp(now.0.saturating_sub(last.as_micros() as u64));
        HostRecording::since(host, self.segments.iter().cloned().map(Bytes::from).collect(), since)
    }
}
