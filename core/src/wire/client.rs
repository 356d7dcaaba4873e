//! Client requests: a [`Request`] carries one [`Action`].
//!
//! `docs/PROTOCOL.md` is the reference for names, defaults and errors. The same types are encoded as JSON
//! ([`super::json`]) and in binary ([`super::binary`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::cube::Vertex;
use crate::faults::{LinkConditions, StopMode};
use crate::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicName};
use crate::wire::event::EventKind;

/// One request from a client.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Returned unchanged in the answer. A request without an id gets an answer without one.
    pub id: Option<RequestId>,
    /// Whether the answer lists the nodes that the request crossed.
    pub trace: bool,
    /// The operation that the client requests.
    pub action: Action,
}

/// A client's own identifier for a request: any JSON number or string.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RequestId {
    Unsigned(u64),
    Signed(i64),
    /// Any other number, as written in JSON: 1.50 differs from 1.5, and 2^64 is not rounded to a float.
    Number(String),
    Text(String),
}

impl RequestId {
    /// The maximum length of an id, in bytes. The limit exists because every answer repeats the id.
    pub const MAX_BYTES: usize = 1024;

    /// The size in bytes: 8 for an integer, else the length of the text.
    pub fn size(&self) -> usize {
        match self {
            RequestId::Unsigned(_) | RequestId::Signed(_) => 8,
            RequestId::Number(text) | RequestId::Text(text) => text.len(),
        }
    }

    /// The id for a number as written in JSON.
    pub fn of_number(text: &str) -> RequestId {
        match (text.parse(), text.parse::<i64>()) {
            (Ok(id), _) => RequestId::Unsigned(id),
            // `-0` stays distinct from `0`, for clients that compare ids as text.
            (_, Ok(id)) if id != 0 => RequestId::Signed(id),
            _ => RequestId::Number(text.to_owned()),
        }
    }
}

/// The operations of a node, sorted by who carries them out. Any node accepts any action and routes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// By the leader of the subject's group, through the group's log.
    Write(Write),
    /// By a member of the topic's group, which returns messages.
    Read(Read),
    /// By the node that received it, which gathers the answer from others.
    Query(Query),
    /// By the node that it names.
    Admin(Admin),
    /// By the node that received it, alone.
    Local(Local),
}

/// Changes of the state of a group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Write {
    CreatePublisher {
        publisher: PublisherId,
    },
    CreateSubscriber {
        subscriber: SubscriberId,
    },
    /// Deletes a registration. The publisher's topics keep their owner, and its messages keep their publisher.
    DeletePublisher {
        publisher: PublisherId,
    },
    /// Deletes a registration. The subscriber's subscriptions remain.
    DeleteSubscriber {
        subscriber: SubscriberId,
    },
    CreateTopic {
        publisher: PublisherId,
        topic: TopicName,
    },
    DeleteTopic {
        publisher: PublisherId,
        topic: TopicName,
    },
    Publish {
        publisher: PublisherId,
        topic: TopicName,
        content: Content,
        ack: Ack,
        sequence: Option<Sequence>,
    },
    Subscribe {
        subscriber: SubscriberId,
        topic: TopicName,
        from: Option<StartAt>,
        push: bool,
    },
    /// Like `Subscribe`, but messages come from the replica of the node that received the request.
    ReplicaSubscribe {
        subscriber: SubscriberId,
        topic: TopicName,
        from: Option<StartAt>,
        push: bool,
    },
    Unsubscribe {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    Commit {
        subscriber: SubscriberId,
        topic: TopicName,
        offset: Offset,
    },
}

/// Reads of messages.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Read {
    Pull {
        subscriber: SubscriberId,
        topic: TopicName,
        max: u32,
        read: ReadLevel,
        commit: bool,
    },
    /// Reads the replica of the node that received the request, from the subscriber's cursor or from `from`. Moves no
    /// cursor.
    ReplicaPull {
        subscriber: SubscriberId,
        topic: TopicName,
        max: u32,
        from: Option<Offset>,
    },
}

