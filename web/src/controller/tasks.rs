//! Runs the user's tasks step by step. Each step is sent after the previous one succeeded, or after a set delay.

use std::collections::VecDeque;
use std::time::Duration;

use cubecast_core::client::{ClientError, Reply, Submission, Target};
use cubecast_core::identity::HostId;
use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::time::Instant;
use cubecast_core::wire::answer::{Answer, Done, ErrorCode};
use cubecast_core::wire::client;

use super::{Controller, TASK_WITHIN, Waiting, refusal};
use crate::model::Action;
use crate::model::report::{Remark, TaskChange};
use crate::model::seek::{NotFound, Position, Progress, Seek};
use crate::model::task::{Panel, Task, TaskStep};
use crate::model::tasks;

/// A patient step is retried at this interval while its node recovers.
const RETRY: Duration = Duration::from_millis(250);
/// A live page draws an answer within this time. Until then the user has not seen it, so an identical task counts as
/// the same button press.
const UNREAD: Duration = Duration::from_millis(100);

/// A task with its remaining steps. The first step is in flight, or waits for its time.
#[derive(Debug)]
pub struct RunningTask {
    number: u64,
    asked: Task,
    steps: VecDeque<TaskStep>,
    /// When the first step was first sent.
    began: Instant,
    /// The search whose reads follow the steps.
    search: Option<Search>,
}

/// A search for stored messages.
#[derive(Clone, PartialEq, Debug)]
struct Search {
    topic: TopicName,
    seek: Seek,
}

