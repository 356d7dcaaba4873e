//! The report of many runs.

use std::path::PathBuf;

use cubecast_node::output::Table;
use cubecast_sim::check::CHECKERS;
use cubecast_sim::{FaultClass, Report, Shrunk, Totals};
use serde_json::json;

use super::farm::{Harvest, hours};
use crate::output::{ReportFormat, grouped};

pub(super) fn report(format: ReportFormat, harvest: &Harvest, first: u64) -> String {
    match format {
        ReportFormat::Json => as_json(harvest, first),
        ReportFormat::Table => as_text(harvest, first),
        ReportFormat::Markdown => as_markdown(harvest, first),
    }
}

fn as_json(harvest: &Harvest, first: u64) -> String {
    json!({
        "first_seed": first,
        "runs": harvest.totals.runs,
        "failed_runs": harvest.failed_runs,
        "seconds": harvest.took.as_secs_f64(),
        "threads": harvest.threads,
        "runs_a_second": harvest.runs_a_second(),
        "virtual_hours": hours(harvest.totals.virtual_us),
        "totals": harvest.totals,
        "failures": harvest.failures,
    })
    .to_string()
}

fn as_text(harvest: &Harvest, first: u64) -> String {
    let mut text = Vec::new();
    for failed in &harvest.failures {
        text.push(failure(failed));
    }
    let mut table = Table::new(["", ""]);
    for (what, figure) in figures(harvest, first) {
        table.row([what, figure]);
    }
    text.push(table.render());
    let mut faults = Table::new(["fault", "times", "effect"]);
    for (class, times) in &harvest.totals.faults {
        faults.row([class.name().into(), times.to_string(), class.about().into()]);
    }
    text.push(faults.render());
    let mut checks = Table::new(["checker", "facts", "promise"]);
    for checker in CHECKERS {
        checks.row([checker.name.into(), facts(&harvest.totals, checker.name), checker.promise.into()]);
    }
    text.push(checks.render());
    text.push(verdict(harvest));
    text.join("\n\n")
}

fn as_markdown(harvest: &Harvest, first: u64) -> String {
    let mut lines = vec!["| | |".to_owned(), "|---|---:|".to_owned()];
    lines.extend(figures(harvest, first).into_iter().map(|(what, figure)| format!("| {what} | {figure} |")));
    lines.extend(["".to_owned(), "| fault | times | effect |".to_owned(), "|---|---:|---|".to_owned()]);
    for (class, times) in &harvest.totals.faults {
        lines.push(format!("| `{class}` | {} | {} |", grouped(*times), class.about()));
    }
    lines.extend(["".to_owned(), "| checker | facts | promise |".to_owned(), "|---|---:|---|".to_owned()]);
    for checker in CHECKERS {
        let facts = facts(&harvest.totals, checker.name);
        lines.push(format!("| `{}` | {facts} | {} |", checker.name, checker.promise));
    }
    lines.extend(["".to_owned(), verdict(harvest)]);
    if !harvest.failures.is_empty() {
        lines.extend(["".to_owned(), "| seed | broken |".to_owned(), "|---:|---|".to_owned()]);
    }
    for failed in &harvest.failures {
        let broken: Vec<String> =
            failed.findings.violations.iter().map(|violation| format!("`{}`", violation.checker)).collect();
        lines.push(format!("| {} | {} |", failed.seed, broken.join(", ")));
    }
    lines.join("\n")
}

fn figures(harvest: &Harvest, first: u64) -> Vec<(String, String)> {
    let Totals { runs, virtual_us, operations, acknowledged, refused, in_doubt, delivered, frames, .. } =
        &harvest.totals;
    let kinds = harvest.totals.faults.len();
    [
        ("first seed", first.to_string()),
        ("runs", grouped(*runs)),
        ("runs that broke a promise", grouped(harvest.failed_runs)),
        ("virtual hours", format!("{:.1}", hours(*virtual_us))),
        ("time taken", format!("{:.0} s on {} threads", harvest.took.as_secs_f64(), harvest.threads)),
        ("runs per second", format!("{:.1}", harvest.runs_a_second())),
        ("faults", format!("{} of {kinds} classes", grouped(harvest.totals.faults.values().sum()))),
        ("operations of clients", grouped(*operations)),
        ("publishes acknowledged", grouped(*acknowledged)),
        ("operations refused", grouped(*refused)),
        ("operations in doubt", grouped(*in_doubt)),
        ("messages delivered", grouped(*delivered)),
        ("frames between nodes", grouped(frames.sent)),
        (
            "of these lost, duplicated, reordered, cut off",
            [frames.lost, frames.doubled, frames.overtaking, frames.cut_off].map(grouped).join(", "),
        ),
        ("slowest recovery", format!("{:.2} s of virtual time", harvest.totals.slowest_recovery_us as f64 / 1e6)),
    ]
    .map(|(what, figure)| (what.to_owned(), figure))
    .to_vec()
}

fn facts(totals: &Totals, checker: &str) -> String {
    grouped(totals.checked.get(checker).copied().unwrap_or(0))
}

fn verdict(harvest: &Harvest) -> String {
    match harvest.failed_runs {
        0 => "Every promise was kept.".into(),
        failed => format!("{failed} of {} runs broke a promise.", harvest.totals.runs),
    }
}

pub(super) fn failure(report: &Report) -> String {
    let mut lines = vec![format!(
        "seed {} of `{}` (d = {}, trace {:#018x}):",
        report.seed,
        report.scenario,
        report.dimension.bits(),
        report.trace
    )];
    lines.extend(report.findings.violations.iter().map(|violation| format!("  {violation}")));
    lines.join("\n")
}

pub(super) fn shrunk(shrunk: &Shrunk) -> String {
    let length = shrunk.reduction.length.map_or_else(|| "its whole length".into(), |length| format!("{length:?}"));
    let mut lines = vec![format!(
        "shortest failing run: {length} and {} faults (found in {} attempts):",
        shrunk.report.totals.faults.values().sum::<u64>(),
        shrunk.tried
    )];
    lines.extend(shrunk.report.story.iter().map(|what| format!("  {what}")));
    lines.push(failure(&shrunk.report));
    lines.join("\n")
}

pub(super) fn how_to_see_it(failed: &Report, files: &[PathBuf]) -> String {
    let scenario: String = files.iter().map(|file| format!(" --scenario {}", file.display())).collect();
    format!("a promise was broken; reproduce it with: cubecast-lab sim{scenario} --seed {}", failed.seed)
}

pub(super) fn list() -> String {
    let mut faults = Table::new(["fault", "effect"]);
    for class in FaultClass::ALL {
        faults.row([class.name(), class.about()].map(String::from));
    }
    let mut checks = Table::new(["checker", "promise"]);
    for checker in CHECKERS {
        checks.row([checker.name, checker.promise].map(String::from));
    }
    format!("{}\n\n{}", faults.render(), checks.render())
}
