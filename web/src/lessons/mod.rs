//! Short guided lessons: predict, break, check. Each lesson runs in simulated mode, and on a live cluster that meets
//! its requirements ([`lacks`]). The page evaluates the checks itself.
//!
//! A lesson is data: texts, timed tasks, and the checks on the page's state that must hold afterwards. The same checks
//! run on the page and in the tests, so each lesson is tested to show its claims.

mod catalogue;
mod expect;
mod progress;

pub use catalogue::{all, lacks, left_over, lesson};
pub use expect::Expectation;
pub use progress::LessonProgress;

use crate::model::task::Task;
use crate::simulated::Spec;

/// A lesson, on a quiet cube of eight nodes.
#[derive(Clone, PartialEq, Debug)]
pub struct Lesson {
    /// Its name in an address.
    pub id: &'static str,
    /// Shown as the lesson's heading.
    pub title: &'static str,
    /// One sentence on what it shows.
    pub about: &'static str,
    /// The topic that the lesson uses.
    pub topic: &'static str,
    /// In order.
    pub steps: Vec<LessonStep>,
}

/// One step: a text, an optional question, tasks and checks.
#[derive(Clone, PartialEq, Debug)]
pub struct LessonStep {
    /// Shown before the button is pressed.
    pub text: &'static str,
    /// `None` for a step without a question.
    pub guess: Option<Guess>,
    /// The label of the button.
    pub button: &'static str,
    /// Tasks with their delay after the button press, in virtual milliseconds.
    pub tasks: Vec<(u64, Task)>,
    /// Deadline of the checks after the button press, in virtual milliseconds.
    pub by_ms: u64,
    /// The checks.
    pub expected: Vec<Expectation>,
}

/// A multiple-choice question, to be answered before the button is pressed.
#[derive(Clone, PartialEq, Debug)]
pub struct Guess {
    /// The question.
    pub question: &'static str,
    /// The answers to choose from.
    pub choices: &'static [&'static str],
    /// Index of the correct answer in `choices`.
    pub right: usize,
    /// The explanation, shown after the step whatever the user chose.
    pub because: &'static str,
}

impl Lesson {
    /// The simulation that the lesson runs in.
    pub fn spec(&self) -> Spec {
        Spec::default()
    }
}
