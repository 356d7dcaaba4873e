//! What is to be done: the caller's tickets, and the client's own errands.

use std::collections::BTreeSet;

use crate::client::io::{FellOver, SocketId, Target, Ticket};
use crate::cube::Vertex;
use crate::names::{Offset, SubscriberId, TopicName};
use crate::time::Instant;
use crate::topics::command::TopicId;
use crate::wire::answer::Failure;
use crate::wire::client::{Action, StartAt};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct JobId(pub u64);

pub(super) type SessionKey = (TopicName, SubscriberId);

/// For whom a job is done.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Owner {
    Caller(Ticket),
    /// A push subscription whose socket broke.
    Resubscribe(SessionKey),
    /// A watch whose socket broke.
    Rewatch(Vertex),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum State {
    /// For a node, a socket, the end of a pause.
    Waiting,
    /// For the socket of its own that a push subscription needs.
    Opening(SocketId),
    Sent(SocketId),
}

#[derive(Debug)]
pub(super) struct Job {
    pub owner: Owner,
    pub action: Action,
    pub to: Target,
    pub trace: bool,
    /// A caller's job ends then; an errand has no end.
    pub deadline: Option<Instant>,
    pub state: State,
    pub not_before: Instant,
    pub attempts: u32,
    /// How often everybody was tried in vain.
    pub rounds: u32,
    /// An attempt may have been carried out although its answer is missing.
    pub in_doubt: bool,
    /// Who failed to do it in this round.
    pub shunned: BTreeSet<Vertex>,
    pub why: String,
    pub asked: Option<Vertex>,
    pub fell_over: Option<FellOver>,
    /// The sequence number of this publish is the client's.
    pub has_own_sequence: bool,
    /// A repeated `create_topic` was told `topic_exists`; the next answer tells whose it is.
    pub checks_owner: Option<Failure>,
}

/// A push subscription that stands, or is being set up again.
#[derive(Debug)]
pub(super) struct Session {
    pub action: Action,
    pub to: Target,
    /// Not another topic of the same name.
    pub topic: TopicId,
    /// What the caller shall get next.
    pub next: Offset,
    /// Where deliveries come from; `None` while it is being set up again.
    pub socket: Option<SocketId>,
}

impl Job {
    pub fn new(owner: Owner, action: Action, to: Target) -> Job {
        Job {
            owner,
            action,
            to,
            trace: false,
            deadline: None,
            state: State::Waiting,
            not_before: Instant(0),
            attempts: 0,
            rounds: 0,
            in_doubt: false,
            shunned: BTreeSet::new(),
            why: "no node answered".into(),
            asked: None,
            fell_over: None,
            has_own_sequence: false,
            checks_owner: None,
        }
    }

    /// What goes over the wire next.
    pub fn request(&self) -> Action {
        if self.checks_owner.is_some() { Action::Topics } else { self.action.clone() }
    }

    /// Whether it needs a socket of its own.
    pub fn is_push(&self) -> bool {
        pushed(&self.action).is_some()
    }
}

/// The key of the push subscription that an action asks for.
pub(super) fn pushed(action: &Action) -> Option<SessionKey> {
    match action {
        Action::Subscribe { topic, subscriber, push: true, .. }
        | Action::ReplicaSubscribe { topic, subscriber, push: true, .. } => Some((topic.clone(), subscriber.clone())),
        _ => None,
    }
}

/// The same subscription once more, from the subscriber's cursor: what was delivered and not committed comes again and is
/// held back, so that the cursor on the cluster never runs ahead of what the caller committed.
pub(super) fn from_cursor(action: &Action) -> Action {
    let mut again = action.clone();
    if let Action::Subscribe { from, .. } | Action::ReplicaSubscribe { from, .. } = &mut again {
        *from = None::<StartAt>;
    }
    again
}
