//! Opens a file of `cubecast-lab sim --trace` and repeats its run; the core is the same, so the run is the same.

use cubecast_sim::{Reduction, Report, Scenario};
use serde::Deserialize;

use super::spec::{Course, Spec};

/// Bytes. Larger files are rejected: their events alone would fill the page's memory.
pub const MAX_BYTES: usize = 64 << 20;
/// The version of the file format that this page reads.
const FORM: u32 = 2;

/// The content of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Opened {
    /// Repeats the run.
    pub spec: Spec,
    /// The result of the original run.
    pub report: Report,
    /// The version that wrote the file, if it differs from this page's version: the run may then differ.
    pub made_by: Option<String>,
}

/// Why a file was rejected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadTrace {
    #[error("it has {0} bytes; the limit is {MAX_BYTES}")]
    TooLarge(usize),
    #[error("it is not a trace of `cubecast-lab sim`: {0}")]
    NotATrace(String),
    #[error("it has format {0}; this page reads format {FORM}")]
    Form(u32),
    #[error("its scenario cannot be run: {0}")]
    Scenario(String),
}

/// The parts of [`cubecast_sim::trace::TraceFile`] that determine the run. Its events follow from them and are
/// not read.
#[derive(Deserialize)]
struct File {
    cubecast_trace: u32,
    version: String,
    scenario: Scenario,
    seed: u64,
    reduction: Reduction,
    report: Report,
}

/// Parses and checks a file. Errors: the reason for rejecting it.
pub fn open(bytes: &[u8]) -> Result<Opened, BadTrace> {
    if bytes.len() > MAX_BYTES {
        return Err(BadTrace::TooLarge(bytes.len()));
    }
    let file: File = serde_json::from_slice(bytes).map_err(|error| BadTrace::NotATrace(error.to_string()))?;
    let File { cubecast_trace, version, scenario, seed, reduction, report } = file;
    if cubecast_trace != FORM {
        return Err(BadTrace::Form(cubecast_trace));
    }
    scenario.check().map_err(|bad| BadTrace::Scenario(bad.to_string()))?;
    let course = Course::Scenario { scenario: Box::new(scenario), reduction };
    let made_by = Some(version).filter(|version| version != env!("CARGO_PKG_VERSION"));
    Ok(Opened { spec: Spec { course, seed, forked_at_ms: None, user_actions: Vec::new() }, report, made_by })
}

#[cfg(test)]
mod tests {
    use cubecast_sim::trace;

    use super::*;
    use crate::simulated::{Session, catalogue};

    /// A short run with faults.
    fn scenario() -> Scenario {
        Scenario { seconds: 3, fault_every_ms: 300, dimensions: vec![2], ..catalogue::scenario("anything").unwrap() }
    }

    #[test]
    fn a_run_from_a_file_is_the_same_run_here_to_the_last_effect() {
        let reduction = Reduction { length: Some(std::time::Duration::from_millis(2_500)), without: [1].into() };
        let file = serde_json::to_vec(&trace::record(&scenario(), 11, &reduction)).unwrap();
        let opened = open(&file).unwrap();
        assert_eq!(opened.made_by, None);
        let mut session = Session::new(&opened.spec);
        while session.ends_ms().is_some_and(|ends_ms| session.now_ms() + 1 < ends_ms) {
            session.tick();
        }
        assert_eq!(session.finish(), Some(opened.report));
    }

    #[test]
    fn what_is_no_trace_is_refused_with_a_reason() {
        let why = |text: &str| open(text.as_bytes()).unwrap_err().to_string();
        assert!(why("").starts_with("it is not a trace"));
        assert!(why("{\"cubecast_trace\": 2}").contains("version"));
        let mut file = serde_json::to_value(trace::record(&scenario(), 1, &Reduction::default())).unwrap();
        file["scenario"]["dimensions"] = serde_json::json!([]);
        assert!(why(&file.to_string()).contains("`dimensions` is empty"));
        file["cubecast_trace"] = 3.into();
        assert!(why(&file.to_string()).contains("format 2"));
    }

    #[test]
    fn a_file_of_another_version_says_so() {
        let mut file = serde_json::to_value(trace::record(&scenario(), 1, &Reduction::default())).unwrap();
        file["version"] = "0.0.7".into();
        assert_eq!(open(file.to_string().as_bytes()).unwrap().made_by.as_deref(), Some("0.0.7"));
    }
}
