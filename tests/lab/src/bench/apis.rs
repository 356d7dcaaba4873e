//! Every API, requested by one client at random nodes. The system that Cubecast set out to surpass was measured with
//! sequential requests.

use std::collections::VecDeque;

use cubecast_core::client::Target;
use cubecast_core::content::Content;
use cubecast_core::names::TopicName;
use cubecast_core::wire::client::{Ack, Action, Write};
use cubecast_node::failure::Failure;
use futures_util::{StreamExt, stream};

use super::ask::{Api, Calling, Names};
use super::stage::Stage;
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE};
use crate::measure::Pace;

const GROUP: &str = "APIs";
/// The number of topics that `topics` lists.
const TOPICS: usize = 32;
const MESSAGES: usize = 10;
/// Requests in progress of a client that does not wait for each answer.
const UNDER_WAY: usize = 64;
const AT_ONCE: usize = 64;

/// Measures each API three times: sequentially, with many requests in progress, and at half the rate of the latter.
pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    at_paces(bench, |_| Pace::UnderWay(1)).await?;
    let rates = at_paces(bench, |_| Pace::UnderWay(UNDER_WAY)).await?;
    at_paces(bench, |number| Pace::PerSecond((rates[number] / 2.0).max(1.0))).await.map(drop)
}

/// Measures every API on a new cluster. `pace`: the pace for the API with this index in [`Api::ALL`]. Returns the
/// rates per second.
async fn at_paces(bench: &mut Bench, pace: impl Fn(usize) -> Pace) -> Result<Vec<f64>, Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    let names = names(&mut stage, bench.content(USUAL_SIZE)).await?;
    let mut rates = Vec::new();
    for (number, api) in Api::ALL.into_iter().enumerate() {
        let pace = pace(number);
        let mut doomed = VecDeque::new();
        if api == Api::DeleteTopic {
            let many = (deletions_a_second(pace) * bench.timing.whole().as_secs_f64()) as usize;
            doomed = topics(&mut stage, &names, many * bench.repetitions as usize).await?.into();
        }
        let (seed, each) = (bench.seed, doomed.len() / bench.repetitions as usize);
        let prefix = stage.name("new");
        let client = stage.client();
        let seating = stage.seating.clone();
        let calling = |repetition: u32| {
            let from = each * repetition as usize;
            let doomed = doomed.range(from..from + each).cloned().collect();
            vec![Calling {
                client: client.clone(),
                api,
                seating: seating.clone(),
                names: Names { doomed, ..names.clone() },
                random: fastrand::Rng::with_seed(seed + u64::from(repetition)),
                prefix: format!("{prefix}-{repetition}"),
                next: 0,
            }]
        };
        let row = bench.case(&stage, (GROUP, api.name().into()), pace, calling).await;
        rates.push(row.over(|figures| figures.per_second).median);
    }
    stage.strike().await?;
    Ok(rates)
}

/// An upper bound of the deletions per second at this pace, to create enough topics.
fn deletions_a_second(pace: Pace) -> f64 {
    match pace {
        Pace::UnderWay(1) => 3_000.0,
        Pace::UnderWay(_) => 20_000.0,
        Pace::PerSecond(rate) => rate * 1.1 + 100.0,
    }
}

/// Creates topics with messages, and a subscriber of all of them.
pub async fn names(stage: &mut Stage, content: Content) -> Result<Names, Failure> {
    let (publisher, subscriber) = (stage.publisher().await?, stage.subscriber().await?);
    let mut names =
        Names { publisher: Some(publisher.clone()), subscriber: Some(subscriber.clone()), ..Names::default() };
    names.topics = topics(stage, &names, TOPICS).await?;
    let client = stage.client();
    for topic in &names.topics {
        client.subscribe(&subscriber, topic, None).await?;
        for _ in 0..MESSAGES {
            client.publish(&publisher, topic, &content, Ack::Quorum).await?;
        }
    }
    Ok(Names { content, ..names })
}

/// Creates topics, many concurrently.
pub async fn topics(stage: &mut Stage, names: &Names, count: usize) -> Result<Vec<TopicName>, Failure> {
    let publisher = names.publisher.clone().expect("names have a publisher");
    let topics: Vec<_> = (0..count).map(|_| TopicName::new(stage.name("topic")).expect("a valid name")).collect();
    let client = stage.client();
    let created = stream::iter(topics.clone()).map(|topic| {
        let (client, publisher) = (client.clone(), publisher.clone());
        async move { client.ask(Target::Home, Action::Write(Write::CreateTopic { publisher, topic })).await }
    });
    let created: Vec<_> = created.buffer_unordered(AT_ONCE).collect().await;
    created.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(topics)
}
