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

use super::Node;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::placement;
use crate::records::{EntryKind, LogEntry};
use crate::states::StorageState;
use crate::store::{Space, WriteBatch};
use crate::topics::command::{Op, decode_commands};
use crate::wire::answer::{ErrorCode, Failure, StorageStatus};
use crate::wire::client::{self, Ack};
use crate::wire::event::Event;
use crate::wire::peer::{RaftMessage, Reply, SnapshotFrame};

/// Most copies of a content on disk at one time: in a journal, in the log, and as a message.
const COPIES: u64 = 3;
/// Below this fraction of the reserve (1/FLOOR) only commands that free room are taken.
const FLOOR: u64 = 4;
/// Publishes are taken again when room exceeds the reserve by this fraction (1/HYSTERESIS) of it.
const HYSTERESIS: u64 = 8;

/// The last measurement of this node's disk, and the room used since.
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
    pub(super) fn new(me: Vertex) -> Storage {
        Storage {
            members: u64::from(me.dimension().bits()) + 1,
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
    fn has_room_for(&self, bytes: u64) -> bool {
        !self.is_stuck() && self.room().saturating_sub(self.footprint(bytes)) >= self.floor()
    }

    fn take(&mut self, bytes: u64) {
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

    fn measure(&mut self, space: Space) {
        self.space = Some(space);
        self.spent = 0;
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
    pub members: Vec<Vertex>,
    /// This node has no room, and a majority has.
    pub leads_elsewhere: bool,
    /// The home has room, or no majority has.
    pub home_may_lead: bool,
}

impl Node {
    /// The state of this node's disk.
    pub fn storage_state(&self) -> StorageState {
        self.storage.state()
    }

    pub(super) fn handle_storage(&mut self, space: Space) {
        self.storage.measure(space);
        self.review_storage();
    }

    /// Updates the state and reports a change once.
    pub(super) fn review_storage(&mut self) {
        let state = self.storage.next_state();
        if state == self.storage.state {
            return;
        }
        self.storage.state = state;
        let Space { reserve, .. } = self.storage.space.unwrap_or_default();
        let free_bytes = self.storage.room();
        self.observe(Event::StorageState { state, free_bytes, reserve_bytes: reserve }, None);
        self.groups.values_mut().for_each(|group| group.save_room(state != StorageState::Ok));
        // A full node hands over leadership; a node with room again may get it back.
        self.look_after_members_soon();
    }

    /// Whether a member's disk has room for publishes, according to its own announcement.
    pub(super) fn has_room(&self, vertex: Vertex) -> bool {
        self.storage_at(vertex) == Some(StorageState::Ok)
    }

    /// `None`: the vertex is not visible.
    fn storage_at(&self, vertex: Vertex) -> Option<StorageState> {
        if vertex == self.me { Some(self.storage.state) } else { self.overlay.storage_of(vertex) }
    }

    /// Whether another member should lead this group: this node lacks room, and a majority has room.
    fn should_lead_elsewhere(&self, home: Vertex) -> bool {
        self.storage.state != StorageState::Ok && self.majority_has_room(home)
    }

    pub(super) fn room_to_lead(&self, home: Vertex) -> Room {
        Room {
            members: placement::members(home).filter(|member| self.has_room(*member)).collect(),
            leads_elsewhere: self.should_lead_elsewhere(home),
            home_may_lead: self.has_room(home) || !self.majority_has_room(home),
        }
    }

    pub(super) fn majority_has_room(&self, home: Vertex) -> bool {
        let voters = self.groups[&home].voters();
        let roomy = voters.iter().filter(|voter| self.has_room(voter.vertex)).count();
        roomy > voters.len() / 2
    }

    // The leader's part.

    /// The reply to a command that lacks disk space somewhere. `None`: there is room.
    pub(super) fn lacks_storage(&self, home: Vertex, write: &client::Write, hops: &[Vertex]) -> Option<Reply> {
        let full = match write {
            client::Write::Publish { ack, content, .. } => {
                self.lacks_room_to_publish(home, *ack, content.len() as u64)?
            }
            // They free room and use almost none.
            _ if write.frees_space() => return None,
            _ if self.storage.state == StorageState::Exhausted => vec![self.me],
            _ => return None,
        };
        if full.contains(&self.me) && self.should_lead_elsewhere(home) {
            return Some(Reply::Unavailable {
                why: format!("{}; leadership moves to another node", describe_full(&full)),
            });
        }
        Some(Reply::Answer(self.answer_with(hops.to_vec(), Err(storage_full(&full)))))
    }

    /// The full nodes that prevent a publish, or `None` if it can be taken.
    fn lacks_room_to_publish(&self, home: Vertex, ack: Ack, bytes: u64) -> Option<Vec<Vertex>> {
        if self.bugs.has(Bug::PublishesIgnoreTheReserve) {
            return None;
        }
        // Everything under way here will be written to this disk, and perhaps also by other nodes on the same disk.
        let under_way = self.serving.content_bytes() + bytes;
        if self.storage.state != StorageState::Ok || !self.storage.has_room_for(under_way) {
            return Some(self.full_members(home, &[StorageState::Full, StorageState::Exhausted], true));
        }
        if ack == Ack::All {
            let lagging = self.full_members(home, &[StorageState::Exhausted], false);
            if !lagging.is_empty() {
                return Some(lagging);
            }
        }
        if self.majority_has_room(home) {
            return None;
        }
        let full = self.full_members(home, &[StorageState::Full, StorageState::Exhausted], false);
        // No member is full: then voters are unreachable, which is handled elsewhere.
        (!full.is_empty()).then_some(full)
    }

    fn full_members(&self, home: Vertex, states: &[StorageState], with_me: bool) -> Vec<Vertex> {
        let is_full = |vertex: &Vertex| {
            (with_me && *vertex == self.me) || self.storage_at(*vertex).is_some_and(|state| states.contains(&state))
        };
        placement::members(home).filter(is_full).collect()
    }

    /// Counts a publish of this turn until its batch is emitted.
    pub(super) fn take_room(&mut self, bytes: u64) {
        self.storage.take(bytes);
    }

    /// The failure for a publish that finds no room in this node's outbox.
    pub(super) fn lacks_room_in_outbox(&self, bytes: u64) -> Option<Failure> {
        let ignores = self.bugs.has(Bug::PublishesIgnoreTheReserve);
        let lacks = !ignores && (self.storage.state != StorageState::Ok || !self.storage.has_room_for(bytes));
        lacks.then(|| storage_full(&[self.me]))
    }

    // The follower's part.

    /// Drops the entries of a leader's message for which this disk has no room: from the first entry with a publish on,
    /// or all of them while a write waits for room. The member then lags, and the leader sends the rest again.
    pub(super) fn trim_to_room(&mut self, message: &mut RaftMessage) {
        if message.entries.is_empty() || self.storage.space.is_none() {
            return;
        }
        let bytes = message.entries.iter().map(|entry| entry.data.len() as u64).sum();
        let ignores = self.bugs.has(Bug::PublishesIgnoreTheReserve);
        if self.storage.state == StorageState::Exhausted || !self.storage.has_room_for(bytes) {
            let fits = |entry: &&LogEntry| !self.storage.is_stuck() && !holds_publish(entry);
            let kept = message.entries.iter().take_while(fits).count();
            if !ignores {
                message.entries.truncate(kept);
            }
        }
        self.storage.take(message.entries.iter().map(|entry| entry.data.len() as u64).sum());
    }

    /// Whether there is room for a piece of a snapshot. A piece without room is requested again.
    pub(super) fn has_room_for_snapshot(&mut self, frame: &SnapshotFrame) -> bool {
        let SnapshotFrame::Messages { messages, .. } = frame else { return true };
        let bytes = messages.iter().map(|message| message.content.len() as u64).sum();
        let has_room = self.storage.state != StorageState::Exhausted && self.storage.has_room_for(bytes);
        if has_room {
            self.storage.take(bytes);
        }
        has_room || self.bugs.has(Bug::PublishesIgnoreTheReserve)
    }
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

fn storage_full(full: &[Vertex]) -> Failure {
    ErrorCode::StorageFull.because(format!(
        "{}: nothing was stored. Delete topics, or free space on {}, and retry; reads and deletions still work",
        describe_full(full),
        if full.len() == 1 { "its disk" } else { "their disks" }
    ))
}

fn describe_full(full: &[Vertex]) -> String {
    let names: Vec<String> = full.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [one] => format!("the disk of node {one} is full"),
        _ => format!("the disks of nodes {} are full", names.join(", ")),
    }
}
