//! How long a group's log may grow, and what of it stays behind a checkpoint.

/// Equal on all members or not: each cuts its own log, and one that is behind the beginning of a leader's gets a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLimits {
    /// A checkpoint is due when the log behind the last one has so many bytes, and [`LogLimits::log_to_checkpoint_ratio`] times
    /// the bytes of that checkpoint, or so many entries.
    pub checkpoint_log_bytes: u64,
    pub checkpoint_log_entries: u64,
    pub log_to_checkpoint_ratio: u64,
    /// What stays in the log behind a checkpoint, for members that are a little behind: the less of the two.
    pub slack_entries: u64,
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
    /// For a disk that is full: as little of the log as a group can go on with.
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
