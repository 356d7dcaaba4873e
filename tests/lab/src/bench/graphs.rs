//! Graphs of the results in SVG, for a page or as separate files, on light and dark backgrounds.

use std::fmt::Write as _;

use super::results::{History, Results, Row};
use super::table::{millis, number};
use crate::measure::Figures;

const WIDTH: f64 = 960.0;
/// The maximum average width of a character in a row's name.
const CHARACTER: f64 = 6.7;
const RIGHT: f64 = 90.0;
const LINE: f64 = 26.0;
const TOP: f64 = 34.0;
/// The margins and the height of the graphs over time, and the gaps between them.
const TIME_LEFT: f64 = 90.0;
const TIME_RIGHT: f64 = 24.0;
const HIGH: f64 = 110.0;
const BETWEEN: f64 = 40.0;

/// Colours of the graphs on light and dark backgrounds.
pub const COLOURS: &str = "\
:root{color-scheme:light dark;--ink:#17202b;--soft:#556070;--ground:#f5f4f1;--card:#fff;--line:#e1dfda;--bar:#0b5cad;--tail:#b5d2ee;--ok:#00745a;--miss:#bb3a00}
@media(prefers-color-scheme:dark){:root{--ink:#e9eef4;--soft:#a2b0c0;--ground:#0e141b;--card:#161e28;--line:#293543;--bar:#7cbcff;--tail:#2b4f74;--ok:#43cfa4;--miss:#ff8a5c}}
svg text{fill:var(--ink);font:13px system-ui,sans-serif}svg .soft{fill:var(--soft)}";

/// All graphs as files: the name, for example `bench-publishes-latency.svg`, and the content.
pub fn files(results: &Results) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for group in results.groups() {
        let rows: Vec<&Row> = results.rows.iter().filter(|row| row.group == group).collect();
        let histories: Vec<&History> = results.histories.iter().filter(|history| history.group == group).collect();
        let name = |what: &str| format!("bench-{}-{what}.svg", group.to_lowercase().replace(' ', "-"));
        if !rows.is_empty() {
            files.push((name("rate"), alone(&rates(&rows))));
            files.push((name("latency"), alone(&latencies(&rows))));
        }
        if !histories.is_empty() {
            files.push((name("over-time"), alone(&over_time(&histories))));
        }
    }
    files
}

/// A graph with its own colours and background.
fn alone(svg: &str) -> String {
    let ground = "<rect width=\"100%\" height=\"100%\" rx=\"12\" fill=\"var(--card)\"/>";
    let (head, rest) = svg.split_once('>').expect("a graph is one element");
    let head = head.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1);
    format!("{head}><style>{COLOURS}</style>{ground}{rest}\n")
}

/// A bar for each case: requests per second from 0. The thin line is the range from the smallest to the largest
/// value.
pub fn rates(rows: &[&Row]) -> String {
    let most = rows.iter().map(|row| row.over(|figures| figures.per_second).most).fold(1.0, f64::max);
    let left = left_of(rows);
    let x = |value: f64| left + value / most * (WIDTH - left - RIGHT);
    let ticks = steps(most).into_iter().map(|step| (x(step), whole(step)));
    of_rows("per second", &ticks.collect::<Vec<_>>(), rows, |row, y| {
        let rate = row.over(|figures| figures.per_second);
        format!(
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" rx=\"3\" fill=\"var(--bar)\"/>\
             <path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"var(--ink)\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            y - 7.0,
            (x(rate.median) - left).max(1.0),
            x(rate.least),
            x(rate.most),
            x(rate.most) + 8.0,
            y + 4.5,
            number(rate.median),
        )
    })
}

/// Latencies from the median to the 99.9 % quantile on a logarithmic scale. The tick mark and the number are the 99 %
/// quantile.
pub fn latencies(rows: &[&Row]) -> String {
    let all = |figure: fn(&Figures) -> f64| rows.iter().map(move |row| row.over(figure).median);
    let scale = Logarithmic::over(all(|it| it.p50_us).chain(all(|it| it.p999_us)));
    let left = left_of(rows);
    let x = |micros: f64| left + scale.share(micros) * (WIDTH - left - RIGHT);
    let ticks = scale.powers().into_iter().map(|micros| (x(micros), in_ms(micros)));
    of_rows("latency: median, 99 %, 99.9 %", &ticks.collect::<Vec<_>>(), rows, |row, y| {
        let at = |figure: fn(&Figures) -> f64| row.over(figure).median;
        let (p50, p99, p999) = (at(|it| it.p50_us), at(|it| it.p99_us), at(|it| it.p999_us));
        format!(
            "<path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"var(--tail)\" stroke-width=\"8\" stroke-linecap=\"round\"/>\
             <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"var(--bar)\"/>\
             <path d=\"M{:.1} {:.1}v12\" stroke=\"var(--bar)\" stroke-width=\"3\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x(p50),
            x(p999),
            x(p50),
            x(p99),
            y - 6.0,
            x(p999) + 10.0,
            y + 4.5,
            millis(p99),
        )
    })
}

