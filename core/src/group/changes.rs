//! Changes of the group's members by the leader: one change at a time, each after the members have confirmed the last
//! one.
//!
//! [`super::members`] decides which change is next and which members have to confirm the last one. This module stores
//! the leader's state for that, and asks those members to confirm: a heartbeat carries the commit index, and they
//! answer it.
//!
//! A member confirms a change only when the change is on its disk (see [`Group::process_ready`]), so the confirmation
//! also holds after a restart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::members::{self, LastChange, Presence, Progress, View};
use super::{Group, GroupEffect};
use crate::bugs::Bug;
use crate::identity::Member;
use crate::time::Instant;

/// A member's state about changes of members.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Changes {
    /// The index of the newest change that is applied here, or a later index.
    pub last: u64,
    /// The batch that makes durable here that the change is committed.
    pub written_in: Option<u64>,
    /// On a leader: the term, and the time since when the next change has been waiting.
    waiting: Option<(u64, Instant)>,
    /// The members that have to confirm the last change first.
    awaited: Vec<Member>,
    proposed: Option<Proposed>,
}

/// A change of members that this leader proposed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proposed {
    /// The change's index in the log.
    pub index: u64,
    /// The index of the previous change.
    pub last: u64,
    /// For how long this change waited for members to confirm the previous one.
    pub waited: Duration,
}

impl Changes {
    /// The newest change is at this index or before it; its exact index is unknown.
    pub(super) fn through(last: u64) -> Changes {
        Changes { last, ..Changes::default() }
    }
}

impl Group {
    /// The newest change that this member proposed as a leader since its start, among those that have to wait for
    /// others.
    pub fn proposed_change(&self) -> Option<Proposed> {
        self.changes.proposed
    }

    /// Proposes the next change, if one is needed and no member has to be waited for. Returns `true` if there is
    /// nothing else to do now.
    pub(super) fn change_members(&mut self, now: Instant, presences: &[Presence], progress: &[Progress]) -> bool {
        let last_change = LastChange { index: self.changes.last, waited: self.waited(now) };
        let view = View { presences, progress, last_index: self.last_index(), last_change };
        let Some(change) = members::wanted_change(&view) else {
            self.changes.waiting = None;
            return false;
        };
        if change.takes_vote_of(self.me) {
            // A leader that removed its own vote could not inform the others that they may continue.
            self.hand_over(|_| true);
            return true;
        }
        let awaited = members::awaited(&view, change);
        if !awaited.is_empty() && !self.bugs.has(Bug::ChangesDoNotWait) {
            self.wait_for(now, awaited, progress);
            return false;
        }
        self.changes.waiting = None;
        self.changes.awaited.clear();
        let is_proposed = self.raw.propose_conf_change(Vec::new(), change.to_raft()).is_ok();
        if is_proposed && members::has_to_wait(&view, change) {
            let LastChange { index: last, waited } = last_change;
            self.changes.proposed = Some(Proposed { index: self.last_index(), last, waited });
        }
        true
    }

    fn waited(&self, now: Instant) -> Duration {
        self.changes
            .waiting
            .filter(|(term, _)| *term == self.term())
            .map_or(Duration::ZERO, |(_, since)| now.since(since))
    }

    fn wait_for(&mut self, now: Instant, awaited: Vec<Member>, progress: &[Progress]) {
        let term = self.term();
        if self.changes.waiting.is_none_or(|(waits_in, _)| waits_in != term) {
            self.changes.waiting = Some((term, now));
        }
        let others =
            progress.iter().filter(|progress| awaited.contains(&progress.member) && progress.member != self.me);
        let (held, known): (Vec<u64>, Vec<u64>) = others.map(|progress| (progress.matched, progress.committed)).unzip();
        if let (Some(held), Some(known)) = (held.into_iter().min(), known.into_iter().min()) {
            self.have_confirmed(self.changes.last, held, known);
        }
        self.changes.awaited = awaited;
    }

    /// Reports, once, that all awaited members have confirmed the last change.
    pub(super) fn notice_known_change(&mut self) {
        if self.changes.awaited.is_empty() {
            return;
        }
        let (last, progress) = (self.changes.last, self.raw.raft.prs());
        let knows = |member: &Member| match progress.get(member.to_raft()) {
            Some(_) if *member == self.me => self.changes.written_in.is_none(),
            Some(told) => told.committed_index >= last,
            None => true,
        };
        if self.changes.awaited.iter().all(knows) {
            self.changes.awaited.clear();
            self.effects.push(GroupEffect::ChangeIsKnown);
        }
    }
}
