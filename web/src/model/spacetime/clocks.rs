//! The nodes' clocks, compared by the times at which this page received their events.

use std::collections::BTreeMap;

use cubecast_core::identity::HostId;

use super::record::RecordedEvent;

/// Microseconds. A clock with a larger offset is corrected by the time at which the page received its events.
pub const MAX_SKEW_US: i64 = 100_000;

/// The nodes' clocks, relative to the clock of one of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Clocks {
    /// Correction to add to a node's clock, microseconds.
    shifts: BTreeMap<HostId, i64>,
}

impl Clocks {
    /// The smallest difference between the time of receipt on this page and the node's own timestamp is the lag of the
    /// node's clock plus the travel time. A lag that differs from that of `reference` by more than [`MAX_SKEW_US`] is
    /// corrected.
    pub fn of<'a>(reference: HostId, events: impl Iterator<Item = &'a RecordedEvent>) -> Clocks {
        let mut lags: BTreeMap<HostId, i64> = BTreeMap::new();
        for told in events {
            let lag = told.heard_ms as i64 * 1_000 - told.event.time.0 as i64;
            lags.entry(told.event.node).and_modify(|least| *least = lag.min(*least)).or_insert(lag);
        }
        let own = lags.get(&reference).copied().unwrap_or(0);
        let shifts = lags.into_iter().map(|(node, lag)| (node, lag - own)).filter(|(_, by)| by.abs() > MAX_SKEW_US);
        Clocks { shifts: shifts.collect() }
    }

    /// When the event happened by the clock of the reference, microseconds since 1970.
    pub fn corrected_us(&self, told: &RecordedEvent) -> i64 {
        told.event.time.0 as i64 + self.shifts.get(&told.event.node).copied().unwrap_or(0)
    }

    /// Nodes whose clocks are corrected, with the correction in microseconds.
    pub fn shifted(&self) -> Vec<(HostId, i64)> {
        self.shifts.iter().map(|(node, by)| (*node, *by)).collect()
    }
}
