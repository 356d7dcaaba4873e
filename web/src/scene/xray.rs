//! The X-ray as a picture: a row a holder, a cell a message, the newest at the right. Pure.

use cubecast_core::cube::Vertex;

use crate::model::State;
use crate::model::cluster::Health;
use crate::model::describe::{grouped, millis, plural, seconds};
use crate::model::xray::{Holder, Standing, Xray};

/// Messages that are drawn; a narrow page shows the newest of them.
pub const COLUMNS: usize = 48;
/// One cell and the gap behind it, in the drawing's units.
pub const CELL_WIDTH: f64 = 17.0;
pub const CELL_HEIGHT: f64 = 30.0;
const GAP: f64 = 3.0;
/// Every so many offsets one is written out.
const LABEL_EVERY: u64 = 5;

#[derive(Clone, PartialEq, Debug)]
pub struct XrayScene {
    pub width: f64,
    /// Columns at the left for which there is no message yet.
    pub empty: usize,
    pub ticks: Vec<Tick>,
    pub rows: Vec<Row>,
    /// One in so many events is told; 1: all.
    pub sample: u32,
}

/// One message, above its column.
#[derive(Clone, PartialEq, Debug)]
pub struct Tick {
    pub offset: u64,
    pub x: f64,
    pub committed: bool,
    /// Written out, or only marked.
    pub label: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub node: Vertex,
    pub is_home: bool,
    pub leads: bool,
    pub health: Health,
    pub cells: Vec<Cell>,
    /// How far behind, in messages.
    pub lag: u64,
    /// In words: messages and time.
    pub lag_words: String,
    /// What an `any` read here would miss right now, in words.
    pub any_words: String,
    /// The share of a snapshot that has arrived.
    pub arriving: Option<f64>,
    /// The offset behind the last message that can be read here.
    pub readable: u64,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    pub offset: u64,
    pub x: f64,
    pub width: f64,
    pub standing: Standing,
}

impl XrayScene {
    /// `None` until a topic is chosen and the cube is known.
    pub fn of(state: &State) -> Option<XrayScene> {
        let xray = &state.closer.xray;
        let home = xray.holders.first()?.node;
        let first = xray.columns.len().saturating_sub(COLUMNS);
        let offsets: Vec<u64> = offsets_to_draw(xray, first);
        let leader = state.cluster.acting_leader(home);
        let rows = xray.holders.iter().map(|holder| row(state, holder, &offsets, home, leader)).collect();
        let committed = xray.committed();
        let last = offsets.last().copied();
        let empty = COLUMNS - offsets.len();
        let ticks = offsets.iter().enumerate().map(|(at, &offset)| {
            let is_near_last = last.is_some_and(|last| offset != last && last - offset < LABEL_EVERY);
            let is_labelled = (offset % LABEL_EVERY == 0 && !is_near_last) || last == Some(offset);
            Tick {
                offset,
                x: column_x(empty + at),
                committed: offset < committed,
                label: is_labelled.then(|| grouped(offset)),
            }
        });
        Some(XrayScene { width: column_x(COLUMNS), empty, ticks: ticks.collect(), rows, sample: xray.sample() })
    }

    /// One sentence for the whole picture.
    pub fn summary(&self) -> String {
        let behind: Vec<String> = self
            .rows
            .iter()
            .filter(|row| row.lag > 0)
            .map(|row| format!("{} lacks {}", row.node, plural(row.lag, "message")))
            .collect();
        match (self.ticks.is_empty(), behind.as_slice()) {
            (true, _) => "No message yet: publish one, and watch where it goes.".to_owned(),
            (false, []) => format!("All {} holders have everything that is committed.", self.rows.len()),
            (false, behind) => format!("{}.", behind.join(", ")),
        }
    }
}

/// The left end of a column; the newest message stands at the right end of the picture, however few there are.
pub fn column_x(at: usize) -> f64 {
    at as f64 * CELL_WIDTH
}

/// The newest messages, with those that are on a disk and that nobody may read yet.
fn offsets_to_draw(xray: &Xray, first: usize) -> Vec<u64> {
    let mut offsets: Vec<u64> = xray.columns.iter().skip(first).map(|column| column.offset).collect();
    let next = offsets.last().map_or_else(|| xray.committed(), |last| last + 1);
    offsets.extend(next.max(xray.end().saturating_sub(COLUMNS as u64))..xray.end());
    let surplus = offsets.len().saturating_sub(COLUMNS);
    offsets.split_off(surplus)
}

fn row(state: &State, holder: &Holder, offsets: &[u64], home: Vertex, leader: Option<Vertex>) -> Row {
    let xray = &state.closer.xray;
    let health = state.cluster.health(holder.node);
    let cells = offsets.iter().enumerate().map(|(at, &offset)| Cell {
        offset,
        x: column_x(COLUMNS - offsets.len() + at),
        width: CELL_WIDTH - GAP,
        standing: xray.standing(state.now_ms, holder, health, offset),
    });
    Row {
        node: holder.node,
        is_home: holder.node == home,
        leads: leader == Some(holder.node),
        health,
        cells: cells.collect(),
        lag: xray.lag(holder),
        lag_words: lag_words(xray, holder, state.now_ms),
        any_words: any_words(xray, holder, health),
        arriving: holder.arriving.map(|(received, total)| received as f64 / total.max(1) as f64),
        readable: holder.readable,
    }
}

