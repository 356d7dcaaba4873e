//! The events that reach a node of the simulated cluster, and the delivery of each at its time.

use cubecast_core::identity::HostId;
use cubecast_core::io::{ConnectionId, Input};
use cubecast_core::time::Instant;
use cubecast_core::wire::peer::PeerFrame;

use super::Cluster;

/// An event at a node.
pub(super) enum Arrival {
    Wake,
    Connected {
        peer: HostId,
        connection: u64,
    },
    Disconnected {
        peer: HostId,
        connection: u64,
    },
    Frame {
        from: HostId,
        connection: u64,
        frame: PeerFrame,
    },
    /// A frame that was altered in transit.
    Altered {
        from: HostId,
        connection: u64,
    },
    Drained {
        connection: ConnectionId,
        bytes: u64,
    },
    DiskDone,
    /// The process continues (SIGCONT).
    Continue,
    /// The gathered inputs form a turn.
    Turn,
    Dial,
    Start,
    /// As [`Arrival::Start`], by a process supervisor, unless the process was started or handled otherwise meanwhile.
    Restart,
}

impl Cluster {
    /// Schedules an arrival for the process that runs on the node now.
    pub(super) fn at(&mut self, at: Instant, node: HostId, arrival: Arrival) {
        self.next_arrival += 1;
        let life = self.hosts[node].life;
        self.agenda.insert((at, self.next_arrival), (node, life, arrival));
    }

    /// Lets the event happen. `life`: the process that it is for.
    pub(super) fn arrive(&mut self, node: HostId, life: u64, arrival: Arrival) {
        match arrival {
            Arrival::Start => return self.boot(node),
            Arrival::Dial => return self.connect_all(node),
            _ => {}
        }
        let host = &mut self.hosts[node];
        if host.life == life && matches!(arrival, Arrival::Restart) {
            return self.boot(node);
        }
        if host.life != life || host.node.is_none() {
            return;
        }
        if let Some(until) = host.hung_until {
            if matches!(arrival, Arrival::Continue) && until <= self.now {
                host.hung_until = None;
                let waited = self.waiting.remove(&node).unwrap_or_default();
                waited.into_iter().for_each(|arrival| self.arrive(node, life, arrival));
            } else {
                self.waiting.entry(node).or_default().push(arrival);
            }
            return;
        }
        match arrival {
            Arrival::Wake => self.wake(node),
            Arrival::Connected { peer, connection } => {
                self.believed.insert((node, peer), connection);
                self.give(node, Input::PeerConnected { peer });
            }
            Arrival::Disconnected { peer, connection } => {
                if self.believed.get(&(node, peer)) == Some(&connection) {
                    self.believed.remove(&(node, peer));
                    self.give(node, Input::PeerDisconnected { peer });
                }
            }
            Arrival::Frame { from, connection, frame } => {
                if self.believed.get(&(node, from)) == Some(&connection) {
                    self.give(node, Input::PeerFrame { from, frame });
                } else {
                    self.network.counts.cut_off += 1;
                }
            }
            Arrival::Altered { from, connection } => {
                if self.believed.get(&(node, from)) == Some(&connection) {
                    self.give(node, Input::PeerAltered { from });
                    self.break_edge(node, from);
                }
            }
            Arrival::Drained { connection, bytes } => self.give(node, Input::ClientDrained { connection, bytes }),
            Arrival::DiskDone => self.finish_disk_jobs(node),
            Arrival::Turn => {
                let gathered = std::mem::take(&mut host.gathered);
                self.take_turn(node, gathered);
            }
            Arrival::Start | Arrival::Restart | Arrival::Dial | Arrival::Continue => {}
        }
    }
}
