//! Whether the groups of which this node is a member take publishes now.
//!
//! The result uses only what the node sees at this moment: the live voters and the leader. It can be wrong until a
//! silent node is detected ([`SILENCE_LIMIT`](crate::overlay::links::SILENCE_LIMIT)). A group reported as usable takes
//! a publish within the deadline of every request, unless it is disturbed further.

use super::view::View;
use crate::group::Group;
use crate::identity::{GroupId, HostId};
use crate::states::Obstacle;

/// A member's view of its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usability {
    /// Number of voters that this node can reach, itself included if it votes.
    pub voters_up: u32,
    /// Size of a majority of the voters.
    pub voters_needed: u32,
    /// `None`: the group takes publishes.
    pub obstacle: Option<Obstacle>,
}

impl View {
    /// The usability of a group of which this node is a member. Panics for another group.
    pub fn usability(&self, group: GroupId) -> Usability {
        let voters = self.voters(group);
        let voters_up = voters.iter().filter(|voter| self.is_member_up(**voter)).count() as u32;
        // A member without a configuration yet knows no voters and relies on the leader.
        let voters_needed = if voters.is_empty() { 0 } else { voters.len() as u32 / 2 + 1 };
        let obstacle = if self.lifecycle.is_silent() {
            Some(Obstacle::NodeFailed)
        } else if voters_up < voters_needed {
            Some(Obstacle::NoQuorum)
        } else {
            self.lacks_usable_leader(group)
        };
        Usability { voters_up, voters_needed, obstacle }
    }

    fn lacks_usable_leader(&self, group: GroupId) -> Option<Obstacle> {
        match self.find_leader(group) {
            None => Some(Obstacle::NoLeader),
            Some(leader) if leader == self.me && !self.groups.get(group).is_some_and(Group::leads_fully) => {
                Some(Obstacle::NewLeader)
            }
            Some(leader) if self.lacks_room(group, leader) => Some(Obstacle::StorageFull),
            Some(_) => None,
        }
    }

    fn lacks_room(&self, group: GroupId, leader: HostId) -> bool {
        let knows_voters = !self.voters(group).is_empty();
        !self.has_room(leader) || (knows_voters && !self.majority_has_room(group))
    }
}
