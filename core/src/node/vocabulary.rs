//! Small types that several parts of a node use. This module imports no part.

use serde::{Deserialize, Serialize};

use crate::identity::{GroupId, HostId, Member, TraceId};
use crate::names::{Offset, SubscriberId, TopicId, TopicName};
use crate::records::StoredMessage;
use crate::store::{ReadId, ReadMessages};
use crate::wire::answer::Message;
use crate::wire::client::Registry;

/// The node that receives a reply, and the ask that the reply answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Requester {
    pub host: HostId,
    pub token: u64,
    pub trace: Option<TraceId>,
}

impl Requester {
    /// Whether this is a late copy of an ask that the same node has repeated since. No one waits for its answer.
    pub fn is_older_than(&self, other: &Requester) -> bool {
        self.host == other.host && self.token < other.token
    }
}

/// The recipient of an answer.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum AnswerTo {
    /// A client of this node, by the number of its request.
    Client(u64),
    /// Another node, or this one, by its ask. `hops`: the hosts that the ask crossed, ending with this one.
    Node { requester: Requester, hops: Vec<HostId> },
}

/// The number of the request that began a push session. A late read or fetch therefore matches its own session or none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) struct SessionId(pub u64);

/// Messages that a disk has lost, by the first of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) struct LostAt {
    pub group: GroupId,
    pub topic: TopicId,
    pub from: Offset,
}

/// The purpose of an ask of this node: the part that receives the reply.
#[derive(PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum AskedFor {
    /// A client's request.
    Request(u64),
    /// A client's request that asks several nodes, and what this answer is about.
    Gathering(u64, About),
    /// Messages for a push session.
    Session(SessionId),
    /// A publish in the outbox.
    Outbox(u64),
    /// Messages that this node's disk has lost.
    Repair(LostAt),
    /// The report that a name is in use.
    Use(Registry, String),
}

/// The subject of one ask, for a request that asks several nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) enum About {
    /// The replica of one host.
    Replica(HostId),
    /// A whole group, of which the leader or a member is asked.
    Group(GroupId),
}

impl About {
    /// The group, if a whole group is asked. `None` for the replica of one host.
    pub fn group(self) -> Option<GroupId> {
        match self {
            About::Replica(_) => None,
            About::Group(group) => Some(group),
        }
    }
}

/// A range of a topic's messages, with limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct ReadRange {
    pub group: GroupId,
    pub topic: TopicId,
    pub from: Offset,
    pub end: Offset,
    pub max_messages: u32,
    pub max_bytes: u64,
}

impl ReadRange {
    /// The read of this range from the disk.
    pub fn as_read(&self, read: ReadId) -> ReadMessages {
        let ReadRange { group, topic, from, end, max_messages, max_bytes } = *self;
        ReadMessages { read, group, topic, from, end, max_messages, max_bytes }
    }
}

/// The move of a cursor past the messages from `from` to before `to`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Advance {
    pub subscriber: SubscriberId,
    pub topic: TopicName,
    pub from: Offset,
    pub to: Offset,
}

/// Messages that a member of a group reads for the receiver of a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SnapshotPart {
    pub group: GroupId,
    pub to: Member,
    pub transfer: u64,
    pub topic: TopicId,
    pub from: Offset,
    pub end: Offset,
}

/// The part of a stored message that a client receives.
pub(super) fn message(stored: StoredMessage) -> Message {
    let StoredMessage { offset, publisher, time, content, .. } = stored;
    Message { offset, publisher, content, time }
}
