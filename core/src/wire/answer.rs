//! What a node answers: [`Done`] or a [`Failure`] from a closed set of codes.

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::cube::{Dimension, Vertex};
use crate::names::{Offset, PublisherId, SubscriberId, TopicName};
use crate::time::Timestamp;
use crate::topics::command::TopicId;
use crate::visible::visible_line;
use crate::wire::client::{LinkConditions, RequestId, StopMode};
use crate::wire::event::WatchEvent;
use crate::wire::usability::Obstacle;

/// What a node sends a client.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum ServerFrame {
    Answer(Answer),
    /// A message for a push subscription.
    Message(Delivery),
    /// An event for a watcher.
    Event(WatchEvent),
    /// The last word on a push subscription.
    SubscriptionEnded(SubscriptionEnded),
}

/// The answer to one request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub id: Option<RequestId>,
    /// The node that did the work, or that found that it cannot be done.
    pub served_by: Vertex,
    /// The nodes that the request crossed, in order, where the request asked for them.
    pub hops: Option<Vec<Vertex>>,
    pub result: Result<Done, Failure>,
}

/// What was done, one variant an action.
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
        replicas: Vec<Vertex>,
    },
    TopicDeleted {
        topic: TopicName,
        home: Vertex,
        replicas: Vec<Vertex>,
    },
    Published {
        topic: TopicName,
        /// `None` for an `ack: one` that was acknowledged before it had its place in the log.
        offset: Option<Offset>,
        /// The nodes that hold it at the moment of the answer.
        holders: Vec<Vertex>,
        /// The sequence number was known already: this is the place of the first one.
        repeated: bool,
    },
    Subscribed {
        topic: TopicName,
        /// Tells the topic from others of the same name, which were deleted before or are created later.
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
        /// Where the topic ended when it was read: the offset that its next message gets. Messages before it that are not in this
        /// answer were left out by a limit, or could not be read: the next pull gives them, or says why not.
        end: Offset,
        /// Entries of the group's log that the serving replica knows to be committed and has not applied yet; `None` for a leader's read.
        behind: Option<u64>,
        /// The topic's home, where a replica was read.
        original_node: Option<Vertex>,
    },
    Committed {
        topic: TopicName,
        cursor: Offset,
    },
    Located(Location),
    Topics {
        topics: Vec<TopicSummary>,
        /// Vertices whose replica group could not be asked.
        missing: Vec<Vertex>,
    },
    Cluster(ClusterView),
    Status(Box<NodeStatus>),
    NodeStopped {
        node: Vertex,
        mode: StopMode,
        duration_ms: u64,
    },
    NodeRecovered {
        node: Vertex,
    },
    LinkSet {
        from: Vertex,
        to: Vertex,
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

/// Why it was not done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    pub code: ErrorCode,
    /// What happened, on whose side, and what to do.
    pub message: String,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The closed set of error codes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code as it stands in JSON.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }
        }
    };
}

error_codes! {
    /// Not a request: not JSON, a field missing, of the wrong type or out of range.
    BadRequest = "bad_request",
    UnknownAction = "unknown_action",
    UnknownTopic = "unknown_topic",
    UnknownPublisher = "unknown_publisher",
    UnknownSubscriber = "unknown_subscriber",
    TopicExists = "topic_exists",
    NotSubscribed = "not_subscribed",
    /// Only the topic's creator may do this.
    NotOwner = "not_owner",
    /// The content or the frame is over its limit.
    TooLarge = "too_large",
    /// The sequence number lies before all those that are remembered: whether it was stored cannot be told.
    SequenceTooOld = "sequence_too_old",
    /// The node that was asked holds no replica of this topic.
    NotReplica = "not_replica",
    /// Too many requests are under way on this connection or node; retry later.
    Overloaded = "overloaded",
    /// No quorum or no route now; retry.
    Unavailable = "unavailable",
    /// It was not known in time whether it was done; retry, with the same sequence number where there is one.
    Timeout = "timeout",
    /// The node that was asked is failing on request; ask another.
    NodeFailed = "node_failed",
    /// The node was not started with `--allow-faults`.
    FaultsForbidden = "faults_forbidden",
    /// There are as many topics, subscribers or registrations as there may be.
    LimitReached = "limit_reached",
    /// The disks of too many holders are full. Nothing was stored; retry once there is room.
    StorageFull = "storage_full",
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl ErrorCode {
    /// The message is for people: what is invisible in it, in a client's own words perhaps, is escaped.
    pub fn because(self, message: impl AsRef<str>) -> Failure {
        Failure { code: self, message: visible_line(message.as_ref()).into_owned() }
    }

    /// Whether the same request may succeed later or elsewhere.
    pub fn is_transient(self) -> bool {
        matches!(self, ErrorCode::Overloaded | ErrorCode::Unavailable | ErrorCode::Timeout | ErrorCode::NodeFailed)
            || self.is_storage_full()
    }

    /// Whether it is worth trying again only after a while: every node would say the same now.
    pub fn is_storage_full(self) -> bool {
        self == ErrorCode::StorageFull
    }
}

/// A stored message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    pub offset: Offset,
    #[serde(rename = "publisher_id")]
    pub publisher: PublisherId,
    pub content: Content,
    /// When the leader took it in.
    pub time: Timestamp,
}

