//! Answers of a node: [`Done`], or a [`Failure`] from a closed set of codes.

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::cube::{Dimension, Vertex};
use crate::faults::{LinkConditions, StopMode};
use crate::identity::HostId;
use crate::names::{Offset, PublisherId, SubscriberId, TopicId, TopicName};
use crate::states::{NodeState, Obstacle, Role, StorageState};
use crate::time::Timestamp;
use crate::visible::visible_line;
use crate::wire::client::RequestId;
use crate::wire::event::WatchEvent;

/// A frame from a node to a client.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ServerFrame {
    Answer(Answer),
    /// A message for a push subscription.
    Message(Delivery),
    /// An event for a watcher.
    Event(WatchEvent),
    /// The end of a push subscription; no more messages follow.
    SubscriptionEnded(SubscriptionEnded),
}

/// The answer to one request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The id of the request, if it had one.
    pub id: Option<RequestId>,
    /// The node that did the work, or that found that it cannot be done.
    pub served_by: HostId,
    /// The nodes that the request crossed, in order, if the request asked for them.
    pub hops: Option<Vec<HostId>>,
    pub result: Result<Done, Failure>,
}

/// The result of a successful action; one variant per action.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Done {
    PublisherCreated {
        publisher: PublisherId,
        existed: bool,
    },
    SubscriberCreated {
        subscriber: SubscriberId,
        existed: bool,
    },
    TopicCreated {
        topic: TopicName,
        home: Vertex,
        neighbours: Vec<Vertex>,
    },
    TopicDeleted {
        topic: TopicName,
        home: Vertex,
        neighbours: Vec<Vertex>,
    },
    Published {
        topic: TopicName,
        /// `None` if an `ack: one` was acknowledged before the message had a place in the log.
        offset: Option<Offset>,
        /// The nodes that store the message at the time of the answer.
        replicas: Vec<HostId>,
        /// The sequence number was known already; `offset` is the offset of the first publish.
        repeated: bool,
    },
    Subscribed {
        topic: TopicName,
        /// Distinguishes this topic from earlier and later topics of the same name.
        topic_id: TopicId,
        cursor: Offset,
        original_node: Option<Vertex>,
    },
    Unsubscribed {
        topic: TopicName,
    },
    Pulled {
        topic: TopicName,
        messages: Vec<Message>,
        /// The offset after the last message of this answer.
        cursor: Offset,
        /// The end of the topic at the time of the read: the offset of its next message. If messages before `end` are
        /// not in this answer, a limit excluded them or they could not be read; the next pull returns them or the
        /// reason.
        end: Offset,
        /// The number of entries of the group's log that are known to be committed and not yet applied at the serving
        /// replica. `None` for a read from the leader.
        behind: Option<u64>,
        /// The topic's home, if a replica was read.
        original_node: Option<Vertex>,
    },
    Committed {
        topic: TopicName,
        cursor: Offset,
    },
    Located(Location),
    Topics {
        topics: Vec<TopicSummary>,
        /// Homes of the replica groups that could not be asked.
        missing: Vec<Vertex>,
    },
    Cluster(ClusterView),
    Status(Box<NodeStatus>),
    NodeStopped {
        node: HostId,
        mode: StopMode,
        duration_ms: u64,
    },
    NodeRecovered {
        node: HostId,
    },
    LinkSet {
        from: HostId,
        to: HostId,
        conditions: LinkConditions,
    },
    Watching,
    PublisherDeleted {
        publisher: PublisherId,
    },
    SubscriberDeleted {
        subscriber: SubscriberId,
    },
}

/// Why an action failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The reason as a code.
    pub code: ErrorCode,
    /// What happened, on which side, and what to do.
    pub message: String,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The closed set of error codes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// All codes, in the order of their declaration.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code as written in JSON.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }
        }
    };
}

