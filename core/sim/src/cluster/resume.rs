//! A cluster that goes on from the state of other hosts, for example of recorded ones.

use std::collections::BTreeMap;

use cubecast_core::identity::HostId;
use cubecast_core::io::Input;
use cubecast_core::node::{Awaits, Node};
use cubecast_core::store::Write;
use cubecast_core::time::{Instant, Now};

use super::{Cluster, ClusterConfig, EPOCH};
use crate::host::DiskJob;

/// A host with which a cluster goes on.
pub struct Resumed {
    pub host: HostId,
    /// `None`: its process does not run.
    pub node: Option<Node>,
    /// The host's clocks at the moment at which the cluster goes on.
    pub clocks: Now,
    /// The content of its disk.
    pub disk: Vec<Write>,
}

impl Cluster {
    /// Goes on with these hosts at `now`. Frames in transit and the connections of clients are lost. Connections between
    /// neighbours stand if both sides have them. Writes and reads under way are finished. Hosts that are not named have
    /// no process and an empty disk.
    pub fn resume(config: ClusterConfig, now: Instant, hosts: Vec<Resumed>) -> Cluster {
        let mut cluster = Cluster::without_processes(config);
        cluster.now = now;
        for Resumed { host, node, clocks, disk } in hosts {
            let resumed = &mut cluster.hosts[host];
            resumed.disk.write(&disk);
            resumed.monotonic_ahead_us = clocks.monotonic.0.wrapping_sub(now.0);
            resumed.clock_error_us = clocks.wall.0.wrapping_sub(EPOCH.0.wrapping_add(now.0)) as i64;
            resumed.peers_allowed = node.as_ref().is_some_and(Node::allows_peers);
            resumed.node = node;
        }
        let peers: BTreeMap<HostId, Vec<HostId>> =
            cluster.nodes().filter_map(|host| Some((host, cluster.node(host)?.awaits().peers))).collect();
        for (host, own) in &peers {
            let is_mutual = |peer: &&HostId| peers.get(peer).is_some_and(|others| others.contains(host));
            own.iter().filter(is_mutual).for_each(|peer| cluster.keep_connection(*host, *peer));
        }
        for host in cluster.nodes() {
            cluster.go_on(host);
        }
        cluster
    }

    fn go_on(&mut self, host: HostId) {
        let Some(awaits) = self.node(host).map(Node::awaits) else { return };
        let Awaits { written, reads, reopened, connections, peers } = awaits;
        for peer in peers.into_iter().filter(|peer| !self.is_kept(host, *peer)).collect::<Vec<_>>() {
            self.give(host, Input::PeerDisconnected { peer });
        }
        for connection in connections {
            self.next_connection = self.next_connection.max(connection.0);
            self.give(host, Input::ClientDisconnected { connection });
        }
        self.queue_disk_job(host, DiskJob::Write(written));
        for read in reads {
            let id = read.read;
            self.hosts[host].disk.begin_read(read);
            self.queue_disk_job(host, DiskJob::Read(id));
        }
        if let Some(wipe) = reopened {
            self.queue_disk_job(host, DiskJob::Reopen { wipe });
        }
        self.connect_all(host);
        self.give(host, Input::DeadlineReached);
    }
}
