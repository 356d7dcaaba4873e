//! Layout of the space-time diagram: one lane per participant, time to the right, one arrow per frame. Pure; also
//! exports SVG.
//!
//! Time is not linear: `TimeScale` stretches busy periods and compresses idle ones, so that microseconds and
//! milliseconds can both be read. The ticks show the actual times.

use std::cmp::Ordering;
use std::fmt::Write as _;

use cubecast_core::wire::event::FrameKind;

use crate::model::spacetime::Story;
use crate::model::spacetime::story::{ArrowKind, Lane, MarkKind};

const LEFT: f64 = 104.0;
const RIGHT: f64 = 46.0;
const TOP: f64 = 54.0;
const LANE_HEIGHT: f64 = 62.0;
const BOTTOM: f64 = 20.0;
/// Limits of the distance between two successive events, in the drawing's units.
const LEAST_STEP: f64 = 13.0;
const MOST_STEP: f64 = 150.0;
/// The width of the whole story if time were linear.
const EVEN_WIDTH: f64 = 720.0;
/// An upper bound of the average width of a letter in the label of a moment.
const LETTER: f64 = 9.5;
/// Minimum distance between ticks, so that their labels do not touch.
const TICK_ROOM: f64 = 62.0;

/// The diagram of one story, in the drawing's units.
#[derive(Clone, PartialEq, Debug)]
pub struct SpaceTimeScene {
    pub width: f64,
    pub height: f64,
    pub lanes: Vec<LaneLine>,
    pub arrows: Vec<ArrowLine>,
    pub marks: Vec<MarkPoint>,
    /// Position and label.
    pub ticks: Vec<(f64, String)>,
    /// Where the leader knew that the message was committed.
    pub committed_x: Option<f64>,
    /// Where the client knew it.
    pub acknowledged_x: Option<f64>,
}

/// The line of one participant.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneLine {
    pub name: String,
    pub y: f64,
    pub is_client: bool,
}

/// A frame, request or answer.
#[derive(Clone, PartialEq, Debug)]
pub struct ArrowLine {
    pub from: (f64, f64),
    /// The arrow's end; half-way if the frame was lost.
    pub to: (f64, f64),
    /// The name of its colour, the same as on the cube.
    pub tone: &'static str,
    pub lost: bool,
    /// A text for the user.
    pub words: String,
}

/// An event on a lane.
#[derive(Clone, PartialEq, Debug)]
pub struct MarkPoint {
    pub x: f64,
    pub y: f64,
    pub what: MarkKind,
    /// A text for the user.
    pub words: String,
}

