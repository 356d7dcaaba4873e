//! A leader dies and returns; a wiped node refills.

use std::time::{Duration, Instant};

use cubecast_core::identity::HostId;
use cubecast_core::names::Offset;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Ack, Action, Query};
use cubecast_node::failure::Failure;
use futures_util::{StreamExt, stream};

use super::publish::Place;
use super::results::Fact;
use super::stage::Stage;
use super::{Bench, USUAL_DIMENSION, outage};
use crate::measure::{Spread, floor};

const GROUP: &str = "Failures";
const KILLED_P99: f64 = 1.0;
/// The bytes that a wiped node must fetch, and the size of each message.
const LOST: usize = 64 << 20;
const MESSAGE: usize = 64 << 10;
const CAUGHT_UP_RATIO: f64 = 0.3;
/// The time limit for a node to refill.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures this group.
pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    kills(bench).await?;
    outage::measure(bench, GROUP).await?;
    catch_up(bench).await
}

/// Sends SIGKILL to a leader repeatedly while one client publishes. Measures the longest time without an
/// acknowledgement each time.
async fn kills(bench: &mut Bench) -> Result<(), Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    let place = Place::new(&mut stage).await?;
    let mut gaps = Vec::new();
    let kills = bench.kills * bench.repetitions;
    for kill in 0..kills {
        bench.bar.set_message(format!("{GROUP}: kill {} of {kills}", kill + 1));
        gaps.push(kill_home(&mut stage, &place).await?.as_secs_f64());
    }
    stage.wait_until_whole().await?;
    let (p99, of) = (percentile_99(&gaps), gaps.len());
    bench.fact(Fact {
        group: GROUP.into(),
        what: "SIGKILL of a leader: time until the next publish is acknowledged".into(),
        unit: "s".into(),
        value: Spread::of(gaps),
        of,
        target: Some((format!("p99 below {KILLED_P99} s; measured {p99:.2} s"), p99 < KILLED_P99)),
    });
    stage.strike().await
}

/// Waits until the cluster is whole, sends SIGKILL to the topic's home, and measures the time until the next publish
/// is acknowledged. Then restarts the home.
pub async fn kill_home(stage: &mut Stage, place: &Place) -> Result<Duration, Failure> {
    stage.wait_until_whole().await?;
    let home = stage.home(&place.topic);
    let client = stage.client().within(Duration::from_secs(10));
    // Ensures that the client is connected and receives answers.
    client.publish(&place.publisher, &place.topic, "before", Ack::Quorum).await?;
    let killed = Instant::now();
    stage.fleet.kill(home).await;
    client.publish(&place.publisher, &place.topic, "after", Ack::Quorum).await?;
    let gap = killed.elapsed();
    stage.fleet.start(home)?;
    Ok(gap)
}

/// The 99 % quantile; the maximum if there are fewer than 100 values.
pub fn percentile_99(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[(values.len() * 99).div_ceil(100) - 1]
}

/// A node loses its disk and fetches all of its data.
async fn catch_up(bench: &mut Bench) -> Result<(), Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    let place = Place::new(&mut stage).await?;
    let (client, content) = (stage.client(), bench.content(MESSAGE));
    bench.bar.set_message(format!("{GROUP}: storing {} MiB", LOST >> 20));
    let stored =
        stream::iter(0..LOST / MESSAGE).map(|_| client.publish(&place.publisher, &place.topic, &content, Ack::All));
    let stored: Vec<_> = stored.buffered(16).collect().await;
    stored.into_iter().collect::<Result<Vec<_>, _>>()?;
    let replica = stage.replicas(&place.topic)[0];
    let (mut rates, mut copies) = (Vec::new(), Vec::new());
    for repetition in 0..bench.repetitions {
        bench.bar.set_message(format!("{GROUP}: a wiped node, {} of {}", repetition + 1, bench.repetitions));
        stage.wait_until_whole().await?;
        stage.fleet.kill(replica).await;
        stage.fleet.wipe(replica)?;
        let began = Instant::now();
        stage.fleet.start(replica)?;
        while !holds(&stage, replica, &place, LOST / MESSAGE).await {
            if began.elapsed() > PATIENCE {
                return Err(Failure::new(Failure::FAILED, format!("{replica} had not caught up after {PATIENCE:?}")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rates.push(LOST as f64 / began.elapsed().as_secs_f64() / 1e6);
        let copied = floor::copy_bytes_per_second(bench.folder(), LOST);
        copies.push(copied.map_err(|error| Failure::new(Failure::STORAGE, error))? / 1e6);
    }
    let ratio = Spread::of(rates.iter().zip(&copies).map(|(ours, bare)| ours / bare));
    let of = rates.len();
    bench.fact(Fact {
        group: GROUP.into(),
        what: format!("a wiped node fetches {} MiB, measured from its start", LOST >> 20),
        unit: "MB/s".into(),
        value: Spread::of(rates),
        of,
        target: None,
    });
    bench.fact(Fact {
        group: GROUP.into(),
        what: "compared with a bare copy over loopback to a synced file".into(),
        unit: "times its rate".into(),
        value: ratio,
        of,
        target: Some((format!("at least {CAUGHT_UP_RATIO}"), ratio.median >= CAUGHT_UP_RATIO)),
    });
    stage.strike().await
}

/// Whether the node's own replica has all messages.
async fn holds(stage: &Stage, node: HostId, place: &Place, count: usize) -> bool {
    let located = stage.nodes.ask(node, Action::Query(Query::Locate { topic: place.topic.clone() })).await;
    let Ok(Done::Located(location)) = located else { return false };
    let last = Some(Offset(count as u64 - 1));
    location.members.iter().any(|replica| replica.node == node && replica.last_offset >= last)
}
