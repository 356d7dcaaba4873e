//! Connections between neighbours, and the frames on them.

use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::wire::peer::PeerFrame;

use super::{Arrival, Cluster};
use crate::host::Host;
use crate::network::{Altering, EdgeConditions};

/// After a break, the two ends reconnect within this time.
const REDIAL: Duration = Duration::from_millis(200);

impl Cluster {
    /// Sets one direction of an edge from now on. `None`: the usual conditions.
    pub fn set_edge(&mut self, from: HostId, to: HostId, conditions: Option<EdgeConditions>) {
        self.network.set(from, to, conditions);
    }

    /// Breaks the connection between two neighbours. They reconnect a little later.
    pub fn break_edge(&mut self, a: HostId, b: HostId) {
        if self.disconnect(a, b) {
            let after = Duration::from_micros(self.random.u64(2_000..REDIAL.as_micros() as u64));
            self.at(self.now + after, a, Arrival::Dial);
        }
    }

    pub(super) fn send_frame(&mut self, from: HostId, to: HostId, frame: PeerFrame) {
        let Some(connection) = self.believed.get(&(from, to)).copied() else { return };
        self.traffic.count(&frame);
        if self.progress.get(&pair(from, to)) != Some(&connection) {
            self.network.counts.cut_off += 1;
            return;
        }
        let mut arrivals = self.network.arrivals(self.now, from, to);
        let (first, second) = (arrivals.next(), arrivals.next());
        let frame = match self.network.alter(from, to, &frame) {
            Altering::Whole => frame,
            Altering::Unnoticed(altered) => altered,
            Altering::Noticed => {
                first.into_iter().for_each(|at| self.at(at, to, Arrival::Altered { from, connection }));
                return;
            }
        };
        if let Some(at) = second {
            self.at(at, to, Arrival::Frame { from, connection, frame: frame.clone() });
        }
        if let Some(at) = first {
            self.at(at, to, Arrival::Frame { from, connection, frame });
        }
    }

    pub(super) fn connect_all(&mut self, node: HostId) {
        for peer in self.seating.neighbours(node) {
            let ready = |host: &Host| host.node.is_some() && host.peers_allowed;
            if !ready(&self.hosts[node]) || !ready(&self.hosts[peer]) || self.progress.contains_key(&pair(node, peer)) {
                continue;
            }
            self.next_connection += 1;
            let connection = self.next_connection;
            self.progress.insert(pair(node, peer), connection);
            let stands = self.now + Duration::from_micros(100);
            self.at(stands, node, Arrival::Connected { peer, connection });
            self.at(stands, peer, Arrival::Connected { peer: node, connection });
        }
    }

    /// Lets a connection stand that both sides already have.
    pub(super) fn keep_connection(&mut self, node: HostId, peer: HostId) {
        self.next_connection += 1;
        let connection = *self.progress.entry(pair(node, peer)).or_insert(self.next_connection);
        self.believed.insert((node, peer), connection);
    }

    /// Whether a connection stands.
    pub(super) fn is_kept(&self, node: HostId, peer: HostId) -> bool {
        self.progress.contains_key(&pair(node, peer))
    }

    pub(super) fn disconnect_all(&mut self, node: HostId) {
        for peer in self.seating.neighbours(node) {
            self.disconnect(node, peer);
        }
    }

    /// `false`: there was no connection.
    fn disconnect(&mut self, a: HostId, b: HostId) -> bool {
        let Some(connection) = self.progress.remove(&pair(a, b)) else { return false };
        for (end, peer) in [(a, b), (b, a)] {
            let notices = self.network.notices_break(self.now, peer, end);
            self.at(notices, end, Arrival::Disconnected { peer, connection });
        }
        true
    }
}

/// A pair of neighbours in canonical order.
fn pair(a: HostId, b: HostId) -> (HostId, HostId) {
    (a.min(b), a.max(b))
}
