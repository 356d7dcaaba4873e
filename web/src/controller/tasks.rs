//! Runs the user's tasks step by step. Each step is sent after the previous one succeeded, or after a set delay.

use std::collections::VecDeque;
use std::time::Duration;

use cubecast_core::client::{ClientError, Reply, Submission, Target};
use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Done, ErrorCode};
use cubecast_core::wire::client;

use super::{Controller, TASK_WITHIN, Waiting, refusal};
use crate::model::task::{Panel, Step, Task};
use crate::model::{Action, describe};

/// A patient step is retried at this interval while its node recovers.
const RETRY: Duration = Duration::from_millis(250);
/// A live page draws an answer within this time. Until then the user has not seen it, so an identical task counts as
/// the same button press.
const UNREAD: Duration = Duration::from_millis(100);

/// A task with its remaining steps. The first step is in flight, or waits for its time.
#[derive(Debug)]
pub struct Progress {
    task: u64,
    asked: Task,
    steps: VecDeque<Step>,
    /// When the first step was first sent.
    began: Instant,
}

/// A task whose next step is scheduled.
#[derive(Debug)]
pub struct Later {
    /// When the next step is due.
    pub at: Instant,
    progress: Progress,
}

/// A task that ended so recently that its answer may not be drawn yet.
#[derive(Debug)]
pub struct Ended {
    at: Instant,
    asked: Task,
}

impl Controller {
    /// Starts a task, unless an identical one is in flight or ended within [`UNREAD`].
    pub(super) fn run_task(&mut self, asked: Task) {
        if asked.panel != Panel::Backstage && self.is_under_way(&asked) {
            return;
        }
        let task = self.next_ticket;
        self.next_ticket += 1;
        self.tell(Action::TaskStarted { panel: asked.panel, task, goal: asked.goal().cloned() });
        let is_needed = |step: &&Step| !(step.once && self.is_done(&step.action));
        let steps = asked.steps.iter().filter(is_needed).cloned().collect();
        self.next_step(Progress { task, asked, steps, began: self.now.monotonic });
    }

    fn is_under_way(&self, asked: &Task) -> bool {
        let in_flight = self.waiting.values().filter_map(|waiting| match waiting {
            Waiting::Task(progress) | Waiting::Owner { progress, .. } => Some(&progress.asked),
            Waiting::Poll(_) | Waiting::LoadPublisher | Waiting::Load { .. } => None,
        });
        let later = self.later.iter().map(|later| &later.progress.asked);
        let unread = self.unread.iter().map(|ended| &ended.asked);
        in_flight.chain(later).chain(unread).any(|known| known == asked)
    }

    pub(super) fn go_on_with_tasks(&mut self) {
        let now = self.now.monotonic;
        self.unread.retain(|ended| now < ended.at + UNREAD);
        for later in self.later.extract_if(.., |later| later.at <= now).collect::<Vec<_>>() {
            self.ask(later.progress);
        }
    }

    fn next_step(&mut self, mut progress: Progress) {
        let now = self.now.monotonic;
        let Some(step) = progress.steps.front() else {
            let (panel, task) = (progress.asked.panel, progress.task);
            self.end_task(progress);
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
        let (panel, task) = (progress.asked.panel, progress.task);
        match self.way(&action, to) {
            Ok(to) => {
                self.tell(Action::TaskAsked { panel, task, action: action.clone() });
                let ticket = self.wait(Waiting::Task(progress));
                self.submit(Submission { ticket, action, to, within: TASK_WITHIN, trace: false });
            }
            Err(text) => self.leave_out(progress, text),
        }
    }

    /// Skips a step that cannot be sent: reports why and goes on with the next step.
    fn leave_out(&mut self, mut progress: Progress, text: String) {
        let (panel, task) = (progress.asked.panel, progress.task);
        progress.steps.pop_front();
        if progress.steps.is_empty() {
            self.end_task(progress);
            return self.tell(Action::TaskGaveUp { panel, task, text });
        }
        self.tell(Action::TaskFellOver { panel, task, text });
        self.next_step(progress);
    }

    /// The target of a request that is meant for one node: the node itself, or any node (which forwards the request) if
    /// this page has no connection to it. Errors: the text for the user when the request must reach the node directly,
    /// because nodes do not forward it or a failing node would not receive it.
    fn way(&self, action: &client::Action, to: Target) -> Result<Target, String> {
        let Some(node) = (match to {
            Target::Node(node) => Some(node).filter(|node| self.lost.contains(node)),
            Target::Home | Target::Any => None,
        }) else {
            return Ok(to);
        };
        match action {
            client::Action::Admin(
                client::Admin::StopNode { .. }
                | client::Admin::SetLink { .. }
                | client::Admin::Status { node: Some(_) },
            ) => Ok(Target::Any),
            _ => Err(format!(
                "Not sent: `{}` must be sent to {node} itself, and this page has no connection to it.",
                action.name()
            )),
        }
    }

    pub(super) fn end_step(&mut self, mut progress: Progress, result: Result<Reply, ClientError>) {
        let (panel, task) = (progress.asked.panel, progress.task);
        if let Some(fall) = result.as_ref().ok().and_then(|reply| reply.fell_over.as_ref()) {
            let text = format!("{} is unavailable ({}); sent to {}.", fall.from, fall.why, fall.to);
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
                if let Some(step) = progress.steps.pop_front() {
                    self.note_done(step);
                }
                self.next_step(progress);
            }
            Err(error) if progress.creates().is_some() && error.code() == Some(ErrorCode::TopicExists) => {
                self.ask_owner(progress, error);
            }
            Err(error) => self.end_task_badly(progress, &error, took.as_secs_f64() * 1_000.0),
        }
    }

