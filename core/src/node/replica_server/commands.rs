//! The commands under way at this leader: in the queue of their group, in its log, or waiting for their
//! acknowledgement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::queues::Queue;
use super::super::vocabulary::Requester;
use super::rejected::Rejected;
use crate::identity::{GroupId, HostId, RequestKey};
use crate::time::Instant;
use crate::topics::Outcome;
use crate::topics::command::Command;
use crate::wire::client::Write;

/// Limits of the commands under way on one leader: their number and the bytes of their contents. Beyond this, it
/// answers `overloaded`.
pub(super) const MAX_COMMANDS: usize = 32_768;
pub(super) const MAX_COMMAND_BYTES: u64 = 256 * 1024 * 1024;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Commands {
    pub queues: BTreeMap<GroupId, Vec<Command>>,
    pub waiters: BTreeMap<RequestKey, Waiter>,
    /// Bytes of the contents of their commands.
    pub bytes: u64,
    /// Committed, and waiting for every member that is up.
    pub awaiting_all: Vec<AwaitingAll>,
    /// Committed in this turn; answered at its end.
    pub subscribed: Vec<(u64, Waiter, Outcome)>,
    pub rejected: Rejected,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Waiter {
    pub requester: Requester,
    pub group: GroupId,
    pub write: Write,
    /// Bytes of the command's content.
    pub bytes: u64,
    /// The hosts that the ask crossed, ending with this one.
    pub hops: Vec<HostId>,
}

/// A committed publish that awaits all members.
#[derive(Serialize, Deserialize)]
pub(super) struct AwaitingAll {
    pub key: RequestKey,
    pub waiter: Waiter,
    pub group: GroupId,
    pub index: u64,
    pub until: Instant,
    pub outcome: Outcome,
}

impl Commands {
    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.awaiting_all.is_empty()
    }

    pub(super) fn insert_waiter(&mut self, key: RequestKey, waiter: Waiter) {
        self.bytes += waiter.bytes;
        self.waiters.insert(key, waiter);
    }

    pub(super) fn remove_waiter(&mut self, key: &RequestKey) -> Option<Waiter> {
        let waiter = self.waiters.remove(key)?;
        self.bytes -= waiter.bytes;
        Some(waiter)
    }

    /// The waiter of a command that is under way.
    pub(super) fn waiter(&mut self, key: &RequestKey) -> Option<&mut Waiter> {
        match self.waiters.get_mut(key) {
            Some(waiter) => Some(waiter),
            None => self.awaiting_all.iter_mut().find(|it| it.key == *key).map(|it| &mut it.waiter),
        }
    }

    pub(super) fn commands(&self) -> usize {
        self.waiters.len() + self.awaiting_all.len()
    }

    pub(super) fn queues(&self) -> [Queue; 3] {
        [
            self.rejected.queue(),
            Queue::of("commands under way", self.commands(), MAX_COMMANDS),
            Queue { name: "bytes of commands under way", len: self.bytes, limit: MAX_COMMAND_BYTES },
        ]
    }
}
