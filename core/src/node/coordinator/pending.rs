//! The state of the requests under way at their coordinator, and its limits.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::queues::Queue;
use super::super::vocabulary::Advance;
use super::gathering::Gathering;
use crate::identity::{HostId, RequestKey, TraceId};
use crate::io::ConnectionId;
use crate::time::Instant;
use crate::wire::answer::{Done, ErrorCode, Failure};
use crate::wire::client::{Ack, Action, Admin, Local, Read, ReadLevel, Registry, RequestId, Write};
use crate::wire::peer::Call;

/// Every request is answered within this time.
const DEADLINE: Duration = Duration::from_secs(5);
/// Limits of the requests under way on one node: their number and the bytes of their contents. Beyond either, clients
/// receive `overloaded`.
const MAX_PENDING: usize = 16_384;
const MAX_PENDING_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Requests {
    pub pending: BTreeMap<u64, Pending>,
    /// Bytes of the contents in `pending`.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
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
    pub asked: Option<(u64, HostId)>,
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
        !self.pending.is_empty()
    }

    pub(super) fn queues(&self) -> [Queue; 2] {
        [
            Queue::of("requests under way", self.pending.len(), MAX_PENDING),
            Queue { name: "bytes of requests under way", len: self.bytes, limit: MAX_PENDING_BYTES },
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
        if claims_nothing && self.may_have_been_done() {
            return ErrorCode::Timeout.because(format!("the request may or may not have been done ({failure}); retry"));
        }
        failure
    }

    /// Whether an ask without an answer may have performed the action.
    pub(super) fn may_have_been_done(&self) -> bool {
        let is_asked = self.asked.is_some() && self.stage.may_act();
        (self.uncertain || is_asked) && changes_something(&self.action)
    }

    /// Whether this is a publish with `ack: one` whose publisher is known to be registered. It then needs only a disk.
    pub(super) fn may_go_to_outbox(&self) -> bool {
        matches!((&self.action, &self.stage), (Action::Write(Write::Publish { ack: Ack::One, .. }), Stage::Acting))
    }

    /// The call that has the action performed. `None`: this node performs it alone, or gathers the answer.
    pub(super) fn call(&self) -> Option<Call> {
        match &self.action {
            Action::Write(write) => Some(Call::Write { key: self.key, write: write.clone() }),
            Action::Read(read) => Some(Call::Read { key: self.key, read: read.clone() }),
            Action::Admin(admin) => Some(Call::Admin { admin: admin.clone() }),
            Action::Query(_) | Action::Local(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) enum Stage {
    /// Waits until this node has recorded its start and knows its identity.
    NotBegun,
    /// Registers a name. Unless the name is known, it needs a place among the new names.
    Admitting {
        kind: Registry,
        name: String,
    },
    /// The name is new, and there are too many new names at present.
    AwaitingPlace,
    /// Asks whether the publisher or subscriber is registered.
    Registering(Box<Registering>),
    /// Asks the leader of the subject's group.
    Acting,
    /// Asks any member of the subject's group.
    Reading,
    /// The messages of a pull have arrived. The leader moves its cursor, then the client receives them.
    Committing(Box<Pulled>),
    /// The client has received a replica's messages. The leader moves the cursor past them.
    Advancing(Box<Advance>),
    /// Asks the node that the action names.
    Visiting(HostId),
    Gathering(Gathering),
}

impl Stage {
    /// Whether an ask at this stage may change state.
    pub(super) fn may_act(&self) -> bool {
        matches!(self, Stage::Acting | Stage::Visiting(_))
    }
}

/// A name whose registration must be known before its request goes on.
#[derive(Serialize, Deserialize)]
pub(super) struct Registering {
    pub kind: Registry,
    pub name: String,
    /// Whether only the leader's answer counts.
    pub linearizable: bool,
    /// Whether the request registers the name, instead of requiring it.
    pub is_new: bool,
}

/// The call that moves a cursor.
pub(super) fn call_to_advance(key: RequestKey, advance: &Advance) -> Call {
    let Advance { subscriber, topic, from, to } = advance.clone();
    Call::Advance { key, subscriber, topic, from, to }
}

/// The messages of a pull before its cursor moves. The coordinator keeps them because an answer can be lost: a leader
/// that moved the cursor by itself would not read the same messages again.
#[derive(Serialize, Deserialize)]
pub(super) struct Pulled {
    pub advance: Advance,
    pub done: Done,
    pub served_by: HostId,
    pub hops: Vec<HostId>,
}

/// The name under which an action is performed and which must be registered before. Reads from any replica need no
/// registration: the subscription implies it.
pub(super) fn registration(action: &Action) -> Option<(Registry, &str)> {
    match action {
        Action::Write(write) => write.acts_under(),
        Action::Read(Read::Pull { subscriber, read: ReadLevel::Leader, .. }) => {
            Some((Registry::Subscriber, subscriber.as_str()))
        }
        Action::Read(_) | Action::Query(_) | Action::Admin(_) | Action::Local(_) => None,
    }
}

/// The name whose use a request proves.
pub(super) fn acts_under(action: &Action) -> Option<(Registry, &str)> {
    match action {
        Action::Read(read) => Some((Registry::Subscriber, read.subscriber().as_str())),
        _ => registration(action),
    }
}

pub(super) fn changes_something(action: &Action) -> bool {
    match action {
        Action::Write(_) | Action::Local(Local::Watch { .. }) => true,
        Action::Read(read) => matches!(read, Read::Pull { commit: true, .. }),
        Action::Admin(admin) => !matches!(admin, Admin::Status { .. }),
        Action::Query(_) | Action::Local(Local::Cluster) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Member;

    #[test]
    fn a_request_whose_ask_is_not_answered_is_not_reported_as_not_done() {
        let write = Write::Publish {
            publisher: "p".parse().unwrap(),
            topic: "t".parse().unwrap(),
            content: "x".into(),
            ack: Ack::One,
            sequence: None,
        };
        let host: HostId = "1".parse().unwrap();
        let key = RequestKey { coordinator: Member::founding(host), number: 1 };
        let pending = Pending::new(write.into(), key, TraceId(1), Instant(0));
        let full = || ErrorCode::StorageFull.because("nothing was stored");
        assert_eq!(pending.doubt(full()).code, ErrorCode::StorageFull);
        let asked = Pending { asked: Some((1, host)), ..pending };
        assert_eq!(asked.doubt(full()).code, ErrorCode::Timeout, "the node that was asked may have stored it");
    }
}
