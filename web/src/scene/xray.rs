//! Layout of the X-ray: one row per replica, one cell per message, the newest at the right. Pure.

use cubecast_core::identity::HostId;

use crate::format::{duration, grouped, millis, nodes, plural};
use crate::model::State;
use crate::model::cluster::{Health, Socket};
use crate::model::xray::{Lag, MessageState, ReplicaView, Xray};

/// Number of messages that are drawn; a narrow page shows only the newest of them.
pub const COLUMNS: usize = 48;
/// Width of a cell with its gap, in the drawing's units.
pub const CELL_WIDTH: f64 = 17.0;
/// In the drawing's units.
pub const CELL_HEIGHT: f64 = 30.0;
const GAP: f64 = 3.0;
/// Offsets that are multiples of this number are labelled.
const LABEL_EVERY: u64 = 5;

/// The X-ray of the chosen topic.
#[derive(Clone, PartialEq, Debug)]
pub struct XrayScene {
    /// In the drawing's units.
    pub width: f64,
    /// Number of unused columns at the left.
    pub empty: usize,
    /// One per message.
    pub ticks: Vec<Tick>,
    /// One per replica, home first.
    pub rows: Vec<Row>,
    /// Whether the topic exists; `None` if no node has listed the topics yet.
    pub exists: Option<bool>,
    /// The sampling of events: one in this many is reported; 1: all.
    pub sample: u32,
}

/// The header of a column.
#[derive(Clone, PartialEq, Debug)]
pub struct Tick {
    pub offset: u64,
    pub x: f64,
    /// Whether the message is known to be committed.
    pub committed: bool,
    /// The text, if this offset is labelled.
    pub label: Option<String>,
}

/// One replica.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub node: HostId,
    pub is_home: bool,
    pub leads: bool,
    pub health: Health,
    /// The node's health, as text for the user.
    pub health_words: &'static str,
    /// Oldest message first.
    pub cells: Vec<Cell>,
    pub lag: Lag,
    /// How many messages it lacks, and since when, as text for the user.
    pub lag_words: String,
    /// The messages that a read with `any` would miss here now, as text for the user.
    pub any_words: String,
    /// The share of a snapshot in transfer that has arrived, from 0 to 1.
    pub arriving: Option<f64>,
    /// The offset after the last message that can be read here; `None` without a report.
    pub readable: Option<u64>,
}

/// One message on one replica.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    pub offset: u64,
    pub x: f64,
    pub width: f64,
    pub state: MessageState,
}

impl XrayScene {
    /// `None` until a topic is chosen and the dimension is known.
    pub fn of(state: &State) -> Option<XrayScene> {
        let xray = &state.closer.xray;
        let home = xray.home()?;
        let first = xray.columns.len().saturating_sub(COLUMNS);
        let offsets: Vec<u64> = offsets_to_draw(xray, first);
        let leader = state.cluster.acting_leader(home);
        let rows = xray.replicas.iter().map(|replica| row(state, replica, &offsets, leader)).collect();
        let committed = xray.committed();
        let last = offsets.last().copied();
        let empty = COLUMNS - offsets.len();
        let ticks = offsets.iter().enumerate().map(|(at, &offset)| {
            let is_near_last = last.is_some_and(|last| offset != last && last - offset < LABEL_EVERY);
            let is_labelled = (offset % LABEL_EVERY == 0 && !is_near_last) || last == Some(offset);
            Tick {
                offset,
                x: column_x(empty + at),
                committed: committed.is_some_and(|committed| offset < committed),
                label: is_labelled.then(|| grouped(offset)),
            }
        });
        let exists =
            state.topics.listed.then(|| state.topic().is_some_and(|topic| state.topics.topics.contains_key(&topic)));
        let ticks = ticks.collect();
        Some(XrayScene { width: column_x(COLUMNS), empty, ticks, rows, exists, sample: xray.sample() })
    }

