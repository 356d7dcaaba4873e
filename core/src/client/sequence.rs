//! Sequence numbers for publishes whose caller gave none, so that a repeat is recognised.
//!
//! A topic recognises repeats by publisher and number, and several processes may publish under one publisher id. So each
//! client counts up from a start of its own: the wall clock's microseconds times 4,096, plus a random number below 2^32 (about a
//! second's worth). A client that started earlier never catches up with one that started later, and two that start together
//! and store a million messages each overlap once in some thousand times. A clock that was set back between two processes costs a
//! later one a few publishes that are refused as too old, and made again under greater numbers. Numbers grow by one, because a topic remembers
//! consecutive ones in one piece.

use crate::names::Sequence;
use crate::time::Timestamp;

const NUMBERS_PER_MICROSECOND: u64 = 1 << 12;
/// What a client that is too far behind first jumps ahead by: one second's worth. Doubles.
const FIRST_JUMP: u64 = 1_000_000 * NUMBERS_PER_MICROSECOND;

#[derive(Debug)]
pub(super) struct Sequences {
    spread: u64,
    jump: u64,
    /// `None` until the first publish tells the time.
    next: Option<u64>,
}

impl Sequences {
    pub fn new(rng: &mut fastrand::Rng) -> Sequences {
        Sequences { spread: rng.u64(0..1 << 32), jump: FIRST_JUMP, next: None }
    }

    pub fn next(&mut self, wall: Timestamp) -> Sequence {
        let start = wall.0.saturating_mul(NUMBERS_PER_MICROSECOND).saturating_add(self.spread);
        let number = self.next.unwrap_or(start);
        self.next = Some(number.saturating_add(1));
        Sequence(number)
    }

    /// A number of ours lies before what the topic remembers: another process whose clock is ahead uses the same publisher id.
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
