//! Shared parts of the evaluations: unique names, waiting for conditions, and mending of failures.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cubecast_core::client::{ClientError, Target};
use cubecast_core::cube::Vertex;
use cubecast_core::faults::StopMode;
use cubecast_core::identity::{GroupId, HostId};
use cubecast_core::names::{Offset, PublisherId, SubscriberId, TopicName};
use cubecast_core::placement;
use cubecast_core::seating::Seating;
use cubecast_core::states::NodeState;
use cubecast_core::wire::answer::{Location, NodeStatus, Replica};
use cubecast_core::wire::client::{Ack, Action, Write};
use cubecast_node::client::{CubecastClient, Published};
use cubecast_node::runtime::clock::wall;

/// The time limit for a condition.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The duration of requested faults that `recover` ends.
const LONG_FAILURE: Duration = Duration::from_secs(60);
/// The interval between checks of a condition that no event reports.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Messages read from a replica in one request.
const READ_AT_ONCE: u32 = 1_000;

/// Why an evaluation could not continue.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("timed out after {} s waiting until {what}; last state: {seen}", PATIENCE.as_secs())]
    InVain { what: String, seen: String },
    #[error(
        "node {node} does not allow faults; start it with --allow-faults, or the cluster with `cubecast up --faults on`"
    )]
    FaultsForbidden { node: HostId },
    #[error("interrupted")]
    Interrupted,
}

/// One evaluation's resources in the cluster.
pub struct Stage {
    /// The client for all requests.
    pub client: CubecastClient,
    /// The nodes of the cluster.
    pub seating: Seating,
    /// The evaluation's publisher.
    pub publisher: PublisherId,
    prefix: String,
    created: BTreeSet<TopicName>,
    stopped: BTreeSet<HostId>,
    registered: u32,
}

impl Stage {
    /// Prepares the evaluation `name`, with its own publisher.
    pub async fn set(client: &CubecastClient, name: &str) -> Result<Stage, Halt> {
        let dimension = client.cluster(Target::Any).await?.value.dimension;
        let prefix = format!("verify-{name}-{}", wall().0);
        let publisher = known_good(PublisherId::new(format!("{prefix}-publisher")));
        client.create_publisher(&publisher).await?;
        let (created, stopped) = (BTreeSet::new(), BTreeSet::new());
        Ok(Stage {
            client: client.clone(),
            seating: Seating::founding(dimension),
            publisher,
            prefix,
            created,
            stopped,
            registered: 0,
        })
    }

    /// The node of a topic's home.
    pub fn home(&self, topic: &TopicName) -> HostId {
        self.members(topic)[0]
    }

    /// The nodes of a topic's replicas without that of its home.
    pub fn replicas(&self, topic: &TopicName) -> Vec<HostId> {
        self.members(topic).split_off(1)
    }

    fn members(&self, topic: &TopicName) -> Vec<HostId> {
        self.seating.members(GroupId::of(placement::home(topic.as_str(), self.seating.dimension())))
    }

    /// A name that no other topic has.
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

    /// Registers a subscriber with a new name.
    pub async fn subscriber(&mut self) -> Result<SubscriberId, Halt> {
        self.registered += 1;
        let subscriber = known_good(SubscriberId::new(format!("{}-subscriber{}", self.prefix, self.registered)));
        self.client.create_subscriber(&subscriber).await?;
        Ok(subscriber)
    }

    /// Publishes one message.
    pub async fn publish(&self, topic: &TopicName, content: &str, ack: Ack) -> Result<Published, Halt> {
        Ok(self.client.publish(&self.publisher, topic, content, ack).await?.value)
    }

    /// Publishes `count` messages with the contents `what` and a number. Returns the contents.
    pub async fn publish_many(&self, topic: &TopicName, what: &str, count: u64, ack: Ack) -> Result<Vec<String>, Halt> {
        let contents: Vec<_> = (0..count).map(|number| format!("{what} {number}")).collect();
        for content in &contents {
            self.publish(topic, content, ack).await?;
        }
        Ok(contents)
    }

