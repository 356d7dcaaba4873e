//! The effects of a group: writes, messages, reports.

use crate::identity::{Member, RequestKey};
use crate::names::{Offset, TopicId, TopicName};
use crate::records::StoredMessage;
use crate::states::Role;
use crate::store::Write;
use crate::topics::Outcome;
use crate::wire::answer::Failure;
use crate::wire::peer::{RaftMessage, SnapshotFrame};

/// An action or a notification of a group, in order.
#[derive(Debug)]
pub enum GroupEffect {
    Write(Write),
    Send {
        to: Member,
        message: RaftMessage,
        /// The message may wait for another frame in the same direction.
        can_wait: bool,
    },
    SendSnapshot {
        to: Member,
        frame: SnapshotFrame,
    },
    /// Read messages for a snapshot's receiver. The result goes to [`Group::handle_read_for_snapshot`].
    ReadForSnapshot {
        to: Member,
        transfer: u64,
        topic: TopicId,
        from: Offset,
        end: Offset,
    },
    /// A command of the log was applied.
    Applied {
        index: u64,
        key: RequestKey,
        outcome: Result<Outcome, Failure>,
        change: TopicChange,
    },
    /// A linearizable read may be served now.
    ReadReady {
        ticket: u64,
    },
    RoleChanged {
        role: Role,
        term: u64,
        leader: Option<Member>,
    },
    MembersChanged,
    /// The members for which the next change of members waits have confirmed the last change.
    ChangeIsKnown,
    Committed {
        index: u64,
    },
    SnapshotProgress {
        received: u64,
        total: u64,
    },
    /// A snapshot was installed: topics may have appeared or disappeared.
    SnapshotInstalled,
    /// An entry in a member's message differs from what its proposer wrote. The message was dropped.
    Altered {
        from: Member,
        index: u64,
        why: String,
    },
    /// A problem to report as a warning.
    Trouble(String),
}

/// The effect of an applied command on the messages.
#[derive(Debug)]
pub enum TopicChange {
    Nothing,
    Stored {
        topic: TopicName,
        id: TopicId,
        message: StoredMessage,
    },
    Created {
        topic: TopicName,
    },
    Deleted {
        topic: TopicName,
        id: TopicId,
    },
    /// A subscription to the topic ended.
    Unsubscribed {
        id: TopicId,
    },
}
