//! The free space that was last reported to core, and the times at which it is measured and reported again.

use std::time::{Duration, Instant};

use cubecast_core::store::Space;

/// Intervals between measurements: the first while space is short, the second otherwise.
const MEASURE_EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// Space is short below this multiple of the reserve.
const SHORT_OF_ROOM: u64 = 4;

/// Smaller changes of the stored bytes are not reported.
const SMALLEST_NEWS: u64 = 64 << 10;

/// The last report about the disk.
pub(super) struct Measured {
    /// The time of the last measurement, reported or not.
    pub(super) at: Instant,
    pub(super) told: Space,
    /// All bytes written up to the report. Core counts its writes since then.
    pub(super) written: u64,
}

impl Measured {
    /// The time until the next measurement, after `written` bytes in total.
    pub(super) fn due_in(&self, written: u64) -> Duration {
        let [short, long] = MEASURE_EVERY;
        // Core overestimates its writes until the next report. It must not assume a full disk because of that.
        if self.written.abs_diff(written) > grain(self.told.room(), self.told.reserve) {
            return Duration::ZERO;
        }
        let every = if self.told.room() < SHORT_OF_ROOM * self.told.reserve { short } else { long };
        every.saturating_sub(self.at.elapsed())
    }

    /// Whether the change affects core's decisions or the displayed state.
    pub(super) fn is_outdated_by(&self, now: &Space, written: u64) -> bool {
        let grain = grain(self.told.room().min(now.room()), now.reserve);
        let differs = |one: u64, other: u64| one.abs_diff(other) > grain;
        (self.told.stuck, self.told.reserve) != (now.stuck, now.reserve)
            || differs(self.told.room(), now.room())
            || self.told.stored.abs_diff(now.stored) > (self.told.stored / 32).max(SMALLEST_NEWS)
            || differs(self.written, written)
            || (self.told.room() < now.reserve) != (now.room() < now.reserve)
    }
}

/// The smallest change that matters. It is smaller while space is short.
fn grain(room: u64, reserve: u64) -> u64 {
    if room < SHORT_OF_ROOM * reserve { reserve / 32 } else { room / 32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_told_on_a_large_disk_too() {
        let space =
            Space { free: 55 << 30, reusable: 0, stored: 32 << 10, reserve: 64 << 20, stuck: false, shared_by: 1 };
        let measured = Measured { at: Instant::now(), told: space, written: 0 };
        let stored = |stored| Space { stored, ..space };
        assert!(!measured.is_outdated_by(&space, 0) && !measured.is_outdated_by(&stored(90 << 10), 0));
        assert!(measured.is_outdated_by(&stored(25 << 20), 0));
    }
}
