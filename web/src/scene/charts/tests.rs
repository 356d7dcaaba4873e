use cubecast_core::faults::StopMode;
use cubecast_core::names::SubscriberId;

use super::*;
use crate::model::feed::Fact;

#[test]
fn the_newest_second_stands_at_the_right_and_nothing_leaves_the_picture() {
    let scene = scene(&history(30), 120);
    for chart in scene.nodes.iter().chain(&scene.topics).chain([&scene.throughput, &scene.latency]) {
        for line in chart.plots.iter().flat_map(|plot| &plot.lines) {
            for (x, y) in points(&line.path) {
                assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{x} {y} of {}", chart.title);
            }
        }
    }
    let last = points(&scene.throughput.plots[0].lines[0].path).last().copied().unwrap();
    assert!(WIDTH - last.0 < WIDTH / 120.0);
    assert!((scene.strip.last().map(|run| run.x + run.width).unwrap() - WIDTH).abs() < 0.01);
}

#[test]
fn seconds_that_were_alike_are_one_run_and_all_are_counted() {
    let scene = scene(&history(30), 600);
    let states: Vec<_> = scene.strip.iter().map(|run| (run.state.name(), run.seconds)).collect();
    assert_eq!(states, [("quiet", 10), ("good", 10), ("failed", 2), ("slow", 1), ("good", 7)]);
    assert_eq!(scene.availability_words, "85.0 % of 20 seconds good, 1 slow, 2 with a failure");
}

#[test]
fn faults_stand_where_they_happened() {
    let scene = scene(&history(30), 30);
    let shares: Vec<f64> = scene.faults.iter().map(|group| group.share).collect();
    assert_eq!(shares, [20.5 / 30.0, 22.5 / 30.0]);
    assert_eq!((scene.marks.began.as_str(), scene.marks.ended.as_str()), ("M205.0 0V84", "M225.0 0V84"));
}

#[test]
fn without_a_second_there_are_axes_and_no_lines() {
    let scene = scene(&History::default(), 120);
    let chart = &scene.throughput.plots[0];
    assert!(chart.lines.iter().all(|line| line.path.is_empty()) && !chart.ticks.is_empty());
    assert!(scene.availability_words.contains("start a load") && scene.nodes.is_empty() && scene.lag.is_none());
    assert_eq!((scene.throughput.words(None), scene.latency.words(None)), ("–".to_owned(), "–".to_owned()));
}

#[test]
fn of_many_topics_the_busiest_are_shown() {
    let totals = (0..100u64).map(|number| (number, number)).collect();
    assert_eq!(busiest(totals, 3), [97, 98, 99]);
}

#[test]
fn plots_share_the_width_that_the_labels_leave() {
    let widths = [320.0, 1_020.0].map(|width_px| LARGE.plot_px(width_px).round());
    assert_eq!(widths, [204.0, 215.0], "one chart, and three side by side");
}

#[test]
fn a_node_without_measurements_has_no_latency_plot() {
    let mut history = history(30);
    for second in &mut history.seconds {
        let other = Sum { latency: None, ..second.page };
        Rc::make_mut(second).nodes.insert("101".parse().unwrap(), other);
    }
    let scene = scene(&history, 120);
    let plots: Vec<_> = scene.nodes.iter().map(|chart| (chart.title.as_str(), chart.plots.len())).collect();
    assert_eq!(plots, [("100", 2), ("101", 1)]);
}

#[test]
fn the_lag_of_this_page_comes_first_and_then_those_who_are_furthest_behind() {
    let mut history = history(30);
    let names = ["a", "b", "c", "d", "e", "me"];
    let of = names.map(|name| {
        let subscriber = SubscriberId::new(name).unwrap();
        Rc::new(Subscription { topic: TopicName::new("news").unwrap(), subscriber })
    });
    for second in history.seconds.iter_mut().skip(10) {
        let lag = |(at, of): (usize, &Rc<Subscription>)| Lag {
            of: Rc::clone(of),
            messages: 10 * at as u32,
            quiet_s: if at == 3 { 40 } else { 0 },
            is_own: at == 5,
            is_exact: at != 4,
        };
        Rc::make_mut(second).lags = of.iter().enumerate().map(lag).collect();
    }
    let lag = scene(&history, 30).lag.unwrap();
    let lines: Vec<_> = lag.plots[0].lines.iter().map(|line| (line.label.as_str(), line.name)).collect();
    assert_eq!(lines, [("me", "own"), ("e", "other2"), ("d", "other3"), ("c", "other4")]);
    assert_eq!(lag.plots[0].lines[0].values[9..11], [None, Some(50)]);
    assert_eq!(lag.words(None), "me 50 · e ≤ 40 · d 30 · c 20");
    let note =
        "d has received nothing for 40 s. ≤: not all deliveries were reported to this page. 2 more are not shown.";
    assert_eq!(lag.note.as_deref(), Some(note));
    let other = Choice { topic: TopicName::new("cricket").ok(), ..choice(30) };
    assert_eq!(ChartsScene::of(&history, &other).lag, None);
}

/// Ten quiet seconds, then seconds with 100 publishes each, except two with failures; one is slow.
pub(super) fn history(count: u64) -> History {
    let second = |at: u64| {
        let availability = match at {
            0..10 => Availability::Quiet,
            20 | 21 => Availability::Failed,
            22 => Availability::Slow,
            _ => Availability::Good,
        };
        let is_measured = !matches!(availability, Availability::Quiet | Availability::Failed);
        let latency = is_measured.then_some(Percentiles { p50: 900, p95: 2_000, p99: 9_000 });
        let failed = if availability == Availability::Failed { 7 } else { 0 };
        let page = Sum { done: if is_measured { 100 } else { 0 }, failed, latency };
        let sum = Sum { failed: 0, ..page };
        let node = "100".parse().unwrap();
        Rc::new(Second {
            at_s: at,
            page,
            nodes: [("100".parse().unwrap(), sum)].into(),
            topics: [(TopicName::new("news").unwrap(), sum)].into(),
            availability,
            lags: Vec::new(),
            faults: match at {
                20 => vec![Fact::Stopped { node, mode: StopMode::Crash, duration_ms: 2_000 }],
                22 => vec![Fact::Returned { node, is_new: false }],
                _ => Vec::new(),
            },
            more_faults: if at == 22 { 2 } else { 0 },
        })
    };
    History { seconds: (0..count).map(second).collect() }
}

pub(super) fn window(history: &History, span: usize) -> Window<'_> {
    Window::of(history, span)
}

pub(super) fn scene(history: &History, span: usize) -> ChartsScene {
    ChartsScene::of(history, &choice(span))
}

fn choice(span: usize) -> Choice {
    Choice { span, topic: TopicName::new("news").ok(), clock: Clock::Local { east_s: 0 }, width_px: 1_000 }
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
