//! The leader changes the members of its group: one change after the other, each when the last one is known.
//!
//! Which change is next, and who has to know the last one, is decided in [`super::members`]. Here the leader keeps what it has to
//! remember for that, and asks those who have to know: they are told what is committed with a heartbeat, which they answer.
//!
//! A member that says that it knows a change does so when that is on its disk (see [`Group::carry_out`]): if it starts again, it
//! still knows.

use std::time::Duration;

use super::members::{self, LastChange, Place, Standing, View};
use super::{Group, GroupEffect};
use crate::bugs::Bug;
use crate::identity::NodeId;
use crate::time::Instant;

/// A member's memory of changes of members.
#[derive(Default)]
pub(super) struct Changes {
    /// The place in the log of the newest one that is applied here, or a later place.
    pub last: u64,
    /// The batch that makes durable here that it is committed.
    pub written_in: Option<u64>,
    /// As a leader: since when the next one waits, behind the term.
    waiting: Option<(u64, Instant)>,
    /// The members that have to know the last one first.
    awaited: Vec<NodeId>,
    proposed: Option<Proposed>,
}

/// A change of members that this leader proposed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proposed {
    pub index: u64,
    /// The change before it, and for how long others were waited for to know that one.
    pub last: u64,
    pub waited: Duration,
}

impl Changes {
    /// Of those up to this place it is not known where the newest stands.
    pub(super) fn through(last: u64) -> Changes {
        Changes { last, ..Changes::default() }
    }
}

impl Group {
    /// The newest change of members that this member proposed as a leader since it started, of those that have to wait for others.
    pub fn proposed_change(&self) -> Option<Proposed> {
        self.changes.proposed
    }

    /// Proposes the next change if one is wanted and nobody has to be waited for; `true` when there is nothing else to do now.
    pub(super) fn change_members(&mut self, now: Instant, places: &[Place], standings: &[Standing]) -> bool {
        let last_change = LastChange { index: self.changes.last, waited: self.waited(now) };
        let view = View { places, standings, last_index: self.last_index(), last_change };
        let Some(change) = members::wanted_change(&view) else {
            self.changes.waiting = None;
            return false;
        };
        if change.takes_vote_of(self.me) {
            // A leader that took its own vote could not tell the others that they may go on.
            self.hand_over(|_| true);
            return true;
        }
        let awaited = members::awaited(&view, change);
        if !awaited.is_empty() && !self.bugs.has(Bug::ChangesDoNotWait) {
            self.wait_for(now, awaited, standings);
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

    fn wait_for(&mut self, now: Instant, awaited: Vec<NodeId>, standings: &[Standing]) {
        let term = self.term();
        if self.changes.waiting.is_none_or(|(waits_in, _)| waits_in != term) {
            self.changes.waiting = Some((term, now));
        }
        let others =
            standings.iter().filter(|standing| awaited.contains(&standing.member) && standing.member != self.me);
        let (held, known): (Vec<u64>, Vec<u64>) = others.map(|standing| (standing.matched, standing.committed)).unzip();
        if let (Some(held), Some(known)) = (held.into_iter().min(), known.into_iter().min()) {
            self.have_confirmed(self.changes.last, held, known);
        }
        self.changes.awaited = awaited;
    }

    /// Says, once, when all know the last change that are waited for.
    pub(super) fn notice_known_change(&mut self) {
        if self.changes.awaited.is_empty() {
            return;
        }
        let (last, progress) = (self.changes.last, self.raw.raft.prs());
        let knows = |member: &NodeId| match progress.get(member.to_raft()) {
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
