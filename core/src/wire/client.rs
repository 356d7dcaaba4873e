//! Client requests: a [`Request`] carries one [`Action`].
//!
//! `docs/PROTOCOL.md` is the reference for names, defaults and errors. The same types are encoded as JSON
//! ([`super::json`]) and in binary ([`super::binary`]).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::faults::{LinkConditions, StopMode};
use crate::identity::HostId;
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
        node: Option<HostId>,
    },
    StopNode {
        node: Option<HostId>,
        mode: StopMode,
        duration_ms: u64,
    },
    RecoverNode {
        node: Option<HostId>,
    },
    /// The conditions of the edge from node `from` to its neighbour `to`.
    SetLink {
        from: HostId,
        to: HostId,
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

    /// The topic that the action concerns.
    pub fn topic(&self) -> Option<&TopicName> {
        match self {
            Action::Write(write) => write.topic(),
            Action::Read(read) => Some(read.topic()),
            Action::Query(Query::Locate { topic }) => Some(topic),
            Action::Query(Query::Topics) | Action::Admin(_) | Action::Local(_) => None,
        }
    }

    /// The registered name under which the action is performed, or which it creates or deletes.
    pub fn who(&self) -> Option<(Registry, &str)> {
        match self {
            Action::Write(write) => Some(write.facts().who),
            Action::Read(read) => Some((Registry::Subscriber, read.subscriber().as_str())),
            Action::Query(_) | Action::Admin(_) | Action::Local(_) => None,
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

/// Properties of a write that other modules use. [`Write::facts`] is the only place that has to be extended
/// for a new write: routing, limits, registrations and the checkers use these facts.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The name of the action in JSON, logs and metrics.
    pub name: &'static str,
    /// The registered name that it creates or deletes, or under which it acts.
    pub who: (Registry, &'a str),
    /// The state that it changes.
    pub target: Target<'a>,
    /// The kind of data that it adds to its target.
    pub adds: Adds<'a>,
    /// Whether messages are to be pushed to the client afterwards.
    pub begins_push: bool,
}

/// The state that a write changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// The registration of `who`.
    Registration,
    /// A topic. `who` must be registered.
    Topic(&'a TopicName),
}

/// The kind of data that a write adds to its target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adds<'a> {
    /// Nothing: it only frees disk space.
    Nothing,
    /// A few bytes of state.
    State,
    /// A message.
    Message(&'a Content),
}

impl Write {
    /// The facts about this write.
    pub fn facts(&self) -> Facts<'_> {
        use Registry::{Publisher, Subscriber};
        let on_name = |name, who, adds| Facts { name, who, target: Target::Registration, adds, begins_push: false };
        let on_topic =
            |name, who, topic, adds| Facts { name, who, target: Target::Topic(topic), adds, begins_push: false };
        match self {
            Write::CreatePublisher { publisher } => {
                on_name("create_publisher", (Publisher, publisher.as_str()), Adds::State)
            }
            Write::CreateSubscriber { subscriber } => {
                on_name("create_subscriber", (Subscriber, subscriber.as_str()), Adds::State)
            }
            Write::DeletePublisher { publisher } => {
                on_name("delete_publisher", (Publisher, publisher.as_str()), Adds::Nothing)
            }
            Write::DeleteSubscriber { subscriber } => {
                on_name("delete_subscriber", (Subscriber, subscriber.as_str()), Adds::Nothing)
            }
            Write::CreateTopic { publisher, topic } => {
                on_topic("create_topic", (Publisher, publisher.as_str()), topic, Adds::State)
            }
            Write::DeleteTopic { publisher, topic } => {
                on_topic("delete_topic", (Publisher, publisher.as_str()), topic, Adds::Nothing)
            }
            Write::Publish { publisher, topic, content, ack: _, sequence: _ } => {
                on_topic("publish", (Publisher, publisher.as_str()), topic, Adds::Message(content))
            }
            Write::Subscribe { subscriber, topic, push, from: _ } => {
                let facts = on_topic("subscribe", (Subscriber, subscriber.as_str()), topic, Adds::State);
                Facts { begins_push: *push, ..facts }
            }
            Write::ReplicaSubscribe { subscriber, topic, push, from: _ } => {
                let facts = on_topic("replica_subscribe", (Subscriber, subscriber.as_str()), topic, Adds::State);
                Facts { begins_push: *push, ..facts }
            }
            Write::Unsubscribe { subscriber, topic } => {
                on_topic("unsubscribe", (Subscriber, subscriber.as_str()), topic, Adds::Nothing)
            }
            Write::Commit { subscriber, topic, offset: _ } => {
                on_topic("commit", (Subscriber, subscriber.as_str()), topic, Adds::State)
            }
        }
    }

    /// The name of the action in JSON, logs and metrics.
    pub fn name(&self) -> &'static str {
        self.facts().name
    }

    /// The name whose hash determines the group that applies it.
    pub fn subject(&self) -> &str {
        let facts = self.facts();
        match facts.target {
            Target::Registration => facts.who.1,
            Target::Topic(topic) => topic.as_str(),
        }
    }

    /// The topic that it changes.
    pub fn topic(&self) -> Option<&TopicName> {
        match self.facts().target {
            Target::Registration => None,
            Target::Topic(topic) => Some(topic),
        }
    }

    /// The content of a publish.
    pub fn content(&self) -> Option<&Content> {
        match self.facts().adds {
            Adds::Message(content) => Some(content),
            Adds::Nothing | Adds::State => None,
        }
    }

    /// The size of the content in bytes; 0 for all but publishes.
    pub fn content_bytes(&self) -> u64 {
        self.content().map_or(0, |content| content.len() as u64)
    }

    /// The name that this registers.
    pub fn registers(&self) -> Option<(Registry, &str)> {
        let facts = self.facts();
        (facts.target == Target::Registration && facts.adds == Adds::State).then_some(facts.who)
    }

    /// The name that must be registered first. `None`: there is no such condition.
    pub fn acts_under(&self) -> Option<(Registry, &str)> {
        let facts = self.facts();
        (facts.target != Target::Registration).then_some(facts.who)
    }

    /// Whether it only frees disk space.
    pub fn frees_space(&self) -> bool {
        self.facts().adds == Adds::Nothing
    }

    /// Whether messages are to be pushed to the client afterwards.
    pub fn begins_push(&self) -> bool {
        self.facts().begins_push
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
    pub fn node(&self) -> Option<HostId> {
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
