//! The observations of an evaluation, and the results of its checks.

use cubecast_node::failure::Failure;
use cubecast_node::output::{Format, even_unread, line};
use serde_json::{Value, json};

use super::stage::Halt;

/// The evidence of one evaluation, printed as it is collected.
#[derive(Debug)]
pub struct Evidence {
    format: Format,
    steps: Vec<Step>,
    /// Why the evaluation could not be completed.
    halted: Option<String>,
    /// Whether a signal interrupted the evaluation.
    pub is_interrupted: bool,
}

#[derive(Debug)]
struct Step {
    text: String,
    /// `None`: an observation without a check.
    held: Option<bool>,
}

impl Evidence {
    /// No evidence yet.
    pub fn new(format: Format) -> Evidence {
        Evidence { format, steps: Vec::new(), halted: None, is_interrupted: false }
    }

    /// Prints a heading.
    pub fn title(&self, text: &str) -> Result<(), Failure> {
        if self.format == Format::Table { even_unread(line(text)) } else { Ok(()) }
    }

    /// Adds an action or an observation.
    pub fn tell(&mut self, text: impl Into<String>) {
        self.add(Step { text: text.into(), held: None });
    }

    /// Adds a check.
    pub fn check(&mut self, held: bool, claim: impl Into<String>) {
        self.add(Step { text: claim.into(), held: Some(held) });
    }

    /// Adds a check that two values are equal. A failed check shows both.
    pub fn check_equal<T: PartialEq + std::fmt::Debug>(&mut self, found: &T, expected: &T, claim: impl Into<String>) {
        let claim = claim.into();
        let held = found == expected;
        self.check(held, if held { claim } else { format!("{claim}: expected {expected:?}, found {found:?}") });
    }

    /// Records that the evaluation cannot continue.
    pub fn halt(&mut self, halt: &Halt) {
        self.is_interrupted |= matches!(halt, Halt::Interrupted);
        self.halted = Some(halt.to_string());
        self.show("FAIL", &halt.to_string());
    }

    fn add(&mut self, step: Step) {
        let mark = match step.held {
            None => "    ",
            Some(true) => "ok  ",
            Some(false) => "FAIL",
        };
        self.show(mark, &step.text);
        self.steps.push(step);
    }

    fn show(&self, mark: &str, text: &str) {
        if self.format == Format::Table {
            // If standard output has no reader, the evaluation must continue, in order to mend its failures.
            let _ = line(&format!("  {mark} {text}"));
        }
    }

    /// The number of checks.
    pub fn checked(&self) -> usize {
        self.steps.iter().filter(|step| step.held.is_some()).count()
    }

    /// The number of successful checks.
    pub fn held(&self) -> usize {
        self.steps.iter().filter(|step| step.held == Some(true)).count()
    }

    /// Whether there was at least one check and all checks succeeded.
    pub fn passed(&self) -> bool {
        self.halted.is_none() && self.checked() > 0 && self.held() == self.checked()
    }

    /// The evidence as JSON.
    pub fn json(&self, name: &str, claim: &str, seconds: f64) -> Value {
        let steps: Vec<_> = self.steps.iter().map(|step| json!({ "text": step.text, "held": step.held })).collect();
        let (passed, halted) = (self.passed(), &self.halted);
        json!({
            "evaluation": name, "claim": claim, "passed": passed, "halted": halted, "seconds": seconds, "steps": steps,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        Evidence::new(Format::Json)
    }

    #[test]
    fn an_evaluation_that_checked_nothing_has_not_passed() {
        let mut nothing = evidence();
        nothing.tell("looked around");
        assert!(!nothing.passed());
    }

    #[test]
    fn one_check_that_does_not_hold_fails_the_whole() {
        let mut mixed = evidence();
        mixed.check(true, "a");
        assert!(mixed.passed());
        mixed.check_equal(&1, &2, "b");
        assert!(!mixed.passed());
        assert_eq!((mixed.held(), mixed.checked()), (1, 2));
    }

    #[test]
    fn an_evaluation_that_was_cut_short_has_not_passed() {
        let mut cut = evidence();
        cut.check(true, "a");
        cut.halt(&Halt::Interrupted);
        assert!(!cut.passed() && cut.is_interrupted);
    }
}
