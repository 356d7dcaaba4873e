//! The protocol between neighbours: [`PeerFrame`]s, and the [`Packet`]s that they relay over the cube.
//!
//! A frame crosses one edge; a packet crosses as many edges as necessary. Frames can be lost, and packets can overtake
//! each other when routes change. All layers above tolerate both.

use serde::{Deserialize, Serialize};

use crate::identity::{GroupId, HostId, Incarnation, Member, RequestKey, TraceId};
use crate::names::{Offset, SubscriberId, TopicId, TopicName};
use crate::records::{LogEntry, StoredMessage};
use crate::route::Trail;
use crate::states::{NodeState, StorageState};
use crate::wire::answer::{Answer, EndReason, Message};
use crate::wire::client::{Admin, Read, Registry, Write};
use crate::wire::event::FrameKind;

/// One frame between neighbours. Packets are boxed because they are large, and a frame is moved a dozen times in one
/// turn.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum PeerFrame {
    /// Sent several times a second. It shows that the sender is alive, measures the round-trip time, and compares the
    /// link states of both sides.
    Ping {
        sent_us: u64,
        link_states_digest: u64,
    },
    /// Answers a ping with the same `sent_us`. `held_us` is the time that the answer waited for another frame in the
    /// same direction.
    Pong {
        sent_us: u64,
        held_us: u64,
    },
    /// New link states; the receiver forwards those that are new to it.
    LinkStates(Vec<LinkState>),
    Packet(Box<Packet>),
}

/// The link state of one node, flooded over the cube. The newest version wins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkState {
    pub node: Member,
    /// Grows with every change. Starts at the wall clock's microseconds, so that it also grows over a restart.
    pub version: u64,
    pub state: NodeState,
    /// Bit i is set if the node receives frames from its neighbour across bit i.
    pub hears: u16,
    /// The groups that it leads, with their terms.
    pub leads: Vec<(GroupId, u64)>,
    /// What the node can still do with the space on its disk.
    pub storage: StorageState,
}

/// A message on its way from one host to another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Packet {
    pub from: HostId,
    pub to: HostId,
    /// The route so far; keeps routes free of loops.
    pub trail: Trail,
    /// The client request that it belongs to, if any.
    pub trace: Option<TraceId>,
    pub body: Body,
}

/// The content of a packet.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Body {
    /// A Raft message between two members of a group.
    Raft { group: GroupId, message: RaftMessage },
    /// Part of a snapshot transfer.
    Snapshot { group: GroupId, frame: SnapshotFrame },
    /// The coordinator asks another node to do something for a client.
    Ask { token: u64, call: Call },
    /// The answer to the `Ask` with this token.
    Reply { token: u64, reply: Reply },
    /// A node without an identity asks a co-member whether it has met this host before.
    Introduce { nonce: u64 },
    /// The answer to an `Introduce`. `met`: the answering node has exchanged group traffic with that host before.
    Introduced { nonce: u64, met: bool, incarnation: Option<Incarnation> },
}

/// A request from one node to another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Call {
    /// To the leader of the subject's group: enter the change into the log.
    Write { key: RequestKey, write: Write },
    /// To the leader of the topic's group, or to the member whose replica is to be read.
    Read { key: RequestKey, read: Read },
    /// To the node that the request names.
    Admin { admin: Admin },
    /// Is this publisher or subscriber registered? Any member is asked first, and the leader if that member answers no.
    IsRegistered { kind: Registry, name: String, linearizable: bool },
    /// Messages from an offset on, for a push subscriber at the coordinator. The answer waits for a while if there are
    /// none.
    Fetch { subscription: Subscription, from: Offset, max_bytes: u32 },
    /// Stored messages, from `from` to before `end`, for a member whose disk has lost them.
    Stored { group: GroupId, topic: TopicId, from: Offset, end: Offset, max_bytes: u32 },
    /// How many messages of the topic does this replica have?
    Holding { topic: TopicName },
    /// The topics of one group.
    ListTopics { group: GroupId },
    /// To the leader, from the node that pulled: the messages from `from` to before `to` have arrived, and the cursor
    /// may move past them.
    Advance { key: RequestKey, subscriber: SubscriberId, topic: TopicName, from: Offset, to: Offset },
    /// To the leader of the name's group: the name is in use, so it must not expire. Answered with `Registered`.
    Use { kind: Registry, name: String },
}

/// One subscription to one topic. With `topic` and `since`, any replica can distinguish a subscription that has ended
/// from one that it has not applied yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic's group.
    pub group: GroupId,
    /// The topic's number in that group.
    pub topic: TopicId,
    pub subscriber: SubscriberId,
    /// The log index of the `subscribe` that began the subscription.
    pub since: u64,
}

