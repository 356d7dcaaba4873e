//! The native client: [`cubecast_core::client`] over tokio and WebSockets. Used by the command line and by tests.
//!
//! What is asked of whom, and what is repeated, is core's to decide; here sockets are opened, bytes written and callers woken.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use cubecast_core::wire::client::Ack;
//! use cubecast_node::client::CubecastClient;
//!
//! let client = CubecastClient::connect(&["127.0.0.1:8000".into()]);
//! let (publisher, topic) = ("publisher1".parse()?, "news".parse()?);
//! client.create_publisher(&publisher).await?;
//! client.create_topic(&publisher, &topic).await?;
//! let published = client.publish(&publisher, &topic, "hello", Ack::Quorum).await?;
//! println!("stored at {:?} on {:?}", published.value.offset, published.value.holders);
//! # Ok(())
//! # }
//! ```

mod answered;
mod deliveries;
mod driver;
mod socket;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use cubecast_core::client::{Client, ClientConfig, DEFAULT_WITHIN};
use cubecast_core::names::{Offset, PublisherId, Sequence, SubscriberId, TopicName};
use cubecast_core::wire::answer::{ClusterView, Done, Location, NodeStatus};
use cubecast_core::wire::client::{Ack, Action, LinkConditions, ReadLevel, StartAt, StopMode};
use cubecast_core::wire::event::{EventKind, WatchEvent};
use tokio::sync::{broadcast, mpsc, oneshot};

pub use answered::{Answered, Placed, Published, Pulled, Stopped, TopicList};
pub use cubecast_core::client::{ClientError, FellOver, Notice, Reply, Target};
pub use cubecast_core::cube::Vertex;
pub use deliveries::Deliveries;

use deliveries::Listener;
use driver::{Command, Driver, Order};

/// Events and notices kept for a receiver that is slow; the oldest are dropped, and the receiver is told how many.
const KEPT_FOR_RECEIVERS: usize = 16_384;

/// A client of the cluster. Clones share their connections; the last one dropped ends them.
#[derive(Clone, Debug)]
pub struct CubecastClient {
    commands: mpsc::UnboundedSender<Command>,
    notices: broadcast::Sender<Notice>,
    events: broadcast::Sender<WatchEvent>,
    within: Duration,
    trace: bool,
}

impl CubecastClient {
    /// A client that finds the cluster through any of these nodes (`HOST:PORT` or WebSocket URLs). It connects when it is first
    /// asked for something. Has to be called within a tokio runtime.
    pub fn connect(seeds: &[String]) -> CubecastClient {
        let seed = std::hash::RandomState::new().build_hasher().finish();
        Self::start(&ClientConfig { seeds: seeds.to_vec(), seed, ..ClientConfig::default() })
    }

    pub fn start(config: &ClientConfig) -> CubecastClient {
        let (commands, received) = mpsc::unbounded_channel();
        let (notices, _) = broadcast::channel(KEPT_FOR_RECEIVERS);
        let (events, _) = broadcast::channel(KEPT_FOR_RECEIVERS);
        let driver = Driver::new(Client::new(config), received, notices.clone(), events.clone());
        tokio::spawn(driver.run());
        CubecastClient { commands, notices, events, within: DEFAULT_WITHIN, trace: false }
    }

