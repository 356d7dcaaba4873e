//! Publishes: sizes, acknowledgements, sync modes, how many under way, fixed rates.

use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::wire::client::Ack;

use super::ask::Publishing;
use super::results::Bound;
use super::stage::Stage;
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE};
use crate::bench::{Pace, floor};
use crate::client::CubecastClient;
use crate::command::Failure;

const GROUP: &str = "Publishes";
const SIZES: [usize; 4] = [16, USUAL_SIZE, 4_096, 65_536];
const ACKS: [Ack; 3] = [Ack::One, Ack::Quorum, Ack::All];
/// What a pipelined client keeps under way; of large messages, fewer.
const PIPELINED: usize = 256;
const MOST_BYTES_UNDER_WAY: usize = 4 << 20;
/// Many clients.
const CLIENTS: usize = 16;

pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    let place = Place::new(&mut stage).await?;
    for size in SIZES {
        let content = bench.content(size);
        let one = |client| place.publishing(client, content.clone(), Ack::Quorum);
        let case = |how: &str| (GROUP, format!("{}, quorum{how}", bytes(size)));
        bench.case(&stage, case(""), Pace::UnderWay(1), |_| vec![one(stage.client())]).await;
        let many = (MOST_BYTES_UNDER_WAY / size).min(PIPELINED);
        let batch = many * size;
        let appends = floor::appends_per_second(bench.folder(), batch, bench.timing.length)
            .map_err(|error| Failure::new(Failure::STORAGE, error))?;
        let row = bench.case(&stage, case(""), Pace::UnderWay(many), |_| vec![one(stage.client())]).await;
        let what = format!("bare append and sync of {many} at a time to one file");
        row.bound = Some(Bound { what, per_second: appends * many as f64 });
    }
    for ack in ACKS {
        let content = bench.content(USUAL_SIZE);
        let one = |client| place.publishing(client, content.clone(), ack);
        let case = || (GROUP, format!("{}, {}", bytes(USUAL_SIZE), word(ack)));
        if ack != Ack::Quorum {
            bench.case(&stage, case(), Pace::UnderWay(1), |_| vec![one(stage.client())]).await;
            bench.case(&stage, case(), Pace::UnderWay(PIPELINED), |_| vec![one(stage.client())]).await;
        }
        let many = |_| (0..CLIENTS).map(|_| one(stage.client())).collect();
        let row = bench.case(&stage, case(), Pace::UnderWay(PIPELINED / CLIENTS), many).await;
        let half = row.over(|figures| figures.per_second).median / 2.0;
        bench.case(&stage, case(), Pace::PerSecond(half), many).await;
    }
    stage.strike().await?;
    for sync in ["interval=50", "never"] {
        let mut stage = bench.stage(USUAL_DIMENSION, sync).await?;
        let place = Place::new(&mut stage).await?;
        let content = bench.content(USUAL_SIZE);
        for under_way in [1, PIPELINED] {
            let case = (GROUP, format!("{}, quorum, sync {sync}", bytes(USUAL_SIZE)));
            let one = |_| vec![place.publishing(stage.client(), content.clone(), Ack::Quorum)];
            bench.case(&stage, case, Pace::UnderWay(under_way), one).await;
        }
        stage.strike().await?;
    }
    Ok(())
}

/// A topic, and who may publish to it.
pub struct Place {
    pub publisher: PublisherId,
    pub topic: TopicName,
}

impl Place {
    pub async fn new(stage: &mut Stage) -> Result<Place, Failure> {
        let publisher = stage.publisher().await?;
        Ok(Place { topic: stage.topic(&publisher).await?, publisher })
    }

    pub fn publishing(&self, client: CubecastClient, content: String, ack: Ack) -> Publishing {
        Publishing { client, publisher: self.publisher.clone(), topic: self.topic.clone(), content, ack }
    }
}

pub fn word(ack: Ack) -> &'static str {
    match ack {
        Ack::One => "one",
        Ack::Quorum => "quorum",
        Ack::All => "all",
    }
}

pub fn bytes(size: usize) -> String {
    match size {
        size if size >= 1_024 => format!("{} KiB", size / 1_024),
        size => format!("{size} B"),
    }
}
