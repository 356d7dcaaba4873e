//! Strangers attack one node of eight: what it has in memory meanwhile, and how long honest clients wait.
//!
//! `make abuse` does each attack for a minute and prints the table; `make test` does each for a moment.

use std::sync::Arc;
use std::time::Duration;

use cubecast_tests::abuse::{self, Attack};
use cubecast_tests::cluster::ProcessCluster;

/// The most that an attacked node may have in memory.
const MOST_MEMORY: u64 = 256 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_attack_of_a_stranger_fills_the_memory_or_parts_the_cluster() {
    let cluster = Arc::new(ProcessCluster::start().await);
    let attacked = abuse::prepare(&cluster).await;
    let mut damages = Vec::new();
    for attack in Attack::ALL {
        damages.push(abuse::attack(&cluster, attacked, *attack, Duration::from_millis(1500)).await);
    }
    println!("{}", abuse::table(&damages));
    for damage in damages {
        assert!(damage.is_running, "{damage:?}");
        assert!(damage.memory < MOST_MEMORY, "{damage:?}");
        assert_eq!(damage.lost_neighbours, 0, "{damage:?}");
    }
}

/// `CUBECAST_ABUSE_SECONDS` is how long each attack lasts; `CUBECAST_ABUSE_ONLY` names some of them, by a part of their names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of an hour; `make abuse` runs it"]
async fn every_attack_for_a_minute() {
    let seconds = std::env::var("CUBECAST_ABUSE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let only = std::env::var("CUBECAST_ABUSE_ONLY").unwrap_or_default();
    let mut damages = Vec::new();
    for attack in Attack::ALL.iter().filter(|attack| attack.name().contains(&only)) {
        // Each on a cluster of its own, so that no attack pays for the one before.
        let cluster = Arc::new(ProcessCluster::start().await);
        let attacked = abuse::prepare(&cluster).await;
        damages.push(abuse::attack(&cluster, attacked, *attack, Duration::from_secs(seconds)).await);
        println!("{}\n", abuse::table(&damages));
    }
    for damage in damages {
        assert!(damage.is_running && damage.memory < MOST_MEMORY && damage.lost_neighbours == 0, "{damage:?}");
    }
}
