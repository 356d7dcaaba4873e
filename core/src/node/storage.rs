//! The node's behaviour while its own disk, or another node's, is full.
//!
//! The engine measures the disk ([`Space`]); this module decides:
//!
//! - Below its reserve a node is *full*. It takes no publishes, neither as a leader nor into its outbox, and hands
//!   leadership to a member with room. As a follower it continues to append, using the reserve, so its group keeps this
//!   member.
//! - Below a quarter of the reserve it is *exhausted*. It takes no more entries with publishes, so it lags. As a leader
//!   it takes only deletions.
//! - In every state it reads, votes and deletes. It leaves the state without intervention once it has room.
//!
//! Each node announces its state to all others ([`LinkState`](crate::wire::peer::LinkState)). In both states its groups
//! truncate their logs as early as possible, so that the log does not keep deleted data either.
//!
//! Guarantee: publishes never use the last space of a disk, neither a leader's nor a follower's. Data accepted since
//! the last measurement counts several times, because for a while it is on the disk more than once. A leader takes a
//! publish only while a majority of the voters has room, so a full minority blocks nothing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::bugs::{Bug, Bugs};
use crate::identity::HostId;
use crate::records::{EntryKind, LogEntry};
use crate::states::StorageState;
use crate::store::{Space, WriteBatch};
use crate::topics::command::{Op, decode_commands};
use crate::wire::answer::StorageStatus;
use crate::wire::event::Event;
use crate::wire::peer::{RaftMessage, SnapshotFrame};

/// Most copies of a content on disk at one time: in a journal, in the log, and as a message.
const COPIES: u64 = 3;
/// Below this fraction of the reserve (1/FLOOR) only commands that free room are taken.
const FLOOR: u64 = 4;
/// Publishes are taken again when room exceeds the reserve by this fraction (1/HYSTERESIS) of it.
const HYSTERESIS: u64 = 8;

/// The last measurement of this node's disk, and the room used since.
#[derive(Serialize, Deserialize)]
pub(super) struct Storage {
    /// Number of members in each group.
    members: u64,
    /// `None`: never measured, and therefore never full.
    space: Option<Space>,
    state: StorageState,
    /// Batches that are not durable yet: number and room.
    under_way: VecDeque<(u64, u64)>,
    under_way_bytes: u64,
    /// Room used by batches that became durable since the last measurement.
    spent: u64,
    /// Room that this turn's inputs will use.
    taken: u64,
}

impl Storage {
    /// `members`: the number of members in each group.
    pub(super) fn new(members: u64) -> Storage {
        Storage {
            members,
            space: None,
            state: StorageState::Ok,
            under_way: VecDeque::new(),
            under_way_bytes: 0,
            spent: 0,
            taken: 0,
        }
    }

    pub(super) fn state(&self) -> StorageState {
        self.state
    }

    /// The room left once all accepted data is written.
    fn room(&self) -> u64 {
        let Some(space) = &self.space else { return u64::MAX };
        space.room().saturating_sub(self.under_way_bytes.saturating_add(self.spent).saturating_add(self.taken))
    }

    fn floor(&self) -> u64 {
        self.space.map_or(0, |space| space.reserve / FLOOR)
    }

    fn is_stuck(&self) -> bool {
        self.space.is_some_and(|space| space.stuck)
    }

    /// Whether content of this size would leave at least the floor.
    pub(super) fn has_room_for(&self, bytes: u64) -> bool {
        !self.is_stuck() && self.room().saturating_sub(self.footprint(bytes)) >= self.floor()
    }

    /// Counts content of this turn until its batch is emitted.
    pub(super) fn take(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_add(self.footprint(bytes));
    }

    /// The room that content uses on the disk, which other members may share.
    fn footprint(&self, bytes: u64) -> u64 {
        let members = self.space.map_or(1, |space| space.shared_by.clamp(1, self.members));
        bytes.saturating_mul(COPIES * members)
    }

    /// Replaces the estimate of this turn by the size of its emitted batch.
    pub(super) fn handle_emitted(&mut self, batch: &WriteBatch) {
        self.taken = 0;
        if self.space.is_some() {
            let room = self.footprint(batch.weight());
            self.under_way.push_back((batch.number, room));
            self.under_way_bytes += room;
        }
    }

    pub(super) fn handle_written(&mut self, batch: u64) {
        while let Some((_, room)) = self.under_way.pop_front_if(|(number, _)| *number <= batch) {
            self.under_way_bytes -= room;
            self.spent += room;
        }
    }

    /// Drops the batches under way after the store was reopened.
    pub(super) fn forget_writes(&mut self) {
        (self.under_way, self.under_way_bytes) = (VecDeque::new(), 0);
    }

    pub(super) fn handle_measured(&mut self, space: Space) {
        self.space = Some(space);
        self.spent = 0;
    }

    /// Updates the state. Returns the event that reports a change.
    pub(super) fn review(&mut self) -> Option<Event> {
        let state = self.next_state();
        if state == self.state {
            return None;
        }
        self.state = state;
        let Space { reserve, .. } = self.space.unwrap_or_default();
        Some(Event::StorageState { state, free_bytes: self.room(), reserve_bytes: reserve })
    }

