//! What a client says: a [`Request`] bears one [`Action`].
//!
//! Names, defaults and errors are the reference of `docs/PROTOCOL.md`. The same types are written as JSON
//! ([`super::json`]) and in binary ([`super::binary`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::cube::Vertex;
use crate::names::{Offset, PublisherId, Sequence, SubscriberId, TopicName};
use crate::wire::event::EventKind;

/// One thing a client wants.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Comes back unchanged; a request without one is answered without one.
    pub id: Option<RequestId>,
    /// Whether the answer shall name the nodes that the request crossed.
    pub trace: bool,
    pub action: Action,
}

/// A client's own mark on a request: any JSON number or string.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RequestId {
    Unsigned(u64),
    Signed(i64),
    /// Any other number, as it is written in JSON: 1.50 is not 1.5, and 2^64 is no float.
    Number(String),
    Text(String),
}

impl RequestId {
    /// The longest id that is taken, bytes: it comes back with every answer.
    pub const MAX_BYTES: usize = 1024;

    /// What it takes as a text.
    pub fn size(&self) -> usize {
        match self {
            RequestId::Unsigned(_) | RequestId::Signed(_) => 8,
            RequestId::Number(text) | RequestId::Text(text) => text.len(),
        }
    }

    /// The id that JSON writes as this number.
    pub fn of_number(text: &str) -> RequestId {
        match (text.parse(), text.parse::<i64>()) {
            (Ok(id), _) => RequestId::Unsigned(id),
            // Minus nothing is a number of its own to those who compare texts.
            (_, Ok(id)) if id != 0 => RequestId::Signed(id),
            _ => RequestId::Number(text.to_owned()),
        }
    }
}

/// What can be asked of a node. Any node takes any action and routes it to where it belongs.
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
    /// As `Subscribe`, through the replica of the node that was asked.
    ReplicaSubscribe {
        subscriber: SubscriberId,
        topic: TopicName,
        from: Option<StartAt>,
        push: bool,
    },
    /// Reads the replica of the node that was asked, from the subscriber's cursor or from `from`; moves no cursor.
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
    /// `None`: the node that was asked.
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
    /// `kinds`: empty means all. `sample`: of frequent events (frames crossing edges, deliveries) one in so many is told; 1 is all.
    Watch {
        kinds: Vec<EventKind>,
        sample: u32,
    },
    /// Ends a registration. Topics stay with their owner's name, messages with their publisher's.
    DeletePublisher {
        publisher: PublisherId,
    },
    /// Ends a registration. Its subscriptions stay.
    DeleteSubscriber {
        subscriber: SubscriberId,
    },
}

/// When a publish is acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Stored by the leader, or, while there is none, by the node that was asked; enters the log once.
    One,
    /// Stored by a majority of the replica group's voters.
    #[default]
    Quorum,
    /// Stored by every member that is up, and served by it to whoever reads there next.
    All,
}

/// How fresh a read must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadLevel {
    /// Linearizable: everything acknowledged before the request is seen.
    #[default]
    Leader,
    /// What a replica has; the answer says from whom and how far behind.
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

/// The way in which a node fails on request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopMode {
    /// What is not on disk is lost.
    #[default]
    Crash,
    /// The disk is lost too.
    Wipe,
    /// The node falls silent and loses nothing.
    Pause,
}

/// How one direction of an edge behaves.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LinkConditions {
    pub cut: bool,
    pub delay_ms: u32,
    /// Added to the delay, uniformly from 0 to this. Frames keep their order.
    pub jitter_ms: u32,
    /// The share of frames lost, 0 to 1.
    pub loss: f32,
}

impl LinkConditions {
    pub const PERFECT: LinkConditions = LinkConditions { cut: false, delay_ms: 0, jitter_ms: 0, loss: 0.0 };
}

impl Action {
    /// The name whose hash says where the action belongs; `None` for what any node, or a named one, answers.
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

    /// Bytes that only its content takes: what makes one request weigh more than another.
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
