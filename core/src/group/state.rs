//! The queries on a member's state.

use raft::StateRole;

use super::elections::ELECTION_TICKS;
use super::{Group, message};
use crate::identity::{GroupId, HostId, Member};
use crate::seating::Seating;
use crate::states::Role;
use crate::topics::Topics;

impl Group {
    /// The topics as of the last applied entry.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// Whether a restored group can be one of this host.
    pub fn is_sound(&self, me: HostId, seating: &Seating) -> bool {
        let log = &self.raw.raft.raft_log;
        let (store, unstable) = (self.raw.store(), &log.unstable);
        let entries = unstable
            .entries
            .iter()
            .zip(unstable.offset..)
            .all(|(entry, index)| entry.index == index && message::is_raft_entry_valid(entry));
        self.hosts == seating.members(self.id)
            && self.me.host == me
            && self.raw.raft.id == self.me.to_raft()
            && self.election_ticks <= 2 * ELECTION_TICKS
            && store.is_sound()
            && entries
            && unstable.offset <= store.last() + 1
            && log.applied <= log.committed
            && log.committed <= log.last_index()
            && log.persisted <= log.last_index()
    }

    /// The group's identity.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The hosts of the members, the home first.
    pub fn hosts(&self) -> &[HostId] {
        &self.hosts
    }

    /// This member.
    pub fn member(&self) -> Member {
        self.me
    }

    /// Whether a member is at the home, which leads when it can.
    pub(super) fn is_home(&self, member: Member) -> bool {
        self.hosts.first() == Some(&member.host)
    }

    /// Whether this member leads.
    pub fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    /// Whether this member leads and has committed an entry in its own term, so that its commit index is current.
    pub fn leads_fully(&self) -> bool {
        self.is_leader() && self.raw.raft.commit_to_current_term()
    }

    /// The current leader, if this member has one.
    pub fn leader(&self) -> Option<Member> {
        Member::from_raft(self.raw.raft.leader_id)
    }

    /// This member's role; pre-candidates count as candidates.
    pub fn role(&self) -> Role {
        match self.raw.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower if self.raw.raft.promotable() => Role::Follower,
            StateRole::Follower => Role::Learner,
        }
    }

    /// The current term.
    pub fn term(&self) -> u64 {
        self.raw.raft.term
    }

    /// Index, term and data of the entries that this member keeps in memory, from this index on.
    pub fn entries_from(&self, index: u64) -> impl Iterator<Item = (u64, u64, &[u8])> {
        self.raw.store().entries_from(index)
    }

    /// The index of the first entry that this member keeps in memory.
    pub fn first_index(&self) -> u64 {
        self.raw.store().last() + 1 - self.raw.store().entry_count()
    }

    /// The index of the last entry.
    pub fn last_index(&self) -> u64 {
        self.raw.raft.raft_log.last_index()
    }

    /// The highest index known to be committed.
    pub fn commit_index(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    /// The highest applied index.
    pub fn applied_index(&self) -> u64 {
        self.raw.store().applied().0
    }

    /// The number of entries and bytes of the log in memory.
    pub fn log_size(&self) -> (u64, u64) {
        (self.raw.store().entry_count(), self.raw.store().bytes())
    }

    /// The voters at the applied index, sorted.
    pub fn voters(&self) -> Vec<Member> {
        message::members(self.raw.store().members().get_voters())
    }

    /// Whether this holds for a majority of the voters at the applied index.
    pub fn is_quorum(&self, has: impl Fn(Member) -> bool) -> bool {
        let voters = self.raw.store().members().get_voters();
        let have = voters.iter().filter(|id| Member::from_raft(**id).is_some_and(&has)).count();
        have > voters.len() / 2
    }

    /// The members that are known to store the log up to this index. Meaningful on the leader only.
    pub fn holders(&self, index: u64) -> impl Iterator<Item = Member> {
        let holders = self.raw.raft.prs().iter().filter(move |(_, progress)| progress.matched >= index);
        holders.filter_map(|(id, _)| Member::from_raft(*id))
    }

    /// The learners at the applied index, sorted.
    pub fn learners(&self) -> Vec<Member> {
        message::members(self.raw.store().members().get_learners())
    }

    /// Whether a change of members may be in progress that is not applied here.
    pub fn changes_members(&self) -> bool {
        self.raw.raft.has_pending_conf()
    }
}
