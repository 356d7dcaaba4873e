//! Short guided lessons: predict, break, check. Each runs in the simulated mode, and on a live cluster that has what it takes
//! ([`lacks`]); the page itself checks what is observed.
//!
//! A lesson is data: texts, what is done and when, and what must then be seen in the page's state. The same checks run in the page
//! beside the text and, for every lesson, in the tests; so no lesson teaches what does not happen.

mod catalogue;
mod expect;
mod progress;

pub use catalogue::{all, lacks, left_over, lesson};
pub use expect::Expectation;
pub use progress::Progress;

use crate::model::task::Task;
use crate::simulated::Spec;

/// A lesson, on a quiet cube of eight nodes.
#[derive(Clone, PartialEq, Debug)]
pub struct Lesson {
    /// Its name in an address.
    pub id: &'static str,
    pub title: &'static str,
    /// What it shows, in a sentence.
    pub about: &'static str,
    /// The topic that it looks at.
    pub topic: &'static str,
    pub steps: Vec<Step>,
}

/// Something to know, to guess and to see.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    pub text: &'static str,
    pub guess: Option<Guess>,
    /// What the button does.
    pub button: &'static str,
    /// What is done, and how long after the button, virtual milliseconds.
    pub tasks: Vec<(u64, Task)>,
    /// When the checks must hold, as long after the button.
    pub by_ms: u64,
    pub expected: Vec<Expectation>,
}

/// A question that is better answered before.
#[derive(Clone, PartialEq, Debug)]
pub struct Guess {
    pub question: &'static str,
    pub choices: &'static [&'static str],
    pub right: usize,
    /// Said when it is done, whatever was guessed.
    pub because: &'static str,
}

impl Lesson {
    pub fn spec(&self) -> Spec {
        Spec::default()
    }
}
