//! What neighbours say to each other: [`PeerFrame`]s, and the [`Packet`]s that are relayed over the cube inside them.
//!
//! A frame crosses one edge; a packet crosses as many as it needs. Frames may be lost, and packets may overtake each other
//! when routes change; everything above copes with that.

use serde::{Deserialize, Serialize};

use crate::cube::Vertex;
use crate::identity::{Incarnation, NodeId};
use crate::names::{Offset, SubscriberId, TopicName};
use crate::route::Trail;
use crate::store::{LogEntry, StoredMessage};
use crate::topics::command::TopicId;
use crate::wire::answer::{Answer, EndReason, Message, NodeState, StorageState};
use crate::wire::client::Action;
use crate::wire::event::{FrameKind, TraceId};

/// One frame between neighbours. Packets are boxed: on its way through a turn a frame is moved a dozen times, and what a packet
/// holds is large.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum PeerFrame {
    /// Sent several times a second: shows that the sender lives, measures the edge, and compares what both know.
    Ping {
        sent_us: u64,
        link_states_digest: u64,
    },
    /// Answers a ping with its own number, and tells how long the answer waited for a frame that went the same way.
    Pong {
        sent_us: u64,
        held_us: u64,
    },
    /// News of who hears whom; the receiver passes on what is new to it.
    LinkStates(Vec<LinkState>),
    Packet(Box<Packet>),
}

/// What one node says of itself to all: flooded over the cube, newest wins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkState {
    pub node: NodeId,
    /// Grows with every change; starts at the wall clock's microseconds, so that it also grows over a restart.
    pub version: u64,
    pub state: NodeState,
    /// Bit i is set when the node hears its neighbour across bit i.
    pub hears: u16,
    /// The groups that it leads, with their terms.
    pub leads: Vec<(Vertex, u64)>,
    /// What its disk leaves it to do.
    pub storage: StorageState,
}

/// Something on its way from one vertex to another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Packet {
    pub from: Vertex,
    pub to: Vertex,
    /// Where it has been: keeps routes loop-free.
    pub trail: Trail,
    pub trace: Option<TraceId>,
    pub body: Body,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Body {
    /// A member of the group of `group` speaks to another member.
    Raft {
        group: Vertex,
        message: RaftMessage,
    },
    Snapshot {
        group: Vertex,
        frame: SnapshotFrame,
    },
    /// The origin asks another node to do something for a client.
    Ask {
        token: u64,
        call: Call,
    },
    /// The answer to the ask of that token.
    Reply {
        token: u64,
        reply: Reply,
    },
    /// A node without an identity asks a co-member whether it ever heard of this vertex.
    Introduce {
        nonce: u64,
    },
    /// `met`: the answering node has exchanged group traffic with that vertex before.
    Introduced {
        nonce: u64,
        met: bool,
        incarnation: Option<Incarnation>,
    },
}

/// Names a command so that a repeat of it, by the node that took it in, has no second effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RequestKey {
    pub origin: NodeId,
    /// Grows with each request of one incarnation, over restarts too.
    pub number: u64,
}

/// What one node asks another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Call {
    /// To the leader of the group where the action's subject is at home (or to a member, which passes it on).
    Act { key: RequestKey, action: Action, trace: bool },
    /// To the node that the action names: status, faults, replica reads.
    Here { key: RequestKey, action: Action, trace: bool },
    /// Is this publisher or subscriber registered? Asked of any member first, of the leader when that one says no.
    IsRegistered { kind: Registry, name: String, linearizable: bool },
    /// Messages from an offset on, for a push subscriber at the origin; waits a while when there are none.
    Fetch { subscription: Subscription, from: Offset, max_bytes: u32 },
    /// From a member whose disk has lost them: messages as they are stored, from `from` to before `end`.
    Stored { group: Vertex, topic: TopicId, from: Offset, end: Offset, max_bytes: u32 },
    /// How many messages does this holder have of the topic?
    Holding { topic: TopicName },
    /// The topics of one group.
    ListTopics { group: Vertex },
    /// To the leader, by who pulled: the messages from `from` to before `to` have arrived, and the cursor may move behind them.
    Advance { key: RequestKey, subscriber: SubscriberId, topic: TopicName, from: Offset, to: Offset },
    /// To the leader of the name's group: somebody acts under it, so it is not to expire. Answered with `Registered`.
    Use { kind: Registry, name: String },
}

/// One subscription to one topic, so that any holder can tell whether it is gone, or only not known there yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic's home, and its number in that group.
    pub group: Vertex,
    pub topic: TopicId,
    pub subscriber: SubscriberId,
    /// The index in the group's log of the subscribe from which it stands.
    pub since: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Registry {
    Publisher,
    Subscriber,
}

/// What is answered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Reply {
    Answer(Box<Answer>),
    /// The answer to a subscribe that was applied at this index of the group's log.
    Subscribed {
        answer: Box<Answer>,
        index: u64,
    },
    Registered(bool),
    Fetched {
        messages: Vec<Message>,
    },
    /// Some of those asked for, from the first on.
    Stored {
        messages: Vec<StoredMessage>,
    },
    /// The holder's disk has lost them, and it could not get them from another member yet.
    Unreadable {
        why: String,
    },
    /// There is nothing to fetch for this subscription any more.
    SubscriptionEnded {
        reason: EndReason,
    },
    Holding {
        end: Option<Offset>,
        votes: bool,
    },
    Topics(Vec<crate::wire::answer::TopicSummary>),
    /// Not the leader (any more); `leader`: who is, as far as it knows. The origin looks again.
    /// `proposed`: it may have entered the log all the same.
    NotLeader {
        leader: Option<Vertex>,
        proposed: bool,
    },
    /// Cannot be done now.
    Unavailable {
        why: String,
    },
}

/// A raft message as it travels: our own type, because protobuf bytes from a socket are not to be parsed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RaftMessage {
    /// raft's number for the message's type.
    pub kind: i32,
    pub from: NodeId,
    pub to: NodeId,
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

/// What a snapshot stands for; its content is fetched by the receiver (see [`SnapshotFrame`]).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotHead {
    pub index: u64,
    pub term: u64,
    pub voters: Vec<NodeId>,
    pub learners: Vec<NodeId>,
}

/// A snapshot's transfer: the leader offers, the receiver fetches what it lacks in bounded pieces, and installs.
/// Every piece can be asked for again, so a lost frame costs only time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum SnapshotFrame {
    /// `message` is raft's own MsgSnapshot (without content); `state_bytes` is the size of the checkpoint.
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
    /// The receiver has it all, or gives up.
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
    /// What the frame is, for events and counters.
    pub fn kind(&self) -> FrameKind {
        match &self.body {
            Body::Raft { message, .. } => message.frame_kind(),
            Body::Snapshot { .. } => FrameKind::Snapshot,
            Body::Ask { .. } => FrameKind::Ask,
            Body::Reply { .. } => FrameKind::Reply,
            Body::Introduce { .. } | Body::Introduced { .. } => FrameKind::Overlay,
        }
    }

    /// The replica group it belongs to, where it belongs to one.
    pub fn group(&self) -> Option<Vertex> {
        match &self.body {
            Body::Raft { group, .. } | Body::Snapshot { group, .. } => Some(*group),
            Body::Ask { .. } | Body::Reply { .. } | Body::Introduce { .. } | Body::Introduced { .. } => None,
        }
    }
}

impl RaftMessage {
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
