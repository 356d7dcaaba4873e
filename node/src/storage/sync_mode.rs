//! When writes are synced to the disk.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// When a write is synced to the disk, and so which failures an acknowledged write survives.
///
/// | mode | a killed process loses | a power failure loses |
/// |---|---|---|
/// | `always` | nothing | nothing |
/// | `interval=MS` | nothing | up to the last MS milliseconds, at worst the whole store (the loss is detected) |
/// | `never` | nothing | writes in the operating system's cache, at worst the whole store (the loss is detected) |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncMode {
    /// Sync before every acknowledgement. One sync covers all writes that arrived meanwhile.
    #[default]
    Always,
    /// Sync at this interval in milliseconds, 1 to [`SyncMode::MAX_INTERVAL_MS`].
    IntervalMs(u32),
    /// Leave syncs to the operating system; sync once when the node stops.
    Never,
}

impl SyncMode {
    /// The longest interval: one minute.
    pub const MAX_INTERVAL_MS: u32 = 60_000;

    /// The maximum time before a write is synced. `None`: no timer is needed.
    pub fn interval(self) -> Option<Duration> {
        match self {
            SyncMode::IntervalMs(ms) => Some(Duration::from_millis(ms.into())),
            SyncMode::Always | SyncMode::Never => None,
        }
    }
}

impl fmt::Display for SyncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyncMode::Always => f.pad("always"),
            SyncMode::IntervalMs(ms) => f.pad(&format!("interval={ms}")),
            SyncMode::Never => f.pad("never"),
        }
    }
}

/// Why a sync mode could not be parsed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SyncModeError {
    #[error("`{given}` is not a sync mode; use `always`, `interval=MS` or `never`")]
    Unknown { given: String },
    #[error(
        "`{given}` is not a valid interval; use 1 to {max} milliseconds, for example `interval=50`",
        max = SyncMode::MAX_INTERVAL_MS
    )]
    Interval { given: String },
}

impl FromStr for SyncMode {
    type Err = SyncModeError;

    fn from_str(text: &str) -> Result<Self, SyncModeError> {
        match text {
            "always" => Ok(SyncMode::Always),
            "never" => Ok(SyncMode::Never),
            _ => match text.strip_prefix("interval=") {
                Some(ms) => parse_interval(ms),
                None => Err(SyncModeError::Unknown { given: text.to_owned() }),
            },
        }
    }
}

fn parse_interval(text: &str) -> Result<SyncMode, SyncModeError> {
    match text.parse() {
        Ok(ms) if (1..=SyncMode::MAX_INTERVAL_MS).contains(&ms) => Ok(SyncMode::IntervalMs(ms)),
        _ => Err(SyncModeError::Interval { given: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_mode_survives_its_text() {
        for mode in [SyncMode::Always, SyncMode::IntervalMs(1), SyncMode::IntervalMs(60_000), SyncMode::Never] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
    }

    #[test]
    fn what_is_no_sync_mode_says_what_to_write() {
        for text in ["", "sometimes", "Always", "interval"] {
            let error = text.parse::<SyncMode>().unwrap_err().to_string();
            assert!(error.contains("`interval=MS`"), "{error}");
        }
        for text in ["interval=", "interval=0", "interval=60001", "interval=-1", "interval=5ms"] {
            let error = text.parse::<SyncMode>().unwrap_err().to_string();
            assert!(error.contains("1 to 60000 milliseconds"), "{error}");
        }
    }
}
