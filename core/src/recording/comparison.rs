//! How a replay compares with its recording.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How a replay of one host compares with its recording.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// The number of turns replayed.
    pub turns: u64,
    /// The number of turns whose effects differ from the recorded ones.
    pub different_turns: u64,
    /// The number of saved states that were compared with the replayed state at the same moment.
    pub states: u64,
    /// The number of these that differ.
    pub different_states: u64,
    /// When the first difference was seen.
    pub first_difference: Option<Timestamp>,
}

/// The comparisons that were made while the contents of a recording were masked. The masked recording is not enough to
/// repeat them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Redaction {
    /// A replay of the original recording.
    pub original: Comparison,
    /// The replay with masked contents, compared with the original one: effects and states must be the same apart from
    /// the contents.
    pub masked: Comparison,
}

impl Redaction {
    /// Whether everything that was compared was equal.
    pub fn is_equal(&self) -> bool {
        self.original.is_equal() && self.masked.is_equal()
    }
}

impl Comparison {
    /// Whether everything that was compared was equal.
    pub fn is_equal(&self) -> bool {
        self.different_turns == 0 && self.different_states == 0
    }

    /// Counts a turn.
    pub fn note_turn(&mut self, at: Timestamp, is_equal: bool) {
        self.turns += 1;
        self.different_turns += u64::from(!is_equal);
        self.note_difference(at, is_equal);
    }

    /// Counts a saved state.
    pub fn note_state(&mut self, at: Timestamp, is_equal: bool) {
        self.states += 1;
        self.different_states += u64::from(!is_equal);
        self.note_difference(at, is_equal);
    }

    fn note_difference(&mut self, at: Timestamp, is_equal: bool) {
        if !is_equal {
            self.first_difference.get_or_insert(at);
        }
    }
}
