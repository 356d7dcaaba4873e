//! The room on the disk as core was last told of it, and when it is measured and told again.

use std::time::{Duration, Instant};

use cubecast_core::store::Space;

/// The disk is measured so often, the first while there is little room.
const MEASURE_EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// The disk is short of room with less than so many times its reserve.
const SHORT_OF_ROOM: u64 = 4;

/// A change of what is stored that nobody needs to hear of.
const SMALLEST_NEWS: u64 = 64 << 10;

/// What was last told of the disk.
pub(super) struct Measured {
    /// When it was measured last, told or not.
    pub(super) at: Instant,
    pub(super) told: Space,
    /// All bytes that were written until it was told: core counts what it has written since.
    pub(super) written: u64,
}

impl Measured {
    /// How long until the disk is measured again, where so many bytes have been written in all.
    pub(super) fn due_in(&self, written: u64) -> Duration {
        let [short, long] = MEASURE_EVERY;
        // Core counts what it takes in several times over until it is told again: it must not find a disk full for that.
        if self.written.abs_diff(written) > grain(self.told.room(), self.told.reserve) {
            return Duration::ZERO;
        }
        let every = if self.told.room() < SHORT_OF_ROOM * self.told.reserve { short } else { long };
        every.saturating_sub(self.at.elapsed())
    }

    /// Whether core would decide otherwise by it, or people would see another picture.
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

/// The change that matters. While room is short, every little counts.
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
