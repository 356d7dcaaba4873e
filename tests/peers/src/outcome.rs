//! The results of a run, for saving.

use serde_json::Value;

use super::targets::Target;

/// The results of a run, for saving.
#[derive(Default)]
pub struct Outcome {
    /// One JSON object for each comparison.
    pub comparisons: Vec<Value>,
    /// The figures that have a target.
    pub targets: Vec<Target>,
}
