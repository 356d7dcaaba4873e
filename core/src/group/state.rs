//! What can be asked of a member.

use raft::StateRole;

use super::{Group, message};
use crate::cube::Vertex;
use crate::identity::NodeId;
use crate::topics::Topics;
use crate::wire::answer::Role;

impl Group {
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    pub fn home(&self) -> Vertex {
        self.home
    }

    pub fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Leads, and has committed in its own term: knows what is committed.
    pub fn leads_fully(&self) -> bool {
        self.is_leader() && self.raw.raft.commit_to_current_term()
    }

    pub fn leader(&self) -> Option<NodeId> {
        NodeId::from_raft(self.raw.raft.leader_id)
    }

    pub fn role(&self) -> Role {
        match self.raw.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower if self.raw.raft.promotable() => Role::Follower,
            StateRole::Follower => Role::Learner,
        }
    }

    pub fn term(&self) -> u64 {
        self.raw.raft.term
    }

    pub fn last_index(&self) -> u64 {
        self.raw.raft.raft_log.last_index()
    }

    pub fn commit_index(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    pub fn applied_index(&self) -> u64 {
        self.raw.store().applied().0
    }

    /// Entries and bytes of the log in memory.
    pub fn log_size(&self) -> (u64, u64) {
        (self.raw.store().entry_count(), self.raw.store().bytes())
    }

    pub fn voters(&self) -> Vec<NodeId> {
        message::node_ids(self.raw.store().members().get_voters())
    }

    pub fn learners(&self) -> Vec<NodeId> {
        message::node_ids(self.raw.store().members().get_learners())
    }

    /// Whether a change of the members may be under way that is not applied here.
    pub fn changes_members(&self) -> bool {
        self.raw.raft.has_pending_conf()
    }
}
