//! The user's tasks: one or more requests in a row.

use cubecast_core::client::Target;
use cubecast_core::wire::client;
use serde::{Deserialize, Serialize};

/// Where on the page a result is shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Panel {
    /// Nowhere: tasks of a simulation or a lesson. Their reports are not shown.
    Backstage,
    Topic,
    Publish,
    Subscribe,
    /// Stored messages.
    Browse,
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
    pub steps: Vec<TaskStep>,
}

impl Task {
    /// The last request, which the earlier ones prepare.
    pub fn goal(&self) -> Option<&client::Action> {
        self.steps.last().map(|step| &step.action)
    }
}

/// One request of a task.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaskStep {
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

impl TaskStep {
    /// A step without delay that is sent every time and not retried.
    pub fn new(action: client::Action, to: Target) -> TaskStep {
        TaskStep { action, to, once: false, after_ms: 0, patient: false }
    }
}
