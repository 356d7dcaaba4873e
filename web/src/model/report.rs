//! The reports of the user's tasks: what became of each request, as data.

use std::collections::BTreeMap;
use std::rc::Rc;

use cubecast_core::client::{ClientError, FellOver};
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, PublisherId, TopicName};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::{Answer, Done, ErrorCode, Message};
use cubecast_core::wire::client::{Action, Admin, Write};

use super::obstacle::Obstacle;
use super::seek::NotFound;
use super::task::{Panel, Task};
use super::tone::Tone;

/// Lines of a report. A task with repeated failovers keeps only the last ones.
const MAX_LINES: usize = 12;
/// The number of a task that was never passed to the controller.
const NEVER_SENT: u64 = u64::MAX;

/// Progress of a task.
#[derive(Clone, Debug)]
pub enum TaskChange {
    /// It started. `goal`: its last request.
    Started { goal: Option<Action> },
    /// One of its requests was sent.
    Asked(Action),
    /// A node other than the home answered the request.
    FellOver(FellOver),
    /// A request was left out, because it must reach this node and this page has no connection to it.
    LeftOut { action: &'static str, node: HostId },
    /// One of its requests was answered.
    Answered { answer: Answer, took_ms: f64 },
    /// The topic existed already and belongs to this publisher.
    TopicExisted { topic: TopicName, publisher: PublisherId },
    /// A search found what it looked for; the messages follow.
    Found(Remark),
    /// No node answered, a search found nothing, or the last request could not be sent.
    GaveUp(Remark),
    /// All its requests were answered, or one was refused.
    Ended,
}

/// The report of each panel's last task.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    pub by_panel: BTreeMap<Panel, Report>,
}

/// The result of a task.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// The number of the task.
    pub task: u64,
    /// The task's last request; a report is shown only beside the subject of this request.
    pub goal: Option<Action>,
    pub running: bool,
    /// When it failed, milliseconds since 1970.
    pub failed_ms: Option<u64>,
    /// The error code, if a node reported one.
    pub failed: Option<ErrorCode>,
    /// At most 12, newest last.
    pub lines: Vec<Line>,
    /// Number of requests that succeeded.
    pub done: u64,
    /// The request in flight; cleared once the user was told that no node can carry it out now.
    pub asked: Option<Action>,
    /// The task that was not sent because no node could carry it out. The user can send it anyway.
    pub held: Option<Task>,
}

/// One line of a report.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    pub tone: Tone,
    pub remark: Remark,
}

/// What a line of a report says.
#[derive(Clone, PartialEq, Debug)]
pub enum Remark {
    /// A node's answer, with the latency at this page and, if known, the time spent inside the cluster.
    Answered { answer: Rc<Answer>, took_ms: f64, in_cluster_us: Option<u64> },
    /// A node other than the home answered.
    FellOver(FellOver),
    /// The action was not sent: it must reach this node, and this page has no connection to it.
    NotConnected { action: &'static str, node: HostId },
    /// The task was not sent, because no node can carry it out now.
    Held(Obstacle),
    /// No node can carry out the request in flight now.
    Obstructed(Obstacle),
    /// The topic existed already and belongs to this publisher.
    TopicExisted { topic: TopicName, publisher: PublisherId },
    /// No node answered the task whose last request is `goal`.
    Unanswered { goal: Option<Action>, error: ClientError },
    /// This many requests of the task succeeded.
    ChangesMade(u64),
    /// The first message at or after this time, found with this many reads.
    FoundAt { topic: TopicName, offset: Offset, time: Timestamp, reads: u32 },
    /// The topic has no such message.
    NotFound { topic: TopicName, why: NotFound },
}

impl Reports {
    /// The panel's report.
    pub fn get(&self, panel: Panel) -> Option<&Report> {
        self.by_panel.get(&panel)
    }

    /// The panel's report, if it is about this node, or about a link between these two.
    pub fn of_nodes(&self, panel: Panel, nodes: &[HostId]) -> Option<&Report> {
        self.get(panel).filter(|report| report.nodes().iter().all(|node| nodes.contains(node)))
    }

    /// Reports that a task was not sent, and why.
    pub fn hold(&mut self, now_ms: u64, task: Task, obstacle: Obstacle) {
        let (panel, goal) = (task.panel, task.goal().cloned());
        let mut report =
            Report { task: NEVER_SENT, goal, failed_ms: Some(now_ms), held: Some(task), ..Report::default() };
        report.say(Tone::Bad, Remark::Held(obstacle));
        self.by_panel.insert(panel, report);
    }

