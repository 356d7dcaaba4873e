//! Publishes with `ack: quorum` from random nodes to topics at random homes.

use cubecast_core::cube::Vertex;
use cubecast_core::names::{PublisherId, TopicName};
use cubecast_core::placement;
use cubecast_core::wire::client::{Ack, Action, Write};
use serde::{Deserialize, Serialize};

use super::{PATIENCE, Spread, Stand};

const PUBLISHER: &str = "scale";
const TOPICS: usize = 32;

/// Publishing figures of one cube.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Publishing {
    /// Edges from origin to leader.
    pub hops: Spread,
    /// Time until the acknowledgement, in milliseconds.
    pub acknowledged_ms: Spread,
    /// Frames of one publish: the request, its answer, the entry to the d followers, and their replies.
    pub frames: f64,
}

pub(super) struct Topic {
    pub name: TopicName,
    pub home: Vertex,
}

/// Also returns the topics, for further publishes.
pub(super) fn measure(stand: &mut Stand, count: u32) -> (Vec<Topic>, Publishing) {
    let topics = create(stand);
    let (nodes, before) = (stand.alive(), stand.cluster.traffic());
    let (mut hops, mut times) = (Vec::new(), Vec::new());
    for number in 0..count as usize {
        let (origin, began) = (stand.draw(&nodes), stand.cluster.now());
        let action = publish(&topics[number % topics.len()]);
        let answer = stand.cluster.ask(origin, action, PATIENCE).expect("every request is answered");
        assert!(answer.result.is_ok(), "a whole cube takes every publish: {:?}", answer.result);
        hops.push(answer.hops.map_or(0, |way| way.len() - 1) as f64);
        times.push(stand.ms_since(began));
    }
    let used = stand.cluster.traffic() - before;
    let frames = (used.requests + used.replication) as f64 / f64::from(count.max(1));
    (topics, Publishing { hops: Spread::of(hops), acknowledged_ms: Spread::of(times), frames })
}

pub(super) fn publish(topic: &Topic) -> Action {
    Action::Write(Write::Publish {
        publisher: publisher(),
        topic: topic.name.clone(),
        content: "scale".into(),
        ack: Ack::Quorum,
        sequence: None,
    })
}

fn create(stand: &mut Stand) -> Vec<Topic> {
    let first = stand.alive()[0];
    stand
        .cluster
        .must(first, Action::Write(Write::CreatePublisher { publisher: publisher() }))
        .expect("a whole cube registers");
    let named = |number| TopicName::new(format!("scale-{number}")).expect("a name of a few letters");
    let names: Vec<TopicName> = (0..TOPICS).map(named).collect();
    for topic in names.clone() {
        let action = Action::Write(Write::CreateTopic { publisher: publisher(), topic });
        stand.cluster.must(first, action).expect("a whole cube creates topics");
    }
    let dimension = stand.dimension();
    names.into_iter().map(|name| Topic { home: placement::home(name.as_str(), dimension), name }).collect()
}

fn publisher() -> PublisherId {
    PublisherId::new(PUBLISHER).expect("a name of a few letters")
}
