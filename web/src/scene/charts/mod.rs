//! Layout of the charts: lines over the last seconds with their axes, the strip that shows in which seconds this page
//! could publish, the faults, and the crosshair. Pure.

pub mod axis;
pub mod crosshair;
mod export;
mod lines;
mod marks;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use cubecast_core::names::TopicName;

use crate::format::duration;
use crate::model::charts::{Availability, History, Lag, Percentiles, Second, Subscription, Sum};
use axis::{Clock, Scale, TimeTick, Unit};
use crosshair::Span;
pub use lines::{Line, Plot};
pub use marks::{FaultGroup, Marks};

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
/// Number of subscriptions in the chart of lags: this page's own, then those that were furthest behind.
pub const MAX_LAG_LINES: usize = OTHERS.len();

/// The styles of other subscriptions' lines.
const OTHERS: [&str; 4] = ["other1", "other2", "other3", "other4"];
/// The grids of the large and the small charts, as in the style sheet.
const LARGE: Grid = Grid { least_px: 300.0, gap_px: 14.0, beside_px: 116.0 };
const SMALL: Grid = Grid { least_px: 250.0, gap_px: 12.0, beside_px: 110.0 };
/// The space for labels at both ends of the time axis of the strip, and of the charts.
const STRIP_ROOM_PX: f64 = 12.0;
const CHART_ROOM_PX: f64 = 36.0;
/// The height of a label in a large and in a small chart, in the drawing's units.
const LARGE_APART: f64 = 9.0;
const SMALL_APART: f64 = 18.0;
/// From this many seconds on, it is mentioned that a subscription that is behind receives nothing.
const QUIET_S: u32 = 10;

/// What to show.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// The number of seconds.
    pub span: usize,
    /// The topic of the chart of lags.
    pub topic: Option<TopicName>,
    pub clock: Clock,
    /// The width of the availability strip, in pixels.
    pub width_px: u32,
}

/// All charts.
#[derive(Clone, PartialEq, Debug)]
pub struct ChartsScene {
    /// Publishes of this page per second.
    pub throughput: Chart,
    /// Latency of this page's publishes.
    pub latency: Chart,
    /// Lags of the chosen topic's subscriptions; `None` if none is known.
    pub lag: Option<Chart>,
    /// At most [`MAX_NODE_CHARTS`], the busiest.
    pub nodes: Vec<Chart>,
    /// At most [`MAX_TOPIC_CHARTS`], the busiest.
    pub topics: Vec<Chart>,
    /// The availability strip, oldest first.
    pub strip: Vec<Run>,
    /// The faults, oldest first.
    pub faults: Vec<FaultGroup>,
    pub marks: Rc<Marks>,
    /// The time axis below the strip, below the large charts, and below the small ones.
    pub ticks: [Rc<Vec<TimeTick>>; 3],
    /// The availability as text for the user.
    pub availability_words: String,
    pub clock: Clock,
    pub span: Span,
    /// The displayed seconds, oldest first.
    pub seconds: Vec<Rc<Second>>,
}

/// Plots one below the other, with a common time axis.
#[derive(Clone, PartialEq, Debug)]
pub struct Chart {
    pub title: String,
    pub plots: Vec<Rc<Plot>>,
    /// What a reader has to know about the values.
    pub note: Option<String>,
}

/// Successive seconds with the same availability.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    pub x: f64,
    pub width: f64,
    pub state: Availability,
    pub seconds: usize,
}

/// A grid of charts of equal width.
struct Grid {
    /// The least width of a chart.
    least_px: f64,
    gap_px: f64,
    /// The width of a chart that its plots do not take.
    beside_px: f64,
}

/// The displayed seconds, the newest at the right.
struct Window<'a> {
    seconds: Vec<&'a Rc<Second>>,
    span: usize,
}

