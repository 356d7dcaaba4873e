//! Random runs of the simulator with every fault and every checker.
//!
//! A failure prints its seed. `CUBECAST_SEED=… cargo test -p cubecast-sim --test simulation` runs only that one.

use cubecast_sim::{Reduction, Report, Scenario, Totals, run};

fn seeds() -> Vec<u64> {
    let read = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    match read("CUBECAST_SEED") {
        Some(seed) => vec![seed],
        None => (0..read("CUBECAST_SEEDS").unwrap_or(10)).collect(),
    }
}

fn explain(report: &Report) -> String {
    let violations: Vec<String> = report.findings.violations.iter().map(ToString::to_string).collect();
    format!(
        "seed {} (d = {}):\n{}\n{}",
        report.seed,
        report.dimension.bits(),
        violations.join("\n"),
        report.story.join("\n")
    )
}

#[test]
fn whatever_breaks_every_promise_is_kept() {
    let scenario = Scenario::default();
    let mut totals = Totals::default();
    let mut broken = Vec::new();
    for seed in seeds() {
        let report = run(&scenario, seed, &Reduction::default());
        if !report.is_clean() {
            broken.push(explain(&report));
        }
        totals.add(&report.totals);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    println!("{totals:#?}");
}
