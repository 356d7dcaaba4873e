//! Targets and whether they were reached: printed during measurements, saved with the results, and printed as one table
//! from saved results.

use std::path::PathBuf;

use cubecast_lab::bench::results::Results;
use cubecast_lab::measure::Spread;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The limit that a figure must meet.
#[derive(Clone, Copy)]
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// A figure with its target.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Target {
    /// The title of the figure.
    pub what: String,
    /// The limit as text.
    pub aim: String,
    /// The value as text.
    pub measured: String,
    pub reached: bool,
}

impl Aim {
    /// Judges a value. `measured`: the value as text.
    pub fn of(self, what: String, value: f64, measured: String) -> Target {
        let (aim, reached) = match self {
            Aim::AtLeast(least) => (format!("at least {least}"), value >= least),
            Aim::AtMost(most) => (format!("at most {most}"), value <= most),
        };
        Target { what, aim, measured, reached }
    }
}

impl Target {
    /// The target and the result, for printing after the figure.
    pub fn verdict(&self) -> String {
        format!("; target {}: {}", self.aim, outcome(self.reached))
    }
}

/// A Markdown table of all targets in these files, which come from `cubecast-lab bench --save` or from this program.
pub fn table(files: &[PathBuf]) -> Result<String, String> {
    let mut targets = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        targets.extend(read(&text).map_err(|error| format!("{}: {error}", file.display()))?);
    }
    let rows = targets.iter().map(|Target { what, aim, measured, reached }| {
        format!("| {what} | {aim} | {measured} | {} |\n", outcome(*reached))
    });
    Ok(format!("| what | target | measured | |\n|---|---|---|---|\n{}", rows.collect::<String>()))
}

fn read(text: &str) -> Result<Vec<Target>, serde_json::Error> {
    let saved: Value = serde_json::from_str(text)?;
    match saved.get("targets") {
        Some(targets) => serde_json::from_value(targets.clone()),
        None => Ok(of_bench(serde_json::from_value(saved)?)),
    }
}

fn of_bench(results: Results) -> Vec<Target> {
    let aimed = |fact: &cubecast_lab::bench::results::Fact| {
        let (aim, reached) = fact.target.clone()?;
        let Spread { median, least, most } = fact.value;
        let measured = format!("{median:.2} {} ({least:.2} to {most:.2})", fact.unit);
        Some(Target { what: fact.what.clone(), aim, measured, reached })
    };
    results.facts.iter().filter_map(aimed).collect()
}

fn outcome(reached: bool) -> &'static str {
    if reached { "reached" } else { "missed" }
}

#[cfg(test)]
mod tests {
    use cubecast_lab::bench::results::Fact;

    use super::*;

    #[test]
    fn a_table_tells_the_targets_of_both_programs_and_hides_no_miss() {
        let fact = Fact {
            what: "8 idle nodes".into(),
            unit: "% of a core".into(),
            value: Spread { median: 2.5, least: 2.0, most: 3.0 },
            target: Some(("less than 2 %".into(), false)),
            ..Fact::default()
        };
        let results = Results { facts: vec![fact, Fact::default()], ..Results::default() };
        let ours = Aim::AtLeast(1.5).of("publishes".into(), 1.5, "1.50".into());
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("bench.json"), folder.path().join("peers.json")];
        std::fs::write(&files[0], serde_json::to_string(&results).unwrap()).unwrap();
        std::fs::write(&files[1], serde_json::json!({ "targets": [ours] }).to_string()).unwrap();
        assert_eq!(
            table(&files).unwrap(),
            "| what | target | measured | |\n|---|---|---|---|\n\
             | 8 idle nodes | less than 2 % | 2.50 % of a core (2.00 to 3.00) | missed |\n\
             | publishes | at least 1.5 | 1.50 | reached |\n"
        );
        assert!(table(&[folder.path().join("none")]).is_err());
    }
}
