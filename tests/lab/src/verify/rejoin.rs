//! Evaluation 4: a node that comes online fetches all of its data from the others.

use cubecast_core::client::Target;
use cubecast_core::faults::StopMode;
use cubecast_core::wire::client::{Ack, Action, ReadLevel, Write};

use super::evidence::Evidence;
use super::stage::{Halt, Stage, list, standing};

const BEFORE: u64 = 20;
const MEANWHILE: u64 = 10;

/// Runs the evaluation.
pub async fn run(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    let subscriber = stage.subscriber().await?;
    let topic = stage.topic("fetched").await?;
    let home = stage.home(&topic);
    let mut contents = stage.publish_many(&topic, "old message", BEFORE, Ack::All).await?;
    stage.settled(&topic).await?;
    let before = stage.status(home).await?;
    let groups_before = stage.groups(home).await?;
    let own_group = stage.seating.vertex_of(home);
    evidence.tell(format!("topic {topic}: home {home}, {BEFORE} messages published"));
    let belongs = list(groups_before.keys().copied());
    evidence.tell(format!("node {home} is a member of the groups {belongs}: its own and its neighbours'"));

    stage.stop(home, StopMode::Wipe).await?;
    evidence.tell(format!("node {home} failed and its disk is lost (wipe)"));
    let leader = stage.led_by_another(&topic, home).await?;
    contents.extend(stage.publish_many(&topic, "published meanwhile", MEANWHILE, Ack::Quorum).await?);
    evidence.tell(format!("{MEANWHILE} more messages were published while it was away, led by {leader}"));

    let after = stage.recover(home).await?;
    let is_new = after.incarnation != before.incarnation;
    let claim = format!("node {home} is online again as incarnation {}, which has never voted", after.incarnation);
    evidence.check(is_new, claim);
    let location = stage.settled(&topic).await?;
    evidence.tell(format!("it has caught up and leads again: {}", standing(&location)));
    let groups_after = stage.groups(home).await?;
    let fetched = groups_before.iter().all(|(group, (topics, messages))| {
        let least = if Some(*group) == own_group { messages + MEANWHILE } else { *messages };
        groups_after.get(group).is_some_and(|(t, m)| t == topics && *m == least)
    });
    let claim = format!("it fetched all topics and messages of its {} groups from the others", groups_before.len());
    evidence
        .check(fetched, if fetched { claim } else { format!("{claim}: {groups_before:?} became {groups_after:?}") });

    let subscribe = Action::Write(Write::Subscribe {
        subscriber: subscriber.clone(),
        topic: topic.clone(),
        from: None,
        push: false,
    });
    stage.client.ask(Target::Node(home), subscribe).await?;
    let pulled = stage.client.pull(&subscriber, &topic, 1_000, ReadLevel::Leader, true).await?;
    let found: Vec<_> = pulled.value.messages.into_iter().map(|message| message.content.to_string()).collect();
    evidence.check_equal(&pulled.served_by, &home, format!("subscribed and pulled from node {home}"));
    evidence.check_equal(
        &found,
        &contents,
        format!("it returns all {} messages, also those published while it was away", contents.len()),
    );
    let (own, _) = stage.replica(home, &subscriber, &topic).await?;
    evidence.check_equal(&own, &contents, format!("the replica on {home} holds the same messages"));
    Ok(())
}