/// A task whose next step is scheduled.
#[derive(Debug)]
pub struct Later {
    /// When the next step is due.
    pub at: Instant,
    task: RunningTask,
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
        if asked.panel == Panel::Backstage || !self.is_under_way(&asked) {
            self.begin_task(asked, None);
        }
    }

    /// Starts a search. Pressed twice, it runs twice; the page shows the result of the later one.
    pub(super) fn seek(&mut self, topic: TopicName, position: Position, max: u32) {
        let seek = Seek::new(position, max);
        self.begin_task(tasks::read_stored(&topic, seek.next()), Some(Search { topic, seek }));
    }

    fn begin_task(&mut self, asked: Task, search: Option<Search>) {
        let number = self.next_ticket;
        self.next_ticket += 1;
        let is_needed = |step: &&TaskStep| !(step.once && self.is_done(&step.action));
        let steps = asked.steps.iter().filter(is_needed).cloned().collect();
        let task = RunningTask { number, asked, steps, began: self.now.monotonic, search };
        self.tell(task.change(TaskChange::Started { goal: task.asked.goal().cloned() }));
        self.next_step(task);
    }

    fn is_under_way(&self, asked: &Task) -> bool {
        let in_flight = self.waiting.values().filter_map(|waiting| match waiting {
            Waiting::Task(task) | Waiting::Owner { task, .. } => Some(&task.asked),
            Waiting::Poll(_) | Waiting::LoadPublisher | Waiting::Load { .. } => None,
        });
        let later = self.later.iter().map(|later| &later.task.asked);
        let unread = self.unread.iter().map(|ended| &ended.asked);
        in_flight.chain(later).chain(unread).any(|known| known == asked)
    }

    pub(super) fn go_on_with_tasks(&mut self) {
        let now = self.now.monotonic;
        self.unread.retain(|ended| now < ended.at + UNREAD);
        for later in self.later.extract_if(.., |later| later.at <= now).collect::<Vec<_>>() {
            self.ask(later.task);
        }
    }

    fn next_step(&mut self, mut task: RunningTask) {
        let now = self.now.monotonic;
        let Some(step) = task.steps.front() else {
            self.tell(task.change(TaskChange::Ended));
            return self.end_task(task);
        };
        task.began = now + Duration::from_millis(step.after_ms);
        match step.after_ms {
            0 => self.ask(task),
            _ => self.later.push(Later { at: task.began, task }),
        }
    }

    fn ask(&mut self, task: RunningTask) {
        let Some(TaskStep { action, to, .. }) = task.steps.front().cloned() else { return };
        match self.way(&action, to) {
            Ok(to) => {
                self.tell(task.change(TaskChange::Asked(action.clone())));
                let ticket = self.wait(Waiting::Task(task));
                self.submit(Submission { ticket, action, to, within: TASK_WITHIN, trace: false });
            }
            Err(node) => self.leave_out(task, action.name(), node),
        }
    }

    /// Skips a step that must reach this node: reports why and goes on with the next step.
    fn leave_out(&mut self, mut task: RunningTask, action: &'static str, node: HostId) {
        task.steps.pop_front();
        if task.steps.is_empty() {
            self.tell(task.change(TaskChange::GaveUp(Remark::NotConnected { action, node })));
            return self.end_task(task);
        }
        self.tell(task.change(TaskChange::LeftOut { action, node }));
        self.next_step(task);
    }

    /// The target of a request that is meant for one node: the node itself, or any node (which forwards the request) if
    /// this page has no connection to it. Errors: the node, if the request must reach it directly, because nodes do not
    /// forward it or a failing node would not receive it.
    fn way(&self, action: &client::Action, to: Target) -> Result<Target, HostId> {
        let Some(node) = (match to {
            Target::Node(node) => Some(node).filter(|node| self.lost.contains(node)),
            Target::Home | Target::Any => None,
        }) else {
            return Ok(to);
        };
        match action {
            client::Action::Admin(client::Admin::StopNode { .. })
            | client::Action::Admin(client::Admin::SetLink { .. })
            | client::Action::Admin(client::Admin::Status { node: Some(_) }) => Ok(Target::Any),
            _ => Err(node),
        }
    }

    pub(super) fn end_step(&mut self, mut task: RunningTask, result: Result<Reply, ClientError>) {
        if let Some(fall) = result.as_ref().ok().and_then(|reply| reply.fell_over.as_ref()) {
            self.tell(task.change(TaskChange::FellOver(fall.clone())));
        }
        let took = self.now.monotonic.since(task.began);
        match result {
            Err(error) if waits_for(&task, &error) && took < TASK_WITHIN => {
                self.later.push(Later { at: self.now.monotonic + RETRY, task });
            }
            Ok(reply) => {
                let took_ms = took.as_secs_f64() * 1_000.0;
                match task.go_on_searching(&reply.answer) {
                    Some(Progress::GoOn) => {}
                    Some(Progress::Failed(why)) => return self.end_search(task, why),
                    // The user does not need the answers to the preparations of a search.
                    None if task.search.is_some() => {}
                    Some(Progress::Done) | None => {
                        if let Some(found) = task.found(&reply.answer) {
                            self.tell(task.change(TaskChange::Found(found)));
                        }
                        self.tell(task.change(TaskChange::Answered { answer: reply.answer, took_ms }));
                    }
                }
                if let Some(step) = task.steps.pop_front() {
                    self.note_done(step);
                }
                self.next_step(task);
            }
            Err(error) if task.creates().is_some() && error.code() == Some(ErrorCode::TopicExists) => {
                self.ask_owner(task, error);
            }
            Err(error) => self.end_task_badly(task, &error, took.as_secs_f64() * 1_000.0),
        }
    }

    fn end_search(&mut self, task: RunningTask, why: NotFound) {
        if let Some(Search { topic, .. }) = &task.search {
            let remark = Remark::NotFound { topic: topic.clone(), why };
            self.tell(task.change(TaskChange::GaveUp(remark)));
        }
        self.end_task(task);
    }

    /// The topic exists already. This is a success if it belongs to the same publisher.
    fn ask_owner(&mut self, task: RunningTask, refused: ClientError) {
        let ticket = self.wait(Waiting::Owner { task, refused });
        let (action, to) = (client::Action::Query(client::Query::Topics), Target::Any);
        self.submit(Submission { ticket, action, to, within: TASK_WITHIN, trace: false });
    }

    pub(super) fn end_owner(&mut self, task: RunningTask, refused: ClientError, result: Result<Reply, ClientError>) {
        let is_ours = |publisher: &PublisherId, topic: &TopicName| {
            let Ok(Reply { answer, .. }) = &result else { return false };
            let Ok(Done::Topics { topics, .. }) = &answer.result else { return false };
            topics.iter().any(|summary| summary.topic == *topic && summary.owner == *publisher)
        };
        let existed = task
            .creates()
            .filter(|(publisher, topic)| is_ours(publisher, topic))
            .map(|(publisher, topic)| TaskChange::TopicExisted { topic: topic.clone(), publisher: publisher.clone() });
        let took = self.now.monotonic.since(task.began);
        match existed {
            Some(existed) => {
                self.tell(task.change(existed));
                self.end_task(task);
            }
            None => self.end_task_badly(task, &refused, took.as_secs_f64() * 1_000.0),
        }
    }

    /// Whether this page has seen the action succeed. Push and pull subscriptions count as the same subscription.
    fn is_done(&self, action: &client::Action) -> bool {
        self.done_once.iter().any(|done| done == action || is_same_subscription(done, action))
    }

    fn note_done(&mut self, step: TaskStep) {
        match &step.action {
            client::Action::Write(client::Write::Unsubscribe { .. }) => {
                self.done_once.retain(|done| !is_same_subscription(done, &step.action))
            }
            client::Action::Write(client::Write::DeleteTopic { topic, .. }) => self.forget_done(topic),
            _ if self.is_done(&step.action) => {}
            client::Action::Write(client::Write::Subscribe { .. }) => self.done_once.push(step.action),
            _ if step.once => self.done_once.push(step.action),
            _ => {}
        }
    }

    /// The subscriptions to a deleted topic are gone.
    pub(super) fn forget_done(&mut self, topic: &TopicName) {
        self.done_once.retain(|done| done.subject() != Some(topic.as_str()));
    }

    /// A simulation is drawn at the instant that it shows, so its answers are never unread.
    fn end_task(&mut self, task: RunningTask) {
        if self.polling.is_some() {
            self.unread.push(Ended { at: self.now.monotonic, asked: task.asked });
        }
    }

    fn end_task_badly(&mut self, task: RunningTask, error: &ClientError, took_ms: f64) {
        // The cluster may have lost its state, so the next task repeats all registrations.
        self.done_once.clear();
        match refusal(error) {
            Some(answer) => {
                self.tell(task.change(TaskChange::Answered { answer, took_ms }));
                self.tell(task.change(TaskChange::Ended));
            }
            None => {
                let goal = task.asked.goal().cloned();
                self.tell(task.change(TaskChange::GaveUp(Remark::Unanswered { goal, error: error.clone() })));
            }
        }
        self.end_task(task);
    }
}

