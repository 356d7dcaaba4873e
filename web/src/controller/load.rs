//! Runs the load generator: publishes at the rate of its [`Pacer`] and collects the results.

use std::time::Duration;

use cubecast_core::client::{ClientError, Reply, Submission, Target};
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::ErrorCode;
use cubecast_core::wire::client;

use super::{Controller, TASK_WITHIN, Waiting};
use crate::model::Action;
use crate::model::load::{LoadPlan, LoadSample, Pacer};

/// Interval at which it checks for due messages.
const TICK: Duration = Duration::from_millis(20);

/// A running load.
pub struct RunningLoad {
    /// The current plan.
    pub plan: LoadPlan,
    /// When the next tick is due.
    pub next_tick: Instant,
    pacer: Pacer,
    /// The number of the next message.
    next: u64,
    /// Whether the publisher is registered; nothing is sent before.
    is_ready: bool,
    gathered: LoadSample,
}

impl RunningLoad {
    /// A load that starts ticking 20 ms after `now`. It sends nothing before [`RunningLoad::begin`].
    pub fn new(plan: LoadPlan, now: Instant) -> RunningLoad {
        let pacer = Pacer::new(plan.rate, millis(now));
        let next_tick = now + TICK;
        RunningLoad { plan, next_tick, pacer, next: 0, is_ready: false, gathered: LoadSample::default() }
    }

    /// Continues with another plan; the message numbers go on.
    pub fn go_on(&mut self, plan: LoadPlan) {
        self.pacer.set_rate(plan.rate);
        self.plan = plan;
    }

    /// Starts publishing: the publisher is registered.
    pub fn begin(&mut self) {
        self.is_ready = true;
    }

    /// The publishes that are due now.
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

    /// Records the result of one publish and its latency in milliseconds.
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

    /// The results since the last call; `None` if there are none.
    pub fn take_news(&mut self) -> Option<LoadSample> {
        let under_way = self.pacer.under_way();
        let is_empty =
            self.gathered.sent == 0 && self.gathered.took_ms.is_empty() && self.gathered.failed_after_ms.is_empty();
        let sample = std::mem::take(&mut self.gathered);
        (!is_empty).then_some(LoadSample { under_way, ..sample })
    }
}

impl Controller {
    pub(super) fn set_load(&mut self, plan: Option<LoadPlan>) {
        let Some(plan) = plan else {
            self.load = None;
            return self.tell(Action::LoadStopped { why: None });
        };
        self.tell(Action::LoadStarted(plan.clone()));
        if let Some(load) = &mut self.load {
            return load.go_on(plan);
        }
        let action = client::Action::Write(client::Write::CreatePublisher { publisher: plan.publisher.clone() });
        self.load = Some(RunningLoad::new(plan, self.now.monotonic));
        let ticket = self.wait(Waiting::LoadPublisher);
        self.submit(Submission { ticket, action, to: Target::Home, within: TASK_WITHIN, trace: false });
    }

    pub(super) fn tick_load(&mut self) {
        let began = self.now.monotonic;
        let Some(load) = &mut self.load else { return };
        let (actions, news) = (load.tick(began), load.take_news());
        for action in actions {
            let ticket = self.wait(Waiting::Load { began });
            self.submit(Submission { ticket, action, to: Target::Home, within: TASK_WITHIN, trace: false });
        }
        if let Some(sample) = news {
            self.tell(Action::LoadMeasured(sample));
        }
    }

    pub(super) fn begin_load(&mut self, result: Result<Reply, ClientError>) {
        match (result, &mut self.load) {
            (Ok(_), Some(load)) => load.begin(),
            (Err(error), Some(_)) => self.stop_load(error.to_string()),
            (_, None) => {}
        }
    }

    /// Records the result of one message. Stops the load if its topic or publisher no longer exists.
    pub(super) fn end_load_message(&mut self, took_ms: f64, result: Result<Reply, ClientError>) {
        let Some(load) = &mut self.load else { return };
        load.note_done(took_ms, result.as_ref().err().map(ToString::to_string));
        if let Err(ClientError::Refused { failure, .. }) = &result
            && matches!(failure.code, ErrorCode::UnknownTopic | ErrorCode::UnknownPublisher)
        {
            self.stop_load(failure.message.clone());
        }
    }

    pub(super) fn stop_load(&mut self, why: String) {
        if let Some(sample) = self.load.take().and_then(|mut load| load.take_news()) {
            self.tell(Action::LoadMeasured(sample));
        }
        self.tell(Action::LoadStopped { why: Some(why) });
    }
}

fn millis(at: Instant) -> f64 {
    at.0 as f64 / 1_000.0
}
