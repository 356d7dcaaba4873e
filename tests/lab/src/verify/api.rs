//! Evaluation 1a: every API works through every node.

use cubecast_core::client::{ClientError, Target};
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::{Offset, PublisherId, SubscriberId, TopicName};
use cubecast_core::placement;
use cubecast_core::wire::answer::{Done, ErrorCode};
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel, Write};

use super::evidence::Evidence;
use super::stage::{Halt, Stage, list};

/// Runs the evaluation.
pub async fn run(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    let nodes: Vec<_> = stage.seating.hosts().collect();
    for node in nodes {
        evidence.tell(format!("through node {node}:"));
        Through { stage, node }.seven_apis(evidence).await?;
    }
    ask_about(stage, evidence).await
}

/// Sends all requests to one node, independent of their homes.
struct Through<'a> {
    stage: &'a Stage,
    node: HostId,
}

impl Through<'_> {
    async fn ask(&self, action: Action) -> Result<Done, ClientError> {
        let answer = self.stage.client.ask(Target::Node(self.node), action).await?.answer;
        let served_by = answer.served_by;
        answer.result.map_err(|failure| ClientError::Refused { failure, served_by })
    }

    async fn seven_apis(&self, evidence: &mut Evidence) -> Result<(), Halt> {
        let topic = self.stage.topic_name(&format!("via-{}", self.node));
        let publisher = PublisherId::new(format!("{topic}-publisher")).expect("a topic's name and more is a name");
        let subscriber = SubscriberId::new(format!("{topic}-subscriber")).expect("a topic's name and more is a name");
        let (home, content) =
            (placement::home(topic.as_str(), self.stage.seating.dimension()), "New president has been elected");

        let done = self.ask(Action::Write(Write::CreatePublisher { publisher: publisher.clone() })).await?;
        evidence.check(
            matches!(done, Done::PublisherCreated { existed: false, .. }),
            "create_publisher: the publisher is new",
        );
        let done = self.ask(Action::Write(Write::CreateSubscriber { subscriber: subscriber.clone() })).await?;
        evidence.check(
            matches!(done, Done::SubscriberCreated { existed: false, .. }),
            "create_subscriber: the subscriber is new",
        );
        let done =
            self.ask(Action::Write(Write::CreateTopic { publisher: publisher.clone(), topic: topic.clone() })).await?;
        let claim = format!("create_topic: created on {home}, replicas on its neighbours {}", list(home.neighbours()));
        let expected = Done::TopicCreated { topic: topic.clone(), home, neighbours: home.neighbours().collect() };
        evidence.check_equal(&done, &expected, claim);
        let publish = |content: &str| {
            Action::Write(Write::Publish {
                publisher: publisher.clone(),
                topic: topic.clone(),
                content: content.into(),
                ack: Ack::Quorum,
                sequence: None,
            })
        };
        let done = self.ask(publish(content)).await?;
        let is_first = matches!(done, Done::Published { offset: Some(Offset(0)), .. });
        evidence.check(is_first, "publish: stored as message 0 by a majority of its replicas");
        self.read(evidence, &subscriber, &topic, content).await?;
        let done =
            self.ask(Action::Write(Write::DeleteTopic { publisher: publisher.clone(), topic: topic.clone() })).await?;
        let claim = format!("delete_topic: deleted on {home} and from its neighbours");
        evidence.check(matches!(done, Done::TopicDeleted { home: from, .. } if from == home), claim);
        let gone = self.ask(publish("too late")).await;
        let is_gone = matches!(&gone, Err(error) if error.code() == Some(ErrorCode::UnknownTopic));
        evidence.check(is_gone, "publish after delete_topic: refused with unknown_topic");
        Ok(())
    }

    async fn read(
        &self,
        evidence: &mut Evidence,
        subscriber: &SubscriberId,
        topic: &TopicName,
        content: &str,
    ) -> Result<(), Halt> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        let subscribe = Action::Write(Write::Subscribe {
            subscriber: subscriber.clone(),
            topic: topic.clone(),
            from: None,
            push: false,
        });
        let done = self.ask(subscribe).await?;
        evidence.check(matches!(done, Done::Subscribed { cursor: Offset(0), .. }), "subscribe: starts at message 0");
        let pull = Action::Read(Read::Pull {
            subscriber: subscriber.clone(),
            topic: topic.clone(),
            max: 10,
            read: ReadLevel::Leader,
            commit: true,
        });
        let (first, second) = (self.ask(pull.clone()).await?, self.ask(pull).await?);
        evidence.check_equal(&contents(&first), &vec![content.to_string()], format!("pull: [\"{content}\"]"));
        evidence.check_equal(&contents(&second), &vec![], "pull again: nothing new");
        let done = self.ask(Action::Write(Write::Unsubscribe { subscriber, topic })).await?;
        evidence.check(matches!(done, Done::Unsubscribed { .. }), "unsubscribe");
        Ok(())
    }
}

fn contents(done: &Done) -> Vec<String> {
    match done {
        Done::Pulled { messages, .. } => messages.iter().map(|message| message.content.to_string()).collect(),
        _ => vec![format!("{done:?}")],
    }
}

/// The APIs that report about the cluster.
async fn ask_about(stage: &mut Stage, evidence: &mut Evidence) -> Result<(), Halt> {
    let topic = stage.topic("listed").await?;
    let listed = stage.client.topics().await?.value;
    evidence.check(listed.missing.is_empty(), "topics: every replica group answered");
    evidence.check(listed.topics.iter().any(|summary| summary.topic == topic), format!("topics: lists {topic}"));
    let view = stage.client.cluster(Target::Any).await?.value;
    evidence.check_equal(&view.nodes.len(), &stage.seating.dimension().size(), "cluster: lists every node");
    let directed_edges = stage.seating.dimension().size() * usize::from(stage.seating.dimension().bits());
    evidence.check_equal(&view.links.len(), &directed_edges, "cluster: lists every edge in both directions");
    for node in stage.seating.hosts() {
        let status = stage.status(node).await?;
        let groups: Vec<_> = status.groups.iter().map(|group| group.home).collect();
        let right = groups.len() == usize::from(stage.seating.dimension().bits()) + 1
            && groups.iter().all(|home| stage.seating.groups_of(node).any(|group| group == GroupId::of(*home)));
        evidence
            .check(right, format!("status of node {node}: {:?}, a member of groups {}", status.state, list(groups)));
    }
    Ok(())
}
