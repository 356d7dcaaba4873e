//! The lines of a chart: their paths, the labels at their ends, and their values as text.

use super::axis::{Scale, Unit, ValueTick};
use super::{HEIGHT, WIDTH, Window};
use crate::format::grouped;

/// A line is labelled at the right end if it has a value in this many of the newest seconds.
const NEWEST: usize = 5;

/// Lines with a common scale.
#[derive(Clone, PartialEq, Debug)]
pub struct Plot {
    pub unit: Unit,
    pub ticks: Vec<ValueTick>,
    pub lines: Vec<Line>,
}

/// A line of a chart.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// The name of its style.
    pub name: &'static str,
    /// Its name for people.
    pub label: String,
    /// An SVG path.
    pub path: String,
    /// The closed area below the line, as an SVG path.
    pub area: Option<String>,
    /// By second.
    pub values: Vec<Option<u32>>,
    /// Whether the true values may be smaller, by second; empty if never.
    pub bounds: Vec<bool>,
    /// Where its label is, in the drawing's units from the top; `None` if there is no room.
    pub label_y: Option<f64>,
}

impl Line {
    /// A line that is not drawn yet.
    pub fn new(name: &'static str, label: impl Into<String>, values: Vec<Option<u32>>) -> Line {
        Line { name, label: label.into(), path: String::new(), area: None, values, bounds: Vec::new(), label_y: None }
    }

    /// The value at a second; without one, that of the newest second.
    fn value(&self, at: Option<usize>) -> Option<u32> {
        self.values.get(at.unwrap_or(self.values.len().wrapping_sub(1))).copied().flatten()
    }

    fn is_bound(&self, at: Option<usize>) -> bool {
        self.bounds.get(at.unwrap_or(self.bounds.len().wrapping_sub(1))) == Some(&true)
    }
}

impl Plot {
    /// The values at a second as text; without a second, the newest ones. `None` if there are none.
    pub fn words(&self, at: Option<usize>) -> Option<String> {
        let at = match (at, self.unit) {
            // Latencies are rare under a light load, so the newest measurement is shown, however old.
            (None, Unit::Microseconds) => {
                self.lines.first().and_then(|line| line.values.iter().rposition(Option::is_some))
            }
            (at, _) => at,
        };
        let words = |line: &Line| {
            let value = line.value(at)?;
            let number = self.unit.words(f64::from(value));
            Some(match line.name {
                "done" => number,
                "failed" if value == 0 => return None,
                "failed" => format!("{} failed", grouped(u64::from(value))),
                _ if line.is_bound(at) => format!("{} ≤ {number}", line.label),
                _ => format!("{} {number}", line.label),
            })
        };
        let words: Vec<String> = self.lines.iter().filter_map(words).collect();
        (!words.is_empty()).then(|| words.join(" · "))
    }
}

impl Window<'_> {
    /// Draws lines on a scale. `apart`: the height of a label in the drawing's units.
    pub(super) fn plot(&self, unit: Unit, scale: Scale, mut lines: Vec<Line>, apart: f64) -> Plot {
        let most_decades = (HEIGHT / apart / 2.0) as usize;
        let mut taken = Vec::new();
        for line in &mut lines {
            (line.path, line.area) = self.path(line, scale);
            let newest = line.values.iter().rev().take(NEWEST).copied().flatten().next();
            line.label_y = newest.map(|value| scale.y(f64::from(value))).filter(|y| is_free(&taken, *y, apart));
            taken.extend(line.label_y);
        }
        Plot { unit, ticks: scale.ticks(most_decades), lines }
    }

    /// Missing values interrupt the line; an isolated value is a dot.
    fn path(&self, line: &Line, scale: Scale) -> (String, Option<String>) {
        let with_area = line.name == "done";
        let mut path = String::new();
        let mut area = String::new();
        let mut pen_is_down = false;
        let mut last_x = 0.0;
        for (at, value) in line.values.iter().enumerate() {
            let Some(value) = value else {
                pen_is_down = false;
                continue;
            };
            let (x, y) = (self.frame().share_of(at) * WIDTH, scale.y(f64::from(*value)));
            path += &if pen_is_down { format!("L{x:.1} {y:.1}") } else { format!("M{x:.1} {y:.1}h0.01") };
            if with_area {
                let start = if area.is_empty() { format!("M{x:.1} {HEIGHT}") } else { String::new() };
                area += &format!("{start}L{x:.1} {y:.1}");
            }
            (pen_is_down, last_x) = (true, x);
        }
        let area = (!area.is_empty()).then(|| format!("{area}L{last_x:.1} {HEIGHT}z"));
        (path, area)
    }
}

/// Whether a label there would not cover one of the others.
fn is_free(taken: &[f64], y: f64, apart: f64) -> bool {
    taken.iter().all(|other| (other - y).abs() >= apart)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{history, scene, window};
    use super::*;

    #[test]
    fn labels_that_would_cover_each_other_are_left_out_the_first_line_first() {
        let plot = |values: [u32; 3], apart| {
            let history = history(30);
            let lines = values.map(|value| Line::new("p50", "", vec![Some(value); 30])).to_vec();
            let scale = Scale::of_latencies(1_000, 1_000_000);
            let plot = window(&history, 30).plot(Unit::Microseconds, scale, lines, apart);
            plot.lines.iter().map(|line| line.label_y.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(plot([1_000, 20_000, 400_000], 9.0), [true, true, true]);
        assert_eq!(plot([1_000, 1_100, 400_000], 9.0), [true, false, true]);
        assert_eq!(plot([1_000, 1_000, 1_000], 9.0), [true, false, false]);
    }

    #[test]
    fn a_line_that_ended_long_ago_has_no_label_at_the_end() {
        let history = history(30);
        let mut values = vec![Some(5); 20];
        values.resize(30, None);
        let lines = vec![Line::new("own", "reader1", values)];
        let plot = window(&history, 30).plot(Unit::Messages, Scale::from_zero(Unit::Messages, 5), lines, 9.0);
        assert_eq!(plot.lines[0].label_y, None);
    }

    #[test]
    fn a_line_is_interrupted_where_nothing_was_measured() {
        let scene = scene(&history(30), 120);
        let p50 = &scene.latency.plots[0].lines[0];
        assert_eq!((p50.name, p50.path.matches('M').count()), ("p50", 2), "{}", p50.path);
    }

    #[test]
    fn each_second_has_its_own_values_and_without_one_they_are_the_newest() {
        let scene = scene(&history(30), 30);
        let (throughput, latency) = (&scene.throughput, &scene.latency);
        assert_eq!(throughput.words(None), "100 /s");
        assert_eq!(throughput.words(Some(20)), "0 /s · 7 failed");
        assert_eq!(latency.words(Some(23)), "p50 0.9 ms · p95 2.0 ms · p99 9.0 ms");
        assert_eq!((latency.words(Some(20)), scene.nodes[0].words(Some(20))), ("–".to_owned(), "0 /s".to_owned()));
        let interrupted = self::scene(&history(22), 30);
        assert_eq!(interrupted.latency.words(None), latency.words(Some(19)), "the newest measurement");
    }

    #[test]
    fn a_bound_is_called_one() {
        let bounds = vec![false, true];
        let line = Line { bounds, ..Line::new("other1", "b", vec![Some(3), Some(1_000)]) };
        let plot = Plot { unit: Unit::Messages, ticks: Vec::new(), lines: vec![line] };
        assert_eq!([Some(0), None].map(|at| plot.words(at).unwrap()), ["b 3", "b ≤ 1\u{202f}000"]);
    }
}