    /// Ends all connections as WebSockets are ended, and waits for it, 2 s at most. What is still asked, here or by a clone,
    /// fails with [`ClientError::Closed`]. A client that is only dropped does the same while its runtime lives.
    pub async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.commands.send(Command::Close(closed)).is_ok() {
            // An error means that it was closed by somebody else.
            let _ = done.await;
        }
    }

    /// The same client, giving up after another time.
    pub fn within(&self, within: Duration) -> CubecastClient {
        CubecastClient { within, ..self.clone() }
    }

    /// The same client, asking to be told the nodes that each request crossed.
    pub fn traced(&self) -> CubecastClient {
        CubecastClient { trace: true, ..self.clone() }
    }

    /// What happens to the connections from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Asks for anything.
    pub async fn ask(&self, to: Target, action: Action) -> Result<Reply, ClientError> {
        self.give(to, action, None).await
    }

    async fn give(&self, to: Target, action: Action, listener: Option<Listener>) -> Result<Reply, ClientError> {
        let (answer, answered) = oneshot::channel();
        let order = Order { action, to, within: self.within, trace: self.trace, listener, answer };
        self.commands.send(Command::Order(Box::new(order))).map_err(|_| ClientError::Closed)?;
        answered.await.map_err(|_| ClientError::Closed)?
    }

    async fn get<T>(
        &self,
        to: Target,
        action: Action,
        read: fn(Done) -> Option<T>,
    ) -> Result<Answered<T>, ClientError> {
        Answered::read(self.ask(to, action).await?, read)
    }

    /// Whether it existed before.
    pub async fn create_publisher(&self, publisher: &PublisherId) -> Result<Answered<bool>, ClientError> {
        let action = Action::CreatePublisher { publisher: publisher.clone() };
        self.get(Target::Home, action, answered::existed).await
    }

    /// Whether it existed before.
    pub async fn create_subscriber(&self, subscriber: &SubscriberId) -> Result<Answered<bool>, ClientError> {
        let action = Action::CreateSubscriber { subscriber: subscriber.clone() };
        self.get(Target::Home, action, answered::existed).await
    }

    /// Ends the registration; topics that the publisher created stay.
    pub async fn delete_publisher(&self, publisher: &PublisherId) -> Result<Answered<()>, ClientError> {
        let action = Action::DeletePublisher { publisher: publisher.clone() };
        self.get(Target::Home, action, answered::deleted).await
    }

    /// Ends the registration; subscriptions stay.
    pub async fn delete_subscriber(&self, subscriber: &SubscriberId) -> Result<Answered<()>, ClientError> {
        let action = Action::DeleteSubscriber { subscriber: subscriber.clone() };
        self.get(Target::Home, action, answered::deleted).await
    }

    pub async fn create_topic(
        &self,
        publisher: &PublisherId,
        topic: &TopicName,
    ) -> Result<Answered<Placed>, ClientError> {
        let action = Action::CreateTopic { publisher: publisher.clone(), topic: topic.clone() };
        self.get(Target::Home, action, answered::placed).await
    }

    pub async fn delete_topic(
        &self,
        publisher: &PublisherId,
        topic: &TopicName,
    ) -> Result<Answered<Placed>, ClientError> {
        let action = Action::DeleteTopic { publisher: publisher.clone(), topic: topic.clone() };
        self.get(Target::Home, action, answered::placed).await
    }

    pub async fn publish(
        &self,
        publisher: &PublisherId,
        topic: &TopicName,
        content: &str,
        ack: Ack,
    ) -> Result<Answered<Published>, ClientError> {
        self.publish_at(Target::Home, publisher, topic, content, ack, None).await
    }

    /// Through a chosen node, or under a chosen sequence number.
    pub async fn publish_at(
        &self,
        to: Target,
        publisher: &PublisherId,
        topic: &TopicName,
        content: &str,
        ack: Ack,
        sequence: Option<Sequence>,
    ) -> Result<Answered<Published>, ClientError> {
        let (publisher, topic, content) = (publisher.clone(), topic.clone(), content.into());
        self.get(to, Action::Publish { publisher, topic, content, ack, sequence }, answered::published).await
    }

    /// Subscribes for pulling; the cursor.
    pub async fn subscribe(
        &self,
        subscriber: &SubscriberId,
        topic: &TopicName,
        from: Option<StartAt>,
    ) -> Result<Answered<Offset>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.get(Target::Home, Action::Subscribe { subscriber, topic, from, push: false }, answered::cursor).await
    }

    /// Subscribes, and has messages delivered from the cursor on until the stream is dropped.
    pub async fn listen(
        &self,
        subscriber: &SubscriberId,
        topic: &TopicName,
        from: Option<StartAt>,
    ) -> Result<Answered<Deliveries>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.listen_at(Target::Home, Action::Subscribe { subscriber, topic, from, push: true }).await
    }

    /// The same for a `subscribe` or `replica_subscribe` with `push`, through a chosen node.
    pub async fn listen_at(&self, to: Target, action: Action) -> Result<Answered<Deliveries>, ClientError> {
        let (listener, deliveries) = deliveries::channel(&action, self.commands.clone());
        let reply = self.give(to, action, Some(listener)).await?;
        let cursor = Answered::read(reply, answered::cursor)?;
        Ok(cursor.map(|cursor| deliveries.starting_at(cursor)))
    }

    pub async fn unsubscribe(&self, subscriber: &SubscriberId, topic: &TopicName) -> Result<Reply, ClientError> {
        self.ask(Target::Home, Action::Unsubscribe { subscriber: subscriber.clone(), topic: topic.clone() }).await
    }

    /// Reads on from the subscriber's cursor. With `commit` the cursor moves past what was read; when the answer of such a
    /// pull is lost, it is not repeated ([`ClientError::InDoubt`]).
    pub async fn pull(
        &self,
        subscriber: &SubscriberId,
        topic: &TopicName,
        max: u32,
        read: ReadLevel,
        commit: bool,
    ) -> Result<Answered<Pulled>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.get(Target::Home, Action::Pull { subscriber, topic, max, read, commit }, answered::pulled).await
    }

    /// Reads the replica of one node.
    pub async fn replica_pull(
        &self,
        node: Vertex,
        subscriber: &SubscriberId,
        topic: &TopicName,
        max: u32,
        from: Option<Offset>,
    ) -> Result<Answered<Pulled>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.get(Target::Node(node), Action::ReplicaPull { subscriber, topic, max, from }, answered::pulled).await
    }

    /// Moves the subscriber's cursor; the cursor.
    pub async fn commit(
        &self,
        subscriber: &SubscriberId,
        topic: &TopicName,
        offset: Offset,
    ) -> Result<Answered<Offset>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.get(Target::Home, Action::Commit { subscriber, topic, offset }, answered::cursor).await
    }

    pub async fn locate(&self, topic: &TopicName) -> Result<Answered<Location>, ClientError> {
        self.get(Target::Home, Action::Locate { topic: topic.clone() }, answered::located).await
    }

    pub async fn topics(&self) -> Result<Answered<TopicList>, ClientError> {
        self.get(Target::Any, Action::Topics, answered::topics).await
    }

    /// The cluster as the asked node sees it.
    pub async fn cluster(&self, to: Target) -> Result<Answered<ClusterView>, ClientError> {
        self.get(to, Action::Cluster, answered::cluster).await
    }

    /// Asks the node itself.
    pub async fn status(&self, node: Vertex) -> Result<Answered<NodeStatus>, ClientError> {
        self.get(Target::Node(node), Action::Status { node: None }, answered::status).await
    }

    /// Has the node fail.
    pub async fn stop_node(
        &self,
        node: Vertex,
        mode: StopMode,
        time: Duration,
    ) -> Result<Answered<Stopped>, ClientError> {
        let duration_ms = time.as_millis() as u64;
        self.get(Target::Node(node), Action::StopNode { node: None, mode, duration_ms }, answered::stopped).await
    }

    /// Ends a failure on request.
    pub async fn recover_node(&self, node: Vertex) -> Result<Reply, ClientError> {
        self.ask(Target::Node(node), Action::RecoverNode { node: None }).await
    }

    pub async fn set_link(&self, from: Vertex, to: Vertex, conditions: LinkConditions) -> Result<Reply, ClientError> {
        self.ask(Target::Node(from), Action::SetLink { from, to, conditions }).await
    }

    /// Has a node tell what happens to it. All watched nodes tell into the one stream.
    pub async fn watch(
        &self,
        to: Target,
        kinds: Vec<EventKind>,
        sample: u32,
    ) -> Result<broadcast::Receiver<WatchEvent>, ClientError> {
        let events = self.events.subscribe();
        self.ask(to, Action::Watch { kinds, sample }).await?;
        Ok(events)
    }
}