/// Questions that several nodes answer together.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Query {
    Locate { topic: TopicName },
    Topics,
}

/// The state of one node, and requested faults.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Admin {
    /// `node`, here and below: `None` means the node that received the request.
    Status {
        node: Option<Vertex>,
    },
    StopNode {
        node: Option<Vertex>,
        mode: StopMode,
        duration_ms: u64,
    },
    RecoverNode {
        node: Option<Vertex>,
    },
    /// The conditions of the edge from node `from` to its neighbour `to`.
    SetLink {
        from: Vertex,
        to: Vertex,
        conditions: LinkConditions,
    },
}

/// Requests that no other node takes part in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Local {
    Cluster,
    /// An empty `kinds` means all kinds. `sample`: one in this many frequent events (frames crossing edges, deliveries)
    /// is sent; 1 sends all of them.
    Watch {
        kinds: Vec<EventKind>,
        sample: u32,
    },
}

/// When a publish is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// When the leader has stored it, or, if there is no leader, the node that received it. It enters the log once.
    One,
    /// When a majority of the replica group's voters has stored it.
    #[default]
    Quorum,
    /// When every member that is up has stored it and serves it to the next reader.
    All,
}

/// The two kinds of registered names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Registry {
    Publisher,
    Subscriber,
}

/// How fresh a read must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadLevel {
    /// Linearizable: the read includes everything acknowledged before the request.
    #[default]
    Leader,
    /// The state of any replica. The answer names the replica and how far it is behind.
    Any,
}

impl Action {
    /// The name whose hash determines the home of the action. `None` if any node, or a named node, answers it.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Action::Write(write) => Some(write.subject()),
            Action::Read(read) => Some(read.topic().as_str()),
            Action::Query(Query::Locate { topic }) => Some(topic.as_str()),
            Action::Query(Query::Topics) | Action::Admin(_) | Action::Local(_) => None,
        }
    }

    /// The topic and the subscriber of the push subscription that the action requests, if it requests one.
    pub fn push_subscription(&self) -> Option<(TopicName, SubscriberId)> {
        match self {
            Action::Write(
                Write::Subscribe { topic, subscriber, push: true, .. }
                | Write::ReplicaSubscribe { topic, subscriber, push: true, .. },
            ) => Some((topic.clone(), subscriber.clone())),
            _ => None,
        }
    }

    /// The size of the content in bytes; 0 for actions without content. It distinguishes heavy requests from light
    /// ones.
    pub fn content_bytes(&self) -> u64 {
        match self {
            Action::Write(write) => write.content_bytes(),
            Action::Read(_) | Action::Query(_) | Action::Admin(_) | Action::Local(_) => 0,
        }
    }

    /// The name of the action in JSON, logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Write(write) => write.name(),
            Action::Read(Read::Pull { .. }) => "pull",
            Action::Read(Read::ReplicaPull { .. }) => "replica_pull",
            Action::Query(Query::Locate { .. }) => "locate",
            Action::Query(Query::Topics) => "topics",
            Action::Admin(Admin::Status { .. }) => "status",
            Action::Admin(Admin::StopNode { .. }) => "stop_node",
            Action::Admin(Admin::RecoverNode { .. }) => "recover_node",
            Action::Admin(Admin::SetLink { .. }) => "set_link",
            Action::Local(Local::Cluster) => "cluster",
            Action::Local(Local::Watch { .. }) => "watch",
        }
    }
}

impl Write {
    /// The name whose hash determines the group that applies it.
    pub fn subject(&self) -> &str {
        match self {
            Write::CreatePublisher { publisher } | Write::DeletePublisher { publisher } => publisher.as_str(),
            Write::CreateSubscriber { subscriber } | Write::DeleteSubscriber { subscriber } => subscriber.as_str(),
            Write::CreateTopic { topic, .. }
            | Write::DeleteTopic { topic, .. }
            | Write::Publish { topic, .. }
            | Write::Subscribe { topic, .. }
            | Write::ReplicaSubscribe { topic, .. }
            | Write::Unsubscribe { topic, .. }
            | Write::Commit { topic, .. } => topic.as_str(),
        }
    }

