//! What evaluations have in common: names of their own, waiting for conditions, failures that are mended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cubecast_core::client::{ClientError, Target};
use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::names::{Offset, PublisherId, SubscriberId, TopicName};
use cubecast_core::placement;
use cubecast_core::wire::answer::{Holder, Location, NodeState, NodeStatus};
use cubecast_core::wire::client::{Ack, Action, StopMode};

use crate::client::{CubecastClient, Published};
use crate::runtime::clock::wall;

/// How long a condition is waited for.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long failures last that are ended by request.
const LONG_FAILURE: Duration = Duration::from_secs(60);
/// How often a condition is looked at that no event tells.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Messages read from a replica in one go.
const READ_AT_ONCE: u32 = 1_000;

/// Why an evaluation could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("waited {} s in vain until {what}; last seen: {seen}", PATIENCE.as_secs())]
    InVain { what: String, seen: String },
    #[error("node {node} forbids faults: start it with --allow-faults, or the cluster with `cubecast up --faults on`")]
    FaultsForbidden { node: Vertex },
    #[error("interrupted")]
    Interrupted,
}

/// One evaluation's place in the cluster.
pub struct Stage {
    pub client: CubecastClient,
    pub dimension: Dimension,
    pub publisher: PublisherId,
    prefix: String,
    created: BTreeSet<TopicName>,
    stopped: BTreeSet<Vertex>,
    registered: u32,
}

impl Stage {
    /// A stage for the evaluation `name`, with a publisher of its own.
    pub async fn set(client: &CubecastClient, name: &str) -> Result<Stage, Halt> {
        let dimension = client.cluster(Target::Any).await?.value.dimension;
        let prefix = format!("verify-{name}-{}", wall().0);
        let publisher = known_good(PublisherId::new(format!("{prefix}-publisher")));
        client.create_publisher(&publisher).await?;
        let (created, stopped) = (BTreeSet::new(), BTreeSet::new());
        Ok(Stage { client: client.clone(), dimension, publisher, prefix, created, stopped, registered: 0 })
    }

    pub fn home(&self, topic: &TopicName) -> Vertex {
        placement::home(topic.as_str(), self.dimension)
    }

    /// A name that no topic bears.
    pub fn topic_name(&self, name: &str) -> TopicName {
        known_good(TopicName::new(format!("{}-{name}", self.prefix)))
    }

    /// Creates a topic that is deleted when the stage is mended.
    pub async fn topic(&mut self, name: &str) -> Result<TopicName, Halt> {
        let topic = self.topic_name(name);
        self.client.create_topic(&self.publisher, &topic).await?;
        self.created.insert(topic.clone());
        Ok(topic)
    }

    /// Registers a subscriber under a new name.
    pub async fn subscriber(&mut self) -> Result<SubscriberId, Halt> {
        self.registered += 1;
        let subscriber = known_good(SubscriberId::new(format!("{}-subscriber{}", self.prefix, self.registered)));
        self.client.create_subscriber(&subscriber).await?;
        Ok(subscriber)
    }

    pub async fn publish(&self, topic: &TopicName, content: &str, ack: Ack) -> Result<Published, Halt> {
        Ok(self.client.publish(&self.publisher, topic, content, ack).await?.value)
    }

    /// Publishes `count` messages, whose contents are `what` and a number.
    pub async fn publish_many(&self, topic: &TopicName, what: &str, count: u64, ack: Ack) -> Result<Vec<String>, Halt> {
        let contents: Vec<_> = (0..count).map(|number| format!("{what} {number}")).collect();
        for content in &contents {
            self.publish(topic, content, ack).await?;
        }
        Ok(contents)
    }

    /// What the replica on one node holds of the topic, from the first message on, and the original node that it names.
    pub async fn replica(
        &self,
        node: Vertex,
        subscriber: &SubscriberId,
        topic: &TopicName,
    ) -> Result<(Vec<String>, Option<Vertex>), ClientError> {
        let (mut contents, mut from) = (Vec::new(), Offset(0));
        loop {
            let pulled = self.client.replica_pull(node, subscriber, topic, READ_AT_ONCE, Some(from)).await?.value;
            let count = pulled.messages.len();
            contents.extend(pulled.messages.into_iter().map(|message| message.content.to_string()));
            if count == 0 {
                return Ok((contents, pulled.original_node));
            }
            from = pulled.cursor;
        }
    }

    pub async fn locate(&self, topic: &TopicName) -> Result<Location, Halt> {
        Ok(self.client.locate(topic).await?.value)
    }

    pub async fn status(&self, node: Vertex) -> Result<NodeStatus, Halt> {
        Ok(self.client.status(node).await?.value)
    }

    /// Has a node fail until it is recovered; it answers first, and fails then.
    pub async fn stop(&mut self, node: Vertex, mode: StopMode) -> Result<(), Halt> {
        if !self.status(node).await?.faults_allowed {
            return Err(Halt::FaultsForbidden { node });
        }
        self.stopped.insert(node);
        self.client.stop_node(node, mode, LONG_FAILURE).await?;
        let client = self.client.clone();
        until(&format!("node {node} has failed"), async || {
            let state = client.status(node).await?.value.state;
            Ok(if state == NodeState::Failed { Seen::Yes(()) } else { Seen::Not(format!("{state:?}")) })
        })
        .await
    }

