//! Progress on standard error: one changing line on a terminal, occasional plain lines otherwise.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use cubecast_node::output::time_span;

use super::record::Recorder;

const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Shows the progress of a run.
#[derive(Debug)]
pub struct Screen {
    is_terminal: bool,
    began: Instant,
    length: Duration,
    /// Whether the terminal's last line shows progress.
    is_drawn: bool,
}

impl Screen {
    /// A screen for a run of this length.
    pub fn new(length: Duration) -> Screen {
        Screen { is_terminal: std::io::stderr().is_terminal(), began: Instant::now(), length, is_drawn: false }
    }

    /// The interval between progress reports.
    pub fn every(&self) -> Duration {
        if self.is_terminal { ON_TERMINAL } else { ELSEWHERE }
    }

    /// Starts the clock of the run.
    pub fn begin(&mut self) {
        self.began = Instant::now();
    }

    /// Shows progress.
    pub fn progress(&mut self, recorder: &Recorder, faults: u64) {
        let (acknowledged, gap) = recorder.availability();
        let (elapsed, length) = (self.began.elapsed(), self.length);
        let text = format!(
            "{} of {}: {} operations, {acknowledged} acknowledged publishes, {faults} faults, longest unavailability \
             {}",
            time_span(elapsed.min(length).as_millis() as u64),
            time_span(length.as_millis() as u64),
            recorder.operations(),
            time_span(gap.length.as_millis() as u64),
        );
        if self.is_terminal {
            self.print(&format!("\r\x1b[2K{text}"));
            self.is_drawn = true;
        } else {
            self.print(&format!("cubecast-lab: {text}\n"));
        }
    }

    /// Prints a permanent line.
    pub fn say(&mut self, text: &str) {
        let clear = if std::mem::take(&mut self.is_drawn) { "\r\x1b[2K" } else { "" };
        self.print(&format!("{clear}cubecast-lab: {text}\n"));
    }

    fn print(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        // If standard error is closed, the error can be reported nowhere.
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }
}
