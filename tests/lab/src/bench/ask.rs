//! Clients of a Cubecast cluster, each with one kind of request, through the client library.

use std::collections::VecDeque;
use std::future::Future;

use cubecast_core::client::{ClientError, Reply, Target};
use cubecast_core::content::Content;
use cubecast_core::identity::GroupId;
use cubecast_core::names::{Offset, PublisherId, SubscriberId, TopicName};
use cubecast_core::seating::Seating;
use cubecast_core::wire::answer::Done as Answer;
use cubecast_core::wire::client::{Ack, Action, Admin, Local, Query, Read, ReadLevel, Write};
use cubecast_node::client::CubecastClient;

use crate::measure::{Client, Done};

/// Publishes to one topic.
pub struct Publishing {
    /// The client for the requests.
    pub client: CubecastClient,
    /// The publisher.
    pub publisher: PublisherId,
    /// The topic.
    pub topic: TopicName,
    /// The content of every message.
    pub content: Content,
    /// The acknowledgement to wait for.
    pub ack: Ack,
}

impl Publishing {
    /// The request.
    pub fn action(&self) -> Action {
        let Publishing { client: _, publisher, topic, content, ack } = self;
        Action::Write(Write::Publish {
            publisher: publisher.clone(),
            topic: topic.clone(),
            content: content.clone(),
            ack: *ack,
            sequence: None,
        })
    }
}

impl Client for Publishing {
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
        let (client, action, bytes) = (self.client.clone(), self.action(), self.content.len());
        async move { client.ask(Target::Home, action).await.map(|_| Done::moving(bytes)).map_err(told) }
    }
}

/// Reads the same messages repeatedly.
pub struct Pulling {
    /// The client for the requests.
    pub client: CubecastClient,
    /// The subscriber.
    pub subscriber: SubscriberId,
    /// The topic.
    pub topic: TopicName,
    /// The maximum number of messages of one pull.
    pub max: u32,
    /// The read level.
    pub read: ReadLevel,
    /// Whether to move the cursor.
    pub commit: bool,
}

impl Client for Pulling {
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
        let Pulling { client, subscriber, topic, max, read, commit } = self;
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        let action = Action::Read(Read::Pull { subscriber, topic, max: *max, read: *read, commit: *commit });
        let client = client.clone();
        async move { client.ask(Target::Home, action).await.map(|reply| Done::moving(read_of(&reply))).map_err(told) }
    }
}

fn read_of(reply: &Reply) -> usize {
    match &reply.answer.result {
        Ok(Answer::Pulled { messages, .. }) => messages.iter().map(|message| message.content.len()).sum(),
        _ => 0,
    }
}

fn told(error: ClientError) -> String {
    error.to_string()
}

/// Calls one API at a random node each time, with random existing names.
pub struct Calling {
    /// The client for the requests.
    pub client: CubecastClient,
    /// The API.
    pub api: Api,
    /// The nodes of the cluster.
    pub seating: Seating,
    /// The existing names.
    pub names: Names,
    /// Chooses nodes and names.
    pub random: fastrand::Rng,
    /// The prefix of new names.
    pub prefix: String,
    /// The number of the next new name.
    pub next: u64,
}

/// The existing names.
#[derive(Clone, Default)]
pub struct Names {
    /// The publisher.
    pub publisher: Option<PublisherId>,
    /// The subscriber.
    pub subscriber: Option<SubscriberId>,
    /// Topics to which the subscriber is subscribed.
    pub topics: Vec<TopicName>,
    /// Topics that may be deleted.
    pub doomed: VecDeque<TopicName>,
    /// The content of messages.
    pub content: Content,
}

/// An API, with the options that are measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Api {
    CreatePublisher,
    CreateSubscriber,
    CreateTopic,
    DeleteTopic,
    Publish,
    Subscribe,
    Pull,
    PullAny,
    Commit,
    ReplicaPull,
    Locate,
    Status,
    Topics,
    Cluster,
}

