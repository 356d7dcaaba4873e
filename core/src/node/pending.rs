//! The state of the requests under way at their coordinator, and its limits.

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

/// Every request is answered within this time.
const DEADLINE: Duration = Duration::from_secs(5);
/// Limits of the requests under way on one node: their number and the bytes of their contents. Beyond either, clients
/// receive `overloaded`.
pub(super) const MAX_PENDING: usize = 16_384;
const MAX_PENDING_BYTES: u64 = 256 * 1024 * 1024;
/// Most asks that await a reply. Beyond this, the oldest is dropped as if its reply were lost.
pub(super) const MAX_ASKS: usize = 262_144;

#[derive(Default)]
pub(super) struct Requests {
    pub pending: BTreeMap<u64, Pending>,
    /// Bytes of the contents in `pending`.
    pub bytes: u64,
    pub asks: BTreeMap<u64, Ask>,
    pub known: KnownNames,
    pub allowance: Allowance,
    pub waiting_names: WaitingNames,
}

/// An ask from this node to another node or to itself.
pub(super) struct Ask {
    pub purpose: Purpose,
    pub since: Instant,
}

/// What a reply is for.
pub(super) enum Purpose {
    Request(u64),
    Gather(u64, Vertex),
    Fetch(SessionId),
    Outbox(u64),
    /// Lost messages of this node's disk: their group, topic and first offset.
    Repair((Vertex, TopicId, Offset)),
    /// The report that a name is in use.
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
    /// The token of the ask under way and its target.
    pub asked: Option<(u64, Vertex)>,
    pub ask_at: Instant,
    /// It may already have been performed.
    pub uncertain: bool,
    /// The name that it registers was admitted as a new one.
    pub counts_as_new: bool,
    /// Since when no node could take it.
    pub stuck_since: Option<Instant>,
    pub problem: Option<String>,
    /// The log index of a subscribe.
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

    /// Turns a failure that claims "nothing was done" into `timeout` if an earlier ask may have performed the action.
    pub(super) fn doubt(&self, failure: Failure) -> Failure {
        let claims_nothing = matches!(failure.code, ErrorCode::Overloaded | ErrorCode::StorageFull);
        if claims_nothing && self.uncertain && self.stage.may_act() && changes_something(&self.action) {
            return ErrorCode::Timeout.because(format!("the request may or may not have been done ({failure}); retry"));
        }
        failure
    }

    /// Whether this is a publish with `ack: one` whose publisher is known to be registered. It then needs only a disk.
    pub(super) fn may_go_to_outbox(&self) -> bool {
        matches!((&self.action, &self.stage), (Action::Publish { ack: Ack::One, .. }, Stage::Acting))
    }
}

pub(super) enum Stage {
    /// Waits until this node has recorded its start and knows its identity.
    NotBegun,
    /// Registers a name. Unless the name is known, it needs a place among the new names.
    Admitting,
    /// The name is new, and there are too many new names at present.
    AwaitingPlace,
    /// Asks whether the publisher or subscriber is registered.
    Registering {
        linearizable: bool,
    },
    /// Asks the leader of the subject's group.
    Acting,
    /// Asks any member of the subject's group.
    Reading,
    /// The messages of a pull have arrived. The leader moves its cursor, then the client receives them.
    Committing(Box<Pulled>),
    /// The client has received a replica's messages from this offset on. The leader moves the cursor to the action's
    /// offset.
    Advancing {
        from: Offset,
    },
    /// Asks the node that the action names.
    Visiting(Vertex),
    Gathering(super::views::Gathering),
}

impl Stage {
    /// Whether an ask at this stage may change state.
    pub(super) fn may_act(&self) -> bool {
        matches!(self, Stage::Acting | Stage::Visiting(_))
    }
}

/// The messages of a pull before its cursor moves. The coordinator keeps them because an answer can be lost: a leader
/// that moved the cursor by itself would not read the same messages again.
pub(super) struct Pulled {
    /// The first offset of the messages; `to` is the offset after the last one.
    pub from: Offset,
    pub to: Offset,
    pub done: Done,
    pub served_by: Vertex,
    pub hops: Vec<Vertex>,
}

/// The node that an action addresses.
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

/// The name that must be registered before an action is performed. For all other actions the subscription implies it.
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

/// The name under which an action is performed, or which it registers.
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
