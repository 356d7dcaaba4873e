//! How many requests of one connection wait for their answer, and how much they weigh: at the limit the socket is not read.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// A request costs one place, and one more for each this many of its bytes.
const PLACE_BYTES: usize = 16 << 10;
/// Core answers within its deadline of 5 s. Where the places are still taken after this time, their answers are lost
/// (the node failed on request and forgot them), and the connection must not hang for ever.
const PATIENCE: Duration = Duration::from_secs(15);

/// The places of one connection.
#[derive(Debug)]
pub struct Unanswered {
    places: Semaphore,
    limit: usize,
    taken: Mutex<VecDeque<usize>>,
}

impl Unanswered {
    pub fn new(limit: usize) -> Self {
        Unanswered { places: Semaphore::new(limit), limit, taken: Mutex::default() }
    }

    /// Takes the place of one request of so many bytes; waits while there is none.
    pub async fn take(&self, bytes: usize) {
        let cost = (1 + bytes / PLACE_BYTES).min(self.limit);
        loop {
            match timeout(PATIENCE, self.places.acquire_many(cost as u32)).await {
                Ok(permits) => {
                    permits.expect("the places are never closed").forget();
                    self.taken().push_back(cost);
                    return;
                }
                Err(_) => self.forget_all(),
            }
        }
    }

    /// Gives places back for so many answers. Answers may come out of order; the sum is right once all are there.
    pub fn give_back(&self, answers: usize) {
        let mut taken = self.taken();
        let count = answers.min(taken.len());
        let places = taken.drain(..count).sum();
        drop(taken);
        self.places.add_permits(places);
    }

    fn forget_all(&self) {
        let count = self.taken().len();
        self.give_back(count);
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, VecDeque<usize>> {
        self.taken.lock().expect("no holder of this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn at_the_limit_the_next_request_waits_for_an_answer() {
        let unanswered = Unanswered::new(2);
        unanswered.take(10).await;
        unanswered.take(10).await;
        let third = unanswered.take(10);
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none());
        unanswered.give_back(1);
        third.await;
    }

    #[tokio::test]
    async fn a_request_heavier_than_the_limit_still_passes_alone() {
        let unanswered = Unanswered::new(4);
        unanswered.take(100 << 20).await;
        unanswered.give_back(1);
        unanswered.take(0).await;
    }

    #[tokio::test]
    async fn answers_nobody_waits_for_change_nothing() {
        let unanswered = Unanswered::new(1);
        unanswered.give_back(5);
        unanswered.take(0).await;
        assert!(unanswered.take(0).now_or_never().is_none());
    }
}