impl ChartsScene {
    /// The charts of a part of the history.
    pub fn of(history: &History, choice: &Choice) -> ChartsScene {
        let window = Window::of(history, choice.span);
        let width_px = f64::from(choice.width_px);
        let faults = window.fault_groups(width_px);
        ChartsScene {
            throughput: window.throughput("Published by this page", LARGE_APART, |second| Some(second.page)),
            latency: window.latency("Latency of this page's publishes", |second| second.page.latency),
            lag: choice.topic.as_ref().and_then(|topic| window.lag(topic)),
            nodes: window.node_charts(),
            topics: window.topic_charts(),
            strip: window.strip(),
            marks: Rc::new(window.marks(&faults)),
            faults,
            ticks: [
                (width_px, STRIP_ROOM_PX),
                (LARGE.plot_px(width_px), CHART_ROOM_PX),
                (SMALL.plot_px(width_px), CHART_ROOM_PX),
            ]
            .map(|(width_px, room_px)| Rc::new(window.time_ticks(choice.clock, width_px, room_px))),
            availability_words: window.availability_words(),
            clock: choice.clock,
            span: window.frame(),
            seconds: window.seconds.into_iter().cloned().collect(),
        }
    }
}

impl Chart {
    /// The values at a second as text; without a second, the newest ones.
    pub fn words(&self, at: Option<usize>) -> String {
        let words: Vec<String> = self.plots.iter().filter_map(|plot| plot.words(at)).collect();
        if words.is_empty() { "–".to_owned() } else { words.join(" · ") }
    }
}

impl Grid {
    /// The width of the plots, if the grid is this wide.
    fn plot_px(&self, width_px: f64) -> f64 {
        let columns = ((width_px + self.gap_px) / (self.least_px + self.gap_px)).floor().max(1.0);
        (width_px + self.gap_px) / columns - self.gap_px - self.beside_px
    }
}

