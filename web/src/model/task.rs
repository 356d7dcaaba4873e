//! The user's tasks: one or more requests in a row, and their results.

use std::collections::BTreeMap;

use cubecast_core::client::Target;
use cubecast_core::cube::Vertex;
use cubecast_core::wire::answer::{ErrorCode, Message};
use cubecast_core::wire::client::{self, Action, Admin, Write};
use serde::{Deserialize, Serialize};

use super::feed::Tone;

/// Where on the page a result is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Panel {
    /// Nowhere: tasks of a simulation or a lesson. Their reports are not shown.
    Backstage,
    Topic,
    Publish,
    Subscribe,
    Pull,
    Node,
    Edge,
    /// Several faults at once.
    Break,
    /// Reads the messages of one replica, to compare them with those of the others.
    Compare,
}

impl Panel {
    /// Whether its reports are about the chosen topic.
    pub fn is_about_topic(self) -> bool {
        !matches!(self, Panel::Node | Panel::Edge | Panel::Break)
    }
}

/// What the user requested.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Where the report appears.
    pub panel: Panel,
    /// Sent one after the other; the first refusal ends the task.
    pub steps: Vec<Step>,
}

impl Task {
    /// The last request, which the earlier ones prepare.
    pub fn goal(&self) -> Option<&client::Action> {
        self.steps.last().map(|step| &step.action)
    }
}

/// One request of a task.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub action: client::Action,
    /// The node that receives the request.
    pub to: Target,
    /// A registration that is skipped once this page has seen it succeed.
    pub once: bool,
    /// Delay after the previous step, milliseconds.
    pub after_ms: u64,
    /// Retried while the node reports that it is failing and will be back.
    pub patient: bool,
}

impl Step {
    /// A step without delay that is sent every time and not retried.
    pub fn new(action: client::Action, to: Target) -> Step {
        Step { action, to, once: false, after_ms: 0, patient: false }
    }
}

/// The report of each panel's last task.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    pub reports: BTreeMap<Panel, Report>,
}

/// The result of a task.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// The number of the task.
    pub task: u64,
    /// The task's last request; a report is shown only beside the subject of this request.
    pub goal: Option<client::Action>,
    pub running: bool,
    /// When it failed, milliseconds since 1970.
    pub failed_ms: Option<u64>,
    /// The error code, if a node reported one.
    pub failed: Option<ErrorCode>,
    /// At most 12, newest last.
    pub lines: Vec<Line>,
    /// Number of requests that succeeded.
    pub done: u64,
    /// Messages that a pull returned.
    pub messages: Vec<Message>,
    /// The request in flight; cleared once the user was told that no node can carry it out now.
    pub asked: Option<client::Action>,
    /// The task that was not sent because no node could carry it out. The user can send it anyway.
    pub held: Option<Task>,
}

/// One line of a report.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    pub tone: Tone,
    pub text: String,
}

/// Lines of a report. A task with repeated failovers keeps only the last ones.
const MAX_LINES: usize = 12;
/// The number of a task that was never passed to the controller.
const NEVER_SENT: u64 = u64::MAX;

impl Tasks {
    /// Starts a new report, which replaces the panel's previous one.
    pub fn start(&mut self, panel: Panel, task: u64, goal: Option<client::Action>) {
        self.reports.insert(panel, Report { task, goal, running: true, ..Report::default() });
    }

    /// Reports that a task was not sent, and why.
    pub fn hold(&mut self, task: Task, now_ms: u64, why: &str) {
        let (panel, goal) = (task.panel, task.goal().cloned());
        let mut report =
            Report { task: NEVER_SENT, goal, failed_ms: Some(now_ms), held: Some(task), ..Report::default() };
        report.say(Tone::Bad, format!("Not sent: {why}"));
        self.reports.insert(panel, report);
    }

    /// The panel's report, if it is about this node, or about a link between these two.
    pub fn of_nodes(&self, panel: Panel, nodes: &[Vertex]) -> Option<Report> {
        self.reports.get(&panel).filter(|report| report.nodes().iter().all(|node| nodes.contains(node))).cloned()
    }

    /// Removes reports that no longer apply.
    pub fn forget(&mut self, is_over: impl Fn(Panel, &Report) -> bool) {
        self.reports.retain(|panel, report| !is_over(*panel, report));
    }

    /// The report of a task, unless a newer task replaced it.
    pub fn report(&mut self, panel: Panel, task: u64) -> Option<&mut Report> {
        self.reports.get_mut(&panel).filter(|report| report.task == task)
    }
}

impl Report {
    /// Appends a line.
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.lines.push(Line { tone, text: text.into() });
        if self.lines.len() > MAX_LINES {
            self.lines.remove(0);
        }
    }

    /// Whether the task deletes a topic.
    pub fn deletes(&self) -> bool {
        matches!(self.goal, Some(Action::Write(Write::DeleteTopic { .. })))
    }

    /// Whether the task stops this node.
    pub fn stops(&self, stopped: Vertex) -> bool {
        matches!(self.goal, Some(Action::Admin(Admin::StopNode { node: Some(node), .. })) if node == stopped)
    }

    fn nodes(&self) -> Vec<Vertex> {
        match &self.goal {
            Some(Action::Admin(Admin::StopNode { node, .. } | Admin::RecoverNode { node })) => {
                node.iter().copied().collect()
            }
            Some(Action::Admin(Admin::SetLink { from, to, .. })) => vec![*from, *to],
            _ => Vec::new(),
        }
    }

    /// Whether the task ended and its last line is good.
    pub fn succeeded(&self) -> bool {
        !self.running && self.lines.last().is_some_and(|line| line.tone == Tone::Good)
    }
}
