//! Throughput and latency over time, at a fixed rate, while a leader is killed and returns: with four copies of each message, of
//! which one may be missing, and on the smallest cube, where none may.

use std::time::Duration;

use cubecast_core::cube::Vertex;
use cubecast_core::wire::client::Ack;

use super::publish::{Place, bytes};
use super::results::{History, Mark};
use super::stage::Stage;
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE, words};
use crate::bench::{Pace, Timing, drive};
use crate::command::Failure;
use crate::command::chaos::failed;

/// Publishes a second, by all clients together: few enough that what was held up is soon made good.
const RATE: f64 = 500.0;
const CLIENTS: usize = 4;
/// A run is so many times as long as a repetition of other cases, and told in so many slots.
const LENGTH: u32 = 10;
const SLOTS: u32 = 40;
/// The leader dies, and is started again, behind so much of the run.
const DIES: f64 = 0.25;
const RETURNS: f64 = 0.5;
/// A publish is given up when so much longer than the run has passed: none that waits for the node's return is.
const PATIENCE: Duration = Duration::from_secs(10);
/// No cube has one node. Of two each holds all and both are needed: while one is away it is as with a single copy that is away.
const SMALLEST: u8 = 1;

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

/// What was done when, seconds behind the warm-up.
async fn kill_and_start_again(stage: &mut Stage, home: Vertex, timing: Timing) -> Result<Vec<Mark>, Failure> {
    let dies = timing.length.mul_f64(DIES);
    tokio::time::sleep(timing.warm_up + dies).await;
    stage.fleet.kill(home).await;
    let returns = timing.length.mul_f64(RETURNS);
    tokio::time::sleep(returns - dies).await;
    stage.fleet.start(home).map_err(failed)?;
    let mark = |at: Duration, what: &str| Mark { at_s: at.as_secs_f64(), what: what.into() };
    Ok(vec![mark(dies, "SIGKILL of the leader"), mark(returns, "it is started again")])
}
