//! Limits the pulls that one client has under way.
//!
//! A pull's answer can be large, and a client can request many at once without reading any. Therefore each connection
//! has a limited number of pulls under way, chosen so that all their answers fit its queue, and no pull starts while
//! the client has not read its queued data. The other pulls wait here at no cost to other clients. A pull whose
//! deadline passes while it waits is answered with that reason.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::super::out::Out;
use super::super::queues::Queue;
use super::super::view::View;
use super::Coordinator;
use crate::bugs::Bug;
use crate::io::ConnectionId;

/// Pulls of one connection under way at once. Each answer has up to 4 MiB, and a connection with 32 MiB of queued data
/// is closed.
const PULLS_AT_ONCE: usize = 6;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct PullLimiter(BTreeMap<ConnectionId, ClientPulls>);

/// Holds request numbers.
#[derive(Default, Serialize, Deserialize)]
struct ClientPulls {
    under_way: BTreeSet<u64>,
    waiting: VecDeque<u64>,
}

impl PullLimiter {
    /// Waiting pulls count towards the limit of requests under way.
    pub(super) fn queue(&self) -> Queue {
        let most = self.0.values().map(|pulls| pulls.under_way.len()).max().unwrap_or(0);
        Queue::of("pulls begun for one client", most, PULLS_AT_ONCE)
    }
}

impl Coordinator {
    pub(super) fn queue_pull(&mut self, connection: ConnectionId, number: u64, view: &View, out: &mut Out) {
        self.hold_request(number, "it waits until the client has read the answers to earlier pulls of this connection");
        self.pull_limiter.0.entry(connection).or_default().waiting.push_back(number);
        self.begin_pulls(connection, view, out);
    }

    /// Starts as many pulls as the limit allows.
    pub(super) fn begin_pulls(&mut self, connection: ConnectionId, view: &View, out: &mut Out) {
        while let Some(number) = self.next_pull(connection, view) {
            self.release_request(number, view, out);
        }
    }

    fn next_pull(&mut self, connection: ConnectionId, view: &View) -> Option<u64> {
        if self.clients.is_slow(connection) {
            return None;
        }
        let most = if view.bugs.has(Bug::PullsTakeNoTurns) { usize::MAX } else { PULLS_AT_ONCE };
        let pulls = self.pull_limiter.0.get_mut(&connection).filter(|pulls| pulls.under_way.len() < most)?;
        let number = pulls.waiting.pop_front()?;
        pulls.under_way.insert(number);
        Some(number)
    }

    /// Removes a pull that was answered, whether or not it had started.
    pub(super) fn end_pull(&mut self, connection: ConnectionId, number: u64, view: &View, out: &mut Out) {
        let Some(pulls) = self.pull_limiter.0.get_mut(&connection) else { return };
        if !pulls.under_way.remove(&number) {
            pulls.waiting.retain(|waiting| *waiting != number);
        }
        if pulls.under_way.is_empty() && pulls.waiting.is_empty() {
            self.pull_limiter.0.remove(&connection);
        }
        self.begin_pulls(connection, view, out);
    }

    /// Removes a disconnected client's pulls and returns its pulls that have not started. Started pulls continue.
    pub(super) fn end_client_pulls(&mut self, connection: ConnectionId) -> VecDeque<u64> {
        self.pull_limiter.0.remove(&connection).map(|pulls| pulls.waiting).unwrap_or_default()
    }
}
