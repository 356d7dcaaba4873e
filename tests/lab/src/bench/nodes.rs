//! 2, 4, 8 and 16 nodes, idle and under load. Each doubling adds one copy of each message.

use std::time::Duration;

use cubecast_core::wire::client::Ack;
use cubecast_node::failure::Failure;

use super::publish::{Place, bytes};
use super::results::Fact;
use super::{Bench, USUAL_SIZE};
use crate::measure::{Pace, Spread, usage};

const GROUP: &str = "Nodes";
/// Clients with a topic each, so that more nodes have more homes in use.
const CLIENTS: usize = 16;
/// The time in which a new cluster settles before it counts as idle, and the length of each idle measurement.
const SETTLES: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(4);
/// The dimension of the cluster whose idle CPU share and memory have targets.
const AIMED_AT: u8 = 3;
const IDLE_SHARE: f64 = 2.0;
const IDLE_MIB: f64 = 32.0;

/// Measures this group.
pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    for dimension in 1..=4 {
        let mut stage = bench.stage(dimension, "always").await?;
        let count = 1 << dimension;
        let mut shares = Vec::new();
        let mut rss = Vec::new();
        let processes = stage.fleet.processes();
        bench.bar.set_message(format!("{GROUP}: {count} nodes settle"));
        tokio::time::sleep(SETTLES).await;
        for _ in 0..bench.repetitions {
            bench.bar.set_message(format!("{GROUP}: {count} idle nodes"));
            let before = usage::of(&processes);
            tokio::time::sleep(IDLE).await;
            let after = usage::of(&processes);
            shares.push(after.since(before) / IDLE.as_secs_f64() * 100.0);
            rss.push(after.largest_rss as f64 / f64::from(1 << 20));
        }
        let (share, memory) = (Spread::of(shares), Spread::of(rss));
        let aimed = |value: f64, most: f64, unit: &str| {
            (dimension == AIMED_AT).then(|| (format!("less than {most} {unit}"), value < most))
        };
        let of = bench.repetitions as usize;
        bench.fact(Fact {
            group: GROUP.into(),
            what: format!("{count} idle nodes, CPU of all"),
            unit: "% of a core".into(),
            value: share,
            of,
            target: aimed(share.median, IDLE_SHARE, "%"),
        });
        bench.fact(Fact {
            group: GROUP.into(),
            what: format!("{count} idle nodes, memory of the largest"),
            unit: "MiB".into(),
            value: memory,
            of,
            target: aimed(memory.median, IDLE_MIB, "MiB"),
        });
        let mut places = Vec::new();
        for _ in 0..CLIENTS {
            places.push(Place::new(&mut stage).await?);
        }
        let content = bench.content(USUAL_SIZE);
        let one = |place: &Place| place.publishing(stage.client(), content.clone(), Ack::Quorum);
        let copies = dimension + 1;
        let case = |topics: &str| (GROUP, format!("{count} nodes, {copies} copies, {}{topics}", bytes(USUAL_SIZE)));
        bench.case(&stage, case(""), Pace::UnderWay(1), |_| vec![one(&places[0])]).await;
        let many = |_| places.iter().map(one).collect();
        bench.case(&stage, case(&format!(", {CLIENTS} topics")), Pace::UnderWay(16), many).await;
        stage.strike().await?;
    }
    Ok(())
}
