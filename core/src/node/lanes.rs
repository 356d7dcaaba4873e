//! Pulls of one client take turns.
//!
//! A pull's answer may be large, and a client may ask for many at once without reading any. So of each connection only so many
//! are under way that their answers fit its queue together, and none is begun while it has not read what waits for it. The
//! others wait here, and cost nobody anything; one whose time is up is told why.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Node;
use super::queues::Queue;
use crate::bugs::Bug;
use crate::io::ConnectionId;
use crate::wire::client::Action;

/// Pulls of one connection under way at once. Each answers with up to 4 MiB, and a connection is closed when 32 MiB wait for it.
const PULLS_AT_ONCE: usize = 6;

#[derive(Default)]
pub(super) struct Lanes(BTreeMap<ConnectionId, Lane>);

/// By the numbers of the requests.
#[derive(Default)]
struct Lane {
    under_way: BTreeSet<u64>,
    waiting: VecDeque<u64>,
}

/// Whether a request is for messages.
pub(super) fn takes_turns(action: &Action) -> bool {
    matches!(action, Action::Pull { .. } | Action::ReplicaPull { .. })
}

impl Lanes {
    /// What waits is bounded as requests under way.
    pub(super) fn queue(&self) -> Queue {
        let most = self.0.values().map(|lane| lane.under_way.len()).max().unwrap_or(0);
        Queue::of("pulls begun for one client", most, PULLS_AT_ONCE)
    }
}

impl Node {
    pub(super) fn queue_pull(&mut self, connection: ConnectionId, number: u64) {
        self.hold_request(number, "it waits until the client has read the answers to earlier pulls of this connection");
        self.lanes.0.entry(connection).or_default().waiting.push_back(number);
        self.begin_pulls(connection);
    }

    /// Begins as many as may be under way.
    pub(super) fn begin_pulls(&mut self, connection: ConnectionId) {
        while let Some(number) = self.next_pull(connection) {
            self.release_request(number);
        }
    }

    fn next_pull(&mut self, connection: ConnectionId) -> Option<u64> {
        if self.is_slow(connection) {
            return None;
        }
        let most = if self.bugs.has(Bug::PullsTakeNoTurns) { usize::MAX } else { PULLS_AT_ONCE };
        let lane = self.lanes.0.get_mut(&connection).filter(|lane| lane.under_way.len() < most)?;
        let number = lane.waiting.pop_front()?;
        lane.under_way.insert(number);
        Some(number)
    }

    /// It was answered, begun or not.
    pub(super) fn end_pull(&mut self, connection: ConnectionId, number: u64) {
        let Some(lane) = self.lanes.0.get_mut(&connection) else { return };
        if !lane.under_way.remove(&number) {
            lane.waiting.retain(|waiting| *waiting != number);
        }
        if lane.under_way.is_empty() && lane.waiting.is_empty() {
            self.lanes.0.remove(&connection);
        }
        self.begin_pulls(connection);
    }

    /// The client is gone: those that were not begun. Those under way go on.
    pub(super) fn end_lane(&mut self, connection: ConnectionId) -> VecDeque<u64> {
        self.lanes.0.remove(&connection).map(|lane| lane.waiting).unwrap_or_default()
    }
}
