//! Evaluation 1b: publishers and subscribers on all nodes use one topic at the same time.

use std::collections::BTreeSet;

use cubecast_core::client::{ClientError, Target};
use cubecast_core::identity::HostId;
use cubecast_core::names::{StartAt, SubscriberId, TopicName};
use cubecast_core::wire::client::{Ack, Action, Write};
use cubecast_node::client::Deliveries;
use futures_util::future::{join_all, try_join_all};

use super::evidence::Evidence;
use super::stage::{Halt, PATIENCE, Stage, list};

/// The number of messages of each publisher.
const EACH: usize = 25;

/// Runs the evaluation.
pub async fn run(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    let nodes: Vec<_> = stage.seating.hosts().collect();
    let topic = stage.topic("shared").await?;
    let total = nodes.len() * EACH;
    let mut streams = Vec::new();
    for node in &nodes {
        let subscriber = stage.subscriber().await?;
        streams.push(listen(stage, *node, &subscriber, &topic).await?);
    }
    evidence.tell(format!(
        "{} subscribers receive, one through each of the nodes {}",
        nodes.len(),
        list(nodes.clone())
    ));

    let stage = &*stage;
    let publishing = try_join_all(nodes.iter().map(|node| publish_through(stage, *node, &topic)));
    let receiving = join_all(streams.into_iter().map(|stream| receive(stream, total)));
    let (published, received) = tokio::join!(publishing, receiving);
    published?;
    evidence
        .tell(format!("{} publishers, one through each node, sent {EACH} messages each at the same time", nodes.len()));

    let first = received.first().cloned().unwrap_or_default();
    let distinct: BTreeSet<_> = first.iter().collect();
    evidence.check_equal(&first.len(), &total, format!("the subscriber on {} received all {total} messages", nodes[0]));
    evidence.check_equal(&distinct.len(), &total, "each of them once");
    for node in &nodes {
        let of_node: Vec<_> = first.iter().filter(|content| content.starts_with(&node.to_string())).collect();
        let sent: Vec<_> = (0..EACH).map(|number| content(*node, number)).collect();
        evidence.check(
            of_node.into_iter().eq(&sent),
            format!("the messages sent through {node} arrived in the order in which they were sent"),
        );
    }
    for (node, contents) in nodes.iter().zip(&received).skip(1) {
        evidence.check(
            *contents == first,
            format!("the subscriber on {node} received the same messages in the same order"),
        );
    }
    Ok(())
}

async fn listen(
    stage: &Stage,
    node: HostId,
    subscriber: &SubscriberId,
    topic: &TopicName,
) -> Result<Deliveries, ClientError> {
    let (subscriber, topic, from) = (subscriber.clone(), topic.clone(), Some(StartAt::Beginning));
    let action = Action::Write(Write::Subscribe { subscriber, topic, from, push: true });
    Ok(stage.client.listen_at(Target::Node(node), action).await?.value)
}

async fn publish_through(stage: &Stage, node: HostId, topic: &TopicName) -> Result<(), ClientError> {
    for number in 0..EACH {
        let (to, content) = (Target::Node(node), content(node, number));
        stage.client.publish_at(to, &stage.publisher, topic, &content, Ack::Quorum, None).await?;
    }
    Ok(())
}

fn content(node: HostId, number: usize) -> String {
    format!("{node} says {number}")
}

/// Receives messages until there are `count`, or until no more arrive in time.
async fn receive(mut stream: Deliveries, count: usize) -> Vec<String> {
    let mut contents = Vec::new();
    while contents.len() < count {
        match tokio::time::timeout(PATIENCE, stream.next()).await {
            Ok(Some(Ok(message))) => contents.push(message.content.to_string()),
            Ok(Some(Err(_)) | None) | Err(_) => break,
        }
    }
    contents
}
