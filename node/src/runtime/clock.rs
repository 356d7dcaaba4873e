//! The clock whose time core receives as an argument. Core never reads a clock itself.

use std::time::{SystemTime, UNIX_EPOCH};

use cubecast_core::time::{Instant, Now, Timestamp};

/// The process's monotonic clock, which starts at zero, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: tokio::time::Instant,
}

impl Clock {
    /// Starts the monotonic clock at zero.
    pub fn start() -> Clock {
        Clock { started: tokio::time::Instant::now() }
    }

    /// Both clocks at this moment.
    pub fn now(&self) -> Now {
        Now { monotonic: Instant(self.started.elapsed().as_micros() as u64), wall: wall() }
    }

    /// The moment on tokio's clock that corresponds to core's `instant`.
    pub fn moment(&self, instant: Instant) -> tokio::time::Instant {
        self.started + std::time::Duration::from_micros(instant.0)
    }
}

/// The wall clock; a clock set before 1970 reads as 1970.
pub fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_micros() as u64)
}
