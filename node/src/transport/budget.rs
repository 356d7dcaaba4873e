//! Limits the bytes of clients' messages that a node holds between the sockets and core.
//!
//! Every connection may hold [`FREE`] bytes; more comes from a shared budget. When the budget is used up, long
//! messages are not read further until some are passed on. If none can be passed on, because all are unfinished, the
//! connection with the longest one is closed; connections without any request so far are closed first.
//!
//! Long messages also have a rate limit, and connections take turns of one chunk each, so that reading them leaves
//! time for other work.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes that every connection may hold outside the budget.
pub const FREE: u64 = 16 << 10;
/// Bytes that all connections together may hold beyond that.
pub const BUDGET: u64 = 32 << 20;
/// The time within which a message must arrive: this, plus one second for each [`BYTES_A_SECOND`] that arrived.
pub const MESSAGE_WITHIN: Duration = Duration::from_secs(10);
/// The minimum rate of a long message, in bytes per second.
pub const BYTES_A_SECOND: u64 = 64 << 10;

/// Bytes that are read at a time.
pub const CHUNK: usize = 8 << 10;
/// The maximum rate of all long messages, in bytes per second, after a burst of 2 MiB.
pub const RATE: u64 = 64 << 20;
const BURST: u64 = 2 << 20;
/// The interval between turns while the rate is used up.
const TURNS_EVERY: Duration = Duration::from_millis(5);

/// The budget of a node.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    /// Bytes that all connections hold from the budget.
    used: AtomicU64,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    next: u64,
    connections: BTreeMap<u64, Arc<Held>>,
    /// Connections that wait for space or for their turn to read.
    waiting: VecDeque<(Waker, Arc<Held>)>,
    /// Recently read bytes of long messages beyond the rate.
    hurry: u64,
    since: Option<Instant>,
    has_timer: bool,
}

/// The bytes that one connection holds.
#[derive(Debug, Default)]
struct Held {
    /// Bytes of the unfinished message.
    unfinished: AtomicU64,
    /// Bytes of complete messages that are not passed on yet.
    whole: AtomicU64,
    /// Chunks that the connection may read in its turn.
    turns: AtomicU64,
    has_asked: AtomicBool,
    must_go: Notify,
}

impl Held {
    fn beyond_free(&self) -> u64 {
        (self.unfinished.load(Relaxed) + self.whole.load(Relaxed)).saturating_sub(FREE)
    }
}

/// Gives turns until no connection waits for one.
async fn give_turns(budget: Arc<Budget>) {
    loop {
        sleep(TURNS_EVERY).await;
        let mut shared = budget.shared();
        shared.give_turns();
        if !shared.has_timer {
            return;
        }
    }
}

/// One connection's share of the budget, returned when this is dropped.
#[derive(Debug)]
pub struct Holding {
    budget: Arc<Budget>,
    number: u64,
    held: Arc<Held>,
    began: Mutex<Option<Instant>>,
    is_coming: Notify,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Budget> {
        Arc::new(Budget { limit, used: AtomicU64::new(0), shared: Mutex::default() })
    }

    /// Registers a connection.
    pub fn hold(self: &Arc<Budget>) -> Arc<Holding> {
        let held = Arc::<Held>::default();
        let mut shared = self.shared();
        shared.next += 1;
        let number = shared.next;
        shared.connections.insert(number, held.clone());
        drop(shared);
        Arc::new(Holding { budget: self.clone(), number, held, began: Mutex::default(), is_coming: Notify::default() })
    }

    /// Bytes that all connections hold from the budget.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no thread panics while it holds this lock")
    }
}

impl Shared {
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(|(waker, _)| waker.wake());
    }

    /// Whether this connection may read a chunk: the rate allows it, or it is the connection's turn.
    fn may_read(&mut self, held: &Held) -> bool {
        let has_turn = held.turns.fetch_update(Relaxed, Relaxed, |turns| turns.checked_sub(1)).is_ok();
        let now = Instant::now();
        let passed = self.since.map_or(Duration::ZERO, |since| now - since);
        self.since = Some(now);
        self.hurry = self.hurry.saturating_sub((RATE as u128 * passed.as_micros() / 1_000_000) as u64);
        let may_read = has_turn || self.waiting.is_empty() && self.hurry < BURST;
        if may_read {
            self.hurry += CHUNK as u64;
        }
        may_read
    }

    /// Gives turns to as many connections as may read a chunk now.
    fn give_turns(&mut self) {
        let chunks = RATE * TURNS_EVERY.as_millis() as u64 / 1000 / CHUNK as u64;
        let count = (chunks as usize).min(self.waiting.len());
        for (waker, held) in self.waiting.drain(..count) {
            held.turns.store(chunks / count as u64, Relaxed);
            waker.wake();
        }
        self.has_timer = !self.waiting.is_empty();
    }

    /// Closes the connection with the longest message. Called when no complete message is on its way to core.
    fn turn_away_the_longest(&self) {
        let longest = self.connections.values().max_by_key(|held| {
            (!held.has_asked.load(Relaxed) && held.beyond_free() > 0, held.unfinished.load(Relaxed))
        });
        if let Some(held) = longest {
            held.must_go.notify_one();
        }
    }
}

impl Holding {
    /// Whether this connection must wait before it reads more. It is woken when there is space.
    pub fn has_to_wait(&self, context: &Context<'_>) -> bool {
        if self.held.unfinished.load(Relaxed) < FREE {
            return false;
        }
        let mut shared = self.budget.shared();
        let has_room = self.budget.used() < self.budget.limit;
        if has_room && shared.may_read(&self.held) {
            return false;
        }
        shared.waiting.push_back((context.waker().clone(), self.held.clone()));
        if has_room {
            if !std::mem::replace(&mut shared.has_timer, true) {
                tokio::spawn(give_turns(self.budget.clone()));
            }
            return true;
        }
        if shared.connections.values().all(|held| held.whole.load(Relaxed) <= FREE) {
            shared.turn_away_the_longest();
        }
        true
    }

