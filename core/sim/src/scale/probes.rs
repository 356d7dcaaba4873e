//! Requests from random nodes to random nodes: their routes and costs.
//!
//! A probe requests the status of one node through another. It writes nothing and involves no further node, so its
//! frames are those of the route there and back.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::io::ConnectionId;
use cubecast_core::time::Instant;
use cubecast_core::wire::client::{Action, Admin};
use serde::{Deserialize, Serialize};

use super::{EDGE, Spread, Stand, share};
use crate::cluster::Cluster;

/// Time limit after the last probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// Routing figures of one cube.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Routing {
    /// Number of dead nodes.
    pub dead_nodes: usize,
    /// Number of probes between connected nodes.
    pub probes: usize,
    /// Share of these that their target answered.
    pub delivered: f64,
    /// Edges from origin to target.
    pub hops: Spread,
    /// Mean distance of the same pairs in a whole cube: the number of differing bits.
    pub mean_distance: f64,
    /// Mean distance of the same pairs over the live nodes, by breadth-first search.
    pub mean_shortest: f64,
    /// Share of probes on a shortest route over the live nodes.
    pub shortest: f64,
    /// Round-trip time in milliseconds.
    pub round_trip_ms: Spread,
    /// Frames of a probe and its answer, repeats included.
    pub frames: f64,
}

struct Probe {
    from: HostId,
    to: HostId,
    sent: Instant,
    id: u64,
    /// Time of the answer, and the number of edges that the request crossed.
    answered: Option<(Instant, usize)>,
}

pub(super) fn measure(stand: &mut Stand, count: u32) -> Routing {
    let (alive, before) = (stand.alive(), stand.cluster.traffic());
    let mut probes = BTreeMap::new();
    while probes.len() < count as usize {
        let (from, to) = (stand.draw(&alive), stand.draw(&alive));
        if hops_to(&stand.cluster, to).contains_key(&from) {
            let (connection, probe) = send(&mut stand.cluster, from, to);
            probes.insert(connection, probe);
        }
        let next = stand.cluster.now() + EDGE;
        hear(&mut stand.cluster, &mut probes, next);
    }
    let until = stand.cluster.now() + PATIENCE;
    while probes.values().any(|probe| probe.answered.is_none()) && hear(&mut stand.cluster, &mut probes, until) {}
    let frames = (stand.cluster.traffic() - before).requests;
    summary(&stand.cluster, &probes.into_values().collect::<Vec<_>>(), frames)
}

fn send(cluster: &mut Cluster, from: HostId, to: HostId) -> (ConnectionId, Probe) {
    let connection = cluster.connect_client(from);
    let id = cluster.send(connection, Action::Admin(Admin::Status { node: Some(to) }));
    (connection, Probe { from, to, sent: cluster.now(), id, answered: None })
}

/// Runs until this time and collects answers. Returns whether any arrived.
fn hear(cluster: &mut Cluster, probes: &mut BTreeMap<ConnectionId, Probe>, until: Instant) -> bool {
    let mut heard = false;
    while cluster.step(until) {
        for connection in cluster.take_touched() {
            let Some(probe) = probes.get_mut(&connection) else { continue };
            let Some(answer) = cluster.take_answer(connection, probe.id) else { continue };
            heard = true;
            let reached = answer.result.is_ok() && answer.served_by == probe.to;
            let edges = answer.hops.map_or(0, |way| way.len().saturating_sub(1));
            probe.answered = reached.then_some((cluster.now(), edges));
            cluster.disconnect_client(connection);
        }
    }
    heard
}

fn summary(cluster: &Cluster, probes: &[Probe], frames: u64) -> Routing {
    let shortest = |probe: &Probe| hops_to(cluster, probe.to).get(&probe.from).copied().unwrap_or(0);
    let answered: Vec<_> = probes.iter().filter_map(|probe| Some((probe, probe.answered?))).collect();
    let mean = |figures: Vec<f64>| Spread::of(figures).mean;
    let direct = answered.iter().filter(|(probe, (_, edges))| *edges == shortest(probe)).count();
    Routing {
        dead_nodes: cluster.nodes().filter(|node| cluster.node(*node).is_none()).count(),
        probes: probes.len(),
        delivered: share(answered.len(), probes.len()),
        hops: Spread::of(answered.iter().map(|(_, (_, edges))| *edges as f64).collect()),
        mean_distance: mean(
            answered.iter().map(|(probe, _)| f64::from(cluster.seating().distance(probe.from, probe.to))).collect(),
        ),
        mean_shortest: mean(answered.iter().map(|(probe, _)| shortest(probe) as f64).collect()),
        shortest: share(direct, answered.len()),
        round_trip_ms: Spread::of(
            answered.iter().map(|(probe, (at, _))| at.since(probe.sent).as_micros() as f64 / 1e3).collect(),
        ),
        frames: frames as f64 / probes.len() as f64,
    }
}

/// Edges from every node that has a path to `to` over live nodes, by breadth-first search.
fn hops_to(cluster: &Cluster, to: HostId) -> BTreeMap<HostId, usize> {
    let mut hops = BTreeMap::from([(to, 0)]);
    let mut queue = VecDeque::from([to]);
    while let Some(node) = queue.pop_front() {
        let so_far = hops[&node];
        for next in cluster.seating().neighbours(node).filter(|next| cluster.node(*next).is_some()) {
            if let Entry::Vacant(unknown) = hops.entry(next) {
                unknown.insert(so_far + 1);
                queue.push_back(next);
            }
        }
    }
    hops
}