    /// Removes reports that no longer apply.
    pub fn forget(&mut self, is_over: impl Fn(Panel, &Report) -> bool) {
        self.by_panel.retain(|panel, report| !is_over(*panel, report));
    }

    /// Applies a task's progress, unless a newer task replaced its report. `in_cluster_us`: the time that an answered
    /// publish spent in the cluster, if known.
    pub fn change(&mut self, now_ms: u64, panel: Panel, task: u64, change: TaskChange, in_cluster_us: Option<u64>) {
        if let TaskChange::Started { goal } = change {
            self.by_panel.insert(panel, Report { task, goal, running: true, ..Report::default() });
            return;
        }
        let Some(report) = self.by_panel.get_mut(&panel).filter(|report| report.task == task) else { return };
        match change {
            TaskChange::Started { .. } => {}
            TaskChange::Asked(action) => report.asked = Some(action),
            TaskChange::FellOver(fall) => report.say(Tone::Warning, Remark::FellOver(fall)),
            TaskChange::LeftOut { action, node } => {
                report.say(Tone::Warning, Remark::NotConnected { action, node });
            }
            TaskChange::Answered { answer, took_ms } => report.answer(panel, answer, took_ms, in_cluster_us),
            TaskChange::TopicExisted { topic, publisher } => {
                report.say(Tone::Good, Remark::TopicExisted { topic, publisher });
                report.running = false;
            }
            TaskChange::Found(remark) => report.say(Tone::Plain, remark),
            TaskChange::GaveUp(remark) => {
                report.say(Tone::Bad, remark);
                (report.running, report.failed_ms) = (false, Some(now_ms));
            }
            TaskChange::Ended => report.end(panel, now_ms),
        }
    }
}

impl Report {
    /// Appends a line.
    pub fn say(&mut self, tone: Tone, remark: Remark) {
        self.lines.push(Line { tone, remark });
        if self.lines.len() > MAX_LINES {
            self.lines.remove(0);
        }
    }

    /// Whether the task deletes a topic.
    pub fn deletes(&self) -> bool {
        matches!(self.goal, Some(Action::Write(Write::DeleteTopic { .. })))
    }

    /// Whether the task stops this node.
    pub fn stops(&self, stopped: HostId) -> bool {
        matches!(self.goal, Some(Action::Admin(Admin::StopNode { node: Some(node), .. })) if node == stopped)
    }

    /// Whether the task ended and its last line is good.
    pub fn succeeded(&self) -> bool {
        !self.running && self.lines.last().is_some_and(|line| line.tone == Tone::Good)
    }

    /// The answer of the last line.
    pub fn last_answer(&self) -> Option<&Answer> {
        match &self.lines.last()?.remark {
            Remark::Answered { answer, .. } => Some(answer),
            _ => None,
        }
    }

    /// The messages that the task pulled; `None` if its last answer is not that of a pull.
    pub fn pulled(&self) -> Option<&[Message]> {
        match &self.last_answer()?.result {
            Ok(Done::Pulled { messages, .. }) => Some(messages),
            _ => None,
        }
    }

    fn answer(&mut self, panel: Panel, mut answer: Answer, took_ms: f64, in_cluster_us: Option<u64>) {
        self.done += u64::from(answer.result.is_ok());
        self.failed = answer.result.as_ref().err().map(|failure| failure.code);
        // Of several simultaneous faults, only failures get a line each.
        if panel == Panel::Break && answer.result.is_ok() {
            return;
        }
        let tone = match &answer.result {
            Ok(Done::PublisherCreated { .. } | Done::SubscriberCreated { .. }) => Tone::Plain,
            Ok(_) => Tone::Good,
            Err(_) => Tone::Bad,
        };
        // Only the browser of stored messages shows them. A comparison reads too many to keep them.
        if let (true, Ok(Done::Pulled { messages, .. })) = (panel != Panel::Browse, &mut answer.result) {
            messages.clear();
        }
        self.say(tone, Remark::Answered { answer: Rc::new(answer), took_ms, in_cluster_us });
    }

    fn end(&mut self, panel: Panel, now_ms: u64) {
        if panel == Panel::Break && self.lines.is_empty() {
            self.say(Tone::Good, Remark::ChangesMade(self.done));
        }
        self.running = false;
        self.failed_ms = (!self.succeeded()).then_some(now_ms);
    }

    fn nodes(&self) -> Vec<HostId> {
        match &self.goal {
            Some(Action::Admin(Admin::StopNode { node, .. }) | Action::Admin(Admin::RecoverNode { node })) => {
                node.iter().copied().collect()
            }
            Some(Action::Admin(Admin::SetLink { from, to, .. })) => vec![*from, *to],
            _ => Vec::new(),
        }
    }
}
