//! Layout of the charts: lines over the last seconds, and the strip that shows in which seconds this page could
//! publish. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use cubecast_core::names::TopicName;

use crate::format::{grouped, millis};
use crate::model::charts::{Availability, Fault, History, Percentiles, Second, Sum};

/// Width of a small chart, in the drawing's units.
pub const WIDTH: f64 = 300.0;
/// Height of a small chart, in the drawing's units.
pub const HEIGHT: f64 = 84.0;
/// Height of the availability strip, in the drawing's units.
pub const STRIP_HEIGHT: f64 = 34.0;
/// Number of topics with their own chart: the busiest ones.
pub const MAX_TOPIC_CHARTS: usize = 8;
/// Number of nodes with their own chart; of larger cubes, the busiest ones.
pub const MAX_NODE_CHARTS: usize = 16;

/// All charts.
#[derive(Clone, PartialEq, Debug)]
pub struct ChartsScene {
    /// Publishes of this page per second.
    pub throughput: Chart,
    /// Latency of this page's publishes.
    pub latency: Chart,
    /// At most [`MAX_NODE_CHARTS`], the busiest.
    pub nodes: Vec<Chart>,
    /// At most [`MAX_TOPIC_CHARTS`], the busiest.
    pub topics: Vec<Chart>,
    /// The availability strip, oldest first.
    pub strip: Vec<Run>,
    pub faults: Vec<FaultMark>,
    /// The availability as text for the user.
    pub availability_words: String,
}

/// A small line chart.
#[derive(Clone, PartialEq, Debug)]
pub struct Chart {
    pub title: String,
    /// The newest value, as text.
    pub now: String,
    /// The upper end of the scale, as text.
    pub top: String,
    pub lines: Vec<Line>,
}

/// A line of a chart.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// The name of its style.
    pub name: &'static str,
    /// An SVG path.
    pub path: String,
    /// The closed area below the line, as an SVG path.
    pub area: Option<String>,
}

/// Successive seconds with the same availability.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub x: f64,
    pub width: f64,
    pub state: Availability,
    pub seconds: usize,
}

/// The mark of a fault that began or ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FaultMark {
    pub x: f64,
    pub fault: Fault,
}

/// The displayed seconds, the newest at the right.
struct Window<'a> {
    seconds: Vec<&'a Rc<Second>>,
    span: usize,
}

impl ChartsScene {
    /// `span`: the number of seconds to show.
    pub fn of(history: &History, span: usize) -> ChartsScene {
        let first = history.seconds.len().saturating_sub(span);
        let window = Window { seconds: history.seconds.range(first..).collect(), span };
        ChartsScene {
            throughput: window.throughput("Published by this page", |second| Some(second.page)),
            latency: window.latency("Latency of this page's publishes", |second| second.page.latency),
            nodes: window.node_charts(),
            topics: window.topic_charts(),
            strip: window.strip(),
            faults: window.faults(),
            availability_words: window.availability_words(),
        }
    }
}

