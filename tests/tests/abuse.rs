//! Attacks on one node of eight: its memory, and the latency of honest clients meanwhile.
//!
//! `make abuse` runs each attack for a minute and prints the table. `make fuzz-live` sends mutated input for ten
//! minutes and prints the answers. `make test` runs each attack briefly.

use std::sync::Arc;
use std::time::Duration;

use cubecast_tests::abuse::{self, Attack};
use cubecast_tests::cluster::ProcessCluster;
use cubecast_tests::mutated;
use cubecast_tests::wait::say;
use tokio::sync::Mutex;

/// Limit of an attacked node's memory, bytes.
const MOST_MEMORY: u64 = 256 << 20;
/// Attacks use all available processor time, so they must not run in parallel.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn no_attack_of_a_stranger_fills_the_memory_or_parts_the_cluster() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let cluster = Arc::new(ProcessCluster::start().await);
    let attacked = abuse::prepare(&cluster).await;
    let lasts = Duration::from_millis(1_500);
    let before = abuse::calm(&cluster, attacked, lasts).await;
    let mut damages = Vec::new();
    for attack in Attack::ALL {
        damages.push(abuse::attack(&cluster, attacked, *attack, before, lasts).await);
    }
    println!("{}", abuse::table(&damages));
    for damage in damages {
        assert!(damage.is_running, "{damage:?}");
        assert!(damage.memory < MOST_MEMORY, "{damage:?}");
        assert_eq!(damage.lost_neighbours, 0, "{damage:?}");
    }
}

/// `CUBECAST_ABUSE_SECONDS`: duration of each attack. `CUBECAST_ABUSE_ONLY`: only attacks whose names contain one of
/// these parts.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of an hour; `make abuse` runs it"]
async fn every_attack_for_a_minute() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let seconds = number_from("CUBECAST_ABUSE_SECONDS").unwrap_or(60);
    let only = std::env::var("CUBECAST_ABUSE_ONLY").unwrap_or_default();
    let mut damages = Vec::new();
    for attack in Attack::ALL.iter().filter(|attack| attack.name().contains(&only)) {
        // Each attack gets a new cluster, so that earlier attacks do not affect it.
        let cluster = Arc::new(ProcessCluster::start().await);
        let attacked = abuse::prepare(&cluster).await;
        let before = abuse::calm(&cluster, attacked, Duration::from_secs(seconds.min(10))).await;
        damages.push(abuse::attack(&cluster, attacked, *attack, before, Duration::from_secs(seconds)).await);
        println!("{}\n", abuse::table(&damages));
    }
    for damage in damages {
        assert!(damage.is_running && damage.memory < MOST_MEMORY && damage.lost_neighbours == 0, "{damage:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mutated_input_harms_nobody() {
    let _alone = ONE_AT_A_TIME.lock().await;
    attack_with_mutated_input(1, Duration::from_millis(1_500)).await;
}

/// `CUBECAST_FUZZ_SECONDS`: duration. `CUBECAST_FUZZ_SEED`: determines the input of each connection.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes; `make fuzz-live` runs it"]
async fn mutated_input_for_ten_minutes_harms_nobody() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let seconds = number_from("CUBECAST_FUZZ_SECONDS").unwrap_or(600);
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is after 1970").as_millis() as u64;
    let seed = number_from("CUBECAST_FUZZ_SEED").unwrap_or(now);
    attack_with_mutated_input(seed, Duration::from_secs(seconds)).await;
}

async fn attack_with_mutated_input(seed: u64, lasts: Duration) {
    say(&format!("mutated input, seed {seed}"));
    let outcome = mutated::attack(seed, lasts).await;
    println!("{outcome}");
    assert!(outcome.is_running, "{outcome}");
    assert!(outcome.panics.is_empty(), "{outcome}\n{:#?}", outcome.panics);
    assert!(outcome.forged.is_empty(), "{outcome}\n{:#?}", outcome.forged);
    assert!(outcome.lost_neighbours.is_empty(), "{outcome}\n{:#?}", outcome.lost_neighbours);
    assert!(outcome.memory < MOST_MEMORY, "{outcome}");
    assert!(outcome.sent.answers.malformed.is_empty(), "{outcome}\n{:#?}", outcome.sent.answers.malformed);
    assert_eq!(outcome.sent.answers.of_kind(mutated::NOT_ENDED), 0, "{outcome}");
    // Each kind of input was sometimes accepted and sometimes refused.
    for kind in ["HTTP 400", "ok", "error bad_request", "hello of the handshake", "close 1002", "close 4009"] {
        assert!(outcome.sent.answers.of_kind(kind) > 0, "no `{kind}`: {outcome}");
    }
    let altered = &outcome.altered;
    assert!(altered.sent > 0 && altered.endings.of_kind("close 1007") == altered.sent, "{outcome}");
    assert_eq!(outcome.altered_counted, altered.sent, "{outcome}");
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
