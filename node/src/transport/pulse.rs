//! Detects a dead WebSocket: pings while it is quiet (RFC 6455, 5.5.2), and an end after too long without input.
//!
//! Any input is a sign of life. While either side sends nothing, the other side is pinged, so that proxies keep the
//! connection and a live side answers. Time in which the socket is not read does not count.
//!
//! All connections of a process check at the same beats, so an idle process wakes up once for all of them.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The default time without input after which a connection is dead. Proxies often cut connections that are idle for a
/// minute.
pub const SILENCE: Duration = Duration::from_secs(60);
/// Checks within that time.
const LOOKS: u32 = 3;

/// The signs of life of one connection.
#[derive(Debug, Default)]
pub struct Pulse {
    heard: AtomicBool,
    sent: AtomicBool,
    reading: AtomicBool,
    ping: Notify,
}

impl Pulse {
    /// Waits for the next input.
    pub async fn listen<T>(&self, next: impl Future<Output = T>) -> T {
        self.reading.store(true, Relaxed);
        let came = next.await;
        self.reading.store(false, Relaxed);
        self.heard.store(true, Relaxed);
        came
    }

    /// Records that something other than a ping was sent.
    pub fn sent(&self) {
        self.sent.store(true, Relaxed);
    }

    /// Completes when a ping is due.
    pub async fn ping_due(&self) {
        self.ping.notified().await;
    }

    /// Completes after about `silence` without input: at least two thirds of it, at most all of it. `began`: the
    /// start of the beats, the same for all connections of the process.
    pub async fn lost(&self, began: Instant, silence: Duration) {
        let every = silence / LOOKS;
        let mut looks = interval_at(next_beat(began, every), every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first interval is incomplete, so it counts as alive.
        self.heard.store(true, Relaxed);
        let mut quiet = 0;
        while quiet < LOOKS - 1 {
            looks.tick().await;
            let heard = self.heard.swap(false, Relaxed) || !self.reading.load(Relaxed);
            let sent = self.sent.swap(false, Relaxed);
            quiet = if heard { 0 } else { quiet + 1 };
            if !heard || !sent {
                self.ping.notify_one();
            }
        }
    }
}

/// The next of the beats that all connections share.
pub fn next_beat(began: Instant, every: Duration) -> Instant {
    let beats = began.elapsed().as_nanos() / every.as_nanos().max(1);
    began + every * (beats as u32).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::Arc;
    use tokio::time::{advance, sleep, timeout};

    /// A connection whose other side answers pings for the time `answers`.
    async fn lost_after(answers: Duration, limit: Duration) -> Option<Duration> {
        let (pulse, began) = (Arc::new(Pulse::default()), Instant::now());
        let other_side = pulse.clone();
        tokio::spawn(async move {
            loop {
                let next = async {
                    other_side.ping_due().await;
                    if began.elapsed() > answers {
                        pending::<()>().await;
                    }
                };
                other_side.listen(next).await;
            }
        });
        timeout(limit, pulse.lost(began, SILENCE)).await.ok().map(|()| began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_pings_is_never_lost() {
        assert_eq!(lost_after(Duration::MAX, Duration::from_secs(3_600)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_vanishes_is_lost_within_the_time() {
        for answers in [0, 1, 19, 21, 100] {
            let answers = Duration::from_secs(answers);
            let lost = lost_after(answers, Duration::from_secs(3_600)).await.unwrap();
            let silent = lost - answers;
            let (least, most) = (SILENCE * 2 / 3, SILENCE + Duration::from_millis(10));
            assert!((least..=most).contains(&silent), "{answers:?}: {silent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_pinged_within_a_proxys_patience() {
        let (pulse, began) = (Pulse::default(), Instant::now());
        let lost = pulse.lost(began, SILENCE);
        tokio::pin!(lost);
        tokio::select! {
            () = &mut lost => panic!("it was heard"),
            () = pulse.listen(pulse.ping_due()) => assert!(began.elapsed() <= Duration::from_secs(25)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_reads_does_not_count() {
        let pulse = Pulse::default();
        let lost = timeout(Duration::from_secs(600), pulse.lost(Instant::now(), SILENCE)).await;
        assert!(lost.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn connections_that_began_at_other_times_look_at_the_same_moments() {
        let began = Instant::now();
        advance(Duration::from_millis(12_345)).await;
        let beat = next_beat(began, Duration::from_secs(20));
        sleep(Duration::from_secs(5)).await;
        assert_eq!(next_beat(began, Duration::from_secs(20)), beat);
        assert_eq!(beat - began, Duration::from_secs(20));
    }
}
