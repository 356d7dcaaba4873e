//! Evaluation 8: the guarantees of each consistency level if the home fails right after the acknowledgement.

use std::collections::BTreeSet;

use cubecast_core::client::{ClientError, Target};
use cubecast_core::faults::StopMode;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Sequence, SubscriberId, TopicName};
use cubecast_core::wire::client::{Ack, ReadLevel};

use super::evidence::Evidence;
use super::stage::{Halt, Seen, Stage, list, until};

const MESSAGES: u64 = 10;

/// Runs the evaluation.
pub async fn run(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    for (name, ack) in [("one", Ack::One), ("quorum", Ack::Quorum), ("all", Ack::All)] {
        evidence.tell(format!("ack {name}:"));
        publish_and_fail(stage, evidence, name, ack).await?;
    }
    evidence.tell("repeats:");
    repeat(stage, evidence).await
}

/// Publishes, makes the home fail at once, reads every replica, and reads again after the home is back.
async fn publish_and_fail(stage: &mut Stage, evidence: &mut Evidence, name: &str, ack: Ack) -> Result<(), Halt> {
    let subscriber = stage.subscriber().await?;
    let topic = stage.topic(name).await?;
    let home = stage.home(&topic);
    stage.client.subscribe(&subscriber, &topic, None).await?;
    stage.settled(&topic).await?;
    let contents = stage.publish_many(&topic, name, MESSAGES, ack).await?;
    stage.stop(home, StopMode::Crash).await?;
    evidence.tell(format!("{MESSAGES} messages acknowledged; node {home} failed immediately afterwards"));
    for node in stage.replicas(&topic) {
        let (found, _) = stage.replica(node, &subscriber, &topic).await?;
        let what = format!("replica {node}, read immediately, has {} of {MESSAGES}", found.len());
        match ack {
            Ack::All => evidence.check(found == contents, what),
            Ack::One | Ack::Quorum => evidence.check(contents.starts_with(&found), format!("{what}, in order")),
        }
    }
    stage.led_by_another(&topic, home).await?;
    read_through_leader(stage, evidence, &subscriber, &topic, &contents, ack).await?;

    stage.recover(home).await?;
    stage.settled(&topic).await?;
    let members: Vec<_> = std::iter::once(home).chain(stage.replicas(&topic)).collect();
    converge(stage, evidence, &members, &subscriber, &topic, &contents).await
}

/// A linearizable read while the home is away.
async fn read_through_leader(
    stage: &Stage,
    evidence: &mut Evidence,
    subscriber: &SubscriberId,
    topic: &TopicName,
    contents: &[String],
    ack: Ack,
) -> Result<(), Halt> {
    let pulled = stage.client.pull(subscriber, topic, 1_000, ReadLevel::Leader, false).await?;
    let found: Vec<_> = pulled.value.messages.into_iter().map(|message| message.content.to_string()).collect();
    let what = format!("the new leader {} returns {} of {MESSAGES}", pulled.served_by, found.len());
    match ack {
        // Messages that only the home stored come back with it.
        Ack::One => evidence.tell(what),
        Ack::Quorum | Ack::All => evidence.check(found == contents, format!("{what}: no acknowledged message is lost")),
    }
    Ok(())
}

/// Waits until every member holds the same messages, and checks that each message is there once.
async fn converge(
    stage: &Stage,
    evidence: &mut Evidence,
    members: &[HostId],
    subscriber: &SubscriberId,
    topic: &TopicName,
    contents: &[String],
) -> Result<(), Halt> {
    let held = until("all members hold the same messages", async || {
        let mut held = Vec::new();
        for node in members {
            held.push(stage.replica(*node, subscriber, topic).await?.0);
        }
        let same = held.iter().all(|found| *found == held[0] && found.len() >= contents.len());
        Ok::<_, ClientError>(if same { Seen::Yes(held.swap_remove(0)) } else { Seen::Not(format!("{held:?}")) })
    })
    .await?;
    let (found, expected): (BTreeSet<_>, BTreeSet<_>) = (held.iter().collect(), contents.iter().collect());
    let each_once = found == expected && held.len() == contents.len();
    let claim = format!(
        "with the home online again, {} hold each of the {MESSAGES} messages once",
        list(members.iter().copied())
    );
    evidence.check(each_once, if each_once { claim } else { format!("{claim}: {held:?}") });
    Ok(())
}

/// Checks that a publish repeated with its sequence number, through the home and through another node, is stored
/// once.
async fn repeat(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    let topic = stage.topic("repeats").await?;
    let (home, sequence) = (stage.home(&topic), Some(Sequence(1)));
    let mut offsets = Vec::new();
    for node in [home, stage.replicas(&topic)[0]] {
        let to = Target::Node(node);
        let published =
            stage.client.publish_at(to, &stage.publisher, &topic, "once", Ack::Quorum, sequence).await?.value;
        offsets.push((published.offset.map(|offset| offset.0), published.repeated));
    }
    let claim = format!(
        "a publish repeated through {} with the same sequence number is recognised and keeps its offset",
        stage.replicas(&topic)[0]
    );
    evidence.check_equal(&offsets, &vec![(Some(0), false), (Some(0), true)], claim);
    Ok(())
}
