//! The node's behaviour while its disk, or those of others, are full.
//!
//! The engine measures ([`Space`]); here it is decided. Below its reserve a node is *full*: it takes no publishes, neither as
//! a leader nor into its outbox, and gives the lead to a member that has room. As a follower it goes on appending out of the
//! reserve, so that the group need not do without it. Below a quarter of the reserve it is *exhausted*: it takes no entries
//! with publishes any more, and lags, and as a leader it takes deletions only. It reads, votes and deletes in every state, and
//! comes back by itself. Each node tells all others its state ([`LinkState`](crate::wire::peer::LinkState)).
//!
//! While a node is not well, its groups cut their logs as soon as they can: what deletion leaves is not kept there either.
//!
//! Promised: publishes never use up the last of a disk, neither a leader's nor a follower's. What was taken in since the last
//! measurement counts against it, several times over, because it lies on the disk more than once for a while.
//! A leader takes a publish only while a majority of the voters has room: a minority that is full stops nobody.

use std::collections::VecDeque;

use super::Node;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::placement;
use crate::store::{EntryKind, LogEntry, Space, WriteBatch};
use crate::topics::command::{Op, decode_commands};
use crate::wire::answer::{ErrorCode, Failure, StorageState, StorageStatus};
use crate::wire::client::{Ack, Action};
use crate::wire::event::Event;
use crate::wire::peer::{RaftMessage, Reply, SnapshotFrame};

/// How often content may lie on a disk before it is settled: in a journal, in the log, and as a message.
const COPIES: u64 = 3;
/// Below this part of the reserve nothing is taken but what frees room.
const FLOOR: u64 = 4;
/// Room must exceed the reserve by this part of it before publishes are taken again.
const HYSTERESIS: u64 = 8;

/// This node's disk, as last measured, and what was asked of it since.
pub(super) struct Storage {
    /// Of each group.
    members: u64,
    /// `None`: never measured, so never full.
    space: Option<Space>,
    state: StorageState,
    /// Batches that are not durable yet, with the room that they take.
    under_way: VecDeque<(u64, u64)>,
    under_way_bytes: u64,
    /// The room taken by batches that became durable since the last measurement.
    spent: u64,
    /// The room that this turn's inputs will take.
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

    /// What is left once all is written that was taken in.
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

    /// Whether content of this size leaves more than the floor.
    fn has_room_for(&self, bytes: u64) -> bool {
        !self.is_stuck() && self.room().saturating_sub(self.footprint(bytes)) >= self.floor()
    }

    fn take(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_add(self.footprint(bytes));
    }

    /// What content takes of the disk, on which other members may keep theirs.
    fn footprint(&self, bytes: u64) -> u64 {
        let members = self.space.map_or(1, |space| space.shared_by.clamp(1, self.members));
        bytes.saturating_mul(COPIES * members)
    }

    /// The turn's writes are on their way.
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

    /// Nothing is under way any more: the store was opened anew.
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
        // Once it was left, a state is entered again only with some room to spare.
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

/// Where a group can be led, as far as room goes.
pub(super) struct Room {
    /// Members with room for publishes.
    pub members: Vec<Vertex>,
    /// This node has none, and others have.
    pub leads_elsewhere: bool,
    /// The home has room, or it makes no difference.
    pub home_may_lead: bool,
}

impl Node {
    /// What this node's disk leaves it to do.
    pub fn storage_state(&self) -> StorageState {
        self.storage.state()
    }

    pub(super) fn handle_storage(&mut self, space: Space) {
        self.storage.measure(space);
        self.review_storage();
    }

    /// Tells of another state, once.
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
        // Who is full hands its leads over; who has room again may get them back.
        self.look_after_members_soon();
    }

    /// Whether a member's disk has room for publishes, by what it says of itself.
    pub(super) fn has_room(&self, vertex: Vertex) -> bool {
        self.storage_at(vertex) == Some(StorageState::Ok)
    }

    /// `None`: it is out of sight.
    fn storage_at(&self, vertex: Vertex) -> Option<StorageState> {
        if vertex == self.me { Some(self.storage.state) } else { self.overlay.storage_of(vertex) }
    }

    /// Whether a group that this node leads should be led by another: by one with room, of whom there are enough.
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

    // The leader.

    /// What stands in the way of a command, as the one who asked is told it.
    pub(super) fn lacks_storage(&self, home: Vertex, action: &Action, hops: &[Vertex]) -> Option<Reply> {
        let full = match action {
            Action::Publish { ack, content, .. } => self.lacks_room_to_publish(home, *ack, content.len() as u64)?,
            // They free room, and take next to none.
            Action::DeleteTopic { .. } | Action::Unsubscribe { .. } => return None,
            Action::DeletePublisher { .. } | Action::DeleteSubscriber { .. } => return None,
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

    /// The nodes that are too full for it, if it cannot be taken.
    fn lacks_room_to_publish(&self, home: Vertex, ack: Ack, bytes: u64) -> Option<Vec<Vertex>> {
        if self.bugs.has(Bug::PublishesIgnoreTheReserve) {
            return None;
        }
        // Everything under way here is on its way to this disk, and perhaps to others beside it on the same one.
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
        // Nobody is full: then voters are out of sight, which is not for here.
        (!full.is_empty()).then_some(full)
    }

    fn full_members(&self, home: Vertex, states: &[StorageState], with_me: bool) -> Vec<Vertex> {
        let is_full = |vertex: &Vertex| {
            (with_me && *vertex == self.me) || self.storage_at(*vertex).is_some_and(|state| states.contains(&state))
        };
        placement::members(home).filter(is_full).collect()
    }

    /// Keeps a publish that was taken in this turn in mind until its batch is counted.
    pub(super) fn take_room(&mut self, bytes: u64) {
        self.storage.take(bytes);
    }

    /// A publish for this node's outbox.
    pub(super) fn lacks_room_in_outbox(&self, bytes: u64) -> Option<Failure> {
        let ignores = self.bugs.has(Bug::PublishesIgnoreTheReserve);
        let lacks = !ignores && (self.storage.state != StorageState::Ok || !self.storage.has_room_for(bytes));
        lacks.then(|| storage_full(&[self.me]))
    }

    // The follower.

    /// Takes out of a leader's message what this disk has no room for: from the first entry with a publish on, or all of
    /// it while a write waits for room. The member lags, and is sent the rest again.
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

    /// Whether a piece of a snapshot finds room. One that does not is asked for again.
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

/// An entry that cannot be read may be one.
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
