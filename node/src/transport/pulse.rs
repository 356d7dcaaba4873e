//! Whether the other side of a WebSocket is still there: pings while it is quiet (RFC 6455, 5.5.2), and the end when nothing
//! comes for too long.
//!
//! Whatever arrives is a sign of life. While the other side, or we, send nothing, it is pinged, so that proxies on the way keep
//! the connection, and so that a living side is heard. Time in which we do not read does not count.
//!
//! All connections of a process look at the same moments: an idle process wakes for all of them together.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How long nothing may come, unless the node's owner says otherwise. Proxies cut connections that are idle for a minute.
pub const SILENCE: Duration = Duration::from_secs(60);
/// Looks within that time.
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
    /// Waits for what comes next.
    pub async fn listen<T>(&self, next: impl Future<Output = T>) -> T {
        self.reading.store(true, Relaxed);
        let came = next.await;
        self.reading.store(false, Relaxed);
        self.heard.store(true, Relaxed);
        came
    }

    /// Something left that is no ping.
    pub fn sent(&self) {
        self.sent.store(true, Relaxed);
    }

    /// Completes when a ping is due.
    pub async fn ping_due(&self) {
        self.ping.notified().await;
    }

    /// Completes when nothing came for about `silence`: never earlier than two thirds of it, never later than all of it.
    /// `began`: from when moments are counted, the same for all connections of the process.
    pub async fn lost(&self, began: Instant, silence: Duration) {
        let every = silence / LOOKS;
        let mut looks = interval_at(next_beat(began, every), every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first time is not a whole one.
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

/// The next of the moments that all connections share.
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

    /// A connection whose other side answers pings, or not, for so long.
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
