//! The load generator's clock and hands: sends as [`Pacer`] says, and tells what came of it. Ends in Drop.

use gloo_timers::callback::Interval;

use crate::model::load::{LoadPlan, LoadSample, Pacer};

/// How often it looks whether something is due.
pub const TICK_MS: u32 = 20;

/// A load that runs.
pub struct RunningLoad {
    pub plan: LoadPlan,
    pub pacer: Pacer,
    /// The number of the next message.
    pub next: u64,
    /// Whether the publisher is known to be registered; before that nothing is sent.
    pub is_ready: bool,
    gathered: LoadSample,
    _timer: Interval,
}

impl RunningLoad {
    pub fn new(plan: LoadPlan, now_ms: f64, timer: Interval) -> RunningLoad {
        let pacer = Pacer::new(plan.rate, now_ms);
        RunningLoad { plan, pacer, next: 0, is_ready: false, gathered: LoadSample::default(), _timer: timer }
    }

    pub fn note_sent(&mut self, count: u32) {
        self.gathered.sent += count;
    }

    pub fn note_done(&mut self, took_ms: f64, error: Option<String>) {
        self.pacer.note_done();
        match error {
            None => self.gathered.took_ms.push(took_ms),
            Some(error) => {
                self.gathered.failed_after_ms.push(took_ms);
                self.gathered.last_error = Some(error);
            }
        }
    }

    /// What happened since it was asked last; `None`: nothing.
    pub fn take_news(&mut self) -> Option<LoadSample> {
        let under_way = self.pacer.under_way();
        let is_empty =
            self.gathered.sent == 0 && self.gathered.took_ms.is_empty() && self.gathered.failed_after_ms.is_empty();
        let sample = std::mem::take(&mut self.gathered);
        (!is_empty).then_some(LoadSample { under_way, ..sample })
    }
}

/// Whether nobody looks at the page.
pub fn page_is_hidden() -> bool {
    web_sys::window().and_then(|window| window.document()).is_some_and(|document| document.hidden())
}