    /// Ends a node's failure, and waits until it serves again.
    pub async fn recover(&mut self, node: Vertex) -> Result<NodeStatus, Halt> {
        self.client.recover_node(node).await?;
        let client = self.client.clone();
        let status = until(&format!("node {node} is up"), async || {
            let status = client.status(node).await?.value;
            Ok(if status.state == NodeState::Up { Seen::Yes(status) } else { Seen::Not(format!("{:?}", status.state)) })
        })
        .await?;
        self.stopped.remove(&node);
        Ok(status)
    }

    /// Waits until the home leads its group again and every holder has caught up and votes.
    pub async fn settled(&self, topic: &TopicName) -> Result<Location, Halt> {
        let client = self.client.clone();
        until(&format!("{} leads and all its replicas are level", self.home(topic)), async || {
            let location = client.locate(topic).await?.value;
            let level = |holder: &Holder| holder.alive && holder.voter && holder.lag == Some(0);
            let is_settled = location.leader == Some(location.home) && location.holders.iter().all(level);
            Ok(if is_settled { Seen::Yes(location) } else { Seen::Not(standing(&location)) })
        })
        .await
    }

    /// Waits until a node other than `away` leads the topic's group.
    pub async fn led_by_another(&self, topic: &TopicName, away: Vertex) -> Result<Vertex, Halt> {
        let client = self.client.clone();
        until(&format!("a replica leads in place of {away}"), async || {
            let location = client.locate(topic).await?.value;
            let leader = location.leader.filter(|leader| *leader != away);
            Ok(leader.map_or_else(|| Seen::Not(standing(&location)), Seen::Yes))
        })
        .await
    }

    /// The topics and messages that one node holds of each of its groups, once it has applied all that their leaders have
    /// committed: what earlier evaluations deleted may still be on its way to it.
    pub async fn groups(&self, node: Vertex) -> Result<BTreeMap<Vertex, (u64, u64)>, Halt> {
        let client = self.client.clone();
        until(&format!("node {node} is level with the leaders of its groups"), async || {
            let status = client.status(node).await?.value;
            for group in &status.groups {
                let Some(leader) = group.leader else {
                    return Ok(Seen::Not(format!("it knows no leader of group {}", group.home)));
                };
                let leading = client.status(leader).await?.value;
                let led = leading.groups.iter().find(|led| led.home == group.home && led.leader == Some(leader));
                if led.map(|led| led.commit_index) != Some(group.applied_index) {
                    return Ok(Seen::Not(format!("it has applied group {} up to {}", group.home, group.applied_index)));
                }
            }
            let held = status.groups.iter().map(|group| (group.home, (group.topics, group.messages)));
            Ok(Seen::Yes(held.collect()))
        })
        .await
    }

    /// Ends every failure that was begun, and deletes every topic that was created.
    pub async fn mend(&mut self) -> Result<(), Halt> {
        for node in std::mem::take(&mut self.stopped) {
            self.recover(node).await?;
        }
        for topic in std::mem::take(&mut self.created) {
            self.client.delete_topic(&self.publisher, &topic).await?;
        }
        Ok(())
    }
}

/// What a look at a condition showed.
pub enum Seen<T> {
    Yes(T),
    /// Not yet, and what was there instead.
    Not(String),
}

/// Waits until a condition holds. A passing failure to look is no reason to give up.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Seen<T>, ClientError>) -> Result<T, Halt> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let seen = match look().await {
            Ok(Seen::Yes(found)) => return Ok(found),
            Ok(Seen::Not(seen)) => seen,
            Err(error) if error.is_transient() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if tokio::time::Instant::now() >= deadline {
            return Err(Halt::InVain { what: what.into(), seen });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A topic's holders in one line.
pub fn standing(location: &Location) -> String {
    let holder = |holder: &Holder| {
        let offset = holder.last_offset.map_or("nothing".into(), |offset| format!("last offset {offset}"));
        let alive = if holder.alive { "" } else { ", offline" };
        let votes = if holder.voter { "" } else { ", no vote" };
        let leads = if location.leader == Some(holder.node) { ", leads" } else { "" };
        format!("{}: {offset}{leads}{alive}{votes}", holder.node)
    };
    location.holders.iter().map(holder).collect::<Vec<_>>().join("; ")
}

/// Vertices in one line.
pub fn list(vertices: impl IntoIterator<Item = Vertex>) -> String {
    vertices.into_iter().map(|vertex| vertex.to_string()).collect::<Vec<_>>().join(", ")
}

/// The action that subscribes through a replica.
pub fn replica_subscribe(subscriber: &SubscriberId, topic: &TopicName) -> Action {
    Action::ReplicaSubscribe { subscriber: subscriber.clone(), topic: topic.clone(), from: None, push: false }
}

fn known_good<T, E: std::fmt::Debug>(name: Result<T, E>) -> T {
    name.expect("the names that verify makes are short and have no blanks")
}