/// A line for each row, with its name. `ticks`: positions and labels of the scale.
fn of_rows(title: &str, ticks: &[(f64, String)], rows: &[&Row], draw: impl Fn(&Row, f64) -> String) -> String {
    let (left, bottom) = (left_of(rows), TOP + rows.len() as f64 * LINE);
    let mut svg = format!("<text class=\"soft\" x=\"{:.1}\" y=\"22\" text-anchor=\"end\">{title}</text>", left - 48.0);
    for (x, label) in ticks {
        let _ = write!(
            svg,
            "<path d=\"M{x:.1} {TOP}V{bottom:.1}\" stroke=\"var(--line)\"/>\
             <text class=\"soft\" x=\"{x:.1}\" y=\"22\" text-anchor=\"middle\">{label}</text>",
        );
    }
    for (at, row) in rows.iter().enumerate() {
        let y = TOP + (at as f64 + 0.5) * LINE;
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} <tspan class=\"soft\">· {}</tspan></text>{}",
            left - 12.0,
            y + 4.5,
            escape(&row.case),
            escape(&row.pace),
            draw(row, y)
        );
    }
    framed(title, bottom + 8.0, &svg)
}

/// The left end of the scale, to the right of the names.
fn left_of(rows: &[&Row]) -> f64 {
    let longest = rows.iter().map(|row| row.case.chars().count() + row.pace.chars().count() + 3).max();
    longest.unwrap_or(0) as f64 * CHARACTER + 16.0
}

/// For each history, the completed requests per second, and the latencies by due time, from the median to the longest
/// on a logarithmic scale. All histories have the same scales. If bars exceed their scale, the largest value is
/// printed.
pub fn over_time(histories: &[&History]) -> String {
    let timelines = || histories.iter().map(|history| &history.timeline);
    let most = timelines().map(|it| it.top_of_rates()).fold(1.0, f64::max);
    let scale = Logarithmic::over(timelines().flat_map(|it| it.p50_us.iter().chain(&it.max_us)).copied().flatten());
    let longest = timelines().map(|it| it.slot_s * it.per_second.len() as f64).fold(f64::MIN_POSITIVE, f64::max);
    let x = |seconds: f64| TIME_LEFT + seconds / longest * (WIDTH - TIME_LEFT - TIME_RIGHT);
    let (mut svg, mut top) = (String::new(), TOP);
    for history in histories {
        let title = format!("{} <tspan class=\"soft\">· {}</tspan>", escape(&history.case), escape(&history.pace));
        let _ = write!(svg, "<text x=\"{TIME_LEFT}\" y=\"{:.1}\">{title}</text>", top - 12.0);
        svg += &marks(history, top, x);
        let y = |value: f64| top + HIGH * (1.0 - (value / most).min(1.0));
        if let Some(at) = history.timeline.per_second.iter().position(|rate| *rate > most) {
            let highest = history.timeline.per_second.iter().copied().fold(0.0, f64::max);
            let beside = x((at + 1) as f64 * history.timeline.slot_s) + 4.0;
            let _ = write!(svg, "<text x=\"{beside:.1}\" y=\"{:.1}\">↑ {}</text>", top + 12.0, number(highest));
        }
        svg += &levels("per second", top, steps(most).into_iter().map(|step| (y(step), whole(step))));
        svg += &slots(history, x, |at| Some((y(history.timeline.per_second[at]), top + HIGH)), "var(--bar)");
        top += HIGH + BETWEEN / 2.0;
        let y = |micros: f64| top + HIGH * (1.0 - scale.share(micros));
        svg += &levels("latency", top, scale.powers().into_iter().map(|micros| (y(micros), in_ms(micros))));
        let whole_span = |at: usize| Some((y(history.timeline.max_us[at]?), y(history.timeline.p50_us[at]?)));
        svg += &slots(history, x, whole_span, "var(--tail)");
        let median = |at: usize| history.timeline.p50_us[at].map(|micros| (y(micros) - 1.5, y(micros) + 1.5));
        svg += &slots(history, x, median, "var(--bar)");
        for second in steps(longest) {
            let _ = write!(
                svg,
                "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{second} s</text>",
                x(second),
                top + HIGH + 18.0
            );
        }
        top += HIGH + 2.0 * BETWEEN;
    }
    framed("per second, and latency, over time", top - BETWEEN, &svg)
}

