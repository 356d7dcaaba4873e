//! When a member stands for election: after a timeout, or as soon as the leader is known to be gone.

use std::time::Duration;

use raft::StateRole;

use super::Group;
use crate::identity::HostId;
use crate::time::Instant;

/// Raft's unit of time.
pub const TICK: Duration = Duration::from_millis(50);
/// In ticks: 200 ms between heartbeats; 0.5 to 1 s without a heartbeat before an election. These times apply to silence
/// only: a broken link is detected at once, see [`Group::handle_leader_lost`].
pub(super) const HEARTBEAT_TICKS: usize = 4;
pub(super) const ELECTION_TICKS: usize = 10;

impl Group {
    /// The number of ticks until Raft or a transfer has something to do; 1 is the next tick.
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

    /// A heartbeat of another group's leader arrived. If this leader's heartbeat is due at the next tick, it is sent
    /// now. This way all nodes wake up together, and each heartbeat travels with the answers to others.
    pub fn keep_up_with_heartbeats(&mut self, now: Instant) {
        if self.is_leader() && self.ticks_to_act() == 1 && !self.is_transferring() {
            self.next_tick = now;
            self.handle_time(now);
        }
    }

    /// The leader's node is known to be gone: do not wait for the timeout. `rank` is the number of members that stand
    /// first.
    pub fn handle_leader_lost(&mut self, leader: HostId, rank: usize) {
        if self.leader().is_none_or(|known| known.host != leader) || self.is_leader() {
            return;
        }
        // The lease from the leader's last heartbeat is void: votes may be granted at once.
        self.raw.raft.election_elapsed = ELECTION_TICKS;
        self.election_ticks = ELECTION_TICKS + 1 + (2 * rank).min(ELECTION_TICKS - 2);
        self.raw.raft.set_randomized_election_timeout(self.election_ticks);
        self.leader_is_lost = true;
    }

    /// Draws a new timeout at every change of term or role. Otherwise restores the last one, in case Raft made its own
    /// draw.
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
        // If the leader is known to be gone there is nothing to wait for. Otherwise the home stands first.
        let (low, high) = match (self.leader_is_lost, self.is_home(self.me)) {
            (true, _) => (ELECTION_TICKS, ELECTION_TICKS + 4),
            (false, true) => (ELECTION_TICKS, ELECTION_TICKS + 4),
            (false, false) => (ELECTION_TICKS + 4, 2 * ELECTION_TICKS),
        };
        // Not `usize`: the draws would differ between 32 and 64 bits.
        self.election_ticks = self.random.u64(low as u64..high as u64) as usize;
        self.raw.raft.set_randomized_election_timeout(self.election_ticks);
    }
}
