//! Jobs: the caller's submissions, and the client's own errands.

use std::collections::BTreeSet;

use crate::client::io::{FellOver, SocketId, Target, Ticket};
use crate::identity::HostId;
use crate::names::{Offset, StartAt, SubscriberId, TopicId, TopicName};
use crate::time::Instant;
use crate::wire::answer::Failure;
use crate::wire::client::{Action, Query, Write};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct JobId(pub u64);

pub(super) type SessionKey = (TopicName, SubscriberId);

/// The origin of a job.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Owner {
    Caller(Ticket),
    /// A push subscription whose socket broke.
    Resubscribe(SessionKey),
    /// A watch whose socket broke.
    Rewatch(HostId),
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum State {
    /// Waits for a node, a socket, or the end of a pause.
    Waiting,
    /// Waits for the separate socket that a push subscription needs.
    Opening(SocketId),
    Sent(SocketId),
}

#[derive(Debug)]
pub(super) struct Job {
    pub owner: Owner,
    pub action: Action,
    pub to: Target,
    pub trace: bool,
    /// When a caller's job ends. `None` for an errand, which has no time limit.
    pub deadline: Option<Instant>,
    pub state: State,
    pub not_before: Instant,
    pub attempts: u32,
    /// How many times all nodes were tried without success.
    pub rounds: u32,
    /// An attempt without an answer may have been performed.
    pub in_doubt: bool,
    /// Nodes that failed to perform it in this round.
    pub shunned: BTreeSet<HostId>,
    pub why: String,
    pub asked: Option<HostId>,
    pub fell_over: Option<FellOver>,
    /// The client chose the sequence number of this publish.
    pub has_own_sequence: bool,
    /// Set when a repeated `create_topic` was answered with `topic_exists`. The next answer then shows the topic's
    /// owner.
    pub checks_owner: Option<Failure>,
}

/// A push subscription that is active or being restored.
#[derive(Debug)]
pub(super) struct Session {
    pub action: Action,
    pub to: Target,
    /// Distinguishes the topic from another one of the same name.
    pub topic: TopicId,
    /// The next offset to deliver to the caller.
    pub next: Offset,
    /// The source of deliveries; `None` while the subscription is being restored.
    pub socket: Option<SocketId>,
}

impl Job {
    /// A job that has not been sent to any node, without a deadline.
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

    /// The action to send next.
    pub fn request(&self) -> Action {
        if self.checks_owner.is_some() { Action::Query(Query::Topics) } else { self.action.clone() }
    }

    /// Whether it needs a socket of its own.
    pub fn is_push(&self) -> bool {
        self.action.push_subscription().is_some()
    }
}

/// The same subscription again, starting at the subscriber's cursor. The client drops messages that were delivered but
/// not committed and arrive again. The cursor in the cluster therefore never passes the caller's commits.
pub(super) fn from_cursor(action: &Action) -> Action {
    let mut again = action.clone();
    if let Action::Write(Write::Subscribe { from, .. } | Write::ReplicaSubscribe { from, .. }) = &mut again {
        *from = None::<StartAt>;
    }
    again
}
