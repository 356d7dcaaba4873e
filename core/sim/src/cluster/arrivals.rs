//! What reaches a vertex, and when.

use cubecast_core::cube::Vertex;
use cubecast_core::io::{ConnectionId, Input};
use cubecast_core::time::Instant;
use cubecast_core::wire::peer::PeerFrame;

use super::Cluster;

/// An event at a vertex.
pub(super) enum Arrival {
    Wake,
    Connected {
        peer: Vertex,
        connection: u64,
    },
    Disconnected {
        peer: Vertex,
        connection: u64,
    },
    Frame {
        from: Vertex,
        connection: u64,
        frame: PeerFrame,
    },
    /// A frame that was altered in transit.
    Altered {
        from: Vertex,
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
    /// Schedules an arrival for the process that runs at the vertex now.
    pub(super) fn at(&mut self, at: Instant, vertex: Vertex, arrival: Arrival) {
        self.next_arrival += 1;
        let life = self.hosts[vertex.index()].life;
        self.agenda.insert((at, self.next_arrival), (vertex, life, arrival));
    }

    /// Lets the event happen. `life`: the process that it is for.
    pub(super) fn arrive(&mut self, vertex: Vertex, life: u64, arrival: Arrival) {
        match arrival {
            Arrival::Start => return self.boot(vertex),
            Arrival::Dial => return self.connect_all(vertex),
            _ => {}
        }
        let host = &mut self.hosts[vertex.index()];
        if host.life == life && matches!(arrival, Arrival::Restart) {
            return self.boot(vertex);
        }
        if host.life != life || host.node.is_none() {
            return;
        }
        if let Some(until) = host.hung_until {
            if matches!(arrival, Arrival::Continue) && until <= self.now {
                host.hung_until = None;
                let waited = self.waiting.remove(&vertex).unwrap_or_default();
                waited.into_iter().for_each(|arrival| self.arrive(vertex, life, arrival));
            } else {
                self.waiting.entry(vertex).or_default().push(arrival);
            }
            return;
        }
        match arrival {
            Arrival::Wake => self.wake(vertex),
            Arrival::Connected { peer, connection } => {
                self.believed.insert((vertex, peer), connection);
                self.give(vertex, Input::PeerConnected { peer });
            }
            Arrival::Disconnected { peer, connection } => {
                if self.believed.get(&(vertex, peer)) == Some(&connection) {
                    self.believed.remove(&(vertex, peer));
                    self.give(vertex, Input::PeerDisconnected { peer });
                }
            }
            Arrival::Frame { from, connection, frame } => {
                if self.believed.get(&(vertex, from)) == Some(&connection) {
                    self.give(vertex, Input::PeerFrame { from, frame });
                } else {
                    self.network.counts.cut_off += 1;
                }
            }
            Arrival::Altered { from, connection } => {
                if self.believed.get(&(vertex, from)) == Some(&connection) {
                    self.give(vertex, Input::PeerAltered { from });
                    self.break_edge(vertex, from);
                }
            }
            Arrival::Drained { connection, bytes } => self.give(vertex, Input::ClientDrained { connection, bytes }),
            Arrival::DiskDone => self.finish_disk_jobs(vertex),
            Arrival::Turn => {
                let gathered = std::mem::take(&mut host.gathered);
                self.take_turn(vertex, gathered);
            }
            Arrival::Start | Arrival::Restart | Arrival::Dial | Arrival::Continue => {}
        }
    }
}
