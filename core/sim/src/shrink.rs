//! Reduces a failing run to the shortest one found that still fails: first an earlier end, then fewer faults.

use std::time::Duration;

use crate::report::Report;
use crate::scenario::Scenario;
use crate::simulation::Reduction;

/// The result of shrinking.
#[derive(Clone, PartialEq, Debug)]
pub struct Shrunk {
    pub reduction: Reduction,
    /// The report of the reduced run.
    pub report: Report,
    /// Number of runs that were tried.
    pub tried: u32,
}

/// Runs variants of a failing run, at most `tries`, and keeps the best one that fails the same checker. `run` is
/// [`super::run`], or a version of it that survives a panic.
pub fn shrink(
    scenario: &Scenario,
    failing: Report,
    tries: u32,
    mut run: impl FnMut(&Scenario, u64, &Reduction) -> Report,
) -> Shrunk {
    let seed = failing.seed;
    let broken = failing.findings.violations.first().map(|violation| violation.checker.clone());
    let mut best = Shrunk { reduction: Reduction::default(), report: failing, tried: 0 };
    let mut attempt = |best: &mut Shrunk, reduction: Reduction| {
        if best.tried >= tries || reduction == best.reduction {
            return false;
        }
        best.tried += 1;
        let report = run(scenario, seed, &reduction);
        let fails_alike =
            report.findings.violations.iter().any(|violation| Some(&violation.checker) == broken.as_ref());
        if fails_alike {
            best.reduction = reduction;
            best.report = report;
        }
        fails_alike
    };
    shorten(scenario, &mut best, &mut attempt);
    drop_faults(scenario, seed, &mut best, &mut attempt);
    shorten(scenario, &mut best, &mut attempt);
    best
}

/// Finds an earlier end by bisection, to a tenth of a second.
fn shorten(scenario: &Scenario, best: &mut Shrunk, attempt: &mut impl FnMut(&mut Shrunk, Reduction) -> bool) {
    let whole = Duration::from_secs(scenario.seconds.into());
    let (mut passes, mut fails) = (Duration::ZERO, best.reduction.length.unwrap_or(whole));
    while fails - passes > Duration::from_millis(100) {
        let middle = passes + (fails - passes) / 2;
        let reduction = Reduction { length: Some(middle), ..best.reduction.clone() };
        if attempt(best, reduction) { fails = middle } else { passes = middle }
    }
}

/// Omits ever smaller pieces of the plan, as in delta debugging (Zeller and Hildebrandt, 2002).
fn drop_faults(
    scenario: &Scenario,
    seed: u64,
    best: &mut Shrunk,
    attempt: &mut impl FnMut(&mut Shrunk, Reduction) -> bool,
) {
    let end = best.reduction.length.unwrap_or(Duration::MAX);
    let faults = scenario.plan(seed).faults.iter().filter(|planned| planned.at < end).count() as u32;
    let mut piece = faults.div_ceil(2);
    while piece > 0 {
        for first in (0..faults).step_by(piece as usize) {
            let mut reduction = best.reduction.clone();
            reduction.without.extend(first..(first + piece).min(faults));
            attempt(best, reduction);
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
}
