//! A recorded cluster, and the replay of an incident.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::recording::incident::Incident;
use cubecast_core::recording::replay::Replay;
use cubecast_core::time::Timestamp;
use cubecast_sim::{Cluster, ClusterConfig, Recording};

/// Longer than any recording here.
pub const ALL: Duration = Duration::from_secs(3600);

/// A cluster of eight nodes that has elected its leaders.
pub fn recorded_cluster() -> Cluster {
    recorded_cluster_of(3)
}

/// The same for a cube of this dimension.
pub fn recorded_cluster_of(bits: u8) -> Cluster {
    let config = ClusterConfig::new(Dimension::new(bits).unwrap(), 1);
    let mut cluster = Cluster::with(ClusterConfig { recorder: Some(Recording::begin), gather_turns: true, ..config });
    cluster.run_for(Duration::from_secs(3));
    cluster
}

pub fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

/// Replays everything, and checks that it is equal. Returns the number of turns and of compared states.
pub fn replay(incident: &Incident) -> (u64, u64) {
    let mut replay = Replay::open(incident).unwrap();
    let mut last = Timestamp(0);
    while let Some(step) = replay.step().unwrap() {
        assert!(step.at >= last, "the hosts are replayed in the order of time");
        last = step.at;
    }
    let mut sum = (0, 0);
    for (host, comparison) in replay.comparisons() {
        assert!(comparison.is_equal(), "node {host}: {comparison:?}");
        sum = (sum.0 + comparison.turns, sum.1 + comparison.states);
    }
    sum
}