/// A message on its way to a push subscriber.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delivery {
    pub topic: TopicName,
    pub subscriber: SubscriberId,
    pub message: Message,
}

/// A subscription is gone, and with it what was pushed for it: nothing more comes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SubscriptionEnded {
    pub topic: TopicName,
    #[serde(rename = "subscriber_id")]
    pub subscriber: SubscriberId,
    pub reason: EndReason,
}

/// Why a subscription is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its topic was deleted. One that was created again under the same name is another topic.
    TopicDeleted,
    /// It was ended with `unsubscribe`, through whatever connection.
    Unsubscribed,
    /// Its next messages are damaged on every replica that could be asked. The subscription and its cursor are still there.
    Unreadable,
}

/// Where a topic is, and how its holders stand.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Location {
    pub topic: TopicName,
    pub exists: bool,
    pub home: Vertex,
    pub replicas: Vec<Vertex>,
    pub leader: Option<Vertex>,
    pub holders: Vec<Holder>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    pub node: Vertex,
    pub alive: bool,
    /// The offset of the last message it has; `None` when it has none or could not be asked.
    pub last_offset: Option<Offset>,
    /// Messages that another holder has and this one has not.
    pub lag: Option<u64>,
    /// Whether it votes; a member that stayed away does not until it has caught up.
    pub voter: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TopicSummary {
    pub topic: TopicName,
    #[serde(rename = "publisher_id")]
    pub owner: PublisherId,
    pub home: Vertex,
    pub leader: Option<Vertex>,
    /// The number of messages, which is the offset of the next one.
    pub messages: u64,
    pub subscribers: u64,
}

/// The cluster as one node sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ClusterView {
    pub dimension: Dimension,
    pub nodes: Vec<NodeView>,
    /// Every directed edge, and whether frames sent into it arrive.
    pub links: Vec<LinkView>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeView {
    pub node: Vertex,
    pub address: String,
    pub state: NodeState,
    pub incarnation: u32,
    /// The groups that it leads, by their home.
    pub leads: Vec<Vertex>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LinkView {
    pub from: Vertex,
    pub to: Vertex,
    pub up: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Serving.
    Up,
    /// Not heard by any neighbour, or failing on request.
    Failed,
    /// Back, and filling its logs; it leads nothing yet.
    Recovering,
}

/// What a node's disk leaves it to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageState {
    /// There is room.
    #[default]
    Ok,
    /// Less than the reserve is left: publishes are refused; everything else goes on.
    Full,
    /// Little of the reserve is left, or a write waits for room: only reads, votes and deletions go on.
    Exhausted,
}

impl StorageState {
    /// The state as it stands in JSON.
    pub fn name(self) -> &'static str {
        match self {
            StorageState::Ok => "ok",
            StorageState::Full => "full",
            StorageState::Exhausted => "exhausted",
        }
    }
}

impl std::fmt::Display for StorageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A node's disk. All sizes are 0 while the node has not measured it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StorageStatus {
    pub state: StorageState,
    /// What the node's files take, without what can be used again.
    pub stored_bytes: u64,
    /// What the file system still gives.
    pub free_bytes: u64,
    /// Room inside the node's files that deleted content left: new content takes it again.
    pub reusable_bytes: u64,
    /// While less than this is free or reusable, publishes are refused.
    pub reserve_bytes: u64,
}

