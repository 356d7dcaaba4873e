//! Room on the disks of a group: who may lead it, and which requests are refused for lack of room.

use super::storage::Room;
use super::view::View;
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::placement;
use crate::states::StorageState;
use crate::wire::answer::{ErrorCode, Failure};
use crate::wire::client::{Ack, Write};
use crate::wire::peer::Reply;

impl View {
    /// Whether a member's disk has room for publishes, according to its own announcement.
    pub(super) fn has_room(&self, vertex: Vertex) -> bool {
        self.storage_at(vertex) == Some(StorageState::Ok)
    }

    /// `None`: the vertex is not visible.
    fn storage_at(&self, vertex: Vertex) -> Option<StorageState> {
        if vertex == self.me { Some(self.storage.state()) } else { self.overlay.storage_of(vertex) }
    }

    /// Whether another member should lead this group: this node lacks room, and a majority has room.
    fn should_lead_elsewhere(&self, home: Vertex) -> bool {
        self.storage.state() != StorageState::Ok && self.majority_has_room(home)
    }

    pub(super) fn room_to_lead(&self, home: Vertex) -> Room {
        Room {
            members: placement::members(home).filter(|member| self.has_room(*member)).collect(),
            leads_elsewhere: self.should_lead_elsewhere(home),
            home_may_lead: self.has_room(home) || !self.majority_has_room(home),
        }
    }

    pub(super) fn majority_has_room(&self, home: Vertex) -> bool {
        let voters = self.voters(home);
        let roomy = voters.iter().filter(|voter| self.has_room(voter.vertex)).count();
        roomy > voters.len() / 2
    }

    // The leader's part.

    /// The reply to a command that lacks disk space somewhere. `None`: there is room.
    /// `under_way`: the bytes of the commands that this leader has taken and not answered.
    pub(super) fn lacks_storage(&self, home: Vertex, write: &Write, under_way: u64, hops: &[Vertex]) -> Option<Reply> {
        let full = match write {
            Write::Publish { ack, content, .. } => {
                self.lacks_room_to_publish(home, *ack, under_way + content.len() as u64)?
            }
            // They free room and use almost none.
            _ if write.frees_space() => return None,
            _ if self.storage.state() == StorageState::Exhausted => vec![self.me],
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
    fn lacks_room_to_publish(&self, home: Vertex, ack: Ack, under_way: u64) -> Option<Vec<Vertex>> {
        if self.bugs.has(Bug::PublishesIgnoreTheReserve) {
            return None;
        }
        // Everything under way here will be written to this disk, and perhaps also by other nodes on the same disk.
        if self.storage.state() != StorageState::Ok || !self.storage.has_room_for(under_way) {
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

    /// The failure for a publish that finds no room in this node's outbox.
    pub(super) fn lacks_room_in_outbox(&self, bytes: u64) -> Option<Failure> {
        let ignores = self.bugs.has(Bug::PublishesIgnoreTheReserve);
        let lacks = !ignores && (self.storage.state() != StorageState::Ok || !self.storage.has_room_for(bytes));
        lacks.then(|| storage_full(&[self.me]))
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
