//! A settled cluster, and typical requests to it.

use std::time::Duration;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::{Offset, PublisherId, Sequence, SubscriberId, TopicName};
use cubecast_core::states::NodeState;
use cubecast_core::wire::answer::{Done, ErrorCode, Failure};
use cubecast_core::wire::client::{Ack, Action, Local, Read, ReadLevel, Write};
use cubecast_sim::Cluster;

pub const NEWS: &str = "news";

pub fn vertex(text: &str) -> Vertex {
    text.parse().unwrap()
}

/// The group of this home.
pub fn group(home: &str) -> GroupId {
    GroupId::of(vertex(home))
}

pub fn host(text: &str) -> HostId {
    text.parse().unwrap()
}

pub fn topic(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

pub fn publisher() -> PublisherId {
    PublisherId::new("publisher1").unwrap()
}

pub fn subscriber() -> SubscriberId {
    SubscriberId::new("subscriber1").unwrap()
}

/// A settled cluster with a publisher, a subscriber and the topic `news` (home 100) with a subscription.
pub fn cluster(seed: u64) -> Cluster {
    prepared(Cluster::new(Dimension::new(3).unwrap(), seed))
}

/// The same for a cluster that has just started.
pub fn prepared(mut cluster: Cluster) -> Cluster {
    let at = host("011");
    let settled = cluster.run_until(Duration::from_secs(10), |cluster| led_by_homes(cluster, at));
    assert!(settled, "every home leads its group within ten seconds");
    cluster.must(at, Action::Write(Write::CreatePublisher { publisher: publisher() })).unwrap();
    cluster.must(at, Action::Write(Write::CreateSubscriber { subscriber: subscriber() })).unwrap();
    cluster.must(at, Action::Write(Write::CreateTopic { publisher: publisher(), topic: topic(NEWS) })).unwrap();
    cluster
        .must(
            at,
            Action::Write(Write::Subscribe { subscriber: subscriber(), topic: topic(NEWS), from: None, push: false }),
        )
        .unwrap();
    cluster
}

pub fn led_by_homes(cluster: &mut Cluster, at: HostId) -> bool {
    cluster.run_for(Duration::from_millis(100));
    match cluster.must(at, Action::Local(Local::Cluster)) {
        Ok(Done::Cluster(view)) => {
            view.nodes.iter().all(|node| node.state == NodeState::Up && node.leads == [vertex(&node.node.to_string())])
        }
        _ => false,
    }
}

pub fn publish(content: &str, ack: Ack, sequence: Option<u64>) -> Action {
    Action::Write(Write::Publish {
        publisher: publisher(),
        topic: topic(NEWS),
        content: content.into(),
        ack,
        sequence: sequence.map(Sequence),
    })
}

pub fn pull(read: ReadLevel, commit: bool) -> Action {
    Action::Read(Read::Pull { subscriber: subscriber(), topic: topic(NEWS), max: 10_000, read, commit })
}

pub fn contents(result: Result<Done, Failure>) -> Vec<String> {
    match result {
        Ok(Done::Pulled { messages, .. }) => {
            assert!(
                messages
                    .iter()
                    .zip(messages.first().map_or(0, |m| m.offset.0)..)
                    .all(|(m, offset)| m.offset == Offset(offset))
            );
            messages.into_iter().map(|message| message.content.to_string()).collect()
        }
        other => panic!("not a pull's answer: {other:?}"),
    }
}

pub fn code(result: Result<Done, Failure>) -> ErrorCode {
    result.expect_err("this must fail").code
}
