//! The load generator at work: sends as its [`Pacer`] says, and gathers what came of it.

use std::time::Duration;

use cubecast_core::time::Instant;
use cubecast_core::wire::client;

use crate::model::load::{LoadPlan, LoadSample, Pacer};

/// How often it looks whether something is due.
const TICK: Duration = Duration::from_millis(20);

/// A load that runs.
pub struct RunningLoad {
    pub plan: LoadPlan,
    /// When it looks again.
    pub next_tick: Instant,
    pacer: Pacer,
    /// The number of the next message.
    next: u64,
    /// Whether the publisher is known to be registered; before that nothing is sent.
    is_ready: bool,
    gathered: LoadSample,
}

impl RunningLoad {
    pub fn new(plan: LoadPlan, now: Instant) -> RunningLoad {
        let pacer = Pacer::new(plan.rate, millis(now));
        let next_tick = now + TICK;
        RunningLoad { plan, next_tick, pacer, next: 0, is_ready: false, gathered: LoadSample::default() }
    }

    pub fn go_on(&mut self, plan: LoadPlan) {
        self.pacer.set_rate(plan.rate);
        self.plan = plan;
    }

    pub fn begin(&mut self) {
        self.is_ready = true;
    }

    /// What to publish now.
    pub fn tick(&mut self, now: Instant) -> Vec<client::Action> {
        self.next_tick = now + TICK;
        if !self.is_ready {
            return Vec::new();
        }
        let due = self.pacer.due(millis(now));
        self.gathered.sent += due;
        let numbers = self.next..self.next + u64::from(due);
        self.next = numbers.end;
        numbers.map(|number| self.plan.publish(number)).collect()
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

fn millis(at: Instant) -> f64 {
    at.0 as f64 / 1_000.0
}