impl Api {
    /// All APIs in the order of measurement. APIs that create many names come last, because `topics` takes longer the
    /// more there are.
    pub const ALL: [Api; 14] = [
        Api::Status,
        Api::Cluster,
        Api::Topics,
        Api::Locate,
        Api::ReplicaPull,
        Api::PullAny,
        Api::Pull,
        Api::Commit,
        Api::Subscribe,
        Api::Publish,
        Api::CreatePublisher,
        Api::CreateSubscriber,
        Api::CreateTopic,
        Api::DeleteTopic,
    ];

    /// The name in the results.
    pub fn name(self) -> &'static str {
        match self {
            Api::CreatePublisher => "create_publisher",
            Api::CreateSubscriber => "create_subscriber",
            Api::CreateTopic => "create_topic",
            Api::DeleteTopic => "delete_topic",
            Api::Publish => "publish",
            Api::Subscribe => "subscribe",
            Api::Pull => "pull",
            Api::PullAny => "pull, read any",
            Api::Commit => "commit",
            Api::ReplicaPull => "replica_pull",
            Api::Locate => "locate",
            Api::Status => "status",
            Api::Topics => "topics",
            Api::Cluster => "cluster",
        }
    }
}

impl Client for Calling {
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
        let asked = self.next_action();
        let client = self.client.clone();
        async move {
            let (node, action) = asked?;
            client.ask(node, action).await.map(|reply| Done::moving(read_of(&reply))).map_err(told)
        }
    }
}

impl Calling {
    fn next_action(&mut self) -> Result<(Target, Action), String> {
        let nodes: Vec<_> = self.seating.hosts().collect();
        let node = nodes[self.random.usize(..nodes.len())];
        self.next += 1;
        let new = format!("{}-{}", self.prefix, self.next);
        let publisher = || self.names.publisher.clone().ok_or("there is no publisher");
        let subscriber = || self.names.subscriber.clone().ok_or("there is no subscriber");
        let topic = self.random.choice(&self.names.topics).cloned().ok_or("there is no topic");
        let action = match self.api {
            Api::CreatePublisher => Action::Write(Write::CreatePublisher { publisher: valid(PublisherId::new(new)) }),
            Api::CreateSubscriber => {
                Action::Write(Write::CreateSubscriber { subscriber: valid(SubscriberId::new(new)) })
            }
            Api::CreateTopic => {
                Action::Write(Write::CreateTopic { publisher: publisher()?, topic: valid(TopicName::new(new)) })
            }
            Api::DeleteTopic => Action::Write(Write::DeleteTopic {
                publisher: publisher()?,
                topic: self.names.doomed.pop_front().ok_or("no topic is left to be deleted")?,
            }),
            Api::Publish => Action::Write(Write::Publish {
                publisher: publisher()?,
                topic: topic?,
                content: self.names.content.clone(),
                ack: Ack::Quorum,
                sequence: None,
            }),
            Api::Subscribe => {
                Action::Write(Write::Subscribe { subscriber: subscriber()?, topic: topic?, from: None, push: false })
            }
            Api::Pull | Api::PullAny => Action::Read(Read::Pull {
                subscriber: subscriber()?,
                topic: topic?,
                max: 10,
                read: if self.api == Api::Pull { ReadLevel::Leader } else { ReadLevel::Any },
                commit: false,
            }),
            Api::Commit => Action::Write(Write::Commit { subscriber: subscriber()?, topic: topic?, offset: Offset(0) }),
            Api::ReplicaPull => {
                let topic = topic?;
                let home = cubecast_core::placement::home(topic.as_str(), self.seating.dimension());
                let replicas = self.seating.members(GroupId::of(home)).split_off(1);
                let replica = replicas[self.random.usize(..replicas.len())];
                let (subscriber, from) = (subscriber()?, Some(Offset(0)));
                return Ok((
                    Target::Node(replica),
                    Action::Read(Read::ReplicaPull { subscriber, topic, max: 10, from }),
                ));
            }
            Api::Locate => Action::Query(Query::Locate { topic: topic? }),
            Api::Status => Action::Admin(Admin::Status { node: None }),
            Api::Topics => Action::Query(Query::Topics),
            Api::Cluster => Action::Local(Local::Cluster),
        };
        Ok((Target::Node(node), action))
    }
}

fn valid<T, E: std::fmt::Debug>(name: Result<T, E>) -> T {
    name.expect("a valid name")
}
