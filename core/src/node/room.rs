//! Room on the disks of a group: who may lead it, and which requests are refused for lack of room.

use super::storage::Room;
use super::view::View;
use crate::bugs::Bug;
use crate::identity::{GroupId, HostId};
use crate::states::StorageState;
use crate::wire::answer::{ErrorCode, Failure};
use crate::wire::client::{Ack, Write};
use crate::wire::peer::Reply;

impl View {
    /// Whether a member's disk has room for publishes, according to its own announcement.
    pub(super) fn has_room(&self, host: HostId) -> bool {
        self.storage_at(host) == Some(StorageState::Ok)
    }

    /// `None`: the host is not visible.
    fn storage_at(&self, host: HostId) -> Option<StorageState> {
        if host == self.me { Some(self.storage.state()) } else { self.overlay.storage_of(host) }
    }

    /// Whether another member should lead this group: this node lacks room, and a majority has room.
    fn should_lead_elsewhere(&self, group: GroupId) -> bool {
        self.storage.state() != StorageState::Ok && self.majority_has_room(group)
    }

    pub(super) fn room_to_lead(&self, group: GroupId) -> Room {
        Room {
            members: self.members(group).filter(|member| self.has_room(*member)).collect(),
            leads_elsewhere: self.should_lead_elsewhere(group),
            home_may_lead: self.has_room(self.seating.host_of(self.home(group))) || !self.majority_has_room(group),
        }
    }

    pub(super) fn majority_has_room(&self, group: GroupId) -> bool {
        self.is_quorum(group, |voter| self.has_room(voter.host))
    }

    // The leader's part.

    /// The reply to a command that lacks disk space somewhere. `None`: there is room.
    /// `under_way`: the bytes of the commands that this leader has taken and not answered.
    pub(super) fn lacks_storage(
        &self,
        group: GroupId,
        write: &Write,
        under_way: u64,
        hops: &[HostId],
    ) -> Option<Reply> {
        let full = match write {
            Write::Publish { ack, content, .. } => {
                self.lacks_room_to_publish(group, *ack, under_way + content.len() as u64)?
            }
            // They free room and use almost none.
            _ if write.frees_space() => return None,
            _ if self.storage.state() == StorageState::Exhausted => vec![self.me],
            _ => return None,
        };
        if full.contains(&self.me) && self.should_lead_elsewhere(group) {
            return Some(Reply::Unavailable {
                why: format!("{}; leadership moves to another node", describe_full(&full)),
            });
        }
        Some(Reply::Answer(self.answer_with(hops.to_vec(), Err(storage_full(&full)))))
    }

    /// The full nodes that prevent a publish, or `None` if it can be taken.
    fn lacks_room_to_publish(&self, group: GroupId, ack: Ack, under_way: u64) -> Option<Vec<HostId>> {
        if self.bugs.has(Bug::PublishesIgnoreTheReserve) {
            return None;
        }
        // Everything under way here will be written to this disk, and perhaps also by other nodes on the same disk.
        if self.storage.state() != StorageState::Ok || !self.storage.has_room_for(under_way) {
            return Some(self.full_members(group, &[StorageState::Full, StorageState::Exhausted], true));
        }
        if ack == Ack::All {
            let lagging = self.full_members(group, &[StorageState::Exhausted], false);
            if !lagging.is_empty() {
                return Some(lagging);
            }
        }
        if self.majority_has_room(group) {
            return None;
        }
        let full = self.full_members(group, &[StorageState::Full, StorageState::Exhausted], false);
        // No member is full: then voters are unreachable, which is handled elsewhere.
        (!full.is_empty()).then_some(full)
    }

    fn full_members(&self, group: GroupId, states: &[StorageState], with_me: bool) -> Vec<HostId> {
        let is_full = |host: &HostId| {
            (with_me && *host == self.me) || self.storage_at(*host).is_some_and(|state| states.contains(&state))
        };
        self.members(group).filter(is_full).collect()
    }

    /// The failure for a publish that finds no room in this node's outbox.
    pub(super) fn lacks_room_in_outbox(&self, bytes: u64) -> Option<Failure> {
        let ignores = self.bugs.has(Bug::PublishesIgnoreTheReserve);
        let lacks = !ignores && (self.storage.state() != StorageState::Ok || !self.storage.has_room_for(bytes));
        lacks.then(|| storage_full(&[self.me]))
    }
}

fn storage_full(full: &[HostId]) -> Failure {
    ErrorCode::StorageFull.because(format!(
        "{}: nothing was stored. Delete topics, or free space on {}, and retry; reads and deletions still work",
        describe_full(full),
        if full.len() == 1 { "its disk" } else { "their disks" }
    ))
}

fn describe_full(full: &[HostId]) -> String {
    let names: Vec<String> = full.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [one] => format!("the disk of node {one} is full"),
        _ => format!("the disks of nodes {} are full", names.join(", ")),
    }
}
