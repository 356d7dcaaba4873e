//! How routing, failure news and leadership grow with the cube, measured on whole clusters in virtual time.
//!
//! [`measure`] starts the 2^d real [`Node`](cubecast_core::node::Node)s of one cube and counts the hops of requests,
//! the frames by purpose ([`Traffic`]), and virtual time. Every edge takes [`EDGE`], and otherwise only the disks take
//! time, so times can be read as numbers of edges.
//!
//! The same dimension, seed and sizes give the same figures. Every figure is counted and none is computed from theory;
//! [`theory`] has the values to compare. Real time is never measured: the duration of a run is no property of the cube.

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

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;

use crate::cluster::{Cluster, ClusterConfig};
use crate::network::EdgeConditions;
use crate::traffic::Traffic;

/// One-way delay of every edge.
pub const EDGE: Duration = Duration::from_millis(1);
/// Time of a disk for one batch.
pub const DISK: Duration = Duration::from_micros(500);
/// Background frames are counted over this time.
const IDLE: Duration = Duration::from_secs(1);
/// The longest interval of any periodic activity of an idle node.
const BEAT: Duration = Duration::from_millis(600);
/// After this long without link states, all news has spread. It is longer than pings need to detect a difference.
const QUIET: Duration = Duration::from_millis(450);
/// Time limit of every wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of requests and failures.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sizes {
    /// Requests over the whole cube, and again over the cube with dead nodes.
    pub probes: u32,
    /// Publishes over the whole cube.
    pub publishes: u32,
    /// Homes that are killed, one after another.
    pub failures: u32,
    /// Share of dead nodes in the broken cube, 0 to 1. At least one node is dead.
    pub dead_share: f64,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { probes: 1_000, publishes: 100, failures: 9, dead_share: 0.1 }
    }
}

/// The figures of one cube. Times are in milliseconds of virtual time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// The cube's dimension.
    pub dimension: u8,
    pub nodes: usize,
    pub seed: u64,
    /// The simultaneous start of all nodes.
    pub start: Start,
    /// Frames that each node sends per second while idle.
    pub idle_frames: f64,
    /// Routing with all nodes alive.
    pub whole: Routing,
    /// Publishes with all nodes alive.
    pub publishing: Publishing,
    /// The spread of the news of a kill.
    pub news: News,
    /// The failover of killed homes.
    pub failover: Failover,
    /// The detection of a node that hangs.
    pub silence: Silence,
    /// Routing with the stated share of nodes dead.
    pub broken: Routing,
    /// A hash over all events: equal for equal runs.
    pub trace: u64,
}

/// Measures one cube. `tell` is called with the name of each step.
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

/// The measured cluster and its random generator.
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
    fn ms_since(&self, earlier: cubecast_core::time::Instant) -> f64 {
        self.cluster.now().since(earlier).as_micros() as f64 / 1e3
    }

    /// Runs in steps until `done` returns true.
    fn run_until(&mut self, step: Duration, what: &str, mut done: impl FnMut(&mut Cluster) -> bool) {
        let until = self.cluster.now() + PATIENCE;
        while !done(&mut self.cluster) {
            assert!(self.cluster.now() < until, "{what}: not within {PATIENCE:?} of virtual time");
            self.cluster.run_for(step);
        }
    }

    /// Runs until no more link states are sent.
    fn run_until_quiet(&mut self) {
        let mut words = u64::MAX;
        self.run_until(QUIET, "link states come to rest", |cluster| {
            std::mem::replace(&mut words, cluster.traffic().words) == words
        });
    }

    /// Runs for a random part of a beat. Clocks, pings and heartbeats all began at the start; faults must fall anywhere
    /// between two beats.
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

    fn alive(&self) -> Vec<HostId> {
        let is_alive = |node: &HostId| self.cluster.node(*node).is_some();
        self.cluster.nodes().filter(is_alive).collect()
    }

    fn draw(&mut self, from: &[HostId]) -> HostId {
        from[self.random.usize(..from.len())]
    }

    /// Kills nodes until this share of all is dead, and runs until the others know it.
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
            let sees_no_dead = |node: &HostId| {
                let node = cluster.node(*node).expect("it is alive");
                cluster.nodes().all(|other| cluster.node(other).is_some() || !node.sees(other))
            };
            alive.iter().all(sees_no_dead)
        });
    }
}

/// The ratio `of / whole`; 1 if `whole` is 0.
fn share(of: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { of as f64 / whole as f64 }
}
