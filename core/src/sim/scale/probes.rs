//! Requests from random nodes to random vertices: which way they took, and what that cost.
//!
//! A probe asks a node for its status through another one. Nothing is written and nobody else is asked, so its frames are the way there
//! and the way back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EDGE, Spread, Stand, share};
use crate::cube::Vertex;
use crate::io::ConnectionId;
use crate::sim::cluster::Cluster;
use crate::time::Instant;
use crate::wire::client::Action;

/// Given up after this, from the last probe on.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Routing {
    pub dead_nodes: usize,
    /// Probes between vertices that a way joined.
    pub probes: usize,
    /// The share of these that were answered by the node they were for.
    pub delivered: f64,
    /// Edges from origin to goal.
    pub hops: Spread,
    /// The same pairs in a whole cube: the bits in which they differ.
    pub mean_distance: f64,
    /// The same pairs over what is left of the cube, by a search of the whole graph.
    pub mean_shortest: f64,
    /// The share that took a shortest way over what is left.
    pub shortest: f64,
    /// There and back.
    pub round_trip_ms: Spread,
    /// Frames of a probe and its answer, repeats and all.
    pub frames: f64,
}

struct Probe {
    from: Vertex,
    to: Vertex,
    sent: Instant,
    id: u64,
    /// When, and over how many edges it had come.
    answered: Option<(Instant, usize)>,
}

pub(super) fn measure(stand: &mut Stand, count: u32) -> Routing {
    let (alive, before) = (stand.alive(), stand.cluster.traffic());
    let mut probes = BTreeMap::new();
    while probes.len() < count as usize {
        let (from, to) = (stand.draw(&alive), stand.draw(&alive));
        if hops_to(&stand.cluster, to)[from.index()].is_some() {
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

fn send(cluster: &mut Cluster, from: Vertex, to: Vertex) -> (ConnectionId, Probe) {
    let connection = cluster.connect_client(from);
    let id = cluster.send(connection, Action::Status { node: Some(to) });
    (connection, Probe { from, to, sent: cluster.now(), id, answered: None })
}

/// Runs until something was heard, or until then; `false`: nothing was.
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
    let shortest = |probe: &Probe| hops_to(cluster, probe.to)[probe.from.index()].unwrap_or(0);
    let answered: Vec<_> = probes.iter().filter_map(|probe| Some((probe, probe.answered?))).collect();
    let mean = |figures: Vec<f64>| Spread::of(figures).mean;
    let direct = answered.iter().filter(|(probe, (_, edges))| *edges == shortest(probe)).count();
    Routing {
        dead_nodes: cluster.dimension().vertices().filter(|vertex| cluster.node(*vertex).is_none()).count(),
        probes: probes.len(),
        delivered: share(answered.len(), probes.len()),
        hops: Spread::of(answered.iter().map(|(_, (_, edges))| *edges as f64).collect()),
        mean_distance: mean(answered.iter().map(|(probe, _)| f64::from(probe.from.distance(probe.to))).collect()),
        mean_shortest: mean(answered.iter().map(|(probe, _)| shortest(probe) as f64).collect()),
        shortest: share(direct, answered.len()),
        round_trip_ms: Spread::of(
            answered.iter().map(|(probe, (at, _))| at.since(probe.sent).as_micros() as f64 / 1e3).collect(),
        ),
        frames: frames as f64 / probes.len() as f64,
    }
}

/// Edges to `to` from every vertex over the nodes that are alive, by breadth; by index.
fn hops_to(cluster: &Cluster, to: Vertex) -> Vec<Option<usize>> {
    let mut hops = vec![None; cluster.dimension().size()];
    hops[to.index()] = Some(0);
    let mut queue = VecDeque::from([to]);
    while let Some(vertex) = queue.pop_front() {
        for next in vertex.neighbours().filter(|next| cluster.node(*next).is_some()) {
            if hops[next.index()].is_none() {
                hops[next.index()] = hops[vertex.index()].map(|so_far| so_far + 1);
                queue.push_back(next);
            }
        }
    }
    hops
}