impl SpaceTimeScene {
    /// Lays out a story.
    pub fn of(story: &Story) -> SpaceTimeScene {
        let scale = TimeScale::of(story);
        let y = |lane: Lane| {
            let at = story.lanes.iter().position(|known| *known == lane).unwrap_or(0);
            TOP + at as f64 * LANE_HEIGHT
        };
        let lanes = story.lanes.iter().map(|lane| LaneLine {
            name: lane.name(),
            y: y(*lane),
            is_client: *lane == Lane::Client,
        });
        let arrows = story.arrows.iter().map(|arrow| {
            let (from, to) = ((scale.x(arrow.sent_us), y(arrow.from)), (scale.x(arrow.arrived_us), y(arrow.to)));
            let lost = arrow.dropped.is_some();
            let middle = ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0);
            let words = format!(
                "{} from {} to {}, {}{}",
                arrow.what.words(),
                arrow.from.name(),
                arrow.to.name(),
                at_words(arrow.sent_us),
                if lost { ", lost" } else { "" }
            );
            ArrowLine { from, to: if lost { middle } else { to }, tone: tone(arrow.what), lost, words }
        });
        let marks = story.marks.iter().map(|mark| MarkPoint {
            x: scale.x(mark.at_us),
            y: y(mark.lane),
            what: mark.what,
            words: format!("{} {}, {}", mark.lane.name(), mark.words, at_words(mark.at_us)),
        });
        let marks = spread(marks.collect());
        let committed = story.marks.iter().filter(|mark| mark.what == MarkKind::Committed).map(|mark| mark.at_us).min();
        let acknowledged = story.arrows.iter().find(|arrow| arrow.what == ArrowKind::Answer);
        let mut scene = SpaceTimeScene {
            width: scale.end() + RIGHT,
            height: TOP + (story.lanes.len().max(1) - 1) as f64 * LANE_HEIGHT + LANE_HEIGHT / 2.0 + BOTTOM,
            lanes: lanes.collect(),
            arrows: arrows.collect(),
            marks,
            ticks: scale.ticks(),
            committed_x: committed.map(|at| scale.x(at)),
            acknowledged_x: acknowledged.map(|arrow| scale.x(arrow.arrived_us)),
        };
        let ends = scene.moments().into_iter().map(|(x, words)| x + words.len() as f64 * LETTER / 2.0);
        scene.width = ends.fold(scene.width, f64::max);
        scene
    }

    /// The diagram as a standalone SVG file for a white background. `title`: its accessible title.
    pub fn to_svg(&self, title: &str) -> String {
        let mut svg = String::new();
        let (w, h) = (self.width, self.height);
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" \
             width=\"{w:.0}\" height=\"{h:.0}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            escape(title)
        );
        for (x, label) in &self.ticks {
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} 30V{:.1}\" stroke=\"#e3e3e3\"/>\
                 <text x=\"{x:.1}\" y=\"20\" text-anchor=\"middle\" fill=\"#556070\">{}</text>",
                h - BOTTOM,
                escape(label)
            );
        }
        for (x, words) in self.moments() {
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} 30V{:.1}\" stroke=\"#00745a\" stroke-width=\"2\" stroke-dasharray=\"5 4\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#00745a\">{words}</text>",
                h - BOTTOM,
                h - 4.0
            );
        }
        for lane in &self.lanes {
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#8b8f98\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" font-weight=\"600\" fill=\"#1a2330\">{}</text>",
                w - 12.0,
                LEFT - 26.0,
                lane.y + 4.0,
                escape(&lane.name),
                y = lane.y
            );
        }
        for arrow in &self.arrows {
            let colour = colour(arrow.tone);
            let _ = writeln!(
                svg,
                "<g stroke=\"{colour}\" fill=\"{colour}\"><title>{}</title>\
                 <path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke-width=\"1.8\"/><path d=\"{}\" stroke-width=\"1.8\"/></g>",
                escape(&arrow.words),
                arrow.from.0,
                arrow.from.1,
                arrow.to.0,
                arrow.to.1,
                arrow.head()
            );
        }
        for mark in &self.marks {
            let _ = writeln!(
                svg,
                "<g fill=\"#fff\" stroke=\"#1a2330\" stroke-width=\"2\"><title>{}</title><path d=\"{}\"/></g>",
                escape(&mark.words),
                mark.shape()
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Position and label of the commit and of the acknowledgement. If they are too close for two labels, the second
    /// one carries both.
    pub fn moments(&self) -> Vec<(f64, &'static str)> {
        const ROOM: f64 = 96.0;
        let committed = self.committed_x.map(|x| (x, "committed"));
        let acknowledged = self.acknowledged_x.map(|x| (x, "acknowledged"));
        match (committed, acknowledged) {
            (Some(first), Some(second)) if (second.0 - first.0).abs() < ROOM => {
                vec![(first.0, ""), (second.0, "committed, acknowledged")]
            }
            (first, second) => first.into_iter().chain(second).collect(),
        }
    }
}

/// Events of one turn have the same time. They are drawn side by side, in the order of a message's life.
fn spread(mut marks: Vec<MarkPoint>) -> Vec<MarkPoint> {
    const APART: f64 = 13.0;
    marks.sort_by(|a, b| (a.y, a.x).partial_cmp(&(b.y, b.x)).unwrap_or(Ordering::Equal).then(a.what.cmp(&b.what)));
    for at in 1..marks.len() {
        let (before, rest) = marks.split_at_mut(at);
        let (left, right) = (&before[at - 1], &mut rest[0]);
        if left.y == right.y && right.x < left.x + APART {
            right.x = left.x + APART;
        }
    }
    marks
}

impl ArrowLine {
    /// The SVG path of the arrowhead, or of a cross if the frame was lost.
    pub fn head(&self) -> String {
        let ((x1, y1), (x2, y2)) = (self.from, self.to);
        if self.lost {
            return format!("M{:.1} {:.1}l9 9m0 -9l-9 9", x2 - 4.5, y2 - 4.5);
        }
        let length = (x2 - x1).hypot(y2 - y1).max(1e-6);
        let (dx, dy) = ((x2 - x1) / length, (y2 - y1) / length);
        let back = |along: f64, aside: f64| (x2 - dx * along - dy * aside, y2 - dy * along + dx * aside);
        let (left, right) = (back(9.0, 3.6), back(9.0, -3.6));
        format!("M{x2:.1} {y2:.1}L{:.1} {:.1}L{:.1} {:.1}z", left.0, left.1, right.0, right.1)
    }
}

impl MarkPoint {
    /// The SVG path of the event's shape: a ring for received and answered, a cross for failed, a diamond for
    /// committed, a square for stored, a triangle for an election.
    pub fn shape(&self) -> String {
        let (x, y) = (self.x, self.y);
        match self.what {
            MarkKind::Received | MarkKind::Answered => {
                format!("M{:.1} {y:.1}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0z", x - 4.5)
            }
            MarkKind::Failed => format!("M{:.1} {:.1}l10 10m0 -10l-10 10", x - 5.0, y - 5.0),
            MarkKind::Committed => format!("M{x:.1} {:.1}l7 7l-7 7l-7 -7z", y - 7.0),
            MarkKind::Stored => format!("M{:.1} {:.1}h10v10h-10z", x - 5.0, y - 5.0),
            MarkKind::Election => format!("M{x:.1} {:.1}l8 13h-16z", y - 8.0),
        }
    }
}

/// Maps times to positions. The distance of successive events grows with the time between them, within limits.
struct TimeScale {
    /// Time in microseconds and position, both ascending.
    stops: Vec<(i64, f64)>,
}

impl TimeScale {
    fn of(story: &Story) -> TimeScale {
        let mut times: Vec<i64> = story.arrows.iter().flat_map(|arrow| [arrow.sent_us, arrow.arrived_us]).collect();
        times.extend(story.marks.iter().map(|mark| mark.at_us));
        times.push(0);
        times.sort_unstable();
        times.dedup();
        let span = (times[times.len() - 1] - times[0]).max(1) as f64;
        let mut x = LEFT + 14.0;
        let mut stops = vec![(times[0], x)];
        for pair in times.windows(2) {
            x += ((pair[1] - pair[0]) as f64 / span * EVEN_WIDTH).clamp(LEAST_STEP, MOST_STEP);
            stops.push((pair[1], x));
        }
        TimeScale { stops }
    }

    fn x(&self, at_us: i64) -> f64 {
        match self.stops.binary_search_by_key(&at_us, |(at, _)| *at) {
            Ok(found) => self.stops[found].1,
            Err(_) => self.stops[0].1,
        }
    }

    fn end(&self) -> f64 {
        self.stops[self.stops.len() - 1].1
    }

    /// Labels are placed where there is room; the last time always gets one.
    fn ticks(&self) -> Vec<(f64, String)> {
        let mut ticks: Vec<(f64, String)> = Vec::new();
        let end = self.end();
        for (at_us, x) in &self.stops {
            let has_room = ticks.last().is_none_or(|(last, _)| x - last >= TICK_ROOM);
            if has_room && (*x == end || end - x >= TICK_ROOM) {
                ticks.push((*x, time_words(*at_us)));
            }
        }
        if ticks.last().is_some_and(|(x, _)| end - x >= TICK_ROOM) {
            ticks.extend(self.stops.last().map(|(at_us, x)| (*x, time_words(*at_us))));
        }
        ticks
    }
}

fn at_words(at_us: i64) -> String {
    format!("at {}", time_words(at_us))
}

fn time_words(at_us: i64) -> String {
    match at_us.abs() {
        0 => "0".to_owned(),
        1..1_000 => format!("{at_us} µs"),
        1_000..100_000 => format!("{:.2} ms", at_us as f64 / 1_000.0),
        _ => format!("{:.0} ms", at_us as f64 / 1_000.0),
    }
}

fn tone(what: ArrowKind) -> &'static str {
    match what {
        ArrowKind::Request | ArrowKind::Answer => "client",
        ArrowKind::Frame(FrameKind::Append) => "entries",
        ArrowKind::Frame(FrameKind::Acknowledge) => "acks",
        ArrowKind::Frame(FrameKind::Ask | FrameKind::Reply) => "requests",
        ArrowKind::Frame(FrameKind::Vote) => "votes",
        ArrowKind::Frame(FrameKind::Snapshot) => "snapshots",
        ArrowKind::Frame(FrameKind::Heartbeat | FrameKind::Overlay) => "background",
    }
}

