//! A summary of a run's past for the timeline: the state of the cluster, ten times a second.

use crate::model::State;
use crate::model::cluster::{EdgeHealth, Health};

/// Interval of the looks, virtual milliseconds.
pub const LOOK_EVERY_MS: u64 = 100;

/// A run's past, and its known future after going back.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Timeline {
    /// The time of the first look, virtual milliseconds.
    pub began_ms: u64,
    /// One look every [`LOOK_EVERY_MS`].
    pub looks: Vec<Look>,
    /// Faults that the scenario injected, with their time in virtual milliseconds, in order of time.
    pub faults: Vec<(u64, String)>,
}

/// The state of the cluster at an instant, as displayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Look {
    /// Nodes that are failed.
    pub nodes_down: u16,
    /// Edges that carry no frames in at least one direction.
    pub edges_cut: u16,
    pub groups_without_leader: u16,
    /// Publishes acknowledged since the run began.
    pub acknowledged: u64,
}

impl Timeline {
    /// An empty timeline. `began_ms`: the start of the run.
    pub fn starting(began_ms: u64) -> Timeline {
        Timeline { began_ms, ..Timeline::default() }
    }

    /// Whether a look is due. Instants that were recorded before are skipped: a repeated run is identical.
    pub fn wants(&self, at_ms: u64) -> bool {
        let since = at_ms.saturating_sub(self.began_ms);
        since.is_multiple_of(LOOK_EVERY_MS) && since / LOOK_EVERY_MS == self.looks.len() as u64
    }

    /// Records a look; call it when [`Timeline::wants`] is true.
    pub fn note(&mut self, look: Look) {
        self.looks.push(look);
    }

    /// Records a fault, once.
    pub fn note_fault(&mut self, at_ms: u64, what: String) {
        let fault = (at_ms, what);
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// Drops everything after this instant.
    pub fn cut(&mut self, at_ms: u64) {
        let kept = at_ms.saturating_sub(self.began_ms) / LOOK_EVERY_MS + 1;
        self.looks.truncate(kept as usize);
        self.faults.retain(|(at, _)| *at <= at_ms);
    }

    /// The time of the last look.
    pub fn reached_ms(&self) -> u64 {
        self.began_ms + (self.looks.len() as u64).saturating_sub(1) * LOOK_EVERY_MS
    }

    /// Divides the time up to `end_ms` into at most `count` columns. Each holds the worst values of its looks, and the
    /// number of publishes acknowledged within it.
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
    /// The look at a state. `acknowledged`: publishes acknowledged since the run began.
    pub fn at(state: &State, acknowledged: u64) -> Look {
        let cluster = &state.cluster;
        let is_cut = |health: EdgeHealth| matches!(health, EdgeHealth::Cut | EdgeHealth::OneWay { .. });
        let homes = cluster.dimension.into_iter().flat_map(|dimension| dimension.vertices());
        Look {
            nodes_down: cluster.nodes.values().filter(|node| node.health() == Health::Failed).count() as u16,
            edges_cut: cluster.edges().into_iter().filter(|(a, b)| is_cut(cluster.edge_health(*a, *b))).count() as u16,
            groups_without_leader: homes.filter(|home| cluster.acting_leader(*home).is_none()).count() as u16,
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
