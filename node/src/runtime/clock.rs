//! The clocks that core is told: it never asks for the time itself.

use std::time::{SystemTime, UNIX_EPOCH};

use cubecast_core::time::{Instant, Now, Timestamp};

/// The process's monotonic clock, from its start on, beside the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: tokio::time::Instant,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { started: tokio::time::Instant::now() }
    }

    pub fn now(&self) -> Now {
        Now { monotonic: Instant(self.started.elapsed().as_micros() as u64), wall: wall() }
    }

    /// The moment on tokio's clock at which core's `instant` comes.
    pub fn moment(&self, instant: Instant) -> tokio::time::Instant {
        self.started + std::time::Duration::from_micros(instant.0)
    }
}

/// The wall clock; a clock set before 1970 reads as 1970.
pub fn wall() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since_epoch.as_micros() as u64)
}