/// The colours of the page's light theme; an exported picture has no style sheet.
fn colour(tone: &str) -> &'static str {
    match tone {
        "entries" => "#0b5fae",
        "acks" => "#00866a",
        "requests" => "#c2570c",
        "votes" => "#a3457f",
        "snapshots" => "#8a6a00",
        "client" => "#1a2330",
        _ => "#9aa1ab",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spacetime::story::tests::{lossy_story, story};

    #[test]
    fn time_runs_to_the_right_and_everything_stands_on_the_picture() {
        for story in [story(), lossy_story()] {
            let scene = SpaceTimeScene::of(&story);
            for arrow in &scene.arrows {
                assert!(arrow.from.0 < arrow.to.0, "{arrow:?}");
                for (x, y) in [arrow.from, arrow.to] {
                    assert!((LEFT..=scene.width).contains(&x) && (TOP - 1.0..=scene.height).contains(&y), "{arrow:?}");
                }
            }
            assert!(scene.marks.iter().all(|mark| (LEFT..=scene.width).contains(&mark.x)));
        }
    }

    #[test]
    fn lanes_never_touch_and_neither_do_ticks() {
        let scene = SpaceTimeScene::of(&story());
        assert!(scene.lanes.is_sorted_by(|a, b| b.y - a.y >= LANE_HEIGHT));
        assert!(scene.ticks.is_sorted_by(|a, b| b.0 - a.0 >= TICK_ROOM), "{:?}", scene.ticks);
        assert!(scene.ticks.len() >= 2);
    }

    #[test]
    fn what_happened_in_one_turn_stands_side_by_side() {
        let scene = SpaceTimeScene::of(&story());
        let home: Vec<_> = scene.marks.iter().filter(|mark| mark.y == scene.lanes[1].y).collect();
        assert!(home.len() >= 4 && home.is_sorted_by(|a, b| b.x - a.x >= 12.9), "{home:?}");
    }

    #[test]
    fn what_happened_later_stands_further_right_however_the_time_is_stretched() {
        let story = story();
        let scale = TimeScale::of(&story);
        let mut times: Vec<i64> = story.arrows.iter().map(|arrow| arrow.sent_us).collect();
        times.sort_unstable();
        times.dedup();
        assert!(times.is_sorted_by(|a, b| scale.x(*b) - scale.x(*a) >= LEAST_STEP));
    }

    #[test]
    fn it_was_committed_before_the_client_knew() {
        let scene = SpaceTimeScene::of(&story());
        assert!(scene.committed_x.unwrap() < scene.acknowledged_x.unwrap());
        assert!(scene.moments().iter().any(|(_, words)| words.contains("committed")));
        assert!(scene.moments().iter().all(|(x, words)| x + words.len() as f64 * 4.0 <= scene.width), "words fit");
    }

    #[test]
    fn what_is_lost_ends_half_way_with_a_cross() {
        let scene = SpaceTimeScene::of(&lossy_story());
        let lost: Vec<_> = scene.arrows.iter().filter(|arrow| arrow.lost).collect();
        assert_eq!(lost.len(), 1);
        assert!(lost[0].words.ends_with("lost") && lost[0].head().contains("m0 -9"));
        assert!(scene.lanes.iter().all(|lane| (lane.y - lost[0].to.1).abs() > 1.0), "between two lanes");
    }

    #[test]
    fn the_picture_is_well_formed_whatever_the_topic_is_called() {
        let svg = SpaceTimeScene::of(&story()).to_svg("<&\">");
        assert!(svg.contains("<title>&lt;&amp;&quot;&gt;</title>"));
        let count = |tag: &str| svg.matches(tag).count();
        assert_eq!(count("<g "), count("</g>"));
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(count("<g "), SpaceTimeScene::of(&story()).arrows.len() + SpaceTimeScene::of(&story()).marks.len());
    }
}