error_codes! {
    /// Not a valid request: not JSON, or a field is missing, has the wrong type or is out of range.
    BadRequest = "bad_request",
    UnknownAction = "unknown_action",
    UnknownTopic = "unknown_topic",
    UnknownPublisher = "unknown_publisher",
    UnknownSubscriber = "unknown_subscriber",
    TopicExists = "topic_exists",
    NotSubscribed = "not_subscribed",
    /// Only the topic's creator may do this.
    NotOwner = "not_owner",
    /// The content or the frame exceeds its limit.
    TooLarge = "too_large",
    /// The sequence number is not remembered but is at or below one that was dropped from memory: the message may have
    /// been stored already.
    SequenceTooOld = "sequence_too_old",
    /// The node that received the request holds no replica of this topic.
    NotReplica = "not_replica",
    /// Too many requests are in progress on this connection or node; retry later.
    Overloaded = "overloaded",
    /// There is no quorum or no route now; retry.
    Unavailable = "unavailable",
    /// The outcome was not known in time. Retry, with the same sequence number if there is one.
    Timeout = "timeout",
    /// The node that received the request is stopped by a requested fault; use another node.
    NodeFailed = "node_failed",
    /// The node was started without `--allow-faults`.
    FaultsForbidden = "faults_forbidden",
    /// The maximum number of topics, subscribers or registrations is reached.
    LimitReached = "limit_reached",
    /// The disks of too many replicas are full. Nothing was stored; retry when there is room.
    StorageFull = "storage_full",
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl ErrorCode {
    /// A failure with this code and this message for people. Invisible characters, for example in quoted client text,
    /// are escaped.
    pub fn because(self, message: impl AsRef<str>) -> Failure {
        Failure { code: self, message: visible_line(message.as_ref()).into_owned() }
    }

    /// Whether the same request may succeed later or on another node.
    pub fn is_transient(self) -> bool {
        matches!(self, ErrorCode::Overloaded | ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::NodeFailed)
            || self.is_storage_full()
    }

    /// Whether a retry makes sense only after a while, because every node would return the same error now.
    pub fn is_storage_full(self) -> bool {
        self == ErrorCode::StorageFull
    }
}

/// A stored message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The message's position in its topic.
    pub offset: Offset,
    #[serde(rename = "publisher_id")]
    pub publisher: PublisherId,
    /// The text of the message.
    pub content: Content,
    /// When the leader received it.
    pub time: Timestamp,
}

/// A message for a push subscriber.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub topic: TopicName,
    pub subscriber: SubscriberId,
    pub message: Message,
}

/// The end of a push subscription: no more messages are pushed for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SubscriptionEnded {
    pub topic: TopicName,
    #[serde(rename = "subscriber_id")]
    pub subscriber: SubscriberId,
    pub reason: EndReason,
}

/// Why a push subscription ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its topic was deleted. A topic created later under the same name is a different topic.
    TopicDeleted,
    /// It was ended with `unsubscribe`, on any connection.
    Unsubscribed,
    /// Its next messages are damaged on every replica that could be asked. The subscription and its cursor still exist.
    Unreadable,
}

/// The placement of a topic and the state of its replicas.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Location {
    pub topic: TopicName,
    /// Whether the topic exists; its placement is known in either case.
    pub exists: bool,
    /// The vertex that the topic's name hashes to.
    pub home: Vertex,
    /// The neighbours of the home.
    #[serde(rename = "replicas")]
    pub neighbours: Vec<Vertex>,
    /// The current leader of the group, if known.
    pub leader: Option<HostId>,
    /// All members of the group, the home first.
    pub members: Vec<Replica>,
}

/// One member of a topic's group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replica {
    pub node: HostId,
    /// Whether the node answered.
    pub alive: bool,
    /// The offset of the last message that it stores. `None` if it stores none or could not be asked.
    pub last_offset: Option<Offset>,
    /// How many messages it lacks compared with the most complete replica. `None` if it could not be asked.
    pub lag: Option<u64>,
    /// Whether it votes. A member that was absent does not vote until it has caught up.
    pub voter: bool,
}

/// One topic in the list of all topics.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TopicSummary {
    pub topic: TopicName,
    /// The publisher that created the topic.
    #[serde(rename = "publisher_id")]
    pub owner: PublisherId,
    pub home: Vertex,
    pub leader: Option<HostId>,
    /// The number of messages, which equals the offset of the next message.
    pub messages: u64,
    pub subscribers: u64,
}

/// The cluster as seen by one node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClusterView {
    pub dimension: Dimension,
    /// Every node of the cube.
    pub nodes: Vec<NodeView>,
    /// Every directed edge, and whether frames sent into it arrive.
    pub links: Vec<LinkView>,
}

/// One node in a [`ClusterView`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeView {
    pub node: HostId,
    /// The node's address for clients.
    pub address: String,
    pub state: NodeState,
    /// The node's incarnation; 0 if it is not known.
    pub incarnation: u32,
    /// The groups that it leads, by their homes.
    pub leads: Vec<Vertex>,
}

/// One directed edge in a [`ClusterView`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LinkView {
    pub from: HostId,
    pub to: HostId,
    /// Whether frames from `from` reach `to`.
    pub up: bool,
}

/// A node's disk. All sizes are 0 until the node has measured it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StorageStatus {
    /// What the node can still do.
    pub state: StorageState,
    /// The size of the node's files, without reusable space.
    pub stored_bytes: u64,
    /// Free space on the file system.
    pub free_bytes: u64,
    /// Free space inside the node's files, left by deleted content; new content reuses it.
    pub reusable_bytes: u64,
    /// Publishes are refused while free plus reusable space is below this limit.
    pub reserve_bytes: u64,
}