    /// A short summary of the whole X-ray.
    pub fn summary(&self) -> String {
        let behind = self.rows.iter().filter_map(|row| match row.lag {
            Lag::Messages { count, .. } => Some(format!("{} lacks {}", row.node, plural(count, "message"))),
            Lag::None | Lag::Unknown => None,
        });
        let behind: Vec<String> = behind.collect();
        let unknown: Vec<HostId> = self.rows.iter().filter(|row| row.readable.is_none()).map(|row| row.node).collect();
        if self.ticks.is_empty() {
            return match (self.exists, unknown.len() == self.rows.len()) {
                (Some(true) | None, true) => "Querying the replicas.".to_owned(),
                _ => "No messages yet: publish one and watch it spread.".to_owned(),
            };
        }
        let known = match &behind[..] {
            [] if unknown.is_empty() => format!("All {} replicas have all committed messages.", self.rows.len()),
            [] => "The others have all messages that are known to be committed.".to_owned(),
            behind => format!("{}.", behind.join(", ")),
        };
        match &unknown[..] {
            [] => known,
            [one] => format!("The state of {one} is unknown: no node that this page reaches can query it. {known}"),
            many => {
                format!(
                    "The states of {} are unknown: no node that this page reaches can query them. {known}",
                    nodes(many)
                )
            }
        }
    }
}

/// The left end of a column. Columns are filled from the right: the newest message is always in the last one.
pub fn column_x(at: usize) -> f64 {
    at as f64 * CELL_WIDTH
}

/// The newest messages, including those that are on a disk but cannot be read yet.
fn offsets_to_draw(xray: &Xray, first: usize) -> Vec<u64> {
    let mut offsets: Vec<u64> = xray.columns.iter().skip(first).map(|column| column.offset).collect();
    let next = offsets.last().map_or_else(|| xray.committed().unwrap_or_default(), |last| last + 1);
    offsets.extend(next.max(xray.end().saturating_sub(COLUMNS as u64))..xray.end());
    let surplus = offsets.len().saturating_sub(COLUMNS);
    offsets.split_off(surplus)
}

fn row(state: &State, replica: &ReplicaView, offsets: &[u64], leader: Option<HostId>) -> Row {
    let xray = &state.closer.xray;
    let (health, leads) = (state.cluster.health(replica.node), leader == Some(replica.node));
    let heard = state.cluster.nodes.get(&replica.node).is_some_and(|node| node.socket == Socket::Open);
    let replica = if leads { &xray.leading(replica) } else { replica };
    let cells = offsets.iter().enumerate().map(|(at, &offset)| Cell {
        offset,
        x: column_x(COLUMNS - offsets.len() + at),
        width: CELL_WIDTH - GAP,
        state: xray.message_state(state.now_ms, replica, health, heard, offset),
    });
    let lag = xray.lag(state.now_ms, replica, leads);
    Row {
        node: replica.node,
        is_home: state.closer.xray.replicas.first().is_some_and(|first| first.node == replica.node),
        leads,
        health,
        health_words: state.cluster.health_words(replica.node),
        cells: cells.collect(),
        lag,
        lag_words: lag_words(lag, replica, leads),
        any_words: if health.is_running() {
            any_words(xray, lag, replica)
        } else {
            format!("cannot be read: {}", state.cluster.health_words(replica.node))
        },
        arriving: replica.arriving.map(|(received, total)| received as f64 / total.max(1) as f64),
        readable: replica.readable,
    }
}

fn lag_words(lag: Lag, replica: &ReplicaView, leads: bool) -> String {
    match (lag, replica.delay_us) {
        (Lag::Unknown, _) => "not known".to_owned(),
        (Lag::None, _) if leads => "leads".to_owned(),
        (Lag::None, Some(0)) => "first to store it".to_owned(),
        (Lag::None, Some(delay_us)) => format!("up to date, {} later", millis(delay_us as f64 / 1_000.0)),
        (Lag::None, None) => "up to date".to_owned(),
        (Lag::Messages { count, for_ms: None }, _) => format!("{} behind", plural(count, "message")),
        (Lag::Messages { count, for_ms: Some(for_ms) }, _) => {
            format!("{} behind, for {}", plural(count, "message"), duration(for_ms))
        }
    }
}

