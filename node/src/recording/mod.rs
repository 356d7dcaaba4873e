//! The flight recorder of a node process: keeps what the node was told on the disk, so that even a killed process
//! leaves a recording. [`cubecast_core::recording`] has the format and the replay.
//!
//! | file | content |
//! |---|---|
//! | [`recorded_node`] | the node, with a recorder beside it |
//! | [`writer`] | a thread that writes segments and deletes the oldest |
//! | [`folder`] | the files of the segments |
//! | [`collect`] | the recordings of all nodes, in one incident |
//! | [`replaying`] | replays recordings that may be damaged |
//!
//! Recording never delays the node: a recording whose disk is too slow or too full has a gap, and the node goes on.

pub mod collect;
pub mod folder;
pub mod recorded_node;
pub mod replaying;
pub mod writer;

use std::time::Duration;

/// How much of a recording is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordingRules {
    /// The time that must be covered, if `bytes` suffices for it.
    pub last: Duration,
    /// The maximum size on the disk, apart from the newest segment.
    pub bytes: u64,
}

impl RecordingRules {
    /// The default maximum size on the disk.
    pub const DEFAULT_BYTES: u64 = 64 << 20;
}
