//! Sequence numbers for publishes without one from the caller, so that repeats are recognised.
//!
//! A topic recognises repeats by publisher and number, and several processes can publish under one publisher id. Each
//! client therefore counts up from its own start: the wall clock in microseconds times 4,096, plus a random number
//! below 2^32 (about one second's worth).
//!
//! A client never catches up with one that started later. Two clients that start at the same time and store a million
//! messages each overlap about once in several thousand such cases. If the clock is set back between two processes, the
//! later one has a few publishes refused as too old, and repeats them under greater numbers. Numbers increase by one,
//! because a topic stores consecutive numbers as one range.

use crate::names::Sequence;
use crate::time::Timestamp;

const NUMBERS_PER_MICROSECOND: u64 = 1 << 12;
/// First jump of a client whose numbers are too small: one second's worth. Each further jump doubles.
const FIRST_JUMP: u64 = 1_000_000 * NUMBERS_PER_MICROSECOND;

#[derive(Debug)]
pub(super) struct Sequences {
    spread: u64,
    jump: u64,
    /// `None` until the first publish supplies the time.
    next: Option<u64>,
}

impl Sequences {
    /// Numbers with a random start.
    pub fn new(rng: &mut fastrand::Rng) -> Sequences {
        Sequences { spread: rng.u64(0..1 << 32), jump: FIRST_JUMP, next: None }
    }

    /// The next number. The first call derives the start from `wall`; later calls ignore it.
    pub fn next(&mut self, wall: Timestamp) -> Sequence {
        let start = wall.0.saturating_mul(NUMBERS_PER_MICROSECOND).saturating_add(self.spread);
        let number = self.next.unwrap_or(start);
        self.next = Some(number.saturating_add(1));
        Sequence(number)
    }

    /// Skips numbers after one was older than the topic remembers: another process with a faster clock uses the same
    /// publisher id.
    pub fn jump_ahead(&mut self) {
        self.next = self.next.map(|next| next.saturating_add(self.jump));
        self.jump = self.jump.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Timestamp = Timestamp(1_795_379_000_123_456);

    fn client(seed: u64) -> Sequences {
        Sequences::new(&mut fastrand::Rng::with_seed(seed))
    }

    #[test]
    fn numbers_grow_by_one_whatever_the_clock_does() {
        let mut sequences = client(7);
        let first = sequences.next(TODAY);
        assert_eq!(sequences.next(Timestamp(3)), Sequence(first.0 + 1));
        assert_eq!(sequences.next(Timestamp(TODAY.0 * 2)), Sequence(first.0 + 2));
    }

    #[test]
    fn clients_that_start_together_use_different_numbers() {
        let starts: Vec<_> = (0..8).map(|seed| client(seed).next(TODAY).0).collect();
        for (i, a) in starts.iter().enumerate() {
            assert!(starts[i + 1..].iter().all(|b| a.abs_diff(*b) > 100_000), "{starts:?}");
        }
    }

    #[test]
    fn a_client_that_starts_later_uses_greater_numbers_until_the_year_2100() {
        let year_2100 = Timestamp(4_102_444_800_000_000);
        assert!(client(1).next(TODAY) < client(2).next(Timestamp(TODAY.0 + 2_000_000)));
        assert!(client(1).next(TODAY) < client(2).next(year_2100));
        assert!(client(3).next(year_2100).0 < u64::MAX / 100 * 99);
    }

    #[test]
    fn a_client_that_is_behind_jumps_ahead_further_each_time() {
        let mut sequences = client(1);
        let first = sequences.next(TODAY).0;
        sequences.jump_ahead();
        let second = sequences.next(TODAY).0;
        sequences.jump_ahead();
        let third = sequences.next(TODAY).0;
        assert!(second - first >= FIRST_JUMP && third - second >= 2 * FIRST_JUMP);
    }
}
