//! The results for a terminal.

use std::fmt::Write as _;

use cubecast_node::output::{Table, time_span};

use super::results::{Fact, History, Mark, Results, Row};
use super::words;
use crate::measure::{Figures, Pace, Spread};
use crate::output::grouped;

/// Rates of the source system's APIs in its report: one sequential client on its virtual machine, requests per
/// second.
pub const REPORTED: [(&str, f64); 7] = [
    ("create_publisher", 568.76),
    ("create_subscriber", 587.48),
    ("create_topic", 111.39),
    ("delete_topic", 584.01),
    ("publish", 440.08),
    ("subscribe", 528.32),
    ("pull", 516.81),
];

/// The results as text.
pub fn render(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "Cubecast {} on {} processors ({}), {} GiB, Linux {}; seed {}; {} repetitions of {} s each, {} in total. \
         Median and spread of the repetitions.\n\
         Nodes, clients and this program share the machine. Latencies in ms.\n",
        results.version,
        machine.processors,
        machine.model,
        machine.memory_bytes >> 30,
        machine.kernel,
        results.seed,
        results.repetitions,
        results.seconds,
        time_span((results.took_s * 1e3) as u64),
    );
    for group in results.groups() {
        let _ = write!(text, "\n{group}\n\n");
        let rows: Vec<&Row> = results.rows.iter().filter(|row| row.group == group).collect();
        if !rows.is_empty() {
            text += &rates(&rows);
        }
        for history in results.histories.iter().filter(|history| history.group == group) {
            text += &lines(history);
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
        "case",
        "pace",
        "per second",
        "±",
        "MB/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "CPU s/M",
        "MiB",
        "failed",
    ]);
    for row in rows {
        let rate = row.over(|figures| figures.per_second);
        let ms = |figure: fn(&Figures) -> f64| millis(row.over(figure).median);
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
    let mut text = table.render() + "\n" + &floors(rows);
    for row in rows {
        if let Some(why) = row.repetitions.iter().find_map(|figures| figures.why_failed.as_ref()) {
            let _ = writeln!(text, "  {}, {}: {why}", row.case, row.pace);
        }
        if let Some((_, reported)) = REPORTED.iter().find(|(name, _)| is_reported(row, name)) {
            let ratio = row.over(|figures| figures.per_second).median / reported;
            let _ =
                writeln!(text, "  {}: {reported} per second in the source system's report; ratio {ratio:.1}", row.case);
        }
    }
    text
}

/// Whether a row compares with the report, whose client waits for each answer.
fn is_reported(row: &Row, name: &str) -> bool {
    row.group == "APIs" && row.case == name && row.pace == words(Pace::UnderWay(1), 1)
}

/// The ratio of a figure to its bound; `-` if one of the two measurements was too short.
pub fn beside(ours: f64, bound: f64, digits: usize) -> String {
    if ours > 0.0 && bound > 0.0 { format!("{:.digits$} x", ours / bound) } else { "-".into() }
}

/// The ratios of the rows to their bounds. Empty if no row has any.
fn floors(rows: &[&Row]) -> String {
    let bounded = || rows.iter().flat_map(|row| row.bounds.iter().map(move |bound| (row, bound)));
    if bounded().next().is_none() {
        return String::new();
    }
    let mut table =
        Table::new(["compared with", "case", "pace", "its p50", "ours", "its p99", "ours", "its rate", "ours"]);
    for (row, bound) in bounded() {
        let times = |figure: fn(&Figures) -> f64, floor: f64| beside(row.over(figure).median, floor, 1);
        table.row([
            bound.what.clone(),
            row.case.clone(),
            row.pace.clone(),
            millis(bound.p50_us),
            times(|it| it.p50_us, bound.p50_us),
            millis(bound.p99_us),
            times(|it| it.p99_us, bound.p99_us),
            number(bound.per_second),
            beside(row.over(|it| it.per_second).median, bound.per_second, 2),
        ]);
    }
    format!("\nBare operations measured in the same run, and our ratio to them\n\n{}\n\n", table.render())
}

