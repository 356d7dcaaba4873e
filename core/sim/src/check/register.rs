//! A register, the simplest model with disputed histories, for tests of the search.

use super::search::Model;

/// A register with a compare-and-set that fails if the expected value is not found.
pub struct Register;

/// An operation on the register.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    Write(u8),
    Read(u8),
    Swap(u8, u8),
}

impl Model for Register {
    type State = u8;
    type Step = Step;

    fn apply(&self, state: &u8, step: &Step) -> Option<u8> {
        match step {
            Step::Write(value) => Some(*value),
            Step::Read(value) => (state == value).then_some(*state),
            Step::Swap(from, to) => (state == from).then_some(*to),
        }
    }

    fn only_looks(&self, _: &u8, step: &Step) -> bool {
        matches!(step, Step::Read(_))
    }
}