/// One node, in detail.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    pub node: Vertex,
    pub incarnation: u32,
    pub state: NodeState,
    pub version: String,
    /// As the command line says it: `always`, `interval=MS`, `never`.
    pub sync: String,
    pub uptime_ms: u64,
    pub faults_allowed: bool,
    pub storage: StorageStatus,
    pub groups: Vec<GroupStatus>,
    /// The node's own ends of its d edges.
    pub links: Vec<LinkStatus>,
    pub counters: Counters,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupStatus {
    pub home: Vertex,
    pub role: Role,
    pub term: u64,
    pub leader: Option<Vertex>,
    /// Whether the group takes publishes now, as far as the asked node can tell.
    pub usable: bool,
    /// Why not, when it does not.
    pub obstacle: Option<Obstacle>,
    /// Voters that the asked node can reach, itself included if it votes.
    pub voters_up: u32,
    /// How many of them a publish needs: a majority.
    pub voters_needed: u32,
    pub voters: Vec<Vertex>,
    pub learners: Vec<Vertex>,
    pub last_index: u64,
    pub commit_index: u64,
    pub applied_index: u64,
    /// Entries and bytes of the log that are kept.
    pub log_entries: u64,
    pub log_bytes: u64,
    pub topics: u64,
    pub messages: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Leader,
    Follower,
    Candidate,
    /// Receives everything and does not vote.
    Learner,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LinkStatus {
    pub to: Vertex,
    /// Whether we hear the neighbour, and whether it says that it hears us.
    pub hears: bool,
    pub heard: bool,
    /// Smoothed round-trip time, microseconds.
    pub round_trip_us: Option<u64>,
    /// What `set_link` made of our direction.
    pub conditions: LinkConditions,
}

/// Counts since the process started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    pub requests: u64,
    pub publishes: u64,
    pub deliveries: u64,
    pub frames_sent: u64,
    pub frames_received: u64,
    pub frames_forwarded: u64,
    pub frames_dropped: u64,
    pub elections: u64,
    pub outbox: u64,
    pub clients: u64,
    /// Messages of other nodes that were altered on their way, and dropped.
    pub frames_altered: u64,
    /// Runs of stored messages that were found damaged on this node's disk, and those of them that were replaced by what another
    /// member has.
    pub damaged: u64,
    pub repaired: u64,
}

impl ServerFrame {
    /// About how many bytes the frame takes on its way to a client. The queue to a client is counted in this measure, by the
    /// node that fills it and by the runtime that empties it, whatever encoding the client speaks.
    pub fn weight(&self) -> u64 {
        const FRAME: u64 = 128;
        match self {
            ServerFrame::Answer(answer) => FRAME + answer.weight(),
            ServerFrame::Message(delivery) => FRAME + delivery.message.weight(),
            ServerFrame::Event(_) => 2 * FRAME,
            ServerFrame::SubscriptionEnded(_) => FRAME,
        }
    }
}

impl SubscriptionEnded {
    /// As the error that a request for the same subscription would meet.
    pub fn failure(&self) -> Failure {
        let SubscriptionEnded { topic, subscriber, reason } = self;
        match reason {
            EndReason::TopicDeleted => ErrorCode::UnknownTopic.because(format!("topic `{topic}` was deleted")),
            EndReason::Unsubscribed => ErrorCode::NotSubscribed
                .because(format!("subscriber `{subscriber}` was unsubscribed from topic `{topic}`")),
            EndReason::Unreadable => ErrorCode::Unavailable.because(format!(
                "the next messages of topic `{topic}` are damaged on every replica that could be asked; \
                 subscribe again later, or from a later offset"
            )),
        }
    }
}

impl Answer {
    fn weight(&self) -> u64 {
        let id = self.id.as_ref().map_or(0, RequestId::size) as u64;
        id + self.result.as_ref().map_or_else(|failure| failure.message.len() as u64, Done::weight)
    }
}

impl Done {
    fn weight(&self) -> u64 {
        const ITEM: u64 = 128;
        match self {
            Done::Pulled { messages, .. } => messages.iter().map(Message::weight).sum(),
            Done::Topics { topics, .. } => ITEM * topics.len() as u64,
            Done::Cluster(view) => ITEM * (view.nodes.len() + view.links.len()) as u64,
            Done::Status(status) => 2 * ITEM * (status.groups.len() + status.links.len()) as u64,
            _ => ITEM,
        }
    }
}

impl Message {
    fn weight(&self) -> u64 {
        64 + self.publisher.as_str().len() as u64 + self.content.len() as u64
    }
}
