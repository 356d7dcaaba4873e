//! The leader's tasks: proposing, maintaining the membership, and transferring leadership back to the home.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::elections::ELECTION_TICKS;
use super::members::{Presence, Progress};
use super::{Group, MESSAGE_BYTES};
use crate::bugs::Bug;
use crate::identity::{HostId, Member};
use crate::time::Instant;
use crate::topics::command::{self, Command};

/// The leader transfers leadership to the home when the home lacks at most this many entries. Raft itself waits for the
/// rest.
const HAND_BACK_ENTRIES: u64 = 64;
/// The minimum time between two such transfers.
const HAND_BACK_PAUSE: Duration = Duration::from_secs(2);

/// When a message of each member was last received. Raft tracks this too, but resets it at every check, so that for a
/// moment no member counts as active.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Answers {
    ticks: usize,
    /// For each host: the newest incarnation that sent a message, and the tick of that message.
    last: BTreeMap<HostId, (Member, usize)>,
}

impl Answers {
    pub(super) fn pass(&mut self) {
        self.ticks += 1;
    }

    pub(super) fn note(&mut self, from: Member) {
        self.last.insert(from.host, (from, self.ticks));
    }

    /// Whether a message arrived within the last election timeout.
    fn came_lately_from(&self, member: Member) -> bool {
        let last = self.last.get(&member.host).filter(|(from, _)| *from == member);
        last.is_some_and(|(_, at)| self.ticks - at <= ELECTION_TICKS)
    }
}

impl Group {
    /// Proposes commands as entries of bounded size. `Err` returns commands that were not proposed: this member is not
    /// the leader, or is transferring leadership.
    pub fn propose(&mut self, commands: Vec<Command>) -> Result<(), Vec<Command>> {
        if !self.can_propose() {
            return Err(commands);
        }
        self.dirty = true;
        let mut rest = commands.into_iter().peekable();
        while rest.peek().is_some() {
            let mut bytes = 0;
            let mut entry = Vec::new();
            while let Some(command) =
                rest.next_if(|command| bytes == 0 || bytes + command.weight() <= MESSAGE_BYTES as usize)
            {
                bytes += command.weight();
                entry.push(command);
            }
            if self.raw.propose(Vec::new(), command::encode_commands(&entry)).is_err() {
                entry.extend(rest);
                return Err(entry);
            }
            if let Some(proposed) = self.raw.raft.raft_log.unstable_entries().last() {
                self.decoded.keep(proposed.index, &proposed.data, entry);
            }
        }
        self.notification_sent_with_entries();
        Ok(())
    }

    /// Whether a proposal would be accepted now.
    pub fn can_propose(&self) -> bool {
        self.is_leader() && self.raw.raft.lead_transferee.is_none()
    }

    /// Maintains the group if this member leads: grants and removes votes, and transfers leadership back to the home if
    /// it may lead.
    pub fn maintain(&mut self, now: Instant, presences: &[Presence], home_may_lead: bool) {
        if !self.is_leader() || !self.raw.raft.commit_to_current_term() {
            return;
        }
        self.dirty = true;
        let progress = self.progress();
        if !self.raw.raft.has_pending_conf() && self.change_members(now, presences, &progress) {
            return;
        }
        if home_may_lead {
            self.hand_back(now, presences, &progress);
        }
    }

    fn hand_back(&mut self, now: Instant, presences: &[Presence], progress: &[Progress]) {
        let waited = self.last_hand_back.is_none_or(|last| now.since(last) >= HAND_BACK_PAUSE);
        if self.bugs.has(Bug::HomeNeverLeadsAgain) {
            return;
        }
        if self.is_home(self.me) || !waited || self.raw.raft.lead_transferee.is_some() {
            return;
        }
        let is_home = |member: Member| {
            let is_it =
                |presence: &Presence| presence.host == member.host && presence.alive == Some(member.incarnation);
            self.is_home(member) && presences.iter().any(is_it)
        };
        let home = progress.iter().find(|progress| is_home(progress.member) && progress.votes && progress.active);
        if let Some(home) = home.filter(|home| home.matched + HAND_BACK_ENTRIES >= self.last_index()) {
            self.last_hand_back = Some(now);
            self.raw.transfer_leader(home.member.to_raft());
        }
    }

    /// Transfers leadership because this leader cannot do its work: to the most advanced member that `may_lead`
    /// accepts, if it lacks at most `HAND_BACK_ENTRIES` entries.
    pub fn hand_over(&mut self, may_lead: impl Fn(HostId) -> bool) {
        if !self.can_propose() {
            return;
        }
        let progress = self.progress();
        let can_lead = |progress: &&Progress| {
            progress.votes && progress.active && progress.member != self.me && may_lead(progress.member.host)
        };
        if let Some(next) = progress.iter().filter(can_lead).max_by_key(|progress| progress.matched)
            && next.matched + HAND_BACK_ENTRIES >= self.last_index()
        {
            self.dirty = true;
            self.raw.transfer_leader(next.member.to_raft());
        }
    }

    /// The known progress of each member. Meaningful on the leader only.
    pub fn progress(&self) -> Vec<Progress> {
        let votes = |id| self.raw.store().members().get_voters().contains(&id);
        let mut progress: Vec<Progress> = self
            .raw
            .raft
            .prs()
            .iter()
            .filter_map(|(id, progress)| {
                let member = Member::from_raft(*id)?;
                let active = member == self.me || self.answers.came_lately_from(member);
                let unwritten = member == self.me && self.changes.written_in.is_some();
                let (matched, committed) = (progress.matched, if unwritten { 0 } else { progress.committed_index });
                Some(Progress { member, votes: votes(*id), matched, committed, active })
            })
            .collect();
        progress.sort_by_key(|progress| progress.member);
        progress
    }
}
