//! What is known of each request under way at its origin, and how many there may be.

use std::collections::BTreeMap;
use std::time::Duration;

use super::push::SessionId;
use super::queues::Queue;
use super::registering::{Allowance, KnownNames, WaitingNames};
use crate::cube::Vertex;
use crate::io::ConnectionId;
use crate::names::Offset;
use crate::time::Instant;
use crate::topics::command::TopicId;
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::{Ack, Action, ReadLevel, RequestId};
use crate::wire::event::TraceId;
use crate::wire::peer::{Registry, RequestKey};

/// A request is answered within this, one way or another.
const DEADLINE: Duration = Duration::from_secs(5);
/// Requests under way on one node, and bytes of their contents; beyond, clients are told that it is overloaded.
pub(super) const MAX_PENDING: usize = 16_384;
const MAX_PENDING_BYTES: u64 = 256 * 1024 * 1024;
/// Asks whose reply is awaited; beyond, the oldest is forgotten, as one whose reply was lost.
pub(super) const MAX_ASKS: usize = 262_144;

#[derive(Default)]
pub(super) struct Requests {
    pub pending: BTreeMap<u64, Pending>,
    /// Of the contents of `pending`.
    pub bytes: u64,
    pub asks: BTreeMap<u64, Ask>,
    pub known: KnownNames,
    pub allowance: Allowance,
    pub waiting_names: WaitingNames,
}

/// An ask of this node to another, or to itself.
pub(super) struct Ask {
    pub purpose: Purpose,
    pub since: Instant,
}

/// What a reply will be for.
pub(super) enum Purpose {
    Request(u64),
    Gather(u64, Vertex),
    Fetch(SessionId),
    Outbox(u64),
    /// Messages that this node's disk has lost: their group, topic and first offset.
    Repair((Vertex, TopicId, Offset)),
    /// A use of a name that was reported.
    Use(Registry, String),
}

pub(super) struct Pending {
    pub connection: Option<ConnectionId>,
    pub id: Option<RequestId>,
    pub trace: bool,
    pub trace_id: TraceId,
    pub action: Action,
    pub key: RequestKey,
    pub since: Instant,
    pub deadline: Instant,
    pub stage: Stage,
    /// The token of the ask under way, whom it went to, and when to ask again.
    pub asked: Option<(u64, Vertex)>,
    pub ask_at: Instant,
    /// It may have been done already.
    pub uncertain: bool,
    /// The name that it registers was taken for a new one.
    pub counts_as_new: bool,
    /// Since when nobody could take it.
    pub stuck_since: Option<Instant>,
    pub problem: Option<String>,
    /// The index in the group's log of a subscribe.
    pub applied_at: u64,
}

impl Requests {
    pub(super) fn insert(&mut self, number: u64, pending: Pending) {
        self.bytes += pending.action.content_bytes();
        self.pending.insert(number, pending);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Pending> {
        let pending = self.pending.remove(&number)?;
        self.bytes -= pending.action.content_bytes();
        Some(pending)
    }

    pub(super) fn is_full_for(&self, action: &Action) -> bool {
        self.pending.len() >= MAX_PENDING || self.bytes + action.content_bytes() > MAX_PENDING_BYTES
    }

    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.pending.is_empty() || !self.asks.is_empty()
    }

    pub(super) fn queues(&self) -> [Queue; 5] {
        [
            Queue::of("requests under way", self.pending.len(), MAX_PENDING),
            Queue { name: "bytes of requests under way", len: self.bytes, limit: MAX_PENDING_BYTES },
            Queue::of("asks", self.asks.len(), MAX_ASKS),
            self.known.queue(),
            self.waiting_names.queue(),
        ]
    }
}

impl Pending {
    pub(super) fn new(action: Action, key: RequestKey, trace_id: TraceId, now: Instant) -> Pending {
        Pending {
            connection: None,
            id: None,
            trace: false,
            trace_id,
            action,
            key,
            since: now,
            deadline: now + DEADLINE,
            stage: Stage::Acting,
            asked: None,
            ask_at: now,
            uncertain: false,
            counts_as_new: false,
            stuck_since: None,
            problem: None,
            applied_at: 0,
        }
    }