    /// Changes the bytes that this connection holds, and the sum for all.
    fn change(&self, change: impl FnOnce(&Held) -> u64) -> u64 {
        let before = self.held.beyond_free();
        let result = change(&self.held);
        let after = self.held.beyond_free();
        self.budget.used.fetch_add(after.wrapping_sub(before), Relaxed);
        result
    }

    /// Counts received bytes of a message.
    pub fn came(&self, bytes: u64) {
        let before = self.change(|held| held.unfinished.fetch_add(bytes, Relaxed));
        if before == 0 {
            *self.began() = Some(Instant::now());
        }
    }

    /// The chunk ended within a message.
    pub fn goes_on(&self) {
        self.is_coming.notify_one();
    }

    /// The message is complete.
    pub fn is_whole(&self) {
        let bytes = self.held.unfinished.swap(0, Relaxed);
        self.held.whole.fetch_add(bytes, Relaxed);
        *self.began() = None;
    }

    /// All complete messages are passed on. The time limit of the next message restarts, because nothing was read
    /// meanwhile.
    pub fn passed_on(&self) {
        if self.change(|held| held.whole.swap(0, Relaxed)) > FREE {
            self.budget.shared().wake();
        }
        if let Some(began) = self.began().as_mut() {
            *began = Instant::now();
        }
    }

    /// This client sent a valid request.
    pub fn has_asked(&self) {
        self.held.has_asked.store(true, Relaxed);
    }

    /// Whether this client ever sent a valid request.
    pub fn asked(&self) -> bool {
        self.held.has_asked.load(Relaxed)
    }

    /// Completes when this connection must be closed to make space.
    pub async fn turned_away(&self) {
        self.held.must_go.notified().await;
    }

    /// Completes when a message takes too long to arrive.
    pub async fn overdue(&self) {
        loop {
            self.is_coming.notified().await;
            while let Some(deadline) = self.deadline() {
                if deadline <= Instant::now() {
                    return;
                }
                sleep_until(deadline).await;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let began = *self.began();
        let more = self.held.unfinished.load(Relaxed) / BYTES_A_SECOND;
        began.map(|began| began + MESSAGE_WITHIN + Duration::from_secs(more))
    }

    fn began(&self) -> MutexGuard<'_, Option<Instant>> {
        self.began.lock().expect("no thread panics while it holds this lock")
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.change(|held| held.unfinished.swap(0, Relaxed) + held.whole.swap(0, Relaxed));
        let mut shared = self.budget.shared();
        shared.connections.remove(&self.number);
        shared.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn waits(holding: &Holding) -> bool {
        holding.has_to_wait(&Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn short_messages_never_wait() {
        let budget = Budget::new(0);
        let holding = budget.hold();
        holding.came(FREE - 1);
        assert!(!waits(&holding));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn long_messages_wait_while_whole_ones_are_on_their_way() {
        let budget = Budget::new(100_000);
        let [first, second] = [budget.hold(), budget.hold()];
        first.came(FREE + 100_000);
        first.is_whole();
        second.came(FREE);
        assert!(waits(&second));
        assert!(first.turned_away().now_or_never().is_none() && second.turned_away().now_or_never().is_none());
        first.passed_on();
        assert!(!waits(&second));
    }

    #[tokio::test]
    async fn the_longest_unfinished_message_makes_room_and_first_that_of_somebody_who_never_asked() {
        let budget = Budget::new(100_000);
        let [old, new, honest] = [budget.hold(), budget.hold(), budget.hold()];
        old.has_asked();
        honest.has_asked();
        old.came(FREE + 90_000);
        new.came(FREE + 10_000);
        honest.came(FREE + 1);
        assert!(waits(&honest));
        assert!(new.turned_away().now_or_never().is_some());
        drop(new);
        honest.came(20_000);
        assert!(waits(&honest));
        assert!(old.turned_away().now_or_never().is_some());
        drop(old);
        assert!(!waits(&honest));
        assert!(honest.turned_away().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn long_messages_have_turns_at_a_rate() {
        let budget = Budget::new(u64::MAX);
        let began = Instant::now();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let holding = budget.hold();
                holding.came(FREE);
                tokio::spawn(async move {
                    for _ in 0..RATE as usize / CHUNK {
                        std::future::poll_fn(|context| match holding.has_to_wait(context) {
                            true => std::task::Poll::Pending,
                            false => std::task::Poll::Ready(()),
                        })
                        .await;
                    }
                    began.elapsed().as_secs_f64()
                })
            })
            .collect();
        for reader in readers {
            let took = reader.await.unwrap();
            assert!((3.5..4.5).contains(&took), "four read four seconds' worth, side by side: {took} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_has_to_come_in_time_and_a_long_one_has_longer() {
        for (bytes, seconds) in [(1, 10), (BYTES_A_SECOND * 5, 15)] {
            let began = Instant::now();
            let holding = Budget::new(BUDGET).hold();
            holding.came(bytes);
            holding.goes_on();
            holding.overdue().await;
            assert_eq!(began.elapsed().as_secs(), seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_came_whole_is_not_overdue() {
        let holding = Budget::new(BUDGET).hold();
        holding.came(70_000);
        holding.goes_on();
        holding.is_whole();
        assert!(tokio::time::timeout(Duration::from_secs(100), holding.overdue()).await.is_err());
    }
}
