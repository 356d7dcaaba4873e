//! What an evaluation saw, and whether its checks held.

use serde_json::{Value, json};

use super::stage::Halt;
use crate::command::Failure;
use crate::command::output::{Format, even_unread, line};

/// The evidence of one evaluation, shown as it comes.
#[derive(Debug)]
pub struct Evidence {
    format: Format,
    steps: Vec<Step>,
    /// Why the evaluation could not be brought to its end.
    halted: Option<String>,
    pub is_interrupted: bool,
}

#[derive(Debug)]
struct Step {
    text: String,
    /// `None`: something told, not checked.
    held: Option<bool>,
}

impl Evidence {
    pub fn new(format: Format) -> Evidence {
        Evidence { format, steps: Vec::new(), halted: None, is_interrupted: false }
    }

    pub fn title(&self, text: &str) -> Result<(), Failure> {
        if self.format == Format::Table { even_unread(line(text)) } else { Ok(()) }
    }

    /// Something that was done or seen.
    pub fn tell(&mut self, text: impl Into<String>) {
        self.add(Step { text: text.into(), held: None });
    }

    /// Something that has to be so.
    pub fn check(&mut self, held: bool, claim: impl Into<String>) {
        self.add(Step { text: claim.into(), held: Some(held) });
    }

    /// Something that has to be equal; says both when it is not.
    pub fn check_equal<T: PartialEq + std::fmt::Debug>(&mut self, found: &T, expected: &T, claim: impl Into<String>) {
        let claim = claim.into();
        let held = found == expected;
        self.check(held, if held { claim } else { format!("{claim}: expected {expected:?}, found {found:?}") });
    }

    /// The evaluation ends here.
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
            // A reader who has gone away must not keep the evaluation from mending what it broke.
            let _ = line(&format!("  {mark} {text}"));
        }
    }

    pub fn checked(&self) -> usize {
        self.steps.iter().filter(|step| step.held.is_some()).count()
    }

    pub fn held(&self) -> usize {
        self.steps.iter().filter(|step| step.held == Some(true)).count()
    }

    /// At least one check, and all of them held.
    pub fn passed(&self) -> bool {
        self.halted.is_none() && self.checked() > 0 && self.held() == self.checked()
    }

    pub fn json(&self, name: &str, claim: &str, seconds: f64) -> Value {
        let steps: Vec<_> = self.steps.iter().map(|step| json!({ "text": step.text, "held": step.held })).collect();
        let (passed, halted) = (self.passed(), &self.halted);
        json!({ "evaluation": name, "claim": claim, "passed": passed, "halted": halted, "seconds": seconds, "steps": steps })
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
