//! Client requests: a [`Request`] carries one [`Action`].
//!
//! `docs/PROTOCOL.md` is the reference for names, defaults and errors. The same types are encoded as JSON
//! ([`super::json`]) and in binary ([`super::binary`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::cube::Vertex;
use crate::names::{Offset, PublisherId, Sequence, SubscriberId, TopicName};
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

/// The operations of a node. Any node accepts any action and routes it to the right place.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Action {
    CreatePublisher {
        publisher: PublisherId,
    },
    CreateSubscriber {
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
    Unsubscribe {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    Pull {
        subscriber: SubscriberId,
        topic: TopicName,
        max: u32,
        read: ReadLevel,
        commit: bool,
    },
    Commit {
        subscriber: SubscriberId,
        topic: TopicName,
        offset: Offset,
    },
    /// Like `Subscribe`, but served by the replica of the node that received the request.
    ReplicaSubscribe {
        subscriber: SubscriberId,
        topic: TopicName,
        from: Option<StartAt>,
        push: bool,
    },
    /// Reads the replica of the node that received the request, from the subscriber's cursor or from `from`. Moves no
    /// cursor.
    ReplicaPull {
        subscriber: SubscriberId,
        topic: TopicName,
        max: u32,
        from: Option<Offset>,
    },
    Locate {
        topic: TopicName,
    },
    Topics,
    Cluster,
    /// `None` means the node that received the request.
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
    SetLink {
        from: Vertex,
        to: Vertex,
        conditions: LinkConditions,
    },
    /// An empty `kinds` means all kinds. `sample`: one in this many frequent events (frames crossing edges, deliveries)
    /// is sent; 1 sends all of them.
    Watch {
        kinds: Vec<EventKind>,
        sample: u32,
    },
    /// Deletes a registration. The publisher's topics keep their owner, and its messages keep their publisher.
    DeletePublisher {
        publisher: PublisherId,
    },
    /// Deletes a registration. The subscriber's subscriptions remain.
    DeleteSubscriber {
        subscriber: SubscriberId,
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

/// Where a subscription starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum StartAt {
    #[default]
    Beginning,
    Latest,
    Offset(Offset),
}

/// How a node fails on request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// Unpersisted state is lost.
    #[default]
    Crash,
    /// The disk is lost too.
    Wipe,
    /// The node stops communicating and loses nothing.
    Pause,
}

/// The conditions of one direction of an edge.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LinkConditions {
    /// No frames pass.
    pub cut: bool,
    /// A delay for every frame, in milliseconds.
    pub delay_ms: u32,
    /// Extra delay in milliseconds, uniformly distributed from 0 to this value. Frames keep their order.
    pub jitter_ms: u32,
    /// The fraction of frames that are lost, 0 to 1.
    pub loss: f32,
}

impl LinkConditions {
    /// No faults: not cut, no delay, no jitter, no loss.
    pub const PERFECT: LinkConditions = LinkConditions { cut: false, delay_ms: 0, jitter_ms: 0, loss: 0.0 };
}

impl Action {
    /// The name whose hash determines the home of the action. `None` if any node, or a named node, answers it.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Action::CreatePublisher { publisher } | Action::DeletePublisher { publisher } => Some(publisher.as_str()),
            Action::CreateSubscriber { subscriber } | Action::DeleteSubscriber { subscriber } => {
                Some(subscriber.as_str())
            }
            Action::CreateTopic { topic, .. }
            | Action::DeleteTopic { topic, .. }
            | Action::Publish { topic, .. }
            | Action::Subscribe { topic, .. }
            | Action::Unsubscribe { topic, .. }
            | Action::Pull { topic, .. }
            | Action::Commit { topic, .. }
            | Action::ReplicaSubscribe { topic, .. }
            | Action::ReplicaPull { topic, .. }
            | Action::Locate { topic } => Some(topic.as_str()),
            Action::Topics
            | Action::Cluster
            | Action::Status { .. }
            | Action::StopNode { .. }
            | Action::RecoverNode { .. }
            | Action::SetLink { .. }
            | Action::Watch { .. } => None,
        }
    }

    /// The size of the content in bytes; 0 for actions without content. It distinguishes heavy requests from light
    /// ones.
    pub fn content_bytes(&self) -> u64 {
        match self {
            Action::Publish { content, .. } => content.len() as u64,
            _ => 0,
        }
    }

    /// The name of the action in JSON, logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Action::CreatePublisher { .. } => "create_publisher",
            Action::CreateSubscriber { .. } => "create_subscriber",
            Action::CreateTopic { .. } => "create_topic",
            Action::DeleteTopic { .. } => "delete_topic",
            Action::Publish { .. } => "publish",
            Action::Subscribe { .. } => "subscribe",
            Action::Unsubscribe { .. } => "unsubscribe",
            Action::Pull { .. } => "pull",
            Action::Commit { .. } => "commit",
            Action::ReplicaSubscribe { .. } => "replica_subscribe",
            Action::ReplicaPull { .. } => "replica_pull",
            Action::Locate { .. } => "locate",
            Action::Topics => "topics",
            Action::Cluster => "cluster",
            Action::Status { .. } => "status",
            Action::StopNode { .. } => "stop_node",
            Action::RecoverNode { .. } => "recover_node",
            Action::SetLink { .. } => "set_link",
            Action::Watch { .. } => "watch",
            Action::DeletePublisher { .. } => "delete_publisher",
            Action::DeleteSubscriber { .. } => "delete_subscriber",
        }
    }
}

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
