//! Errors of accept: the log lines and the pauses between attempts. One line is logged when accepting begins to fail
//! and one when it works again, however many attempts failed in between.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

/// The pause after a failed attempt. It doubles with each failure up to the longest; a success resets it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Accepting counts as working when no attempt failed for this long. Near a limit, failures and successes alternate.
const CALM_AFTER: Duration = Duration::from_secs(10);

/// Connections accepted per second, and in a burst. Further connections wait in the system's queue, so that the open
/// ones are served meanwhile.
const RATE: f64 = 2_000.0;
const BURST: f64 = 500.0;
const SLOW_DOWN: Duration = Duration::from_millis(5);

/// These numbers are the same on Linux, macOS and the BSDs.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// The state of accepting.
#[derive(Debug)]
pub struct Accepting {
    trouble: Option<Trouble>,
    pause: Duration,
    /// Recent connections beyond the rate, and the time of the last one.
    hurry: f64,
    last: Instant,
}

#[derive(Debug)]
struct Trouble {
    why: String,
    began: Instant,
    last: Instant,
    failures: u64,
}

impl Default for Accepting {
    fn default() -> Self {
        Accepting { trouble: None, pause: FIRST_PAUSE, hurry: 0.0, last: Instant::now() }
    }
}

impl Accepting {
    /// Records a failed or refused attempt. Returns a log line if the failure is new.
    pub fn failed(&mut self, why: String) -> Option<String> {
        let now = Instant::now();
        match &mut self.trouble {
            Some(trouble) if trouble.why == why => {
                (trouble.last, trouble.failures) = (now, trouble.failures + 1);
                None
            }
            other => {
                let line = format!("Cannot accept connections: {why}. Recovery will be logged.");
                let (began, before) = other.as_ref().map_or((now, 0), |former| (former.began, former.failures));
                *other = Some(Trouble { why, began, last: now, failures: before + 1 });
                Some(line)
            }
        }
    }

    /// Records an accepted connection. Returns the pause before the next one, which is zero unless very many arrive.
    pub fn succeeded(&mut self) -> Duration {
        self.pause = FIRST_PAUSE;
        let now = Instant::now();
        self.hurry = (self.hurry - (now - self.last).as_secs_f64() * RATE).max(0.0) + 1.0;
        self.last = now;
        if self.hurry < BURST { Duration::ZERO } else { SLOW_DOWN }
    }

    /// The pause before the next attempt after a failure.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// Completes when failures are over, with a log line. Never completes while there are none.
    pub async fn calm(&mut self) -> String {
        let Some(trouble) = &self.trouble else { return std::future::pending().await };
        tokio::time::sleep_until(trouble.last + CALM_AFTER).await;
        let lasted = trouble.last - trouble.began;
        let line = format!(
            "Connections are accepted again: {} attempts failed within {:.1} s",
            trouble.failures,
            lasted.as_secs_f64()
        );
        self.trouble = None;
        line
    }
}

/// Why accept failed and what to do about it. `None`: the failure concerns only one connection, which broke before it
/// was accepted.
pub fn reason(error: &io::Error) -> Option<String> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | WouldBlock) {
        return None;
    }
    Some(match error.raw_os_error() {
        Some(EMFILE) => {
            format!(
                "{error}; raise the limit of this process (ulimit -n), \
                 or lower the number of clients ([limits] clients)"
            )
        }
        Some(ENFILE) => format!("{error}; the limit of the whole system is reached: raise it (sysctl fs.file-max)"),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn a_trouble_is_told_once_and_summed_up_when_it_is_over() {
        let mut accepting = Accepting::default();
        let exhausted = || reason(&io::Error::from_raw_os_error(EMFILE)).unwrap();
        let first = accepting.failed(exhausted()).unwrap();
        assert!(first.contains("Too many open files") && first.contains("ulimit -n"), "{first}");
        for _ in 0..20 {
            sleep(accepting.next_pause()).await;
            assert_eq!(accepting.failed(exhausted()), None);
            // One success in between does not mean that accepting works again.
            accepting.succeeded();
            assert!(accepting.calm().now_or_never().is_none());
        }
        let last = accepting.calm().await;
        assert!(last.contains("21 attempts failed within 1.0 s"), "{last}");
        assert!(accepting.failed(exhausted()).is_some(), "another trouble is told again");
    }

    #[tokio::test(start_paused = true)]
    async fn another_reason_is_news() {
        let mut accepting = Accepting::default();
        assert!(accepting.failed("one".into()).is_some());
        assert!(accepting.failed("two".into()).unwrap().contains("two"));
        assert!(accepting.calm().await.contains("2 attempts failed"));
    }

    #[tokio::test]
    async fn attempts_become_rare_and_a_success_starts_afresh() {
        let mut accepting = Accepting::default();
        let pauses: Vec<u128> = (0..8).map(|_| accepting.next_pause().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
        accepting.succeeded();
        assert_eq!(accepting.next_pause(), FIRST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_beyond_a_rate_wait() {
        let mut accepting = Accepting::default();
        let began = Instant::now();
        for _ in 0..10_000 {
            sleep(accepting.succeeded()).await;
        }
        let took = began.elapsed().as_secs_f64();
        assert!((4.0..6.0).contains(&took), "{took} s");
        sleep(Duration::from_secs(1)).await;
        for _ in 0..400 {
            assert_eq!(accepting.succeeded(), Duration::ZERO);
        }
    }

    #[test]
    fn a_connection_that_broke_early_is_no_trouble() {
        assert_eq!(reason(&io::ErrorKind::ConnectionAborted.into()), None);
    }
}