/// A bar for each slot between its two ends. `None`: no bar.
fn slots(
    history: &History,
    x: impl Fn(f64) -> f64,
    ends: impl Fn(usize) -> Option<(f64, f64)>,
    colour: &str,
) -> String {
    let slot_s = history.timeline.slot_s;
    let mut path = String::new();
    for at in 0..history.timeline.per_second.len() {
        if let Some((upper, lower)) = ends(at) {
            let (left, right) = (x(at as f64 * slot_s) + 0.5, x((at + 1) as f64 * slot_s) - 0.5);
            let _ = write!(path, "M{left:.1} {upper:.1}H{right:.1}V{lower:.1}H{left:.1}Z");
        }
    }
    format!("<path d=\"{path}\" fill=\"{colour}\"/>")
}

/// Lines at these heights, with labels.
fn levels(title: &str, top: f64, levels: impl Iterator<Item = (f64, String)>) -> String {
    let middle = top + HIGH / 2.0;
    let mut svg = format!(
        "<text class=\"soft\" transform=\"translate(16 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{title}</text>"
    );
    for (y, label) in levels {
        let _ = write!(
            svg,
            "<path d=\"M{TIME_LEFT} {y:.1}H{:.1}\" stroke=\"var(--line)\"/>\
             <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - TIME_RIGHT,
            TIME_LEFT - 8.0,
            y + 4.5
        );
    }
    svg
}

fn marks(history: &History, top: f64, x: impl Fn(f64) -> f64) -> String {
    let bottom = top + 2.0 * HIGH + BETWEEN / 2.0;
    let mark = |at_s: f64, what: &str| {
        format!(
            "<path d=\"M{0:.1} {1:.1}V{bottom:.1}\" stroke=\"var(--miss)\" stroke-dasharray=\"4 3\"/>\
             <text class=\"soft\" x=\"{2:.1}\" y=\"{3:.1}\">{4}</text>",
            x(at_s),
            top - 6.0,
            x(at_s) + 6.0,
            top + HIGH + BETWEEN / 2.0 - 6.0,
            escape(what)
        )
    };
    history.marks.iter().map(|it| mark(it.at_s, &it.what)).collect()
}

fn framed(title: &str, height: f64, svg: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\">{svg}</svg>")
}

/// A scale of whole powers of ten around the values, in microseconds.
struct Logarithmic {
    from: f64,
    to: f64,
}

impl Logarithmic {
    fn over(micros: impl Iterator<Item = f64>) -> Logarithmic {
        let (least, most) = micros.fold((f64::MAX, 1.0), |(least, most), it| (it.min(least), it.max(most)));
        let from = least.clamp(1.0, most).log10().floor();
        Logarithmic { from, to: most.log10().ceil().max(from + 1.0) }
    }

    /// The position of a value, from 0 to 1.
    fn share(&self, micros: f64) -> f64 {
        (micros.max(1.0).log10() - self.from) / (self.to - self.from)
    }

    fn powers(&self) -> Vec<f64> {
        (self.from as i32..=self.to as i32).map(|power| 10f64.powi(power)).collect()
    }
}

/// Steps from 0 to at most `most`: five at most after 0, at multiples of 1, 2 or 5 times a power of ten.
fn steps(most: f64) -> Vec<f64> {
    let power = 10f64.powf((most / 5.0).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|step| most / step <= 5.0);
    let step = step.unwrap_or(10.0 * power);
    // Rounded, because three times 0.2 is not exactly 0.6.
    (0..=(most / step) as u32).map(|count| (f64::from(count) * step * 1e6).round() / 1e6).collect()
}

fn whole(value: f64) -> String {
    if value < 100.0 { value.to_string() } else { number(value) }
}

fn in_ms(micros: f64) -> String {
    if micros < 1e6 { format!("{} ms", micros / 1e3) } else { format!("{} s", micros / 1e6) }
}

/// Escapes a text for HTML and SVG.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::results::Mark;
    use super::*;
    use crate::measure::Timeline;

    #[test]
    fn steps_are_few_and_round() {
        assert_eq!(steps(500.0), [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]);
        assert_eq!(steps(61_989.0), [0.0, 20_000.0, 40_000.0, 60_000.0]);
        assert_eq!(steps(1.0), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    }

    #[test]
    fn a_history_shows_its_outage_and_its_marks() {
        let history = History {
            group: "Failures".into(),
            case: "8 nodes & more".into(),
            timeline: Timeline {
                slot_s: 0.25,
                per_second: vec![500.0, 0.0, 1_000.0],
                p50_us: vec![Some(2_000.0), None, Some(2_100.0)],
                max_us: vec![Some(260_000.0), None, Some(9_000.0)],
            },
            marks: vec![Mark { at_s: 0.2, what: "SIGKILL".into() }],
            ..History::default()
        };
        let files = files(&Results { histories: vec![history], ..Results::default() });
        let [(name, svg)] = &files[..] else { panic!("{files:?}") };
        assert_eq!(name, "bench-failures-over-time.svg");
        for part in ["xmlns", "SIGKILL", "8 nodes &amp; more", "prefers-color-scheme", "1,000", "1 s", "0.6 s"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