impl Window<'_> {
    /// The left end of a second.
    fn x(&self, at: usize) -> f64 {
        (self.span - self.seconds.len() + at) as f64 / self.span as f64 * WIDTH
    }

    fn throughput(&self, title: &str, of: impl Fn(&Second) -> Option<Sum>) -> Chart {
        let sums: Vec<Sum> = self.seconds.iter().map(|second| of(second).unwrap_or_default()).collect();
        let most = sums.iter().map(|sum| sum.done.max(sum.failed)).max().unwrap_or(0);
        let top = round_up(f64::from(most).max(1.0));
        let last = sums.last().copied().unwrap_or_default();
        let line = |name, of: fn(&Sum) -> u32| {
            self.line(name, sums.iter().map(|sum| Some(f64::from(of(sum)))), top, name == "done")
        };
        let mut lines = vec![line("done", |sum| sum.done)];
        if sums.iter().any(|sum| sum.failed > 0) {
            lines.push(line("failed", |sum| sum.failed));
        }
        let failed =
            if last.failed > 0 { format!(", {} failed", grouped(u64::from(last.failed))) } else { String::new() };
        let now = format!("{} /s{failed}", grouped(u64::from(last.done)));
        Chart { title: title.to_owned(), now, top: grouped(top as u64), lines }
    }

    fn latency(&self, title: &str, of: impl Fn(&Second) -> Option<Percentiles>) -> Chart {
        let all: Vec<Option<Percentiles>> = self.seconds.iter().map(|second| of(second)).collect();
        let most = all.iter().flatten().map(|percentiles| percentiles.p99).max().unwrap_or(0);
        let top = round_up(f64::from(most).max(1_000.0));
        let line = |name, of: fn(&Percentiles) -> u32| {
            self.line(name, all.iter().map(|some| some.as_ref().map(|some| f64::from(of(some)))), top, false)
        };
        let lines = vec![line("p50", |p| p.p50), line("p95", |p| p.p95), line("p99", |p| p.p99)];
        let now = all.iter().rev().flatten().next().map_or("–".to_owned(), |last| {
            let [p50, p95, p99] = [last.p50, last.p95, last.p99].map(|us| millis(f64::from(us) / 1_000.0));
            format!("p50 {p50} · p95 {p95} · p99 {p99}")
        });
        Chart { title: title.to_owned(), now, top: millis(top / 1_000.0), lines }
    }

    fn node_charts(&self) -> Vec<Chart> {
        let mut totals: BTreeMap<_, u64> = BTreeMap::new();
        for (node, sum) in self.seconds.iter().flat_map(|second| &second.nodes) {
            *totals.entry(*node).or_default() += u64::from(sum.done);
        }
        let nodes = busiest(totals, MAX_NODE_CHARTS);
        let chart = |node| {
            let chart = self.throughput(&format!("{node}"), |second| second.nodes.get(node).copied());
            self.with_latency(chart, |second| second.nodes.get(node)?.latency)
        };
        nodes.iter().map(chart).collect()
    }

    fn topic_charts(&self) -> Vec<Chart> {
        let mut totals: BTreeMap<TopicName, u64> = BTreeMap::new();
        for (topic, sum) in self.seconds.iter().flat_map(|second| &second.topics) {
            *totals.entry(topic.clone()).or_default() += u64::from(sum.done);
        }
        let topics = busiest(totals, MAX_TOPIC_CHARTS);
        let chart = |topic: &TopicName| {
            let chart = self.throughput(&topic.to_string(), |second| second.topics.get(topic).copied());
            self.with_latency(chart, |second| second.topics.get(topic)?.latency)
        };
        topics.iter().map(chart).collect()
    }

    /// Adds the newest latency to the displayed value.
    fn with_latency(&self, mut chart: Chart, of: impl Fn(&Second) -> Option<Percentiles>) -> Chart {
        if let Some(last) = self.seconds.iter().rev().find_map(|second| of(second)) {
            let [p50, p99] = [last.p50, last.p99].map(|us| millis(f64::from(us) / 1_000.0));
            chart.now = format!("{} · p50 {p50} · p99 {p99}", chart.now);
        }
        chart
    }

    /// Missing values interrupt the line; an isolated value is a dot.
    fn line(&self, name: &'static str, values: impl Iterator<Item = Option<f64>>, top: f64, with_area: bool) -> Line {
        let step = WIDTH / self.span as f64;
        let y = |value: f64| HEIGHT - 1.5 - (value / top).min(1.0) * (HEIGHT - 4.0);
        let mut path = String::new();
        let mut area = String::new();
        let mut pen_is_down = false;
        let mut last_x = 0.0;
        for (at, value) in values.enumerate() {
            let Some(value) = value else {
                pen_is_down = false;
                continue;
            };
            let (x, y) = (self.x(at) + step / 2.0, y(value));
            path += &if pen_is_down { format!("L{x:.1} {y:.1}") } else { format!("M{x:.1} {y:.1}h0.01") };
            area +=
                &if area.is_empty() { format!("M{x:.1} {HEIGHT}L{x:.1} {y:.1}") } else { format!("L{x:.1} {y:.1}") };
            (pen_is_down, last_x) = (true, x);
        }
        let area = (with_area && !area.is_empty()).then(|| format!("{area}L{last_x:.1} {HEIGHT}z"));
        Line { name, path, area }
    }

    fn strip(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for (at, second) in self.seconds.iter().enumerate() {
            let step = WIDTH / self.span as f64;
            match runs.last_mut().filter(|run| run.state == second.availability) {
                Some(run) => {
                    run.seconds += 1;
                    run.width += step;
                }
                None => runs.push(Run { x: self.x(at), width: step, state: second.availability, seconds: 1 }),
            }
        }
        runs
    }

    fn faults(&self) -> Vec<FaultMark> {
        let step = WIDTH / self.span as f64;
        let marks = self.seconds.iter().enumerate().flat_map(|(at, second)| {
            let x = self.x(at) + step / 2.0;
            second.faults.iter().map(move |fault| FaultMark { x, fault: *fault })
        });
        marks.collect()
    }

    fn availability_words(&self) -> String {
        let count = |wanted| self.seconds.iter().filter(|second| second.availability == wanted).count();
        let [good, slow, failed] = [Availability::Good, Availability::Slow, Availability::Failed].map(count);
        let tried = good + slow + failed;
        if tried == 0 {
            return "This page has not published yet: start a load, and break something.".to_owned();
        }
        let share = good as f64 / tried as f64 * 100.0;
        format!("{share:.1} % of {tried} seconds good, {slow} slow, {failed} with a failure")
    }
}

