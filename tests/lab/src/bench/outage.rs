//! Throughput and latency over time at a fixed rate, while a leader is killed and returns: with four copies of each
//! message, of which one may be missing, and on the smallest cube, where none may be missing.

use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::wire::client::Ack;
use cubecast_node::failure::Failure;

use super::publish::{Place, bytes};
use super::results::{History, Mark};
use super::stage::Stage;
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE, words};
use crate::measure::{Pace, Timing, drive};

/// Publishes per second by all clients together: few enough that a backlog is soon cleared.
const RATE: f64 = 500.0;
const CLIENTS: usize = 4;
/// The length of a run in repetitions of other cases, and the number of its slots.
const LENGTH: u32 = 10;
const SLOTS: u32 = 40;
/// The share of the run after which the leader is killed, and restarted.
const DIES: f64 = 0.25;
const RETURNS: f64 = 0.5;
/// The time limit of a publish beyond the length of the run, so that no publish that waits for the node's return is
/// given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// No cube has one node. With two nodes, each holds all messages and both are needed, so the absence of one is like
/// the absence of a single copy.
const SMALLEST: u8 = 1;

/// Measures the runs of this group.
pub async fn measure(bench: &mut Bench, group: &str) -> Result<(), Failure> {
    for (dimension, copies) in [(SMALLEST, "2 copies, both needed"), (USUAL_DIMENSION, "4 copies, 3 needed")] {
        let case = format!("{} nodes, {copies}, {}, quorum", 1 << dimension, bytes(USUAL_SIZE));
        bench.bar.set_message(format!("{group}: {case}, over time"));
        let mut stage = bench.stage(dimension, "always").await?;
        let history = watch(bench, &mut stage).await?;
        bench.results.histories.push(History { group: group.into(), case, ..history });
        stage.wait_until_whole().await?;
        stage.strike().await?;
    }
    Ok(())
}

async fn watch(bench: &Bench, stage: &mut Stage) -> Result<History, Failure> {
    let place = Place::new(stage).await?;
    let length = bench.timing.length * LENGTH;
    let timing = Timing { slot: Some(length / SLOTS), length, ..bench.timing };
    let content = bench.content(USUAL_SIZE);
    let client = || stage.client().within(length + PATIENCE);
    let clients = (0..CLIENTS).map(|_| place.publishing(client(), content.clone(), Ack::Quorum)).collect();
    let pace = Pace::PerSecond(RATE);
    let home = stage.home(&place.topic);
    let (sample, marks) = tokio::join!(drive(clients, pace, timing, |_| {}), kill_and_start_again(stage, home, timing));
    let timeline = sample.slots.map(|slots| slots.timeline()).unwrap_or_default();
    let (failed, why_failed) = (sample.failed, sample.why_failed);
    Ok(History { pace: words(pace, CLIENTS), timeline, marks: marks?, failed, why_failed, ..History::default() })
}

/// Kills and restarts the node. Returns the times in seconds after the warm-up.
async fn kill_and_start_again(stage: &mut Stage, home: HostId, timing: Timing) -> Result<Vec<Mark>, Failure> {
    let dies = timing.length.mul_f64(DIES);
    tokio::time::sleep(timing.warm_up + dies).await;
    stage.fleet.kill(home).await;
    let returns = timing.length.mul_f64(RETURNS);
    tokio::time::sleep(returns - dies).await;
    stage.fleet.start(home)?;
    let mark = |at: Duration, what: &str| Mark { at_s: at.as_secs_f64(), what: what.into() };
    Ok(vec![mark(dies, "SIGKILL of the leader"), mark(returns, "restart")])
}
