//! Clients that send requests at a pace for a limited time.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinSet;

use super::metronome::Metronome;
use super::sample::Sample;
use super::slots::Slots;

/// The maximum number of one client's requests in progress in an open loop. When it is reached, further requests are
/// late, and their latency still counts from the time at which they were due.
const MOST_UNDER_WAY: usize = 20_000;
/// The time limit for requests in progress at the end. They are not counted.
const DRAIN: Duration = Duration::from_secs(10);

/// A client under measurement. Each has its own connections.
pub trait Client: Send + 'static {
    /// Begins the next request. The error is the reason for its failure.
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static;
}

/// A successful request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// Payload bytes of the request.
    pub bytes: u64,
    /// The start of its latency, if it is not the time at which the request was due. The latency of a delivery starts
    /// with its publish.
    pub since: Option<Instant>,
}

impl Done {
    /// A request with this many payload bytes.
    pub fn moving(bytes: usize) -> Done {
        Done { bytes: bytes as u64, since: None }
    }
}

/// The pace of requests.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// A closed loop: each client keeps this many requests in progress. With 1, requests are sequential.
    UnderWay(usize),
    /// An open loop: all clients together send this many requests per second, however long the answers take. Latency
    /// counts from the time at which a request was due, so a pause of the server affects every request that it
    /// delays.
    PerSecond(f64),
}

/// The times of a measurement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Timing {
    /// The time before the measurement.
    pub warm_up: Duration,
    /// The measured time.
    pub length: Duration,
    /// If set, the sample has a timeline with slots of this length.
    pub slot: Option<Duration>,
}

impl Timing {
    /// A measurement of this length after a warm-up of a quarter of it.
    pub fn measuring(length: Duration) -> Timing {
        Timing { warm_up: length / 4, length, slot: None }
    }

    /// The total time including the warm-up.
    pub fn whole(&self) -> Duration {
        self.warm_up + self.length
    }
}

/// The measured period.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: Instant,
    to: Instant,
    slot: Option<Duration>,
}

/// Sends requests with all clients at this pace and measures them. Calls `measuring(true)` after the warm-up, and
/// `measuring(false)` at the end of the measured time.
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

    /// Counts the latency of a request that was due in the window, and the completion of a request that completed in
    /// the window.
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

    /// Answers after a fixed latency, except that one request delays all others.
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
        // Sequential requests take at least 20 ms each, however slow the machine is.
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
