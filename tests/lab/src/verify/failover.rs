//! Evaluation 5: while the right node is offline, its replicas are found, serve requests, and report the right node.

use cubecast_core::client::Target;
use cubecast_core::faults::StopMode;
use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::placement;
use cubecast_core::wire::answer::Done;
use cubecast_core::wire::client::{Ack, ReadLevel};

use super::evidence::Evidence;
use super::stage::{Halt, Stage, list, replica_subscribe};

const MESSAGES: u64 = 5;

/// Runs the evaluation.
pub async fn run(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    let subscriber = stage.subscriber().await?;
    let topic = stage.topic("served").await?;
    let home = stage.home(&topic);
    let mut contents = stage.publish_many(&topic, "news", MESSAGES, Ack::All).await?;
    stage.settled(&topic).await?;
    evidence
        .tell(format!("topic {topic}: home {home}, replicas {}, {MESSAGES} messages", list(stage.replicas(&topic))));

    stage.stop(home, StopMode::Crash).await?;
    evidence.tell(format!("node {home} failed (crash)"));
    let leader = stage.led_by_another(&topic, home).await?;
    evidence.check(stage.replicas(&topic).contains(&leader), format!("replica {leader} leads instead"));

    let subscribed = stage.client.subscribe(&subscriber, &topic, None).await?;
    let fell = subscribed.fell_over.as_ref().is_some_and(|fell| fell.from == home);
    evidence.check(fell, format!("subscribe found {home} offline and was served by its replica {}", subscribed.asked));
    let pulled = stage.client.pull(&subscriber, &topic, 100, ReadLevel::Leader, false).await?;
    let found: Vec<_> = pulled.value.messages.into_iter().map(|message| message.content.to_string()).collect();
    evidence.check_equal(
        &found,
        &contents,
        format!("pull returns all {MESSAGES} messages, served by {}", pulled.served_by),
    );
    for node in stage.replicas(&topic) {
        read_replica(stage, evidence, node, &topic, &contents).await?;
    }
    let published = stage.client.publish(&stage.publisher, &topic, "while the home was away", Ack::Quorum).await?;
    contents.push("while the home was away".into());
    let replicas = list(published.value.replicas.clone());
    let without_home = !published.value.replicas.contains(&home) && !published.value.replicas.is_empty();
    evidence.check(
        without_home,
        format!("publish works without the home: stored on {replicas}, served by {}", published.served_by),
    );

    stage.recover(home).await?;
    stage.settled(&topic).await?;
    let (own, _) = stage.replica(home, &subscriber, &topic).await?;
    evidence.check_equal(
        &own,
        &contents,
        format!("node {home} is online again, leads, and has the messages published without it"),
    );
    Ok(())
}

/// replica_subscribe and replica_pull, answered by one replica itself.
async fn read_replica(
    stage: &mut Stage,
    evidence: &mut Evidence,
    node: HostId,
    topic: &TopicName,
    contents: &[String],
) -> Result<(), Halt> {
    let home = placement::home(topic.as_str(), stage.seating.dimension());
    let subscriber = stage.subscriber().await?;
    let subscribed = stage.client.ask(Target::Node(node), replica_subscribe(&subscriber, topic)).await?.answer.result;
    let names_home =
        matches!(subscribed, Ok(Done::Subscribed { original_node: Some(original), .. }) if original == home);
    evidence.check(names_home, format!("replica_subscribe on {node}: subscribed, original_node {home}"));
    let (found, original) = stage.replica(node, &subscriber, topic).await?;
    let claim = format!("replica_pull on {node}: all {} messages, original_node {home}", contents.len());
    evidence.check_equal(&(found, original), &(contents.to_vec(), Some(home)), claim);
    Ok(())
}