    /// "Nothing was done", said to a later ask while an earlier one may have done it, is not known to be so.
    pub(super) fn doubt(&self, failure: Failure) -> Failure {
        let claims_nothing = matches!(failure.code, ErrorCode::Overloaded | ErrorCode::StorageFull);
        if claims_nothing && self.uncertain && self.stage.may_act() && changes_something(&self.action) {
            return ErrorCode::Timeout.because(format!("the request may or may not have been done ({failure}); retry"));
        }
        failure
    }

    /// A publish that needs no more than a disk; that its publisher is registered must be known by then.
    pub(super) fn may_go_to_outbox(&self) -> bool {
        matches!((&self.action, &self.stage), (Action::Publish { ack: Ack::One, .. }, Stage::Acting))
    }
}

pub(super) enum Stage {
    /// Waits until this node has recorded its start and knows its place.
    NotBegun,
    /// Registers a name, which needs a place among the new ones, unless it is known.
    Admitting,
    /// The name is new, and too many are.
    AwaitingPlace,
    /// Asking whether the publisher or subscriber is registered.
    Registering {
        linearizable: bool,
    },
    /// To the leader of the subject's group.
    Acting,
    /// To a member of the subject's group: any will do.
    Reading,
    /// A pull's messages are here; its cursor is moved by the leader, and then the client gets them.
    Committing(Box<Pulled>),
    /// The client has the messages of a replica's read, from this offset on; the leader moves the cursor where the action says.
    Advancing {
        from: Offset,
    },
    /// To the node that the action names.
    Visiting(Vertex),
    Gathering(super::views::Gathering),
}

impl Stage {
    /// Whether an ask at this stage may change something.
    pub(super) fn may_act(&self) -> bool {
        matches!(self, Stage::Acting | Stage::Visiting(_))
    }
}

/// What a pull has read before its cursor is moved. It is kept here, at the origin, because an answer may be lost on its way:
/// a leader that moved the cursor by itself would not read the same messages again.
pub(super) struct Pulled {
    /// The messages' first offset, and the one behind the last.
    pub from: Offset,
    pub to: Offset,
    pub done: Done,
    pub served_by: Vertex,
    pub hops: Vec<Vertex>,
}

/// The node that an action names.
pub(super) fn destination(action: &Action) -> Option<Vertex> {
    match action {
        Action::Status { node } | Action::RecoverNode { node } | Action::StopNode { node, .. } => *node,
        Action::SetLink { from, .. } => Some(*from),
        _ => None,
    }
}

/// The name that an action registers.
pub(super) fn registers(action: &Action) -> Option<(Registry, &str)> {
    match action {
        Action::CreatePublisher { publisher } => Some((Registry::Publisher, publisher.as_str())),
        Action::CreateSubscriber { subscriber } => Some((Registry::Subscriber, subscriber.as_str())),
        _ => None,
    }
}

/// Who must be registered before an action is carried out. Elsewhere a subscription shows that its subscriber is.
pub(super) fn registration(action: &Action) -> Option<(Registry, &str)> {
    match action {
        Action::CreateTopic { publisher, .. }
        | Action::DeleteTopic { publisher, .. }
        | Action::Publish { publisher, .. } => Some((Registry::Publisher, publisher.as_str())),
        Action::Subscribe { subscriber, .. }
        | Action::Unsubscribe { subscriber, .. }
        | Action::Commit { subscriber, .. }
        | Action::ReplicaSubscribe { subscriber, .. }
        | Action::Pull { subscriber, read: ReadLevel::Leader, .. } => Some((Registry::Subscriber, subscriber.as_str())),
        _ => None,
    }
}

/// The name that an action is done under, or that it registers.
pub(super) fn acts_under(action: &Action) -> Option<(Registry, &str)> {
    match action {
        Action::Pull { subscriber, .. } | Action::ReplicaPull { subscriber, .. } => {
            Some((Registry::Subscriber, subscriber.as_str()))
        }
        _ => registration(action),
    }
}

pub(super) fn wants_push(action: &Action) -> bool {
    matches!(action, Action::Subscribe { push: true, .. } | Action::ReplicaSubscribe { push: true, .. })
}

pub(super) fn changes_something(action: &Action) -> bool {
    !matches!(
        action,
        Action::Pull { commit: false, .. }
            | Action::ReplicaPull { .. }
            | Action::Locate { .. }
            | Action::Topics
            | Action::Cluster
            | Action::Status { .. }
    )
}
