//! Evaluation 3: a failed node recovers to the state before the failure.

use cubecast_core::faults::StopMode;
use cubecast_core::wire::answer::ErrorCode;
use cubecast_core::wire::client::{Ack, ReadLevel};

use super::evidence::Evidence;
use super::stage::{Halt, Stage};

const MESSAGES: u64 = 20;
const READ: u32 = 7;

/// Runs the evaluation.
pub async fn run(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    let subscriber = stage.subscriber().await?;
    let topic = stage.topic("kept").await?;
    let home = stage.home(&topic);
    stage.client.subscribe(&subscriber, &topic, None).await?;
    let contents = stage.publish_many(&topic, "before the failure", MESSAGES, Ack::All).await?;
    let read = stage.client.pull(&subscriber, &topic, READ, ReadLevel::Leader, true).await?.value;
    stage.settled(&topic).await?;
    let before = stage.groups(home).await?;
    evidence
        .tell(format!("topic {topic}: home {home}, {MESSAGES} messages, the subscriber's cursor is {}", read.cursor));

    stage.stop(home, StopMode::Crash).await?;
    evidence.tell(format!("node {home} failed (crash: unpersisted state is lost)"));
    let refused = stage.replica(home, &subscriber, &topic).await;
    let is_away = matches!(&refused, Err(error) if error.code() == Some(ErrorCode::NodeFailed));
    let found = if is_away { String::new() } else { format!(", but: {refused:?}") };
    evidence.check(is_away, format!("node {home} refuses requests with node_failed{found}"));

    let status = stage.recover(home).await?;
    evidence.tell(format!("node {home} is online again, incarnation {}", status.incarnation));
    stage.settled(&topic).await?;
    let after = stage.groups(home).await?;
    evidence.check_equal(
        &after,
        &before,
        format!("node {home} holds the same topics and messages of each group as before"),
    );
    let (found, _) = stage.replica(home, &subscriber, &topic).await?;
    evidence.check_equal(&found, &contents, format!("node {home} itself returns all {MESSAGES} messages in order"));
    let rest = stage.client.pull(&subscriber, &topic, 100, ReadLevel::Leader, true).await?;
    evidence.check_equal(&rest.served_by, &home, format!("node {home} leads its group again and serves the pull"));
    let offsets: Vec<_> = rest.value.messages.iter().map(|message| message.offset.0).collect();
    let expected: Vec<_> = (u64::from(READ)..MESSAGES).collect();
    evidence.check_equal(
        &offsets,
        &expected,
        format!("the subscriber continues at its cursor: offsets {READ} to {}", MESSAGES - 1),
    );
    Ok(())
}
