//! What the person asked for: one or more requests in a row, and what became of them.

use std::collections::BTreeMap;

use cubecast_core::client::Target;
use cubecast_core::cube::Vertex;
use cubecast_core::wire::answer::{ErrorCode, Message};
use cubecast_core::wire::client::{self, Action};
use serde::{Deserialize, Serialize};

use super::feed::Tone;

/// Where on the page a result is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Panel {
    /// Nowhere: what a simulation or a lesson does by itself. Nobody reads its report.
    Backstage,
    Topic,
    Publish,
    Subscribe,
    Pull,
    Node,
    Edge,
    /// Several things at once.
    Break,
    /// A holder's messages, read to be compared with the others'.
    Compare,
}

impl Panel {
    /// Whether what it says is about the chosen topic.
    pub fn is_about_topic(self) -> bool {
        !matches!(self, Panel::Node | Panel::Edge | Panel::Break)
    }
}

/// What the person asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    pub panel: Panel,
    /// Done one after the other; the first that is refused ends the task.
    pub steps: Vec<Step>,
}

impl Task {
    /// What it is for. The steps before prepare it.
    pub fn goal(&self) -> Option<&client::Action> {
        self.steps.last().map(|step| &step.action)
    }
}

/// One request of a task.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub action: client::Action,
    pub to: Target,
    /// A registration that need not be repeated once this page has seen it done.
    pub once: bool,
    /// So long after the one before it, milliseconds.
    pub after_ms: u64,
    /// Asked again while its node says that it fails: it is on its way back.
    pub patient: bool,
}

impl Step {
    pub fn new(action: client::Action, to: Target) -> Step {
        Step { action, to, once: false, after_ms: 0, patient: false }
    }
}

/// The last task of each panel.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    pub reports: BTreeMap<Panel, Report>,
}

/// What became of a task.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    pub task: u64,
    /// What the task is for: a report is of interest beside that, and nowhere else.
    pub goal: Option<client::Action>,
    pub running: bool,
    /// When it ended without what was asked for, milliseconds since 1970.
    pub failed_ms: Option<u64>,
    /// Why, where a node said so.
    pub failed: Option<ErrorCode>,
    pub lines: Vec<Line>,
    /// Requests that were done.
    pub done: u64,
    /// What a pull brought.
    pub messages: Vec<Message>,
    /// The request that is under way, until it was said that nobody can do it now.
    pub asked: Option<client::Action>,
    /// What was not sent, because nobody could do it; it can be sent all the same.
    pub held: Option<Task>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    pub tone: Tone,
    pub text: String,
}

/// A task that falls over again and again is cut short: its report keeps the last lines.
const MAX_LINES: usize = 12;
/// The number of a task that the desk does not know.
const NEVER_SENT: u64 = u64::MAX;

impl Tasks {
    pub fn start(&mut self, panel: Panel, task: u64, goal: Option<client::Action>) {
        self.reports.insert(panel, Report { task, goal, running: true, ..Report::default() });
    }

    /// A task that is not sent, and why.
    pub fn hold(&mut self, task: Task, now_ms: u64, why: &str) {
        let (panel, goal) = (task.panel, task.goal().cloned());
        let mut report =
            Report { task: NEVER_SENT, goal, failed_ms: Some(now_ms), held: Some(task), ..Report::default() };
        report.say(Tone::Bad, format!("Not sent: {why}"));
        self.reports.insert(panel, report);
    }

    /// What was said in a panel of this node, or of a link between these two.
    pub fn of_nodes(&self, panel: Panel, nodes: &[Vertex]) -> Option<Report> {
        self.reports.get(&panel).filter(|report| report.nodes().iter().all(|node| nodes.contains(node))).cloned()
    }

    /// What was said in these panels is over, or about something else.
    pub fn forget(&mut self, is_over: impl Fn(Panel, &Report) -> bool) {
        self.reports.retain(|panel, report| !is_over(*panel, report));
    }

    /// The report of a task, unless a newer one took its place.
    pub fn report(&mut self, panel: Panel, task: u64) -> Option<&mut Report> {
        self.reports.get_mut(&panel).filter(|report| report.task == task)
    }
}

impl Report {
    pub fn say(&mut self, tone: Tone, text: impl Into<String>) {
        self.lines.push(Line { tone, text: text.into() });
        if self.lines.len() > MAX_LINES {
            self.lines.remove(0);
        }
    }

    pub fn deletes(&self) -> bool {
        matches!(self.goal, Some(Action::DeleteTopic { .. }))
    }

    /// Whether it is about how long this node is away.
    pub fn stops(&self, stopped: Vertex) -> bool {
        matches!(self.goal, Some(Action::StopNode { node: Some(node), .. }) if node == stopped)
    }

    fn nodes(&self) -> Vec<Vertex> {
        match &self.goal {
            Some(Action::StopNode { node, .. } | Action::RecoverNode { node }) => node.iter().copied().collect(),
            Some(Action::SetLink { from, to, .. }) => vec![*from, *to],
            _ => Vec::new(),
        }
    }

    /// Whether it ended, and the last of it was good.
    pub fn succeeded(&self) -> bool {
        !self.running && self.lines.last().is_some_and(|line| line.tone == Tone::Good)
    }
}