fn any_words(xray: &Xray, lag: Lag, replica: &ReplicaView) -> String {
    let last = xray.committed().and_then(|end| end.checked_sub(1));
    match (lag, last, replica.readable) {
        (Lag::Unknown, _, _) => "misses: not known".to_owned(),
        (Lag::Messages { count: 1, .. }, Some(last), _) => format!("misses #{}", grouped(last)),
        (Lag::Messages { .. }, Some(last), Some(readable)) => {
            format!("misses #{} to #{}", grouped(readable), grouped(last))
        }
        (Lag::Messages { .. } | Lag::None, _, _) => "misses nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::names::{Offset, TopicName};
    use cubecast_core::states::NodeState;
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::event::{Event, WatchEvent};

    use super::*;
    use crate::model::cluster::Cluster;
    use crate::model::shared::Shared;
    use crate::model::{Action, Moment, ViewAction};
    use crate::testing::named;

    #[test]
    fn without_a_topic_there_is_no_picture_and_without_messages_it_says_what_to_do() {
        assert_eq!(XrayScene::of(&State::default()), None);
        let mut state = state(0, 0);
        let scene = XrayScene::of(&state).unwrap();
        assert_eq!((scene.rows.len(), scene.ticks.len()), (4, 0));
        assert_eq!(scene.summary(), "Querying the replicas.");
        state.topics.change().listed = true;
        assert!(XrayScene::of(&state).unwrap().summary().contains("publish one"), "there is no such topic");
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
        assert_eq!(
            (row.lag, row.any_words.as_str()),
            (Lag::Messages { count: 3, for_ms: Some(4_000) }, "misses #7 to #9")
        );
        assert_eq!(row.lag_words, "3 messages behind, for 4 s");
        assert!(scene.summary().contains("101 lacks 3 messages"), "{}", scene.summary());
        let states: Vec<_> = row.cells.iter().map(|cell| cell.state).collect();
        assert_eq!(
            states[6..],
            [MessageState::Readable, MessageState::Missing, MessageState::Missing, MessageState::Missing]
        );
    }

    #[test]
    fn a_replica_that_nobody_can_ask_is_neither_behind_nor_complete() {
        let mut state = state(10, 10);
        state.closer.xray.change().replicas[3].readable = None;
        let scene = XrayScene::of(&state).unwrap();
        let row = &scene.rows[3];
        assert_eq!(
            (row.lag, row.lag_words.as_str(), row.any_words.as_str()),
            (Lag::Unknown, "not known", "misses: not known")
        );
        assert!(scene.summary().starts_with("The state of 000 is unknown"), "{}", scene.summary());
        assert!(!scene.summary().contains("lacks"), "{}", scene.summary());
    }

    #[test]
    fn a_leader_is_never_behind_though_a_follower_told_first() {
        let mut state = state(7, 10);
        state.cluster.change().learn_leader(named("100"), 1, Some(named("100")));
        let row = XrayScene::of(&state).unwrap().rows[0].clone();
        assert_eq!((row.leads, row.lag, row.lag_words.as_str()), (true, Lag::None, "leads"));
        assert!(row.cells.iter().all(|cell| cell.state == MessageState::Readable));
    }

    #[test]
    fn a_replica_that_is_down_cannot_be_read_at_all() {
        let mut state = state(3, 3);
        state.cluster.change().learn_state(named("101"), named("101"), NodeState::Failed);
        let scene = XrayScene::of(&state).unwrap();
        let row = scene.rows.iter().find(|row| row.node == named("101")).unwrap();
        assert_eq!(row.any_words, "cannot be read: failed");
        assert!(row.cells.iter().all(|cell| cell.state == MessageState::Asleep));
    }

    /// The state four seconds after the home reported its first `home` messages and each other replica its first
    /// `others`.
    fn state(home: u64, others: u64) -> State {
        let dimension = Dimension::new(3).unwrap();
        let mut cluster = Cluster::of(dimension);
        for node in cluster.all_nodes() {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
        }
        let mut actions = vec![Action::View(ViewAction::ChooseTopic("news".into()))];
        for (node, end) in [("100", home), ("101", others), ("110", others), ("000", others)] {
            let told = |offset| {
                let (topic, group) = (TopicName::new("news").unwrap(), named("100"));
                let event = Event::ReplicaStored { topic, group, offset: Offset(offset) };
                Action::Event(WatchEvent { node: named(node), time: Timestamp(1), at_us: 1, trace: None, event })
            };
            actions.extend((0..end).map(told));
        }
        actions.push(Action::View(ViewAction::ShowBackground(false)));
        let state = State { cluster: Shared::from(cluster), ..State::default() };
        let mut state = state.after(Moment { now_ms: 1_000, actions });
        state.closer.xray.change().place(&state.cluster);
        state.after(Moment { now_ms: 5_000, actions: Vec::new() })
    }
}
