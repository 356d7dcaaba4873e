//! Moments at which requests are due, told from a thread of its own: the runtime's timers know whole milliseconds only.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

/// Moments that were told and not asked for yet; beyond, the thread waits, and tells them late. They are what they were.
const AHEAD: usize = 65_536;

pub(super) struct Metronome {
    due: mpsc::Receiver<Instant>,
}

impl Metronome {
    /// `first`, and then one every so long, up to `end`.
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

    /// The next moment, when it has come; `None` behind the last.
    pub async fn next(&mut self) -> Option<Instant> {
        self.due.recv().await
    }
}
