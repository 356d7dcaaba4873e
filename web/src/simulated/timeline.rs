//! What is kept of a run's past to paint it: how the cluster was, ten times a second.

use crate::model::State;
use crate::model::cluster::{EdgeHealth, Health};

/// From one look to the next, virtual milliseconds.
pub const LOOK_EVERY_MS: u64 = 100;

/// A run's past, and its future as it was before the person went back.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Timeline {
    /// When the first look was.
    pub began_ms: u64,
    /// One every [`LOOK_EVERY_MS`].
    pub looks: Vec<Look>,
    /// What went wrong by the scenario's hand, in order of time.
    pub faults: Vec<(u64, String)>,
}

/// How the cluster was at an instant, as the page showed it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Look {
    pub nodes_down: u16,
    pub edges_cut: u16,
    pub groups_without_leader: u16,
    /// Publishes acknowledged since the run began.
    pub acknowledged: u64,
}

impl Timeline {
    pub fn starting(began_ms: u64) -> Timeline {
        Timeline { began_ms, ..Timeline::default() }
    }

    /// Whether it is time for a look. What was looked at before is the same, for it is the same run.
    pub fn wants(&self, at_ms: u64) -> bool {
        let since = at_ms.saturating_sub(self.began_ms);
        since.is_multiple_of(LOOK_EVERY_MS) && since / LOOK_EVERY_MS == self.looks.len() as u64
    }

    /// Takes down how things are, when it is time.
    pub fn note(&mut self, look: Look) {
        self.looks.push(look);
    }

    pub fn note_fault(&mut self, at_ms: u64, what: String) {
        let fault = (at_ms, what);
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// What came after this instant is no longer to come.
    pub fn cut(&mut self, at_ms: u64) {
        let kept = at_ms.saturating_sub(self.began_ms) / LOOK_EVERY_MS + 1;
        self.looks.truncate(kept as usize);
        self.faults.retain(|(at, _)| *at <= at_ms);
    }

    /// The instant of the last look.
    pub fn reached_ms(&self) -> u64 {
        self.began_ms + (self.looks.len() as u64).saturating_sub(1) * LOOK_EVERY_MS
    }

    /// The worst of each stretch when the time up to `end_ms` is cut into so many; and the publishes acknowledged in it.
    pub fn columns(&self, end_ms: u64, count: usize) -> Vec<Look> {
        let looks_a_column =
            (end_ms.saturating_sub(self.began_ms) / LOOK_EVERY_MS).div_ceil(count as u64).max(1) as usize;
        let mut before = 0;
        let mut column = |looks: &[Look]| {
            let worst = |what: fn(&Look) -> u16| looks.iter().map(what).max().unwrap_or_default();
            let acknowledged = looks.last().map_or(before, |last| last.acknowledged);
            let column = Look {
                nodes_down: worst(|look| look.nodes_down),
                edges_cut: worst(|look| look.edges_cut),
                groups_without_leader: worst(|look| look.groups_without_leader),
                acknowledged: acknowledged - before,
            };
            before = acknowledged;
            column
        };
        self.looks.chunks(looks_a_column).map(&mut column).collect()
    }
}

impl Look {
    pub fn at(state: &State, acknowledged: u64) -> Look {
        let cluster = &state.cluster;
        let is_cut = |health: EdgeHealth| matches!(health, EdgeHealth::Cut | EdgeHealth::OneWay { .. });
        let vertices = cluster.dimension.into_iter().flat_map(|dimension| dimension.vertices());
        Look {
            nodes_down: cluster.nodes.values().filter(|node| node.health() == Health::Failed).count() as u16,
            edges_cut: cluster.edges().into_iter().filter(|(a, b)| is_cut(cluster.edge_health(*a, *b))).count() as u16,
            groups_without_leader: vertices.filter(|home| cluster.acting_leader(*home).is_none()).count() as u16,
            acknowledged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(looks: u64) -> Timeline {
        let mut timeline = Timeline::starting(2_000);
        for at in 0..looks {
            let down = u16::from(at == 5);
            assert!(timeline.wants(2_000 + at * LOOK_EVERY_MS));
            timeline.note(Look { nodes_down: down, acknowledged: at, ..Look::default() });
        }
        timeline
    }

    #[test]
    fn each_instant_is_looked_at_once_however_often_the_run_comes_by() {
        let mut timeline = timeline(10);
        assert_eq!([2_300, 2_999, 3_000].map(|at_ms| timeline.wants(at_ms)), [false, false, true]);
        assert_eq!(timeline.reached_ms(), 2_900);
        timeline.cut(2_450);
        assert_eq!(timeline.reached_ms(), 2_400);
    }

    #[test]
    fn a_column_shows_the_worst_of_its_stretch_and_all_that_was_acknowledged_in_it() {
        let columns = timeline(10).columns(3_000, 5);
        assert_eq!(columns.iter().map(|column| column.nodes_down).collect::<Vec<_>>(), [0, 0, 1, 0, 0]);
        assert_eq!(columns.iter().map(|column| column.acknowledged).collect::<Vec<_>>(), [1, 2, 2, 2, 2]);
    }
}
