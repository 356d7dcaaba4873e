//! Progress, on standard error: one line that changes on a terminal, a plain line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::command::output::time_span;

use super::record::Recorder;

const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Screen {
    is_terminal: bool,
    began: Instant,
    length: Duration,
    /// Something stands on the terminal's last line.
    is_drawn: bool,
}

impl Screen {
    pub fn new(length: Duration) -> Screen {
        Screen { is_terminal: std::io::stderr().is_terminal(), began: Instant::now(), length, is_drawn: false }
    }

    /// How often to show progress.
    pub fn every(&self) -> Duration {
        if self.is_terminal { ON_TERMINAL } else { ELSEWHERE }
    }

    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    pub fn progress(&mut self, recorder: &Recorder, faults: u64) {
        let (acknowledged, gap) = recorder.availability();
        let (elapsed, length) = (self.began.elapsed(), self.length);
        let text = format!(
            "{} of {}: {} operations, {acknowledged} acknowledged publishes, {faults} faults, longest unavailable {}",
            time_span(elapsed.min(length).as_millis() as u64),
            time_span(length.as_millis() as u64),
            recorder.operations(),
            time_span(gap.length.as_millis() as u64),
        );
        if self.is_terminal {
            self.print(&format!("\r\x1b[2K{text}"));
            self.is_drawn = true;
        } else {
            self.print(&format!("cubecast: {text}\n"));
        }
    }

    /// Something that stays.
    pub fn say(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.is_drawn) { "\r\x1b[2K" } else { "" };
        self.print(&format!("{clear}cubecast: {text}\n"));
    }

    fn print(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        // When standard error is closed there is nobody to tell.
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}