    /// Drops the entries of a leader's message for which this disk has no room: from the first entry with a publish on,
    /// or all of them while a write waits for room. The member then lags, and the leader sends the rest again.
    pub(super) fn trim_to_room(&mut self, message: &mut RaftMessage, bugs: Bugs) {
        if message.entries.is_empty() || self.space.is_none() {
            return;
        }
        let bytes = message.entries.iter().map(|entry| entry.data.len() as u64).sum();
        let ignores = bugs.has(Bug::PublishesIgnoreTheReserve);
        if self.state == StorageState::Exhausted || !self.has_room_for(bytes) {
            let fits = |entry: &&LogEntry| !self.is_stuck() && !holds_publish(entry);
            let kept = message.entries.iter().take_while(fits).count();
            if !ignores {
                message.entries.truncate(kept);
            }
        }
        self.take(message.entries.iter().map(|entry| entry.data.len() as u64).sum());
    }

    /// Whether there is room for a piece of a snapshot. A piece without room is requested again.
    pub(super) fn admits_snapshot(&mut self, frame: &SnapshotFrame, bugs: Bugs) -> bool {
        let SnapshotFrame::Messages { messages, .. } = frame else { return true };
        let bytes = messages.iter().map(|message| message.content.len() as u64).sum();
        let has_room = self.state != StorageState::Exhausted && self.has_room_for(bytes);
        if has_room {
            self.take(bytes);
        }
        has_room || bugs.has(Bug::PublishesIgnoreTheReserve)
    }

    fn next_state(&self) -> StorageState {
        let Some(Space { reserve, .. }) = self.space else { return StorageState::Ok };
        let (room, floor) = (self.room(), self.floor());
        let was_full = self.state != StorageState::Ok;
        let was_exhausted = self.state == StorageState::Exhausted;
        // Hysteresis: a better state is entered only with some room to spare.
        let enough = reserve + if was_full { reserve / HYSTERESIS } else { 0 };
        let little = floor + if was_exhausted { floor / HYSTERESIS } else { 0 };
        match room {
            _ if self.is_stuck() || room < little => StorageState::Exhausted,
            _ if room < enough => StorageState::Full,
            _ => StorageState::Ok,
        }
    }

    pub(super) fn status(&self) -> StorageStatus {
        let Space { free, reusable, stored, reserve, .. } = self.space.unwrap_or_default();
        StorageStatus {
            state: self.state,
            stored_bytes: stored,
            free_bytes: free,
            reusable_bytes: reusable,
            reserve_bytes: reserve,
        }
    }
}

/// Which members have room to lead a group.
pub(super) struct Room {
    /// Members with room for publishes.
    pub members: Vec<HostId>,
    /// This node has no room, and a majority has.
    pub leads_elsewhere: bool,
    /// The home has room, or no majority has.
    pub home_may_lead: bool,
}

/// Whether an entry contains a publish. An unreadable entry counts as one.
fn holds_publish(entry: &LogEntry) -> bool {
    let is_publish = |op: &Op| matches!(op, Op::Publish { .. });
    match entry.kind {
        EntryKind::MemberChange => false,
        EntryKind::Commands if entry.data.is_empty() => false,
        EntryKind::Commands => {
            decode_commands(&entry.data).map_or(true, |commands| commands.iter().any(|command| is_publish(&command.op)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Write;

    const RESERVE: u64 = 8_000;

    fn storage(free: u64) -> Storage {
        let mut storage = Storage::new(4);
        measure(&mut storage, free);
        storage
    }

    fn measure(storage: &mut Storage, free: u64) {
        storage.handle_measured(Space { free, reserve: RESERVE, shared_by: 1, ..Space::default() });
        storage.review();
    }

    #[test]
    fn a_full_disk_takes_publishes_again_only_with_room_to_spare() {
        let mut storage = storage(RESERVE);
        let states = [RESERVE - 1, RESERVE, RESERVE + RESERVE / HYSTERESIS].map(|free| {
            measure(&mut storage, free);
            storage.state()
        });
        assert_eq!(states, [StorageState::Full, StorageState::Full, StorageState::Ok]);
    }

    #[test]
    fn accepted_content_counts_until_the_next_measurement() {
        let mut storage = storage(2 * RESERVE);
        let fits = (2 * RESERVE - RESERVE / FLOOR) / COPIES;
        assert!(storage.has_room_for(fits) && !storage.has_room_for(fits + 1));
        storage.take(100);
        assert!(!storage.has_room_for(fits));
        let batch = WriteBatch { number: 1, writes: vec![Write::OutboxRemove { id: 1 }] };
        storage.handle_emitted(&batch);
        storage.handle_written(1);
        assert!(!storage.has_room_for(fits), "the batch is on the disk and not measured yet");
        measure(&mut storage, 2 * RESERVE);
        assert!(storage.has_room_for(fits));
    }
}
