//! The native client: [`cubecast_core::client`] over tokio and WebSockets. The command line and the tests use it.
//!
//! Core chooses the nodes to ask and the requests to repeat. This module opens sockets, writes bytes and wakes
//! callers.
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
//! println!("stored at {:?} on {:?}", published.value.offset, published.value.replicas);
//! # Ok(())
//! # }
//! ```

mod answered;
mod commands;
mod deliveries;
mod driver;
mod listener;
mod socket;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use cubecast_core::client::{Client, ClientConfig, DEFAULT_WITHIN};
use cubecast_core::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicName};
use cubecast_core::wire::answer::{ClusterView, Done, Location, NodeStatus};
use cubecast_core::wire::client::{Ack, Action, Admin, Local, Query, Read, ReadLevel, Write};
use cubecast_core::wire::event::{EventKind, WatchEvent};
use tokio::sync::{broadcast, mpsc, oneshot};

pub use answered::{Answered, Placed, Published, Pulled, Stopped, TopicList};
pub use cubecast_core::client::{ClientError, FellOver, Notice, Reply, Target};
pub use cubecast_core::cube::Vertex;
use cubecast_core::faults::{LinkConditions, StopMode};
pub use cubecast_core::identity::HostId;
pub use deliveries::Deliveries;

use commands::{Command, Order};
use driver::Driver;
use listener::Listener;

/// Events and notices kept for a slow receiver. The oldest are dropped, and the receiver gets their number.
const KEPT_FOR_RECEIVERS: usize = 16_384;

/// A client of the cluster. Clones share their connections; dropping the last clone closes them.
#[derive(Clone, Debug)]
pub struct CubecastClient {
    commands: mpsc::UnboundedSender<Command>,
    notices: broadcast::Sender<Notice>,
    events: broadcast::Sender<WatchEvent>,
    within: Duration,
    trace: bool,
}

impl CubecastClient {
    /// A client that finds the cluster through any of these nodes (`HOST:PORT` or WebSocket URLs). It connects at the
    /// first request. Must be called within a tokio runtime.
    pub fn connect(seeds: &[String]) -> CubecastClient {
        let seed = std::hash::RandomState::new().build_hasher().finish();
        Self::start(&ClientConfig { seeds: seeds.to_vec(), seed, ..ClientConfig::default() })
    }

    /// Like [`CubecastClient::connect`], with all settings.
    pub fn start(config: &ClientConfig) -> CubecastClient {
        let (commands, received) = mpsc::unbounded_channel();
        let (notices, _) = broadcast::channel(KEPT_FOR_RECEIVERS);
        let (events, _) = broadcast::channel(KEPT_FOR_RECEIVERS);
        let driver = Driver::new(Client::new(config), received, notices.clone(), events.clone());
        tokio::spawn(driver.run());
        CubecastClient { commands, notices, events, within: DEFAULT_WITHIN, trace: false }
    }

