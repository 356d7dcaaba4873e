//! Ticks at the times at which requests are due. They come from a separate thread, because the runtime's timers only
//! have a resolution of a millisecond.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// Ticks that may wait to be taken. When the queue is full the thread waits and delivers later ticks late, with their
/// original times.
const AHEAD: usize = 65_536;

pub(super) struct Metronome {
    due: mpsc::Receiver<Instant>,
}

impl Metronome {
    /// Ticks at `first`, then at this interval up to `end`.
    pub fn start(first: Instant, every: Duration, end: Instant) -> Metronome {
        let (tell, due) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            let mut next = first;
            while next < end {
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                if tell.blocking_send(next).is_err() {
                    return;
                }
                next += every;
            }
        });
        Metronome { due }
    }

    /// The next tick, when it has come. `None` after the last one.
    pub async fn next(&mut self) -> Option<Instant> {
        self.due.recv().await
    }
}
