//! Publishes: sizes, acknowledgements, sync modes, numbers in progress, fixed rates.

use cubecast_core::content::Content;
use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::wire::client::Ack;
use cubecast_node::client::CubecastClient;
use cubecast_node::failure::Failure;

use super::ask::Publishing;
use super::results::{Bound, Fact, Row};
use super::stage::Stage;
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE, bounds};
use crate::measure::{Pace, Spread};

const GROUP: &str = "Publishes";
const SIZES: [usize; 4] = [16, USUAL_SIZE, 4_096, 65_536];
const ACKS: [Ack; 3] = [Ack::One, Ack::Quorum, Ack::All];
/// Publishes in progress of a pipelined client; fewer if messages are large.
const PIPELINED: usize = 256;
const MOST_BYTES_UNDER_WAY: usize = 4 << 20;
/// The target rate relative to a bare append and sync.
const BESIDE_APPEND: f64 = 0.5;
/// The number of clients in cases with many.
const CLIENTS: usize = 16;

/// Measures this group.
pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    let place = Place::new(&mut stage).await?;
    for size in SIZES {
        let content = bench.content(size);
        let one = || place.publishing(stage.client(), content.clone(), Ack::Quorum);
        for under_way in [1, (MOST_BYTES_UNDER_WAY / size).min(PIPELINED)] {
            let append = bounds::append(bench, size, under_way)?;
            let case = format!("{}, quorum", bytes(size));
            let before = place.stored(&stage).await?;
            let row = publishes(bench, &stage, case, Pace::UnderWay(under_way), (1, &one)).await?;
            row.bounds.push(append);
            if under_way > 1 {
                let rate = row.over(|figures| figures.per_second);
                let batch = place.stored(&stage).await?.since(before);
                let append = bounds::append(bench, size, batch)?;
                if size == USUAL_SIZE {
                    bench.fact(beside_append(rate, &append, batch));
                }
                bench.results.rows.last_mut().expect("the row was just measured").bounds.push(append);
            }
        }
    }
    for ack in ACKS {
        let content = bench.content(USUAL_SIZE);
        let one = || place.publishing(stage.client(), content.clone(), ack);
        let case = || format!("{}, {}", bytes(USUAL_SIZE), word(ack));
        if ack != Ack::Quorum {
            for under_way in [1, PIPELINED] {
                publishes(bench, &stage, case(), Pace::UnderWay(under_way), (1, &one)).await?;
            }
        }
        let pace = Pace::UnderWay(PIPELINED / CLIENTS);
        let row = publishes(bench, &stage, case(), pace, (CLIENTS, &one)).await?;
        let half = row.over(|figures| figures.per_second).median / 2.0;
        publishes(bench, &stage, case(), Pace::PerSecond(half.max(1.0)), (CLIENTS, &one)).await?;
    }
    stage.strike().await?;
    for sync in ["interval=50", "never"] {
        let mut stage = bench.stage(USUAL_DIMENSION, sync).await?;
        let place = Place::new(&mut stage).await?;
        let content = bench.content(USUAL_SIZE);
        let one = || place.publishing(stage.client(), content.clone(), Ack::Quorum);
        for under_way in [1, PIPELINED] {
            let case = format!("{}, quorum, sync {sync}", bytes(USUAL_SIZE));
            publishes(bench, &stage, case, Pace::UnderWay(under_way), (1, &one)).await?;
        }
        stage.strike().await?;
    }
    Ok(())
}

/// Measures one case with this many clients, and the limit of its latency.
async fn publishes<'b>(
    bench: &'b mut Bench,
    stage: &Stage,
    case: String,
    pace: Pace,
    (count, one): (usize, impl Fn() -> Publishing),
) -> Result<&'b mut Row, Failure> {
    let clients = || (0..count).map(|_| one()).collect::<Vec<_>>();
    let echo = bounds::echo(bench, &clients(), pace).await?;
    let row = bench.case(stage, (GROUP, case), pace, |_| clients()).await;
    row.bounds.push(echo);
    Ok(row)
}

/// The rate of synced publishes relative to bare appends of batches with the size of the leader's batches, each
/// synced.
fn beside_append(rate: Spread, append: &Bound, batch: usize) -> Fact {
    let of = |value: f64| value / append.per_second;
    let value = Spread { median: of(rate.median), least: of(rate.least), most: of(rate.most) };
    Fact {
        group: GROUP.into(),
        what: format!(
            "{PIPELINED} synced publishes in progress, compared with a bare append and fdatasync of the same batches, \
             {batch} each"
        ),
        unit: "times its rate".into(),
        value,
        of: 1,
        target: Some((format!("at least {BESIDE_APPEND}"), value.median >= BESIDE_APPEND)),
    }
}

/// Counts of a leader: stored messages and syncs.
#[derive(Clone, Copy, Debug)]
struct Stored {
    messages: f64,
    syncs: f64,
}

impl Stored {
    /// The average number of messages per sync since `before`.
    fn since(self, before: Stored) -> usize {
        let batch = (self.messages - before.messages) / (self.syncs - before.syncs);
        if batch.is_finite() { (batch.round() as usize).max(1) } else { 1 }
    }
}

/// A topic and its publisher.
pub struct Place {
    /// The publisher.
    pub publisher: PublisherId,
    /// The topic.
    pub topic: TopicName,
}

impl Place {
    /// Creates the publisher and the topic.
    pub async fn new(stage: &mut Stage) -> Result<Place, Failure> {
        let publisher = stage.publisher().await?;
        Ok(Place { topic: stage.topic(&publisher).await?, publisher })
    }

    /// The counts of the topic's home.
    async fn stored(&self, stage: &Stage) -> Result<Stored, Failure> {
        let home = stage.home(&self.topic);
        let messages = stage.counted(home, &format!("cubecast_group_messages{{group=\"{home}\"}}")).await?;
        Ok(Stored { messages, syncs: stage.counted(home, "cubecast_storage_syncs_total").await? })
    }

    /// A client that publishes to this topic.
    pub fn publishing(&self, client: CubecastClient, content: Content, ack: Ack) -> Publishing {
        Publishing { client, publisher: self.publisher.clone(), topic: self.topic.clone(), content, ack }
    }
}

/// The acknowledgement in words.
pub fn word(ack: Ack) -> &'static str {
    match ack {
        Ack::One => "one",
        Ack::Quorum => "quorum",
        Ack::All => "all",
    }
}

/// A size in words.
pub fn bytes(size: usize) -> String {
    match size {
        size if size >= 1_024 => format!("{} KiB", size / 1_024),
        size => format!("{size} B"),
    }
}
