//! The results for a terminal.

use std::fmt::Write as _;

use super::results::{Fact, Results, Row};
use crate::bench::Spread;
use crate::command::output::{Table, grouped};

/// What the source system's report says of its APIs: one sequential client on its virtual machine, requests a second.
pub const REPORTED: [(&str, f64); 7] = [
    ("create_publisher", 568.76),
    ("create_subscriber", 587.48),
    ("create_topic", 111.39),
    ("delete_topic", 584.01),
    ("publish", 440.08),
    ("subscribe", 528.32),
    ("pull", 516.81),
];

pub fn render(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "Cubecast {} on {} processors ({}), {} GiB, Linux {}; seed {}; {} repetitions of {} s each: the median, and how far they lie apart.\n\
         Nodes, clients and this program share the machine. Latencies in ms.\n",
        results.version,
        machine.processors,
        machine.model,
        machine.memory_bytes >> 30,
        machine.kernel,
        results.seed,
        results.repetitions,
        results.seconds,
    );
    for group in results.groups() {
        let _ = write!(text, "\n{group}\n\n");
        let rows: Vec<&Row> = results.rows.iter().filter(|row| row.group == group).collect();
        if !rows.is_empty() {
            text += &rates(&rows);
        }
        let facts = results.facts.iter().filter(|fact| fact.group == group);
        for fact in facts {
            let _ = writeln!(text, "  {}", sentence(fact));
        }
    }
    text
}

fn rates(rows: &[&Row]) -> String {
    let mut table = Table::new([
        "case", "pace", "a second", "±", "MB/s", "p50", "p90", "p99", "p99.9", "max", "CPU s/M", "MiB", "failed",
    ]);
    for row in rows {
        let rate = row.over(|figures| figures.per_second);
        let ms = |figure: fn(&crate::bench::Figures) -> f64| millis(row.over(figure).median);
        table.row([
            row.case.clone(),
            row.pace.clone(),
            number(rate.median),
            apart(rate),
            format!("{:.1}", row.over(|figures| figures.bytes_per_second).median / 1e6),
            ms(|figures| figures.p50_us),
            ms(|figures| figures.p90_us),
            ms(|figures| figures.p99_us),
            ms(|figures| figures.p999_us),
            ms(|figures| figures.max_us),
            format!("{:.0}", row.over(|figures| figures.cpu_s_per_million).median),
            format!("{:.0}", row.over(|figures| figures.rss as f64).median / f64::from(1 << 20)),
            match row.failed() {
                0 => String::new(),
                failed => failed.to_string(),
            },
        ]);
    }
    let mut text = table.render() + "\n";
    for row in rows {
        if let Some(bound) = &row.bound {
            let share = row.over(|figures| figures.per_second).median / bound.per_second;
            let _ = writeln!(
                text,
                "  {}: {} a second by {}; {:.2} of it",
                row.case,
                number(bound.per_second),
                bound.what,
                share
            );
        }
        if let Some(why) = row.repetitions.iter().find_map(|figures| figures.why_failed.as_ref()) {
            let _ = writeln!(text, "  {}, {}: {why}", row.case, row.pace);
        }
        if let Some((_, reported)) = REPORTED.iter().find(|(name, _)| *name == row.case && row.group == "APIs") {
            let ratio = row.over(|figures| figures.per_second).median / reported;
            let _ =
                writeln!(text, "  {}: {reported} a second in the source system's report, {ratio:.1} times", row.case);
        }
    }
    text
}

pub fn sentence(fact: &Fact) -> String {
    let Spread { median, least, most } = fact.value;
    let target = fact
        .target
        .as_ref()
        .map(|(words, reached)| format!("; aimed at {words}: {}", if *reached { "reached" } else { "missed" }));
    let (what, unit) = (&fact.what, &fact.unit);
    format!("{what}: {median:.2} {unit} ({least:.2} to {most:.2} of {}){}", fact.of, target.unwrap_or_default())
}

/// Half of what lies between the least and the most, as a share of the median.
pub fn apart(spread: Spread) -> String {
    format!("{:.0} %", (spread.most - spread.least) / 2.0 / spread.median.max(f64::MIN_POSITIVE) * 100.0)
}

pub fn millis(micros: f64) -> String {
    match micros / 1e3 {
        ms if ms < 1.0 => format!("{ms:.3}"),
        ms if ms < 100.0 => format!("{ms:.2}"),
        ms => format!("{ms:.0}"),
    }
}

/// With three digits at least, and commas.
pub fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    grouped(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Figures;

    #[test]
    fn numbers_have_commas() {
        assert_eq!(
            [1.25, 99.96, 123.4, 1_234.5, 1_234_567.0].map(number),
            ["1.2", "100.0", "123", "1,235", "1,234,567"]
        );
    }

    #[test]
    fn a_row_tells_its_median_its_bound_and_its_failures() {
        let figures = |per_second| Figures {
            per_second,
            p99_us: 1_500.0,
            failed: 1,
            why_failed: Some("no".into()),
            ..Figures::default()
        };
        let row = Row {
            group: "APIs".into(),
            case: "publish".into(),
            pace: "1 client".into(),
            repetitions: vec![figures(1_000.0), figures(2_000.0), figures(1_500.0)],
            bound: Some(super::super::results::Bound { what: "the disk".into(), per_second: 3_000.0 }),
        };
        let fact = Fact {
            group: "APIs".into(),
            what: "idle".into(),
            unit: "%".into(),
            value: Spread::of([3.0]),
            of: 1,
            target: Some(("less than 2 %".into(), false)),
        };
        let text = render(&Results { rows: vec![row], facts: vec![fact], ..Results::default() });
        for part in
            ["1,500", "33 %", "1.50", "0.50 of it", "440.08", "3.4 times", "no", "aimed at less than 2 %: missed"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