impl Window<'_> {
    fn of(history: &History, span: usize) -> Window<'_> {
        let first = history.seconds.len().saturating_sub(span);
        Window { seconds: history.seconds.range(first..).collect(), span }
    }

    fn frame(&self) -> Span {
        let first_s = self.seconds.first().map_or(0, |second| second.at_s);
        Span { first_s, count: self.seconds.len(), span: self.span }
    }

    fn throughput(&self, title: &str, apart: f64, of: impl Fn(&Second) -> Option<Sum>) -> Chart {
        let sums: Vec<Sum> = self.seconds.iter().map(|second| of(second).unwrap_or_default()).collect();
        let most = sums.iter().map(|sum| sum.done.max(sum.failed)).max().unwrap_or(0);
        let line = |name, of: fn(&Sum) -> u32| Line::new(name, name, sums.iter().map(|sum| Some(of(sum))).collect());
        let mut lines = vec![line("done", |sum| sum.done)];
        if sums.iter().any(|sum| sum.failed > 0) {
            lines.push(line("failed", |sum| sum.failed));
        }
        let plot = self.plot(Unit::PerSecond, Scale::from_zero(Unit::PerSecond, most), lines, apart);
        Chart { title: title.to_owned(), plots: vec![Rc::new(plot)], note: None }
    }

    fn latency(&self, title: &str, of: impl Fn(&Second) -> Option<Percentiles>) -> Chart {
        Chart { title: title.to_owned(), plots: vec![Rc::new(self.percentiles(LARGE_APART, of))], note: None }
    }

    fn percentiles(&self, apart: f64, of: impl Fn(&Second) -> Option<Percentiles>) -> Plot {
        let all: Vec<Option<Percentiles>> = self.seconds.iter().map(|second| of(second)).collect();
        let least = all.iter().flatten().map(|percentiles| percentiles.p50).min().unwrap_or(1_000);
        let most = all.iter().flatten().map(|percentiles| percentiles.p99).max().unwrap_or(1_000);
        let line = |name, of: fn(&Percentiles) -> u32| {
            Line::new(name, name, all.iter().map(|some| some.as_ref().map(of)).collect())
        };
        let lines = vec![line("p50", |p| p.p50), line("p95", |p| p.p95), line("p99", |p| p.p99)];
        self.plot(Unit::Microseconds, Scale::of_latencies(least, most), lines, apart)
    }

    /// `None` without a subscription of this topic.
    fn lag(&self, topic: &TopicName) -> Option<Chart> {
        let mut worst: Vec<(Rc<Subscription>, bool, u32)> = Vec::new();
        for lag in self.seconds.iter().flat_map(|second| &second.lags).filter(|lag| lag.of.topic == *topic) {
            match worst.iter_mut().find(|(of, ..)| *of == lag.of) {
                Some((_, is_own, most)) => (*is_own, *most) = (lag.is_own, lag.messages.max(*most)),
                None => worst.push((Rc::clone(&lag.of), lag.is_own, lag.messages)),
            }
        }
        let most = worst.iter().map(|(.., most)| *most).max()?;
        let left_out = worst.len().saturating_sub(MAX_LAG_LINES);
        let mut chosen = Vec::new();
        while chosen.len() < MAX_LAG_LINES
            && let Some(at) = (0..worst.len()).max_by_key(|at| (worst[*at].1, worst[*at].2))
        {
            chosen.push(worst.swap_remove(at));
        }
        let line = |(of, is_own, _): &(Rc<Subscription>, bool, u32), style: &'static str| {
            let lags: Vec<Option<&Lag>> =
                self.seconds.iter().map(|second| second.lags.iter().find(|lag| lag.of == *of)).collect();
            let values = lags.iter().map(|lag| lag.map(|lag| lag.messages)).collect();
            let bounds = lags.iter().map(|lag| lag.is_some_and(|lag| !lag.is_exact)).collect();
            Line { bounds, ..Line::new(if *is_own { "own" } else { style }, of.subscriber.as_str(), values) }
        };
        let lines: Vec<Line> = chosen.iter().zip(OTHERS).map(|(chosen, style)| line(chosen, style)).collect();
        let note = self.lag_note(topic, left_out);
        let scale = Scale::from_zero(Unit::Messages, most);
        let plots = vec![Rc::new(self.plot(Unit::Messages, scale, lines, LARGE_APART))];
        Some(Chart { title: format!("Messages behind the end of {topic}"), plots, note })
    }

    /// What the lines of the lags do not show.
    fn lag_note(&self, topic: &TopicName, left_out: usize) -> Option<String> {
        let newest = self.seconds.last()?.lags.iter().filter(|lag| lag.of.topic == *topic);
        let (mut notes, mut has_bounds) = (Vec::new(), false);
        for lag in newest {
            has_bounds |= !lag.is_exact;
            if lag.messages > 0 && lag.quiet_s >= QUIET_S {
                let quiet = duration(u64::from(lag.quiet_s) * 1_000);
                notes.push(format!("{} has received nothing for {quiet}.", lag.of.subscriber));
            }
        }
        notes.truncate(MAX_LAG_LINES);
        if has_bounds {
            notes.push("≤: not all deliveries were reported to this page.".to_owned());
        }
        if left_out > 0 {
            notes.push(format!("{left_out} more are not shown."));
        }
        (!notes.is_empty()).then(|| notes.join(" "))
    }

    fn node_charts(&self) -> Vec<Chart> {
        let mut totals: BTreeMap<_, u64> = BTreeMap::new();
        for (node, sum) in self.seconds.iter().flat_map(|second| &second.nodes) {
            *totals.entry(*node).or_default() += u64::from(sum.done);
        }
        let nodes = busiest(totals, MAX_NODE_CHARTS);
        nodes.iter().map(|node| self.small(&format!("{node}"), |second| second.nodes.get(node).copied())).collect()
    }

    fn topic_charts(&self) -> Vec<Chart> {
        let mut totals: BTreeMap<TopicName, u64> = BTreeMap::new();
        for (topic, sum) in self.seconds.iter().flat_map(|second| &second.topics) {
            *totals.entry(topic.clone()).or_default() += u64::from(sum.done);
        }
        let topics = busiest(totals, MAX_TOPIC_CHARTS);
        topics.iter().map(|topic| self.small(topic.as_str(), |second| second.topics.get(topic).copied())).collect()
    }

    /// Throughput, and latency below it if it was measured.
    fn small(&self, title: &str, of: impl Fn(&Second) -> Option<Sum>) -> Chart {
        let latency = |second: &Second| of(second)?.latency;
        let mut chart = self.throughput(title, SMALL_APART, &of);
        if self.seconds.iter().any(|second| latency(second).is_some()) {
            chart.plots.push(Rc::new(self.percentiles(SMALL_APART, latency)));
        }
        chart
    }

    fn strip(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let step = WIDTH / self.span as f64;
        for (at, second) in self.seconds.iter().enumerate() {
            match runs.last_mut().filter(|run| run.state == second.availability) {
                Some(run) => {
                    run.seconds += 1;
                    run.width += step;
                }
                None => {
                    let x = self.frame().share_of(at) * WIDTH - step / 2.0;
                    runs.push(Run { x, width: step, state: second.availability, seconds: 1 });
                }
            }
        }
        runs
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

#[cfg(test)]
mod tests;
