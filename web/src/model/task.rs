//! What the person asked for: one or more requests in a row, and what became of them.

use std::collections::BTreeMap;

use cubecast_core::client::Target;
use cubecast_core::wire::answer::Message;
use cubecast_core::wire::client;
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

/// What the person asked for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Task {
    pub panel: Panel,
    /// Done one after the other; the first that is refused ends the task.
    pub steps: Vec<Step>,
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
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub task: u64,
    pub running: bool,
    pub lines: Vec<Line>,
    /// Requests that were done.
    pub done: u64,
    /// What a pull brought.
    pub messages: Vec<Message>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    pub tone: Tone,
    pub text: String,
}

/// A task that falls over again and again is cut short: its report keeps the last lines.
const MAX_LINES: usize = 12;

impl Tasks {
    pub fn start(&mut self, panel: Panel, task: u64) {
        self.reports.insert(panel, Report { task, running: true, lines: Vec::new(), done: 0, messages: Vec::new() });
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

    /// Whether it ended, and the last of it was good.
    pub fn succeeded(&self) -> bool {
        !self.running && self.lines.last().is_some_and(|line| line.tone == Tone::Good)
    }
}