    /// Reads the topic's replica on one node from the first message on, and the original node that it reports.
    pub async fn replica(
        &self,
        node: HostId,
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

    /// The home and the replicas of a topic.
    pub async fn locate(&self, topic: &TopicName) -> Result<Location, Halt> {
        Ok(self.client.locate(topic).await?.value)
    }

    /// The status of a node.
    pub async fn status(&self, node: HostId) -> Result<NodeStatus, Halt> {
        Ok(self.client.status(node).await?.value)
    }

    /// Makes a node fail until it is recovered. The node answers before it fails.
    pub async fn stop(&mut self, node: HostId, mode: StopMode) -> Result<(), Halt> {
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
    pub async fn recover(&mut self, node: HostId) -> Result<NodeStatus, Halt> {
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

    /// Waits until the home leads its group again, and every replica has caught up and votes.
    pub async fn settled(&self, topic: &TopicName) -> Result<Location, Halt> {
        let client = self.client.clone();
        until(&format!("{} leads and all its replicas have caught up", self.home(topic)), async || {
            let location = client.locate(topic).await?.value;
            let level = |replica: &Replica| replica.alive && replica.voter && replica.lag == Some(0);
            let is_settled = location.leader == Some(self.home(topic)) && location.members.iter().all(level);
            Ok(if is_settled { Seen::Yes(location) } else { Seen::Not(standing(&location)) })
        })
        .await
    }

    /// Waits until a node other than `away` leads the topic's group.
    pub async fn led_by_another(&self, topic: &TopicName, away: HostId) -> Result<HostId, Halt> {
        let client = self.client.clone();
        until(&format!("a replica leads in place of {away}"), async || {
            let location = client.locate(topic).await?.value;
            let leader = location.leader.filter(|leader| *leader != away);
            Ok(leader.map_or_else(|| Seen::Not(standing(&location)), Seen::Yes))
        })
        .await
    }

    /// The number of topics and messages in each group of one node, after the node has applied all entries that the
    /// leaders have committed. Without this wait, deletions by earlier evaluations might not have reached it yet.
    pub async fn groups(&self, node: HostId) -> Result<BTreeMap<Vertex, (u64, u64)>, Halt> {
        let client = self.client.clone();
        until(&format!("node {node} has caught up with the leaders of its groups"), async || {
            let status = client.status(node).await?.value;
            for group in &status.groups {
                let Some(leader) = group.leader else {
                    return Ok(Seen::Not(format!("group {} has no known leader", group.home)));
                };
                let leading = client.status(leader).await?.value;
                let led = leading.groups.iter().find(|led| led.home == group.home && led.leader == Some(leader));
                if led.map(|led| led.commit_index) != Some(group.applied_index) {
                    return Ok(Seen::Not(format!(
                        "group {} is applied only up to entry {}",
                        group.home, group.applied_index
                    )));
                }
            }
            let held = status.groups.iter().map(|group| (group.home, (group.topics, group.messages)));
            Ok(Seen::Yes(held.collect()))
        })
        .await
    }

    /// Ends all failures and deletes all topics of this evaluation.
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

/// The result of one check of a condition.
pub enum Seen<T> {
    Yes(T),
    /// The condition does not hold yet; the actual state.
    Not(String),
}

/// Waits until a condition holds. Temporary errors of the check are ignored.
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

/// A topic's replicas in one line.
pub fn standing(location: &Location) -> String {
    let replica = |replica: &Replica| {
        let offset = replica.last_offset.map_or("nothing".into(), |offset| format!("last offset {offset}"));
        let alive = if replica.alive { "" } else { ", offline" };
        let votes = if replica.voter { "" } else { ", no vote" };
        let leads = if location.leader == Some(replica.node) { ", leads" } else { "" };
        format!("{}: {offset}{leads}{alive}{votes}", replica.node)
    };
    location.members.iter().map(replica).collect::<Vec<_>>().join("; ")
}

/// Nodes or vertices in one line.
pub fn list(places: impl IntoIterator<Item: ToString>) -> String {
    places.into_iter().map(|place| place.to_string()).collect::<Vec<_>>().join(", ")
}

/// The action that subscribes through a replica.
pub fn replica_subscribe(subscriber: &SubscriberId, topic: &TopicName) -> Action {
    Action::Write(Write::ReplicaSubscribe {
        subscriber: subscriber.clone(),
        topic: topic.clone(),
        from: None,
        push: false,
    })
}

fn known_good<T, E: std::fmt::Debug>(name: Result<T, E>) -> T {
    name.expect("the names that verify makes are short and have no blanks")
}