/// A history as lines with one character for each slot.
fn lines(history: &History) -> String {
    let timeline = &history.timeline;
    let rates: Vec<_> = timeline.per_second.iter().map(|rate| (*rate > 0.0).then_some(*rate)).collect();
    let (most, top_of_rates) = (timeline.per_second.iter().copied().fold(0.0, f64::max), timeline.top_of_rates());
    // Latencies are drawn on a logarithmic scale.
    let logarithms = |latencies: &[Option<f64>]| latencies.iter().map(|it| it.map(|us| us.max(1.0).log10())).collect();
    let (medians, longest): (Vec<_>, Vec<_>) = (logarithms(&timeline.p50_us), logarithms(&timeline.max_us));
    let known = || medians.iter().chain(&longest).flatten().copied();
    let (least, top) = (known().fold(f64::MAX, f64::min), known().fold(0.0, f64::max));
    let between = |latencies: &[Option<f64>]| {
        let Spread { least, most, .. } = Spread::of(latencies.iter().flatten().copied());
        format!("{} to {} ms, logarithmic", millis(least), millis(most))
    };
    let mut text = format!("  {}; {}; one character is {} s\n", history.case, history.pace, timeline.slot_s);
    let mut line = |what: &str, bars: String, scale: String| {
        let _ = writeln!(text, "    {what:<10} {bars}  {scale}");
    };
    line(
        "per second",
        sparkline(&rates, 0.0, top_of_rates),
        format!("0 to {} and above, at most {}", number(top_of_rates), number(most)),
    );
    line("p50", sparkline(&medians, least, top), between(&timeline.p50_us));
    line("longest", sparkline(&longest, least, top), between(&timeline.max_us));
    let mut below = vec![' '; timeline.per_second.len()];
    let mut told = Vec::new();
    for (mark, Mark { at_s, what }) in ('a'..).zip(&history.marks) {
        if let Some(place) = below.get_mut((at_s / timeline.slot_s) as usize) {
            *place = mark;
        }
        told.push(format!("{mark}: {what}, {at_s} s"));
    }
    line("", below.into_iter().collect(), told.join("; "));
    let _ = writeln!(text, "    {:.2} s in slots without an answer, {} failed", timeline.silent_s(), history.failed);
    if let Some(why) = &history.why_failed {
        let _ = writeln!(text, "    {why}");
    }
    text
}

/// A bar for each value, from `from` (lowest) to `to` (highest); a space for unknown values.
fn sparkline(values: &[Option<f64>], from: f64, to: f64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let height = |value: f64| ((value - from) / (to - from).max(f64::MIN_POSITIVE) * BARS.len() as f64) as usize;
    values.iter().map(|value| value.map_or(' ', |value| BARS[height(value).min(BARS.len() - 1)])).collect()
}

/// A fact as a sentence.
pub fn sentence(fact: &Fact) -> String {
    let Spread { median, least, most } = fact.value;
    let target = fact
        .target
        .as_ref()
        .map(|(words, reached)| format!("; target {words}: {}", if *reached { "reached" } else { "missed" }));
    let (what, unit) = (&fact.what, &fact.unit);
    format!("{what}: {median:.2} {unit} ({least:.2} to {most:.2} of {}){}", fact.of, target.unwrap_or_default())
}

/// Half of the range as a percentage of the median.
pub fn apart(spread: Spread) -> String {
    format!("{:.0} %", (spread.most - spread.least) / 2.0 / spread.median.max(f64::MIN_POSITIVE) * 100.0)
}

/// Microseconds as milliseconds.
pub fn millis(micros: f64) -> String {
    match micros / 1e3 {
        ms if ms < 1.0 => format!("{ms:.3}"),
        ms if ms < 100.0 => format!("{ms:.2}"),
        ms => format!("{ms:.0}"),
    }
}

/// A number with at least three digits, and with commas.
pub fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    grouped(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::results::Bound;
    use super::*;
    use crate::measure::Timeline;

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
            pace: words(Pace::UnderWay(1), 1),
            repetitions: vec![figures(1_000.0), figures(2_000.0), figures(1_500.0)],
            bounds: vec![Bound { what: "the disk".into(), per_second: 3_000.0, p50_us: 100.0, p99_us: 300.0 }],
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
        for part in [
            "1,500",
            "33 %",
            "1.50",
            "the disk",
            "0.300    5.0 x  3,000     0.50 x",
            "440.08",
            "ratio 3.4",
            "no",
            "target less than 2 %: missed",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn a_history_is_a_bar_a_slot_over_its_marks() {
        let history = History {
            case: "8 nodes".into(),
            timeline: Timeline {
                slot_s: 0.5,
                per_second: vec![500.0, 0.0, 250.0],
                p50_us: vec![Some(1_000.0), None, Some(1_000.0)],
                max_us: vec![Some(1_000_000.0), None, Some(2_000.0)],
            },
            marks: vec![Mark { at_s: 0.5, what: "SIGKILL".into() }],
            ..History::default()
        };
        let text = lines(&history);
        for part in [
            "█ ▅  0 to 500 and above, at most 500",
            "▁ ▁  1.00 to 1.00 ms",
            "█ ▁  2.00 to 1000 ms",
            " a   a: SIGKILL, 0.5 s",
            "0.50 s in slots without an answer",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
