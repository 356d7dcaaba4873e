//! Turns for the requests that a node's clients have in core at one time.
//!
//! Requests are admitted as long as the bytes under way allow it; the others wait in their connections, which have turns in the
//! order in which they asked, one message each. Short and long requests have lanes of their own, so that a short one never waits
//! behind long ones. A place is free again when core has answered, whether or not the client reads that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Semaphore;

/// A longer request takes the lane for long ones.
const SHORT: usize = 16 << 10;
/// Bytes of short requests under way, and of long ones.
const SHORT_BYTES: usize = 16 << 20;
const LONG_BYTES: usize = 2 << 20;
/// One place stands for so many bytes.
const PLACE_BYTES: usize = 256;

/// The lanes of a node.
#[derive(Debug)]
pub struct Admission {
    short: Semaphore,
    long: Semaphore,
}

/// The places that one connection has taken; given back when it is dropped.
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
    /// A request that is larger than its lane passes alone.
    fn of(bytes: usize) -> Places {
        let is_long = bytes > SHORT;
        let most = if is_long { LONG_BYTES } else { SHORT_BYTES } / PLACE_BYTES;
        Places { is_long, count: (1 + bytes / PLACE_BYTES).min(most) as u32 }
    }
}

impl Admitted {
    pub fn new(admission: Arc<Admission>) -> Arc<Admitted> {
        Arc::new(Admitted { admission, taken: Mutex::default() })
    }

    /// Waits until this many requests of so many bytes each may be given to core. All their places are taken at once: whoever
    /// held some while it waits for others would wait for itself.
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

    /// Core has answered a request. Answers may come out of order; the sum is right once all are there.
    pub fn answered(&self) {
        if let Some(Places { is_long, count }) = self.taken().pop_front() {
            self.admission.lane(is_long).add_permits(count as usize);
        }
    }

    /// No answer will come any more.
    pub fn forget_all(&self) {
        let count = self.taken().len();
        (0..count).for_each(|_| self.answered());
    }

    fn taken(&self) -> MutexGuard<'_, VecDeque<Places>> {
        self.taken.lock().expect("no holder of this lock panics")
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
