//! Evaluation 2, second half: a topic's messages are on the right nodes and on no others.

use cubecast_core::wire::answer::ErrorCode;
use cubecast_core::wire::client::Ack;

use super::evidence::Evidence;
use super::stage::{Halt, Stage, list, standing};

const MESSAGES: u64 = 5;

/// Runs the evaluation.
pub async fn run(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    let subscriber = stage.subscriber().await?;
    let topic = stage.topic("replicated").await?;
    let home = stage.home(&topic);
    evidence.tell(format!("topic {topic}: home {home}, replicas {}", list(stage.replicas(&topic))));
    stage.client.subscribe(&subscriber, &topic, None).await?;
    stage.settled(&topic).await?;
    let contents = stage.publish_many(&topic, "message", MESSAGES, Ack::All).await?;
    evidence.tell(format!(
        "published {MESSAGES} messages with ack all: acknowledged when every replica that is up has them"
    ));
    let replicas = stage.replicas(&topic);
    for node in stage.seating.hosts() {
        let found = stage.replica(node, &subscriber, &topic).await;
        if node == home || replicas.contains(&node) {
            let (found, original) = found?;
            evidence.check_equal(&found, &contents, format!("node {node} holds all {MESSAGES} messages in order"));
            evidence.check_equal(
                &original,
                &stage.seating.vertex_of(home),
                format!("node {node} names {home} as the original node"),
            );
        } else {
            let is_refused = matches!(&found, Err(error) if error.code() == Some(ErrorCode::NotReplica));
            evidence.check(is_refused, format!("node {node} holds no replica and refuses the request"));
        }
    }
    let location = stage.locate(&topic).await?;
    let level =
        location.members.iter().all(|replica| replica.last_offset.is_some_and(|offset| offset.0 == MESSAGES - 1));
    evidence.check(level, format!("locate agrees: {}", standing(&location)));
    Ok(())
}
