//! When a member stands for election: after silence, or as soon as the leader is known to be gone.

use std::time::Duration;

use raft::StateRole;

use super::Group;
use crate::cube::Vertex;
use crate::time::Instant;

/// raft's unit of time.
pub const TICK: Duration = Duration::from_millis(50);
/// In ticks: 200 ms between heartbeats; 0.5 to 1 s without any before an election. (A broken link is noticed at once,
/// see [`Group::handle_leader_lost`]; these times matter for silence only.)
pub(super) const HEARTBEAT_TICKS: usize = 4;
pub(super) const ELECTION_TICKS: usize = 10;

impl Group {
    /// How many ticks it takes until one at which raft, or a transfer, does something: 1 is the next one.
    pub(super) fn ticks_to_act(&self) -> u32 {
        let raft = &self.raw.raft;
        let act_after = if self.is_transferring() {
            1
        } else if self.is_leader() {
            HEARTBEAT_TICKS
                .saturating_sub(raft.heartbeat_elapsed())
                .min(ELECTION_TICKS.saturating_sub(raft.election_elapsed))
        } else if raft.promotable() {
            self.election_ticks.saturating_sub(raft.election_elapsed)
        } else {
            ELECTION_TICKS
        };
        act_after.max(1) as u32
    }

    /// Another leader's heartbeat was heard. Where this one's is due at the next tick it leaves now: so all nodes wake together,
    /// and the answers to the one travel with the other.
    pub fn keep_up_with_heartbeats(&mut self, now: Instant) {
        if self.is_leader() && self.ticks_to_act() == 1 && !self.is_transferring() {
            self.next_tick = now;
            self.handle_time(now);
        }
    }

    /// The leader's node is known to be gone: do not wait for silence. `rank` says how many members go first.
    pub fn handle_leader_lost(&mut self, leader: Vertex, rank: usize) {
        if self.leader().is_none_or(|known| known.vertex != leader) || self.is_leader() {
            return;
        }
        // The lease that the leader's last heartbeat gave is void: votes may be given at once.
        self.raw.raft.election_elapsed = ELECTION_TICKS;
        self.election_ticks = ELECTION_TICKS + 1 + (2 * rank).min(ELECTION_TICKS - 2);
        self.raw.raft.set_randomized_election_timeout(self.election_ticks);
        self.leader_is_lost = true;
    }

    /// A new draw at every change of term or role; otherwise the last one again, in case raft made its own.
    pub(super) fn draw_election_timeout(&mut self) {
        let (term, role) = (self.term(), self.raw.raft.state);
        if self.drawn_for == (term, role) {
            self.raw.raft.set_randomized_election_timeout(self.election_ticks);
            return;
        }
        self.drawn_for = (term, role);
        if role == StateRole::Leader {
            self.leader_is_lost = false;
        }
        // Where the leader is known to be gone there is nothing to wait for. Otherwise the home is the first to stand.
        let (low, high) = match (self.leader_is_lost, self.me.vertex == self.home) {
            (true, _) => (ELECTION_TICKS, ELECTION_TICKS + 4),
            (false, true) => (ELECTION_TICKS, ELECTION_TICKS + 4),
            (false, false) => (ELECTION_TICKS + 4, 2 * ELECTION_TICKS),
        };
        // Not `usize`: 32 and 64 bits draw differently.
        self.election_ticks = self.random.u64(low as u64..high as u64) as usize;
        self.raw.raft.set_randomized_election_timeout(self.election_ticks);
    }
}
