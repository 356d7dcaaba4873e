//! What the person asked for, step by step: each is asked when the one before it is done, or a while later.

use std::collections::VecDeque;
use std::time::Duration;

use cubecast_core::client::{ClientError, Reply, Submission};
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::ErrorCode;

use super::{Desk, TASK_WITHIN, Waiting, refusal};
use crate::model::Action;
use crate::model::task::{Panel, Step, Task};

/// A step that waits for its node is asked again after this.
const RETRY: Duration = Duration::from_millis(250);

/// A task with the steps that are left: the first is under way, or its time has not come.
#[derive(Debug)]
pub struct Progress {
    panel: Panel,
    task: u64,
    steps: VecDeque<Step>,
    /// When the first step was asked first.
    began: Instant,
}

/// A task whose next step has a time.
#[derive(Debug)]
pub struct Later {
    pub at: Instant,
    progress: Progress,
}

impl Desk {
    pub(super) fn run_task(&mut self, Task { panel, steps }: Task) {
        let task = self.next_ticket;
        self.next_ticket += 1;
        self.tell(Action::TaskStarted { panel, task });
        let steps = steps.into_iter().filter(|step| !(step.once && self.done_once.contains(&step.action))).collect();
        self.next_step(Progress { panel, task, steps, began: self.now.monotonic });
    }

    pub(super) fn go_on_with_tasks(&mut self) {
        let now = self.now.monotonic;
        for later in self.later.extract_if(.., |later| later.at <= now).collect::<Vec<_>>() {
            self.ask(later.progress);
        }
    }

    fn next_step(&mut self, mut progress: Progress) {
        let (panel, task, now) = (progress.panel, progress.task, self.now.monotonic);
        let Some(step) = progress.steps.front() else {
            return self.tell(Action::TaskEnded { panel, task });
        };
        progress.began = now + Duration::from_millis(step.after_ms);
        match step.after_ms {
            0 => self.ask(progress),
            _ => self.later.push(Later { at: progress.began, progress }),
        }
    }

    fn ask(&mut self, progress: Progress) {
        let Some(Step { action, to, .. }) = progress.steps.front().cloned() else { return };
        let ticket = self.wait(Waiting::Task(progress));
        self.submit(Submission { ticket, action, to, within: TASK_WITHIN, trace: false });
    }

    pub(super) fn end_step(&mut self, mut progress: Progress, result: Result<Reply, ClientError>) {
        let (panel, task) = (progress.panel, progress.task);
        if let Some(fall) = result.as_ref().ok().and_then(|reply| reply.fell_over.as_ref()) {
            let text = format!("{} is away ({}), so {} was asked.", fall.from, fall.why, fall.to);
            self.tell(Action::TaskFellOver { panel, task, text });
        }
        let took = self.now.monotonic.since(progress.began);
        match result {
            Err(error) if waits_for(&progress, &error) && took < TASK_WITHIN => {
                self.later.push(Later { at: self.now.monotonic + RETRY, progress });
            }
            Ok(reply) => {
                let took_ms = took.as_secs_f64() * 1_000.0;
                self.tell(Action::TaskAnswered { panel, task, answer: reply.answer, took_ms });
                self.done_once.extend(progress.steps.pop_front().filter(|step| step.once).map(|step| step.action));
                self.next_step(progress);
            }
            Err(error) => self.end_task_badly(panel, task, &error, took.as_secs_f64() * 1_000.0),
        }
    }

    fn end_task_badly(&mut self, panel: Panel, task: u64, error: &ClientError, took_ms: f64) {
        // The cluster may have lost what it knew: next time everything is registered anew.
        self.done_once.clear();
        match refusal(error) {
            Some(answer) => {
                self.tell(Action::TaskAnswered { panel, task, answer, took_ms });
                self.tell(Action::TaskEnded { panel, task });
            }
            None => self.tell(Action::TaskGaveUp { panel, task, text: format!("{error}.") }),
        }
    }
}

/// Whether the node is on its way back, and the step can wait for it.
fn waits_for(progress: &Progress, error: &ClientError) -> bool {
    let is_failing = matches!(error, ClientError::Refused { failure, .. } if failure.code == ErrorCode::NodeFailed);
    is_failing && progress.steps.front().is_some_and(|step| step.patient)
}
