//! Clients that ask at a pace, for a while.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;

use super::metronome::Metronome;
use super::sample::Sample;
use super::slots::Slots;

/// An open loop asks no more while so many of one client's requests are under way; those that are due then are late, and their
/// latency counts from when they were due.
const MOST_UNDER_WAY: usize = 20_000;
/// What is under way at the end is waited for, and not counted, for so long.
const DRAIN: Duration = Duration::from_secs(10);

/// Whoever asks. Each has connections of its own.
pub trait Client: Send + 'static {
    /// Begins the next request; the error is why it failed.
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static;
}

/// A request that was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// Payload that it moved.
    pub bytes: u64,
    /// Since when its latency counts, where that is not the moment at which it was due: a delivery's counts from its publish.
    pub since: Option<Instant>,
}

impl Done {
    pub fn moving(bytes: usize) -> Done {
        Done { bytes: bytes as u64, since: None }
    }
}

/// How requests follow each other.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// A closed loop: each client keeps so many under way. One is one thing after the other.
    UnderWay(usize),
    /// An open loop: so many a second by all clients together, however long the answers take. Latency counts from the moment at
    /// which the request was due, so that a pause of the server is seen by every request that it held up.
    PerSecond(f64),
}

/// How long is measured, after how long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Timing {
    pub warm_up: Duration,
    pub length: Duration,
    /// Where given, the sample also tells what happened when, by slots of this length.
    pub slot: Option<Duration>,
}

impl Timing {
    /// So long, behind a warm-up of a quarter of that.
    pub fn measuring(length: Duration) -> Timing {
        Timing { warm_up: length / 4, length, slot: None }
    }

    /// With the warm-up.
    pub fn whole(&self) -> Duration {
        self.warm_up + self.length
    }
}

/// The while that is measured.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    to: Instant,
    slot: Option<Duration>,
}

/// Has all clients ask at this pace, and measures. `measuring` is called when the warm-up is over, and when the time is.
pub async fn drive<C: Client>(clients: Vec<C>, pace: Pace, timing: Timing, mut measuring: impl FnMut(bool)) -> Sample {
    let begin = Instant::now();
    let window = Window { from: begin + timing.warm_up, to: begin + timing.whole(), slot: timing.slot };
    let count = clients.len();
    let mut driven = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        match pace {
            Pace::UnderWay(most) => driven.spawn(closed(client, most, window)),
            Pace::PerSecond(rate) => {
                let every = Duration::from_secs_f64(count as f64 / rate);
                let first = begin + every.mul_f64(number as f64 / count as f64);
                driven.spawn(open(client, Metronome::start(first, every, window.to), window))
            }
        };
    }
    tokio::time::sleep_until(window.from.into()).await;
    measuring(true);
    tokio::time::sleep_until(window.to.into()).await;
    measuring(false);
    let mut whole = window.sample();
    while let Some(sample) = driven.join_next().await {
        whole.add(&sample.expect("a client does not panic"));
    }
    whole
}

async fn closed<C: Client>(mut client: C, most: usize, window: Window) -> Sample {
    let mut sample = window.sample();
    let mut under_way = FuturesUnordered::new();
    loop {
        while under_way.len() < most && Instant::now() < window.to {
            under_way.push(timed(Instant::now(), client.request()));
        }
        match tokio::time::timeout_at((window.to + DRAIN).into(), under_way.next()).await {
            Ok(Some((due, done, result))) => window.count(&mut sample, due, done, result),
            Ok(None) => return sample,
            Err(_) => return sample.abandon(under_way.len()),
        }
    }
}

async fn open<C: Client>(mut client: C, mut metronome: Metronome, window: Window) -> Sample {
    let mut sample = window.sample();
    let mut under_way = FuturesUnordered::new();
    let mut is_over = false;
    loop {
        if is_over && under_way.is_empty() {
            return sample;
        }
        tokio::select! {
            due = metronome.next(), if !is_over && under_way.len() < MOST_UNDER_WAY => match due {
                Some(due) => under_way.push(timed(due, client.request())),
                None => is_over = true,
            },
            Some((due, done, result)) = under_way.next() => window.count(&mut sample, due, done, result),
            () = tokio::time::sleep_until((window.to + DRAIN).into()) => return sample.abandon(under_way.len()),
        }
    }
}

