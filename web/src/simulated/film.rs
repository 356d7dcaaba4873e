//! Snapshots of a run's past, shown while the run is recomputed or time runs backwards.

use crate::model::State;
use crate::model::closer::Closer;

/// Limit for memory use. Above it, every second snapshot is dropped.
const MAX_PICTURES: usize = 256;
const FIRST_EVERY_MS: u64 = 50;

/// Snapshots of the page's state.
#[derive(Clone, Debug)]
pub struct Film {
    /// In order of time.
    pictures: Vec<(u64, State)>,
    /// Minimum distance of snapshots, virtual milliseconds.
    every_ms: u64,
}

impl Default for Film {
    fn default() -> Film {
        Film { pictures: Vec::new(), every_ms: FIRST_EVERY_MS }
    }
}

impl Film {
    /// Keeps a snapshot of this instant unless the previous one is too recent.
    pub fn note(&mut self, at_ms: u64, state: &State) {
        if self.pictures.last().is_some_and(|(last, _)| at_ms < last + self.every_ms) {
            return;
        }
        // The state of the views is large, so snapshots do not contain it.
        self.pictures.push((at_ms, State { closer: Closer::default(), ..state.clone() }));
        if self.pictures.len() > MAX_PICTURES {
            let mut kept_last = false;
            self.pictures.retain(|_| {
                kept_last = !kept_last;
                kept_last
            });
            self.every_ms *= 2;
        }
    }

    /// The last snapshot at or before this instant.
    pub fn at(&self, at_ms: u64) -> Option<&(u64, State)> {
        self.pictures[..self.pictures.partition_point(|(at, _)| *at <= at_ms)].last()
    }

    /// Drops the snapshots after this instant.
    pub fn cut(&mut self, at_ms: u64) {
        self.pictures.retain(|(at, _)| *at <= at_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_film_keeps_its_beginning_and_its_end_and_no_more_than_its_limit() {
        let mut film = Film::default();
        for at_ms in 0..60_000 {
            film.note(at_ms, &State::default());
        }
        assert!(film.pictures.len() <= MAX_PICTURES);
        assert_eq!(film.at(10).map(|(at, _)| *at), Some(0));
        assert!(film.at(59_999).is_some_and(|(at, _)| *at > 59_000));
        film.cut(30_000);
        assert!(film.at(59_999).is_some_and(|(at, _)| *at <= 30_000));
    }
}
