//! Limits the number and the size of one connection's unanswered requests: at the limit the socket is not read.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A request takes one place, plus one for every `PLACE_BYTES` bytes.
const PLACE_BYTES: usize = 16 << 10;
/// No place became free for too long: the client does not read, or its answers were lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stuck;

/// The places of one connection.
#[derive(Debug)]
pub struct Unanswered {
    places: Semaphore,
    limit: usize,
    taken: Mutex<VecDeque<usize>>,
    given_back: AtomicUsize,
}

impl Unanswered {
    /// A connection with `limit` places.
    pub fn new(limit: usize) -> Self {
        Unanswered { places: Semaphore::new(limit), limit, taken: Mutex::default(), given_back: AtomicUsize::new(0) }
    }

    /// Takes the places of one request of `bytes` bytes. Waits while there are too few, as long as others become
    /// free. It is an error if none becomes free within `patience`.
    pub async fn take(&self, bytes: usize, patience: Duration) -> Result<(), Stuck> {
        let cost = (1 + bytes / PLACE_BYTES).min(self.limit);
        // A timer costs more than a place, so it is made only for those who wait.
        if let Ok(permits) = self.places.try_acquire_many(cost as u32) {
            permits.forget();
            self.taken().push_back(cost);
            return Ok(());
        }
        loop {
            let before = self.given_back.load(Relaxed);
            match timeout(patience, self.places.acquire_many(cost as u32)).await {
                Ok(permits) => {
                    permits.expect("the places are never closed").forget();
                    self.taken().push_back(cost);
                    return Ok(());
                }
                Err(_) if self.given_back.load(Relaxed) == before => return Err(Stuck),
                Err(_) => {}
            }
        }
    }

    /// Frees the places of this many answered requests. Answers may arrive in another order; the sum is right after
    /// all of them.
    pub fn give_back(&self, answers: usize) {
        let mut taken = self.taken();
        let count = answers.min(taken.len());
        let places = taken.drain(..count).sum();
        drop(taken);
        self.given_back.fetch_add(count, Relaxed);
        self.places.add_permits(places);
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, VecDeque<usize>> {
        self.taken.lock().expect("no thread panics while it holds this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn at_the_limit_the_next_request_waits_for_an_answer() {
        let unanswered = Unanswered::new(2);
        unanswered.take(10, LONG).await.unwrap();
        unanswered.take(10, LONG).await.unwrap();
        let third = unanswered.take(10, LONG);
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none());
        unanswered.give_back(1);
        third.await.unwrap();
    }

    #[tokio::test]
    async fn a_request_heavier_than_the_limit_still_passes_alone() {
        let unanswered = Unanswered::new(4);
        unanswered.take(100 << 20, LONG).await.unwrap();
        unanswered.give_back(1);
        unanswered.take(0, LONG).await.unwrap();
    }

    #[tokio::test]
    async fn answers_nobody_waits_for_change_nothing() {
        let unanswered = Unanswered::new(1);
        unanswered.give_back(5);
        unanswered.take(0, LONG).await.unwrap();
        assert!(unanswered.take(0, LONG).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_place_for_too_long_is_told_and_who_gets_some_is_not() {
        let unanswered = Unanswered::new(3);
        let patience = Duration::from_secs(15);
        unanswered.take(0, patience).await.unwrap();
        unanswered.take(0, patience).await.unwrap();
        unanswered.take(0, patience).await.unwrap();
        assert_eq!(unanswered.take(0, patience).await, Err(Stuck));
        let slow = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(10)).await;
                unanswered.give_back(1);
            }
        };
        let (all, ()) = tokio::join!(unanswered.take(PLACE_BYTES * 2, patience), slow);
        assert_eq!(all, Ok(()));
    }
}