fn busiest<K: Clone + Ord>(totals: BTreeMap<K, u64>, most: usize) -> Vec<K> {
    let mut keys: Vec<(K, u64)> = totals.into_iter().collect();
    if keys.len() > most {
        keys.sort_by_key(|(_, total)| Reverse(*total));
        keys.truncate(most);
        keys.sort_by(|a, b| a.0.cmp(&b.0));
    }
    keys.into_iter().map(|(key, _)| key).collect()
}

/// The next value of the form 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= value * 0.999_999).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use cubecast_core::faults::StopMode;

    use super::*;

    #[test]
    fn the_newest_second_stands_at_the_right_and_nothing_leaves_the_picture() {
        let scene = ChartsScene::of(&history(30), 120);
        for chart in scene.nodes.iter().chain(&scene.topics).chain([&scene.throughput, &scene.latency]) {
            for line in &chart.lines {
                for (x, y) in points(&line.path) {
                    assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{x} {y} of {}", chart.title);
                }
            }
        }
        let last = points(&scene.throughput.lines[0].path).last().copied().unwrap();
        assert!(WIDTH - last.0 < WIDTH / 120.0);
        assert!((scene.strip.last().map(|run| run.x + run.width).unwrap() - WIDTH).abs() < 0.01);
    }

    #[test]
    fn seconds_that_were_alike_are_one_run_and_all_are_counted() {
        let scene = ChartsScene::of(&history(30), 600);
        let states: Vec<_> = scene.strip.iter().map(|run| (run.state.name(), run.seconds)).collect();
        assert_eq!(states, [("quiet", 10), ("good", 10), ("failed", 2), ("slow", 1), ("good", 7)]);
        assert_eq!(scene.availability_words, "85.0 % of 20 seconds good, 1 slow, 2 with a failure");
    }

    #[test]
    fn a_line_is_interrupted_where_nothing_was_measured() {
        let scene = ChartsScene::of(&history(30), 120);
        let p50 = &scene.latency.lines[0];
        assert_eq!((p50.name, p50.path.matches('M').count()), ("p50", 2), "{}", p50.path);
    }

    #[test]
    fn faults_stand_where_they_happened() {
        let scene = ChartsScene::of(&history(30), 30);
        assert_eq!(scene.faults.len(), 2);
        assert!(scene.faults[0].x < scene.faults[1].x);
        assert_eq!([0, 1].map(|at: usize| scene.faults[at].fault.heals()), [false, true]);
    }

    #[test]
    fn the_scale_ends_at_a_round_number_above_all() {
        for (value, top) in [(1.0, 1.0), (3.0, 5.0), (51.0, 100.0), (100.0, 100.0), (1_999.0, 2_000.0)] {
            assert_eq!(round_up(value), top, "{value}");
        }
    }

    #[test]
    fn without_a_second_there_are_axes_and_no_lines() {
        let scene = ChartsScene::of(&History::default(), 120);
        assert!(scene.throughput.lines.iter().all(|line| line.path.is_empty()));
        assert!(scene.availability_words.contains("start a load") && scene.nodes.is_empty());
    }

    #[test]
    fn of_many_topics_the_busiest_are_shown() {
        let totals = (0..100u64).map(|number| (number, number)).collect();
        assert_eq!(busiest(totals, 3), [97, 98, 99]);
    }

    /// Ten quiet seconds, then seconds with 100 publishes each, except two with failures; one is slow.
    fn history(count: u64) -> History {
        let second = |at: u64| {
            let availability = match at {
                0..10 => Availability::Quiet,
                20 | 21 => Availability::Failed,
                22 => Availability::Slow,
                _ => Availability::Good,
            };
            let is_measured = !matches!(availability, Availability::Quiet | Availability::Failed);
            let latency = is_measured.then_some(Percentiles { p50: 900, p95: 2_000, p99: 9_000 });
            let sum = Sum { done: if is_measured { 100 } else { 0 }, failed: 0, latency };
            let node = "100".parse().unwrap();
            Rc::new(Second {
                at_s: at,
                page: sum,
                nodes: [("100".parse().unwrap(), sum)].into(),
                topics: [(TopicName::new("news").unwrap(), sum)].into(),
                availability,
                faults: match at {
                    20 => vec![Fault::Stopped { node, mode: StopMode::Crash }],
                    22 => vec![Fault::Returned { node }],
                    _ => Vec::new(),
                },
            })
        };
        History { seconds: (0..count).map(second).collect() }
    }

    /// The end points of the path's strokes.
    fn points(path: &str) -> Vec<(f64, f64)> {
        let path = path.replace("h0.01", "");
        let strokes = path.split(['M', 'L']).filter(|stroke| !stroke.is_empty());
        let point = |stroke: &str| {
            let (x, y) = stroke.split_once(' ').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        };
        strokes.map(point).collect()
    }
}