impl RunningTask {
    /// The action that tells the page of this task's progress.
    fn change(&self, change: TaskChange) -> Action {
        Action::Task { panel: self.asked.panel, task: self.number, change }
    }

    /// Takes the messages of a read to the search, and appends the next read. `None`: the answer is not for a search.
    fn go_on_searching(&mut self, answer: &Answer) -> Option<Progress> {
        let (Search { topic, seek }, Ok(Done::Pulled { messages, end, .. })) = (self.search.as_mut()?, &answer.result)
        else {
            return None;
        };
        let progress = seek.learn(messages, *end);
        if progress == Progress::GoOn {
            self.steps.push_back(tasks::read_from(topic, seek.next()));
        }
        Some(progress)
    }

    /// The message that the search found by its time. The last of its reads returned the messages from there on.
    fn found(&self, answer: &Answer) -> Option<Remark> {
        let Search { topic, seek } = self.search.as_ref()?;
        let (Position::Time(time), Ok(Done::Pulled { messages, .. })) = (seek.position, &answer.result) else {
            return None;
        };
        let (topic, offset, reads) = (topic.clone(), messages.first()?.offset, seek.reads.saturating_sub(1));
        Some(Remark::FoundAt { topic, offset, time, reads })
    }

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
        client::Action::Write(client::Write::Subscribe { subscriber, topic, .. })
        | client::Action::Write(client::Write::Unsubscribe { subscriber, topic }) => {
            Some((subscriber.clone(), topic.clone()))
        }
        _ => None,
    };
    of(one).is_some() && of(one) == of(other)
}

/// Whether the node is recovering and the step waits for it.
fn waits_for(task: &RunningTask, error: &ClientError) -> bool {
    let is_failing = matches!(error, ClientError::Refused { failure, .. } if failure.code == ErrorCode::NodeFailed);
    is_failing && task.steps.front().is_some_and(|step| step.patient)
}