/// One node in detail.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    pub node: HostId,
    /// 0 while the node has no identity.
    pub incarnation: u32,
    pub state: NodeState,
    /// The version of the program.
    pub version: String,
    /// The sync mode as written on the command line: `always`, `interval=MS` or `never`.
    pub sync: String,
    /// Time since the process started, in milliseconds.
    pub uptime_ms: u64,
    /// Whether the node was started with `--allow-faults`.
    pub faults_allowed: bool,
    /// The node's disk.
    pub storage: StorageStatus,
    /// The groups that the node is a member of.
    pub groups: Vec<GroupStatus>,
    /// The node's own ends of its d edges.
    pub links: Vec<LinkStatus>,
    /// Counts of requests, frames and other events.
    pub counters: Counters,
}

/// One replica group, as seen by one of its members.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupStatus {
    pub home: Vertex,
    /// This member's role in the group.
    pub role: Role,
    pub term: u64,
    /// The current leader, if this member has one.
    pub leader: Option<HostId>,
    /// Whether the group accepts publishes now, as far as this node can tell.
    pub usable: bool,
    /// Why it does not; `None` if it does.
    pub obstacle: Option<Obstacle>,
    /// The number of voters that this node can reach, including itself if it votes.
    pub voters_up: u32,
    /// The number of voters that a publish needs: a majority.
    pub voters_needed: u32,
    pub voters: Vec<HostId>,
    pub learners: Vec<HostId>,
    /// The index of the last entry of this member's log.
    pub last_index: u64,
    /// The highest index that is known to be committed, at this member.
    pub commit_index: u64,
    /// The index up to which this member has applied the log.
    pub applied_index: u64,
    /// The number of entries that this member's log keeps.
    pub log_entries: u64,
    /// The bytes of those entries.
    pub log_bytes: u64,
    /// The number of topics in the group.
    pub topics: u64,
    /// The number of messages in all topics of the group.
    pub messages: u64,
}

/// One edge of a node, as seen by that node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The neighbour at the other end.
    pub to: HostId,
    /// Whether this node receives frames from the neighbour.
    pub hears: bool,
    /// Whether the neighbour reports that it receives frames from this node.
    pub heard: bool,
    /// The smoothed round-trip time, in microseconds.
    pub round_trip_us: Option<u64>,
    /// The conditions of the outgoing direction, as configured with `set_link`.
    pub conditions: LinkConditions,
}

/// Counts since the process started. The counts of frames sent, received, forwarded and dropped also restart when the
/// node recovers from a crash by a requested fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Requests from clients.
    pub requests: u64,
    /// Publishes that this node accepted as the leader of their group.
    pub publishes: u64,
    /// Messages pushed to subscribers.
    pub deliveries: u64,
    /// Frames sent to neighbours, forwarded ones included.
    pub frames_sent: u64,
    /// Frames received from neighbours.
    pub frames_received: u64,
    /// Packets forwarded for other nodes.
    pub frames_forwarded: u64,
    /// Frames that this node dropped, for any reason in [`DropReason`](super::event::DropReason).
    pub frames_dropped: u64,
    /// Elections in which this node became a candidate.
    pub elections: u64,
    /// Publishes in the outbox now.
    pub outbox: u64,
    /// Clients connected now.
    pub clients: u64,
    /// Messages of other nodes that were altered in transit, and dropped.
    pub frames_altered: u64,
    /// Runs of stored messages that were found damaged on this node's disk.
    pub damaged: u64,
    /// Damaged runs that were replaced with the copy of another member.
    pub repaired: u64,
}

impl SubscriptionEnded {
    /// The error that a request for this subscription would return.
    pub fn failure(&self) -> Failure {
        let SubscriptionEnded { topic, subscriber, reason } = self;
        match reason {
            EndReason::TopicDeleted => ErrorCode::UnknownTopic.because(format!("topic `{topic}` was deleted")),
            EndReason::Unsubscribed => ErrorCode::NotSubscribed
                .because(format!("subscriber `{subscriber}` was unsubscribed from topic `{topic}`")),
            EndReason::Unreadable => ErrorCode::Unavailable.because(format!(
                "the next messages of topic `{topic}` are damaged on every reachable replica; subscribe again later, \
                 or from a later offset"
            )),
        }
    }
}

impl Done {
    /// The offsets of pulled messages: the first one, and the one after the last. `None`: there are no messages.
    pub fn range_of_messages(&self) -> Option<(Offset, Offset)> {
        match self {
            Done::Pulled { messages, cursor, .. } => messages.first().map(|first| (first.offset, *cursor)),
            _ => None,
        }
    }
}
