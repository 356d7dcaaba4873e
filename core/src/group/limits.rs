//! The maximum length of a group's log, and the part of it that is kept after a checkpoint.

use serde::{Deserialize, Serialize};

/// The limits may differ between members: each member cuts its own log, and a member that is behind the beginning of
/// the leader's log receives a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogLimits {
    /// A checkpoint is due when the log after the last one has this many bytes and
    /// [`LogLimits::log_to_checkpoint_ratio`] times the bytes of that checkpoint, or
    /// [`LogLimits::checkpoint_log_entries`] entries.
    pub checkpoint_log_bytes: u64,
    /// See `checkpoint_log_bytes`.
    pub checkpoint_log_entries: u64,
    /// See `checkpoint_log_bytes`.
    pub log_to_checkpoint_ratio: u64,
    /// Entries kept in the log before a checkpoint, for members that are slightly behind. The smaller of the two limits
    /// applies.
    pub slack_entries: u64,
    /// Bytes kept in the log before a checkpoint.
    pub slack_bytes: u64,
}

impl Default for LogLimits {
    fn default() -> LogLimits {
        const MIB: u64 = 1024 * 1024;
        LogLimits {
            checkpoint_log_bytes: MIB,
            checkpoint_log_entries: 8192,
            log_to_checkpoint_ratio: 4,
            slack_entries: 1024,
            slack_bytes: MIB / 4,
        }
    }
}

impl LogLimits {
    /// For a full disk: the smallest log with which a group can continue.
    pub fn tight(self) -> LogLimits {
        const KIB: u64 = 1024;
        LogLimits {
            checkpoint_log_bytes: self.checkpoint_log_bytes.min(64 * KIB),
            checkpoint_log_entries: self.checkpoint_log_entries.min(256),
            log_to_checkpoint_ratio: 1,
            slack_entries: self.slack_entries.min(16),
            slack_bytes: self.slack_bytes.min(16 * KIB),
        }
    }
}