    /// The size of the content in bytes; 0 for all but publishes.
    pub fn content_bytes(&self) -> u64 {
        match self {
            Write::Publish { content, .. } => content.len() as u64,
            _ => 0,
        }
    }

    /// The name of the action in JSON, logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Write::CreatePublisher { .. } => "create_publisher",
            Write::CreateSubscriber { .. } => "create_subscriber",
            Write::DeletePublisher { .. } => "delete_publisher",
            Write::DeleteSubscriber { .. } => "delete_subscriber",
            Write::CreateTopic { .. } => "create_topic",
            Write::DeleteTopic { .. } => "delete_topic",
            Write::Publish { .. } => "publish",
            Write::Subscribe { .. } => "subscribe",
            Write::ReplicaSubscribe { .. } => "replica_subscribe",
            Write::Unsubscribe { .. } => "unsubscribe",
            Write::Commit { .. } => "commit",
        }
    }

    /// The name that this registers.
    pub fn registers(&self) -> Option<(Registry, &str)> {
        match self {
            Write::CreatePublisher { publisher } => Some((Registry::Publisher, publisher.as_str())),
            Write::CreateSubscriber { subscriber } => Some((Registry::Subscriber, subscriber.as_str())),
            _ => None,
        }
    }

    /// The name that must be registered first. `None`: there is no such condition.
    pub fn acts_under(&self) -> Option<(Registry, &str)> {
        match self {
            Write::CreateTopic { publisher, .. }
            | Write::DeleteTopic { publisher, .. }
            | Write::Publish { publisher, .. } => Some((Registry::Publisher, publisher.as_str())),
            Write::Subscribe { subscriber, .. }
            | Write::ReplicaSubscribe { subscriber, .. }
            | Write::Unsubscribe { subscriber, .. }
            | Write::Commit { subscriber, .. } => Some((Registry::Subscriber, subscriber.as_str())),
            Write::CreatePublisher { .. }
            | Write::CreateSubscriber { .. }
            | Write::DeletePublisher { .. }
            | Write::DeleteSubscriber { .. } => None,
        }
    }

    /// Whether it only frees disk space.
    pub fn frees_space(&self) -> bool {
        matches!(
            self,
            Write::DeleteTopic { .. }
                | Write::Unsubscribe { .. }
                | Write::DeletePublisher { .. }
                | Write::DeleteSubscriber { .. }
        )
    }

    /// Whether messages are to be pushed to the client afterwards.
    pub fn begins_push(&self) -> bool {
        matches!(self, Write::Subscribe { push: true, .. } | Write::ReplicaSubscribe { push: true, .. })
    }
}

impl Read {
    /// The topic whose messages are read.
    pub fn topic(&self) -> &TopicName {
        let (Read::Pull { topic, .. } | Read::ReplicaPull { topic, .. }) = self;
        topic
    }

    /// The subscriber that reads.
    pub fn subscriber(&self) -> &SubscriberId {
        let (Read::Pull { subscriber, .. } | Read::ReplicaPull { subscriber, .. }) = self;
        subscriber
    }
}

impl Admin {
    /// The node that carries it out; `None` means the node that received it.
    pub fn node(&self) -> Option<Vertex> {
        match self {
            Admin::Status { node } | Admin::RecoverNode { node } | Admin::StopNode { node, .. } => *node,
            Admin::SetLink { from, .. } => Some(*from),
        }
    }
}

macro_rules! into_action {
    ($($kind:ident),*) => {
        $(impl From<$kind> for Action {
            fn from(action: $kind) -> Action {
                Action::$kind(action)
            }
        })*
    };
}

into_action!(Write, Read, Query, Admin, Local);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestId::Unsigned(id) => id.fmt(f),
            RequestId::Signed(id) => id.fmt(f),
            RequestId::Number(id) => id.fmt(f),
            RequestId::Text(id) => id.fmt(f),
        }
    }
}