fn lag_words(xray: &Xray, holder: &Holder, now_ms: u64) -> String {
    match (xray.lag(holder), xray.lag_ms(now_ms, holder), holder.delay_us) {
        (0, _, Some(0)) => "first to have it".to_owned(),
        (0, _, Some(delay_us)) => format!("in step, {} later", millis(delay_us as f64 / 1_000.0)),
        (0, _, None) => "in step".to_owned(),
        (lag, Some(lag_ms), _) if lag_ms < 1_000 => format!("{} behind, for {lag_ms} ms", plural(lag, "message")),
        (lag, Some(lag_ms), _) => format!("{} behind, for {}", plural(lag, "message"), seconds(lag_ms / 100 * 100)),
        (lag, None, _) => format!("{} behind", plural(lag, "message")),
    }
}

fn any_words(xray: &Xray, holder: &Holder, health: Health) -> String {
    if !health.is_running() {
        return format!("cannot be read: it is {}", health.name());
    }
    match (xray.lag(holder), xray.committed().checked_sub(1)) {
        (0, _) | (_, None) => "misses nothing".to_owned(),
        (1, Some(last)) => format!("misses #{}", grouped(last)),
        (_, Some(last)) => format!("misses #{} to #{}", grouped(holder.readable), grouped(last)),
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::names::{Offset, TopicName};
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::answer::NodeState;
    use cubecast_core::wire::event::{Event, WatchEvent};

    use super::*;
    use crate::model::cluster::{Cluster, Socket};
    use crate::model::shared::Shared;
    use crate::model::{Action, Moment};

    #[test]
    fn without_a_topic_there_is_no_picture_and_without_messages_it_says_what_to_do() {
        assert_eq!(XrayScene::of(&State::default()), None);
        let scene = XrayScene::of(&state(0, 0)).unwrap();
        assert_eq!((scene.rows.len(), scene.ticks.len()), (4, 0));
        assert!(scene.summary().contains("publish one"));
    }

    #[test]
    fn the_newest_message_is_the_last_column_of_every_row_and_labels_do_not_touch() {
        let scene = XrayScene::of(&state(1_003, 1_003)).unwrap();
        assert_eq!(scene.ticks.len(), COLUMNS);
        for row in &scene.rows {
            assert_eq!(row.cells.last().map(|cell| cell.offset), Some(1_002));
            assert!(row.cells.is_sorted_by(|a, b| a.x + a.width < b.x));
        }
        let labelled: Vec<f64> = scene.ticks.iter().filter(|tick| tick.label.is_some()).map(|tick| tick.x).collect();
        assert_eq!(scene.empty, 0);
        assert!(labelled.is_sorted_by(|a, b| b - a >= 3.0 * CELL_WIDTH), "{labelled:?}");
        assert!(scene.ticks.last().is_some_and(|tick| tick.label.as_deref() == Some("1\u{202f}002")));
    }

    #[test]
    fn a_replica_that_is_behind_says_by_how_much_and_what_a_read_there_misses() {
        let scene = XrayScene::of(&state(10, 7)).unwrap();
        let row = scene.rows.iter().find(|row| row.node.to_string() == "101").unwrap();
        assert_eq!(scene.empty, COLUMNS - 10);
        assert_eq!(row.cells.last().map(|cell| cell.x), Some(column_x(COLUMNS - 1)), "the newest stands at the right");
        assert_eq!((row.lag, row.any_words.as_str()), (3, "misses #7 to #9"));
        assert_eq!(row.lag_words, "3 messages behind, for 4 s");
        assert!(scene.summary().contains("101 lacks 3 messages"), "{}", scene.summary());
        let standings: Vec<_> = row.cells.iter().map(|cell| cell.standing).collect();
        assert_eq!(standings[6..], [Standing::Readable, Standing::Missing, Standing::Missing, Standing::Missing]);
    }

    #[test]
    fn a_replica_that_is_down_cannot_be_read_at_all() {
        let mut state = state(3, 3);
        state.cluster.change().learn_state(vertex("101"), vertex("101"), NodeState::Failed);
        let scene = XrayScene::of(&state).unwrap();
        let row = scene.rows.iter().find(|row| row.node == vertex("101")).unwrap();
        assert_eq!(row.any_words, "cannot be read: it is failed");
        assert!(row.cells.iter().all(|cell| cell.standing == Standing::Asleep));
    }

    fn vertex(name: &str) -> Vertex {
        name.parse().unwrap()
    }

    /// Four seconds after the home stored `home` messages and the others `others`, at one a microsecond.
    fn state(home: u64, others: u64) -> State {
        let dimension = Dimension::new(3).unwrap();
        let mut cluster = Cluster { dimension: Some(dimension), ..Cluster::default() };
        for node in dimension.vertices() {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
        }
        let mut actions = vec![Action::ChooseTopic("news".into())];
        for (node, end) in [("100", home), ("101", others), ("110", others), ("000", others)] {
            let told = |offset| {
                let (topic, group) = (TopicName::new("news").unwrap(), vertex("100"));
                let event = Event::ReplicaStored { topic, group, offset: Offset(offset) };
                Action::Told(WatchEvent { node: vertex(node), time: Timestamp(1), at_us: 1, trace: None, event })
            };
            actions.extend((0..end).map(told));
        }
        actions.push(Action::ShowBackground(false));
        let state = State { cluster: Shared::from(cluster), ..State::default() };
        let mut state = state.after(Moment { now_ms: 1_000, actions });
        state.closer.xray.change().place(&state.cluster);
        state.after(Moment { now_ms: 5_000, actions: Vec::new() })
    }
}