    /// The topic exists already. This is a success if it belongs to the same publisher.
    fn ask_owner(&mut self, progress: Progress, refused: ClientError) {
        let ticket = self.wait(Waiting::Owner { progress, refused });
        let (action, to) = (client::Action::Query(client::Query::Topics), Target::Any);
        self.submit(Submission { ticket, action, to, within: TASK_WITHIN, trace: false });
    }

    pub(super) fn end_owner(&mut self, progress: Progress, refused: ClientError, result: Result<Reply, ClientError>) {
        let is_ours = |publisher: &PublisherId, topic: &TopicName| {
            let Ok(Reply { answer, .. }) = &result else { return false };
            let Ok(Done::Topics { topics, .. }) = &answer.result else { return false };
            topics.iter().any(|summary| summary.topic == *topic && summary.owner == *publisher)
        };
        let text = progress
            .creates()
            .filter(|(publisher, topic)| is_ours(publisher, topic))
            .map(|(publisher, topic)| format!("{topic} already exists: {publisher} created it."));
        let took = self.now.monotonic.since(progress.began);
        match text {
            Some(text) => {
                self.tell(Action::TaskSettled { panel: progress.asked.panel, task: progress.task, text });
                self.end_task(progress);
            }
            None => self.end_task_badly(progress, &refused, took.as_secs_f64() * 1_000.0),
        }
    }

    /// Whether this page has seen the action succeed. Push and pull subscriptions count as the same subscription.
    fn is_done(&self, action: &client::Action) -> bool {
        self.done_once.iter().any(|done| done == action || is_same_subscription(done, action))
    }

    fn note_done(&mut self, step: Step) {
        match &step.action {
            client::Action::Write(client::Write::Unsubscribe { .. }) => {
                self.done_once.retain(|done| !is_same_subscription(done, &step.action))
            }
            _ if self.is_done(&step.action) => {}
            client::Action::Write(client::Write::Subscribe { .. }) => self.done_once.push(step.action),
            _ if step.once => self.done_once.push(step.action),
            _ => {}
        }
    }

    /// A simulation is drawn at the instant that it shows, so its answers are never unread.
    fn end_task(&mut self, progress: Progress) {
        if self.polling.is_some() {
            self.unread.push(Ended { at: self.now.monotonic, asked: progress.asked });
        }
    }

    fn end_task_badly(&mut self, progress: Progress, error: &ClientError, took_ms: f64) {
        let (panel, task) = (progress.asked.panel, progress.task);
        // The cluster may have lost its state, so the next task repeats all registrations.
        self.done_once.clear();
        match refusal(error) {
            Some(answer) => {
                self.tell(Action::TaskAnswered { panel, task, answer, took_ms });
                self.tell(Action::TaskEnded { panel, task });
            }
            None => {
                let text = describe::no_answer(progress.asked.goal(), error);
                self.tell(Action::TaskGaveUp { panel, task, text });
            }
        }
        self.end_task(progress);
    }
}

impl Progress {
    /// The topic that the current step creates, and its publisher.
    fn creates(&self) -> Option<(&PublisherId, &TopicName)> {
        match &self.steps.front()?.action {
            client::Action::Write(client::Write::CreateTopic { publisher, topic }) => Some((publisher, topic)),
            _ => None,
        }
    }
}

fn is_same_subscription(one: &client::Action, other: &client::Action) -> bool {
    let of = |action: &client::Action| match action {
        client::Action::Write(
            client::Write::Subscribe { subscriber, topic, .. } | client::Write::Unsubscribe { subscriber, topic },
        ) => Some((subscriber.clone(), topic.clone())),
        _ => None,
    };
    of(one).is_some() && of(one) == of(other)
}

/// Whether the node is recovering and the step waits for it.
fn waits_for(progress: &Progress, error: &ClientError) -> bool {
    let is_failing = matches!(error, ClientError::Refused { failure, .. } if failure.code == ErrorCode::NodeFailed);
    is_failing && progress.steps.front().is_some_and(|step| step.patient)
}
