//! Admission control for the requests that core processes for a node's clients at one time.
//!
//! Requests are admitted while the bytes in progress allow it. The others wait in their connections, which take turns
//! in the order of their arrival, with one message each. Short and long requests have separate lanes, so a short
//! request never waits behind long ones. A permit is returned when core has answered, even if the client does not
//! read the answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Semaphore;

/// Longer requests use the lane for long ones. Bytes.
const SHORT: usize = 16 << 10;
/// The maximum bytes of short requests in progress, and of long ones.
const SHORT_BYTES: usize = 16 << 20;
const LONG_BYTES: usize = 2 << 20;
/// Bytes that one permit stands for.
const PLACE_BYTES: usize = 256;

/// The lanes of a node.
#[derive(Debug)]
pub struct Admission {
    short: Semaphore,
    long: Semaphore,
}

/// The permits of one connection, returned when this is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    taken: Mutex<VecDeque<Places>>,
}

#[derive(Clone, Copy, Debug)]
struct Places {
    is_long: bool,
    count: u32,
}

impl Default for Admission {
    fn default() -> Self {
        Admission { short: Semaphore::new(SHORT_BYTES / PLACE_BYTES), long: Semaphore::new(LONG_BYTES / PLACE_BYTES) }
    }
}

impl Admission {
    fn lane(&self, is_long: bool) -> &Semaphore {
        if is_long { &self.long } else { &self.short }
    }
}

impl Places {
    /// A request larger than its lane takes the whole lane.
    fn of(bytes: usize) -> Places {
        let is_long = bytes > SHORT;
        let most = if is_long { LONG_BYTES } else { SHORT_BYTES } / PLACE_BYTES;
        Places { is_long, count: (1 + bytes / PLACE_BYTES).min(most) as u32 }
    }
}

impl Admitted {
    /// A connection without permits.
    pub fn new(admission: Arc<Admission>) -> Arc<Admitted> {
        Arc::new(Admitted { admission, taken: Mutex::default() })
    }

    /// Waits until this many requests of `bytes` bytes each may be passed to core. Takes all their permits at once: a
    /// connection that holds some permits while it waits for more could block itself.
    pub async fn take(&self, requests: usize, bytes: usize) {
        let Places { is_long, count } = Places::of(bytes);
        let most = if is_long { LONG_BYTES } else { SHORT_BYTES } / PLACE_BYTES;
        let all = (count as usize * requests).min(most);
        let permits = self.admission.lane(is_long).acquire_many(all as u32).await;
        permits.expect("the lanes are never closed").forget();
        let through = |request: usize| all * request / requests.max(1);
        let parts = (0..requests).map(|at| Places { is_long, count: (through(at + 1) - through(at)) as u32 });
        self.taken().extend(parts);
    }

    /// Returns the permits of one answered request. Answers may arrive in another order; the sum is right after all
    /// of them.
    pub fn answered(&self) {
        if let Some(Places { is_long, count }) = self.taken().pop_front() {
            self.admission.lane(is_long).add_permits(count as usize);
        }
    }

    /// Returns all permits, because no more answers will come.
    pub fn forget_all(&self) {
        let count = self.taken().len();
        (0..count).for_each(|_| self.answered());
    }

    fn taken(&self) -> MutexGuard<'_, VecDeque<Places>> {
        self.taken.lock().expect("no thread panics while it holds this lock")
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.forget_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn short_requests_pass_long_ones_and_those_have_turns() {
        let admission = Arc::<Admission>::default();
        let [first, second, honest] = std::array::from_fn(|_| Admitted::new(admission.clone()));
        first.take(1, LONG_BYTES).await;
        let waits = second.take(1, LONG_BYTES);
        tokio::pin!(waits);
        assert!(waits.as_mut().now_or_never().is_none());
        honest.take(100, 200).now_or_never().expect("short requests have a lane of their own");
        first.answered();
        waits.now_or_never().expect("the next one has its turn");
    }

    #[tokio::test]
    async fn many_long_requests_of_one_message_do_not_wait_for_each_other() {
        let admission = Arc::<Admission>::default();
        let first = Admitted::new(admission.clone());
        first.take(256, 20 << 10).now_or_never().expect("more than the lane holds passes alone");
        (0..256).for_each(|_| first.answered());
        Admitted::new(admission).take(1, LONG_BYTES).now_or_never().expect("all places are free");
    }

    #[tokio::test]
    async fn places_of_a_connection_that_ends_are_free_again() {
        let admission = Arc::<Admission>::default();
        let first = Admitted::new(admission.clone());
        first.take(1, 100 << 20).await;
        drop(first);
        Admitted::new(admission).take(1, LONG_BYTES).now_or_never().expect("all places are free");
    }
}