/// The answer to a [`Call`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Reply {
    Answer(Box<Answer>),
    /// The answer to a `subscribe` that was applied at this index of the group's log.
    Subscribed {
        answer: Box<Answer>,
        index: u64,
    },
    Registered(bool),
    Fetched {
        messages: Vec<Message>,
    },
    /// Some of the requested messages, beginning with the first.
    Stored {
        messages: Vec<StoredMessage>,
    },
    /// The replica's disk has lost the messages, and no other member has provided them yet.
    Unreadable {
        why: String,
    },
    /// The subscription has ended; there is nothing to fetch.
    SubscriptionEnded {
        reason: EndReason,
    },
    Holding {
        end: Option<Offset>,
        votes: bool,
    },
    Topics(Vec<crate::wire::answer::TopicSummary>),
    /// This node is not the leader, or no longer. `leader` is its current leader, if it has one; the coordinator tries
    /// again. `proposed`: the command may have entered the log nevertheless.
    NotLeader {
        leader: Option<HostId>,
        proposed: bool,
    },
    /// The call cannot be carried out now.
    Unavailable {
        why: String,
    },
}

/// A Raft message on the network. Our own type, because protobuf bytes from a socket must not be parsed. The fields
/// have the meaning that they have in Raft.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RaftMessage {
    /// Raft's number for the message's type.
    pub kind: i32,
    pub from: Member,
    pub to: Member,
    pub term: u64,
    pub log_term: u64,
    pub index: u64,
    pub entries: Vec<LogEntry>,
    pub commit: u64,
    pub commit_term: u64,
    pub snapshot: Option<Box<SnapshotHead>>,
    pub request_snapshot: u64,
    pub reject: bool,
    pub reject_hint: u64,
    pub context: Vec<u8>,
    pub priority: i64,
}

/// The metadata of a snapshot. The receiver fetches the content (see [`SnapshotFrame`]).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotHead {
    pub index: u64,
    pub term: u64,
    pub voters: Vec<Member>,
    pub learners: Vec<Member>,
}

/// A snapshot transfer: the leader offers, the receiver fetches what it lacks in bounded pieces, and installs it. Every
/// piece can be requested again, so a lost frame costs only time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum SnapshotFrame {
    /// `message` is Raft's own MsgSnapshot, without content. `state_bytes` is the size of the checkpoint.
    Offer {
        transfer: u64,
        message: Box<RaftMessage>,
        state_bytes: u64,
    },
    FetchState {
        transfer: u64,
        from_byte: u64,
    },
    State {
        transfer: u64,
        from_byte: u64,
        bytes: Vec<u8>,
    },
    FetchMessages {
        transfer: u64,
        topic: TopicId,
        from: Offset,
    },
    Messages {
        transfer: u64,
        topic: TopicId,
        from: Offset,
        messages: Vec<StoredMessage>,
    },
    /// The receiver has everything (`installed`), or gives up.
    Done {
        transfer: u64,
        installed: bool,
    },
    /// The leader no longer has this transfer; wait for another offer.
    Gone {
        transfer: u64,
    },
}

impl Packet {
    /// The kind of the frame, for events and counters.
    pub fn kind(&self) -> FrameKind {
        match &self.body {
            Body::Raft { message, .. } => message.frame_kind(),
            Body::Snapshot { .. } => FrameKind::Snapshot,
            Body::Ask { .. } => FrameKind::Ask,
            Body::Reply { .. } => FrameKind::Reply,
            Body::Introduce { .. } | Body::Introduced { .. } => FrameKind::Overlay,
        }
    }

    /// The replica group that it belongs to, if any.
    pub fn group(&self) -> Option<GroupId> {
        match &self.body {
            Body::Raft { group, .. } | Body::Snapshot { group, .. } => Some(*group),
            Body::Ask { .. } | Body::Reply { .. } | Body::Introduce { .. } | Body::Introduced { .. } => None,
        }
    }
}

impl RaftMessage {
    /// The kind of the frame, for events and counters.
    pub fn frame_kind(&self) -> FrameKind {
        use raft::eraftpb::MessageType as T;
        match self.kind {
            kind if kind == T::MsgAppend as i32 => FrameKind::Append,
            kind if kind == T::MsgAppendResponse as i32 => FrameKind::Acknowledge,
            kind if kind == T::MsgSnapshot as i32 => FrameKind::Snapshot,
            kind if [
                T::MsgRequestVote,
                T::MsgRequestVoteResponse,
                T::MsgRequestPreVote,
                T::MsgRequestPreVoteResponse,
            ]
            .iter()
            .any(|t| *t as i32 == kind) =>
            {
                FrameKind::Vote
            }
            _ => FrameKind::Heartbeat,
        }
    }
}
