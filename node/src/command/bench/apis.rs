//! Every API, as the system that Cubecast set out to surpass was measured: one client, one request after the other, at random nodes.

use std::collections::VecDeque;

use cubecast_core::client::Target;
use cubecast_core::names::TopicName;
use cubecast_core::wire::client::{Ack, Action};
use futures_util::{StreamExt, stream};

use super::ask::{Api, Calling, Names};
use super::stage::Stage;
use super::{Bench, USUAL_DIMENSION, USUAL_SIZE};
use crate::bench::Pace;
use crate::command::Failure;

const GROUP: &str = "APIs";
const TOPICS: usize = 32;
const MESSAGES: usize = 10;
/// Topics to be deleted: more than are, in a second.
const DOOMED_A_SECOND: f64 = 3_000.0;
const AT_ONCE: usize = 64;

pub async fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let mut stage = bench.stage(USUAL_DIMENSION, "always").await?;
    let names = names(&mut stage, bench.content(USUAL_SIZE)).await?;
    for api in Api::ALL {
        let mut doomed = VecDeque::new();
        if api == Api::DeleteTopic {
            let time = bench.timing.whole();
            let many = (DOOMED_A_SECOND * time.as_secs_f64()) as usize * bench.repetitions as usize;
            doomed = topics(&mut stage, &names, many).await?.into();
        }
        let (seed, each) = (bench.seed, doomed.len() / bench.repetitions as usize);
        let prefix = stage.name("new");
        let client = stage.client();
        let dimension = stage.dimension;
        let calling = |repetition: u32| {
            let from = each * repetition as usize;
            let doomed = doomed.range(from..from + each).cloned().collect();
            vec![Calling {
                client: client.clone(),
                api,
                dimension,
                names: Names { doomed, ..names.clone() },
                random: fastrand::Rng::with_seed(seed + u64::from(repetition)),
                prefix: format!("{prefix}-{repetition}"),
                next: 0,
            }]
        };
        bench.case(&stage, (GROUP, api.name().into()), Pace::UnderWay(1), calling).await;
    }
    stage.strike().await
}

/// Topics with messages, and a subscriber of all of them.
pub async fn names(stage: &mut Stage, content: String) -> Result<Names, Failure> {
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

/// Created now, many at once.
pub async fn topics(stage: &mut Stage, names: &Names, count: usize) -> Result<Vec<TopicName>, Failure> {
    let publisher = names.publisher.clone().expect("names have a publisher");
    let topics: Vec<_> = (0..count).map(|_| TopicName::new(stage.name("topic")).expect("a valid name")).collect();
    let client = stage.client();
    let created = stream::iter(topics.clone()).map(|topic| {
        let (client, publisher) = (client.clone(), publisher.clone());
        async move { client.ask(Target::Home, Action::CreateTopic { publisher, topic }).await }
    });
    let created: Vec<_> = created.buffer_unordered(AT_ONCE).collect().await;
    created.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(topics)
}