async fn timed(
    due: Instant,
    request: impl Future<Output = Result<Done, String>>,
) -> (Instant, Instant, Result<Done, String>) {
    let result = request.await;
    (due, Instant::now(), result)
}

impl Window {
    fn sample(&self) -> Sample {
        let length = self.to - self.from;
        Sample { slots: self.slot.map(|each| Slots::new(length, each)), ..Sample::new(length) }
    }

    /// A request's latency counts when it was due in the window; its completion, when that lies in the window.
    fn count(&self, sample: &mut Sample, due: Instant, done: Instant, result: Result<Done, String>) {
        match result {
            Err(why) => sample.note_failure(why),
            Ok(Done { bytes, since }) => {
                let due = since.unwrap_or(due);
                if (self.from..self.to).contains(&due) {
                    sample.note_latency(done - due);
                    if let Some(slots) = &mut sample.slots {
                        slots.note_latency(due - self.from, done - due);
                    }
                }
                if (self.from..self.to).contains(&done) {
                    sample.note_done(bytes);
                    if let Some(slots) = &mut sample.slots {
                        slots.note_done(done - self.from);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers after a while, except that one request holds all up.
    struct Slow {
        latency: Duration,
        held_up: Option<(Instant, Instant)>,
    }

    impl Client for Slow {
        fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
            let now = tokio::time::Instant::now();
            let done = match self.held_up {
                Some((from, to)) if (from..to).contains(&now.into_std()) => to.into(),
                _ => now,
            } + self.latency;
            async move {
                tokio::time::sleep_until(done).await;
                Ok(Done::moving(1))
            }
        }
    }

    const TIMING: Timing =
        Timing { warm_up: Duration::from_millis(50), length: Duration::from_millis(400), slot: None };

    fn clients(count: usize, latency_ms: u64) -> Vec<Slow> {
        (0..count).map(|_| Slow { latency: Duration::from_millis(latency_ms), held_up: None }).collect()
    }

    #[tokio::test]
    async fn more_under_way_is_more_done_and_no_more_than_that() {
        let one = drive(clients(1, 20), Pace::UnderWay(1), TIMING, |_| {}).await;
        let many = drive(clients(2, 20), Pace::UnderWay(10), TIMING, |_| {}).await;
        // One at a time takes at least 20 ms each, however slow this machine is.
        assert!((1..=20).contains(&one.done), "{}", one.done);
        assert!(many.done > 2 * one.done && many.done <= 400, "{} and {}", one.done, many.done);
        assert!(one.quantile(0.5) >= Duration::from_millis(20));
        assert_eq!((one.failed, many.bytes), (0, many.done));
    }

    #[tokio::test]
    async fn a_pause_is_seen_by_all_that_were_due_in_it() {
        let now = Instant::now();
        let held_up = Some((now + Duration::from_millis(150), now + Duration::from_millis(350)));
        let slow = vec![Slow { latency: Duration::from_millis(1), held_up }];
        let open = drive(slow, Pace::PerSecond(1_000.0), TIMING, |_| {}).await;
        assert!(open.quantile(0.9) >= Duration::from_millis(100), "{:?}", open.quantile(0.9));
    }

    #[tokio::test]
    async fn failures_are_counted_and_the_first_is_told() {
        struct Broken;
        impl Client for Broken {
            fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
                let wait = tokio::time::sleep(Duration::from_millis(5));
                async move {
                    wait.await;
                    Err("no".into())
                }
            }
        }
        let sample = drive(vec![Broken], Pace::UnderWay(1), TIMING, |_| {}).await;
        assert!(sample.failed > 0 && sample.done == 0);
        assert_eq!(sample.why_failed.as_deref(), Some("no"));
    }
}
