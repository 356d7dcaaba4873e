//! How routing, news of failures and leadership grow with the cube: measured on whole clusters in virtual time.
//!
//! [`measure`] starts the 2^d nodes of one cube, real [`Node`](crate::node::Node)s, and counts: hops of requests, frames by what they were
//! for ([`Traffic`]), and virtual time. Every edge takes [`EDGE`] and nothing else is slow but the disks, so times read as numbers of edges.
//!
//! Promised: the same dimension, seed and sizes give the same figures; every figure is counted, none is computed from theory
//! ([`theory`] stands beside them). Never: real time; how long a run takes says nothing about the cube.

mod failures;
mod probes;
mod publishing;
mod spread;
mod start;
pub mod theory;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use failures::{Failover, News, Silence};
pub use probes::Routing;
pub use publishing::Publishing;
pub use spread::Spread;
pub use start::Start;

use super::cluster::{Cluster, ClusterConfig};
use super::network::EdgeConditions;
use super::traffic::Traffic;
use crate::cube::{Dimension, Vertex};

/// What every edge takes, one way.
pub const EDGE: Duration = Duration::from_millis(1);
/// What a disk takes for a batch.
pub const DISK: Duration = Duration::from_micros(500);
/// Background frames are counted over this.
const IDLE: Duration = Duration::from_secs(1);
/// The longest time between two beats of anything that a node does by the clock while nothing happens.
const BEAT: Duration = Duration::from_millis(600);
/// No link state for so long: all that was to be told is told. Longer than pings take to find a difference.
const QUIET: Duration = Duration::from_millis(450);
/// Whatever is waited for comes within this.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is asked and broken.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sizes {
    /// Requests over the whole cube, and again over the broken one.
    pub probes: u32,
    pub publishes: u32,
    /// Homes that are killed, one after the other.
    pub failures: u32,
    /// The share of nodes that is dead in the broken cube, 0 to 1; at least one is.
    pub dead_share: f64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { probes: 1_000, publishes: 100, failures: 9, dead_share: 0.1 }
    }
}

/// What was counted on one cube. Times in milliseconds of virtual time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figures {
    pub dimension: u8,
    pub nodes: usize,
    pub seed: u64,
    pub start: Start,
    /// Frames that each node sends in a second while nothing happens.
    pub idle_frames: f64,
    pub whole: Routing,
    pub publishing: Publishing,
    pub news: News,
    pub failover: Failover,
    pub silence: Silence,
    /// With the stated share of nodes dead.
    pub broken: Routing,
    /// The hash over all that happened: equal for equal runs.
    pub trace: u64,
}

/// Measures one cube; `tell` hears what is done next.
pub fn measure(dimension: Dimension, seed: u64, sizes: &Sizes, tell: &mut dyn FnMut(&str)) -> Figures {
    tell("starting");
    let mut stand = Stand::new(dimension, seed);
    let start = start::measure(&mut stand);
    tell("idle");
    let idle = stand.idle();
    tell("routing");
    let whole = probes::measure(&mut stand, sizes.probes);
    tell("publishing");
    let (topics, publishing) = publishing::measure(&mut stand, sizes.publishes);
    tell("failures");
    let (news, failover) = failures::measure(&mut stand, &topics, sizes.failures);
    tell("silence");
    let silence = failures::measure_silence(&mut stand);
    tell("detours");
    stand.kill_share(sizes.dead_share);
    let broken = probes::measure(&mut stand, sizes.probes);
    Figures {
        dimension: dimension.bits(),
        nodes: dimension.size(),
        seed,
        start,
        idle_frames: idle.frames() as f64 / dimension.size() as f64 / IDLE.as_secs_f64(),
        whole,
        publishing,
        news,
        failover,
        silence,
        broken,
        trace: stand.cluster.trace(),
    }
}

/// The cluster that is measured, and who draws.
struct Stand {
    cluster: Cluster,
    random: fastrand::Rng,
}

impl Stand {
    fn new(dimension: Dimension, seed: u64) -> Stand {
        let edges = EdgeConditions { delay_us: EDGE.as_micros() as u32, ..EdgeConditions::default() };
        let config =
            ClusterConfig { edges, disk_delay: DISK, gather_turns: true, ..ClusterConfig::new(dimension, seed) };
        Stand { cluster: Cluster::with(config), random: fastrand::Rng::with_seed(seed) }
    }

    fn dimension(&self) -> Dimension {
        self.cluster.dimension()
    }

    /// Milliseconds since `earlier`.
    fn ms_since(&self, earlier: crate::time::Instant) -> f64 {
        self.cluster.now().since(earlier).as_micros() as f64 / 1e3
    }

    /// Runs in small steps until `done` holds.
    fn run_until(&mut self, step: Duration, what: &str, mut done: impl FnMut(&mut Cluster) -> bool) {
        let until = self.cluster.now() + PATIENCE;
        while !done(&mut self.cluster) {
            assert!(self.cluster.now() < until, "{what}: not within {PATIENCE:?} of virtual time");
            self.cluster.run_for(step);
        }
    }

    /// Until link states have stopped flowing.
    fn run_until_quiet(&mut self) {
        let mut words = u64::MAX;
        self.run_until(QUIET, "link states come to rest", |cluster| {
            std::mem::replace(&mut words, cluster.traffic().words) == words
        });
    }

    /// Clocks, pings and heartbeats all began at the start: what is broken is broken anywhere between two of their beats.
    fn run_a_while(&mut self) {
        let us = self.random.u64(..BEAT.as_micros() as u64);
        self.cluster.run_for(Duration::from_micros(us));
    }

    fn idle(&mut self) -> Traffic {
        self.run_until_quiet();
        let before = self.cluster.traffic();
        self.cluster.run_for(IDLE);
        self.cluster.traffic() - before
    }

    fn alive(&self) -> Vec<Vertex> {
        let is_alive = |vertex: &Vertex| self.cluster.node(*vertex).is_some();
        self.dimension().vertices().filter(is_alive).collect()
    }

    fn draw(&mut self, from: &[Vertex]) -> Vertex {
        from[self.random.usize(..from.len())]
    }

    /// Kills until this share of all nodes is dead, and runs until the others know who is left.
    fn kill_share(&mut self, share: f64) {
        let size = self.dimension().size();
        let dead = ((size as f64 * share).round() as usize).clamp(1, size - 2);
        while self.alive().len() > size - dead {
            let alive = self.alive();
            let victim = self.draw(&alive);
            self.cluster.kill(victim);
        }
        let alive = self.alive();
        self.run_until(5 * EDGE, "the dead are known", |cluster| {
            let sees_no_dead = |node: &Vertex| {
                let node = cluster.node(*node).expect("it is alive");
                cluster.dimension().vertices().all(|vertex| cluster.node(vertex).is_some() || !node.sees(vertex))
            };
            alive.iter().all(sees_no_dead)
        });
    }
}

/// The part `of` in a whole, 1 for nothing of nothing.
fn share(of: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { of as f64 / whole as f64 }
}
