//! Stories of clients that ask for much, in virtual time.

use std::time::Duration;

use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::names::{PublisherId, SubscriberId, TopicName};
use cubecast_core::sim::Cluster;
use cubecast_core::wire::answer::{Done, NodeState};
use cubecast_core::wire::client::{Ack, Action, ReadLevel};

const MEBIBYTE: usize = 1 << 20;

/// Their answers together are five times what may wait for a client: were all begun at once, it would be closed.
#[test]
fn a_client_that_asks_for_much_at_once_gets_it_all() {
    const PULLS: usize = 40;
    let mut cluster = Cluster::new(Dimension::new(3).unwrap(), 21);
    let at: Vertex = "011".parse().unwrap();
    assert!(cluster.run_until(Duration::from_secs(10), |cluster| is_settled(cluster, at)));
    let (publisher, subscriber) = (PublisherId::new("publisher1").unwrap(), SubscriberId::new("subscriber1").unwrap());
    let topic = TopicName::new("news").unwrap();
    cluster.must(at, Action::CreatePublisher { publisher: publisher.clone() }).unwrap();
    cluster.must(at, Action::CreateSubscriber { subscriber: subscriber.clone() }).unwrap();
    cluster.must(at, Action::CreateTopic { publisher: publisher.clone(), topic: topic.clone() }).unwrap();
    cluster
        .must(at, Action::Subscribe { subscriber: subscriber.clone(), topic: topic.clone(), from: None, push: false })
        .unwrap();
    for _ in 0..4 {
        let content = "x".repeat(MEBIBYTE);
        let publish = Action::Publish {
            publisher: publisher.clone(),
            topic: topic.clone(),
            content,
            ack: Ack::Quorum,
            sequence: None,
        };
        cluster.must(at, publish).unwrap();
    }
    let connection = cluster.connect_client(at);
    let pull = Action::Pull { subscriber, topic, max: 4, read: ReadLevel::Leader, commit: false };
    let mut asked: Vec<u64> = (0..PULLS).map(|_| cluster.send(connection, pull.clone())).collect();
    let all = cluster.run_until(Duration::from_secs(5), |cluster| {
        asked.retain(|id| match cluster.take_answer(connection, *id) {
            None => true,
            Some(answer) => {
                assert!(
                    matches!(&answer.result, Ok(Done::Pulled { messages, .. }) if !messages.is_empty()),
                    "{:?}",
                    answer.result
                );
                false
            }
        });
        asked.is_empty()
    });
    assert!(all, "{} of {PULLS} pulls are not answered", asked.len());
}

fn is_settled(cluster: &mut Cluster, at: Vertex) -> bool {
    cluster.run_for(Duration::from_millis(100));
    match cluster.must(at, Action::Cluster) {
        Ok(Done::Cluster(view)) => {
            view.nodes.iter().all(|node| node.state == NodeState::Up && node.leads == [node.node])
        }
        _ => false,
    }
}