    /// Closes all connections with a WebSocket closing handshake, and waits for it, at most 2 s. Pending requests of
    /// this client and its clones fail with [`ClientError::Closed`]. Dropping the client does the same in the
    /// background, as long as its runtime runs.
    pub async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.commands.send(Command::Close(closed)).is_ok() {
            // An error means that another clone closed the client.
            let _ = done.await;
        }
    }

    /// The same client with another time limit for requests.
    pub fn within(&self, within: Duration) -> CubecastClient {
        CubecastClient { within, ..self.clone() }
    }

    /// The same client with tracing: answers list the nodes that the request crossed.
    pub fn traced(&self) -> CubecastClient {
        CubecastClient { trace: true, ..self.clone() }
    }

    /// A stream of changes of the connections, from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Requests any action.
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

    /// Registers a publisher. `true`: it existed already.
    pub async fn create_publisher(&self, publisher: &PublisherId) -> Result<Answered<bool>, ClientError> {
        let action = Action::Write(Write::CreatePublisher { publisher: publisher.clone() });
        self.get(Target::Home, action, answered::existed).await
    }

    /// Registers a subscriber. `true`: it existed already.
    pub async fn create_subscriber(&self, subscriber: &SubscriberId) -> Result<Answered<bool>, ClientError> {
        let action = Action::Write(Write::CreateSubscriber { subscriber: subscriber.clone() });
        self.get(Target::Home, action, answered::existed).await
    }

    /// Deletes the publisher's registration. Topics that it created remain.
    pub async fn delete_publisher(&self, publisher: &PublisherId) -> Result<Answered<()>, ClientError> {
        let action = Action::Write(Write::DeletePublisher { publisher: publisher.clone() });
        self.get(Target::Home, action, answered::deleted).await
    }

    /// Deletes the subscriber's registration. Its subscriptions remain.
    pub async fn delete_subscriber(&self, subscriber: &SubscriberId) -> Result<Answered<()>, ClientError> {
        let action = Action::Write(Write::DeleteSubscriber { subscriber: subscriber.clone() });
        self.get(Target::Home, action, answered::deleted).await
    }

    /// Creates a topic.
    pub async fn create_topic(
        &self,
        publisher: &PublisherId,
        topic: &TopicName,
    ) -> Result<Answered<Placed>, ClientError> {
        let action = Action::Write(Write::CreateTopic { publisher: publisher.clone(), topic: topic.clone() });
        self.get(Target::Home, action, answered::placed).await
    }

    /// Deletes a topic and its messages.
    pub async fn delete_topic(
        &self,
        publisher: &PublisherId,
        topic: &TopicName,
    ) -> Result<Answered<Placed>, ClientError> {
        let action = Action::Write(Write::DeleteTopic { publisher: publisher.clone(), topic: topic.clone() });
        self.get(Target::Home, action, answered::placed).await
    }

    /// Publishes one message and waits for the acknowledgement `ack`.
    pub async fn publish(
        &self,
        publisher: &PublisherId,
        topic: &TopicName,
        content: &str,
        ack: Ack,
    ) -> Result<Answered<Published>, ClientError> {
        self.publish_at(Target::Home, publisher, topic, content, ack, None).await
    }

    /// Publishes through a chosen node, or with a chosen sequence number.
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
        self.get(to, Action::Write(Write::Publish { publisher, topic, content, ack, sequence }), answered::published)
            .await
    }

    /// Subscribes for pulling. Returns the cursor.
    pub async fn subscribe(
        &self,
        subscriber: &SubscriberId,
        topic: &TopicName,
        from: Option<StartAt>,
    ) -> Result<Answered<Offset>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.get(
            Target::Home,
            Action::Write(Write::Subscribe { subscriber, topic, from, push: false }),
            answered::cursor,
        )
        .await
    }

    /// Subscribes with push: messages from the cursor on are delivered until the stream is dropped.
    pub async fn listen(
        &self,
        subscriber: &SubscriberId,
        topic: &TopicName,
        from: Option<StartAt>,
    ) -> Result<Answered<Deliveries>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.listen_at(Target::Home, Action::Write(Write::Subscribe { subscriber, topic, from, push: true })).await
    }

    /// The same through a chosen node, for a `subscribe` or `replica_subscribe` with `push`.
    pub async fn listen_at(&self, to: Target, action: Action) -> Result<Answered<Deliveries>, ClientError> {
        let (listener, deliveries) = deliveries::channel(&action, self.commands.clone());
        let reply = self.give(to, action, Some(listener)).await?;
        let cursor = Answered::read(reply, answered::cursor)?;
        Ok(cursor.map(|cursor| deliveries.starting_at(cursor)))
    }

    /// Ends a subscription and deletes its cursor.
    pub async fn unsubscribe(&self, subscriber: &SubscriberId, topic: &TopicName) -> Result<Reply, ClientError> {
        self.ask(
            Target::Home,
            Action::Write(Write::Unsubscribe { subscriber: subscriber.clone(), topic: topic.clone() }),
        )
        .await
    }

    /// Reads from the subscriber's cursor on. With `commit` the cursor moves past the messages read. If the answer to
    /// such a pull is lost, the pull is not repeated and fails with [`ClientError::InDoubt`].
    pub async fn pull(
        &self,
        subscriber: &SubscriberId,
        topic: &TopicName,
        max: u32,
        read: ReadLevel,
        commit: bool,
    ) -> Result<Answered<Pulled>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.get(Target::Home, Action::Read(Read::Pull { subscriber, topic, max, read, commit }), answered::pulled)
            .await
    }

    /// Reads the replica on one node.
    pub async fn replica_pull(
        &self,
        node: HostId,
        subscriber: &SubscriberId,
        topic: &TopicName,
        max: u32,
        from: Option<Offset>,
    ) -> Result<Answered<Pulled>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.get(Target::Node(node), Action::Read(Read::ReplicaPull { subscriber, topic, max, from }), answered::pulled)
            .await
    }

    /// Moves the subscriber's cursor. Returns the new cursor.
    pub async fn commit(
        &self,
        subscriber: &SubscriberId,
        topic: &TopicName,
        offset: Offset,
    ) -> Result<Answered<Offset>, ClientError> {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        self.get(Target::Home, Action::Write(Write::Commit { subscriber, topic, offset }), answered::cursor).await
    }

    /// The home and the replicas of a topic.
    pub async fn locate(&self, topic: &TopicName) -> Result<Answered<Location>, ClientError> {
        self.get(Target::Home, Action::Query(Query::Locate { topic: topic.clone() }), answered::located).await
    }

    /// Lists the topics of all groups.
    pub async fn topics(&self) -> Result<Answered<TopicList>, ClientError> {
        self.get(Target::Any, Action::Query(Query::Topics), answered::topics).await
    }

    /// The cluster as the asked node sees it.
    pub async fn cluster(&self, to: Target) -> Result<Answered<ClusterView>, ClientError> {
        self.get(to, Action::Local(Local::Cluster), answered::cluster).await
    }

    /// Requests the status of a node from that node.
    pub async fn status(&self, node: HostId) -> Result<Answered<NodeStatus>, ClientError> {
        self.get(Target::Node(node), Action::Admin(Admin::Status { node: None }), answered::status).await
    }

    /// Makes a node fail for this time.
    pub async fn stop_node(
        &self,
        node: HostId,
        mode: StopMode,
        time: Duration,
    ) -> Result<Answered<Stopped>, ClientError> {
        let duration_ms = time.as_millis() as u64;
        self.get(
            Target::Node(node),
            Action::Admin(Admin::StopNode { node: None, mode, duration_ms }),
            answered::stopped,
        )
        .await
    }

    /// Ends a requested fault of a node.
    pub async fn recover_node(&self, node: HostId) -> Result<Reply, ClientError> {
        self.ask(Target::Node(node), Action::Admin(Admin::RecoverNode { node: None })).await
    }

    /// Sets the conditions of a link in the direction from `from` to `to`.
    pub async fn set_link(&self, from: HostId, to: HostId, conditions: LinkConditions) -> Result<Reply, ClientError> {
        self.ask(Target::Node(from), Action::Admin(Admin::SetLink { from, to, conditions })).await
    }

    /// Starts the stream of a node's events. The events of all watched nodes arrive in one stream.
    pub async fn watch(
        &self,
        to: Target,
        kinds: Vec<EventKind>,
        sample: u32,
    ) -> Result<broadcast::Receiver<WatchEvent>, ClientError> {
        let events = self.events.subscribe();
        self.ask(to, Action::Local(Local::Watch { kinds, sample })).await?;
        Ok(events)
    }
}
