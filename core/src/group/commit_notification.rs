//! How followers receive the commit index: with the next entries, or in a message of its own if no entries follow.
//!
//! By default Raft announces every commit at once. When requests follow each other, that costs three messages per
//! request, and soon afterwards the next entries carry the same information. Therefore separate announcements are at
//! least [`PAUSE`] apart: the first commit after a quiet time is announced at once; later ones travel with entries, or
//! when the pause is over.
//!
//! A caller that needs confirmation of a commit from all members ([`Group::have_confirmed`]) sends a heartbeat, because
//! members answer heartbeats.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use raft::eraftpb::{Message, MessageType};

use super::Group;
use crate::identity::{HostId, Member};
use crate::time::Instant;

/// The maximum additional delay for followers and for clients that read from them.
const PAUSE: Duration = Duration::from_millis(10);

/// The commits that a leader has announced.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct CommitNotification {
    /// The commit index in the last round of messages to all members.
    told: u64,
    /// No round that carries only the commit index is sent before this time.
    alone_from: Instant,
    /// The term and the index of the last request for confirmation.
    asked: (u64, u64),
}

impl Group {
    /// When to announce a commit that has not been announced yet.
    pub fn notification_due(&self) -> Option<Instant> {
        (self.is_leader() && self.commit_index() > self.notification.told).then_some(self.notification.alone_from)
    }

    /// Entries with the commit index are on their way to all followers.
    pub(super) fn notification_sent_with_entries(&mut self) {
        self.notification.told = self.commit_index();
    }

    /// Must be called whenever something may have been committed.
    pub(super) fn notify_of_commit_when_due(&mut self, now: Instant) {
        if self.notification_due().is_some_and(|due| due <= now) {
            self.notification.alone_from = now + PAUSE;
            self.notification.told = self.commit_index();
            self.raw.raft.bcast_append();
        }
    }

    /// Announces the commit index now, because a read from a follower is expected next.
    pub fn notify_of_commit_now(&mut self) {
        self.notification.alone_from = Instant::default();
        self.dirty |= self.notification_due().is_some();
    }

    /// Asks all members to confirm that `index` is committed, unless they were asked already and not all have answered.
    /// `held` is the index that all members have: a heartbeat cannot announce more than that. `known` is the index that
    /// all members have confirmed.
    pub fn have_confirmed(&mut self, index: u64, held: u64, known: u64) {
        let (term, commit) = (self.term(), self.commit_index());
        let asked = if self.notification.asked.0 == term { self.notification.asked.1 } else { 0 };
        let through = held.min(commit);
        if self.is_leader() && (asked + 1..=through).contains(&index) && asked <= known {
            self.notification.asked = (term, through);
            if through == commit {
                self.notification.told = commit;
            }
            self.dirty = true;
            self.raw.ping();
        }
    }

    /// A member is back. Its commit index may be lower than it reported, because a commit index need not be on disk.
    /// Announcements and reports may also have been lost.
    pub fn handle_member_back(&mut self, host: HostId) {
        self.commit_told = (0, 0);
        self.notification.asked = (0, 0);
        let here = |id: &u64| Member::from_raft(*id).is_some_and(|member| member.host == host);
        let ids: Vec<u64> = self.raw.raft.prs().iter().map(|(id, _)| *id).filter(here).collect();
        for id in ids {
            if let Some(progress) = self.raw.raft.mut_prs().get_mut(id) {
                progress.committed_index = 0;
            }
        }
    }

    /// An announcement of a commit needs no answer from a member that has acknowledged its entries. If that
    /// acknowledgement was lost, the leader asks again after a heartbeat, without announcing a commit.
    pub(super) fn leave_unanswered(&mut self, (term, index): (u64, u64)) {
        let says_it_again = |answer: &Message| {
            answer.get_msg_type() == MessageType::MsgAppendResponse && !answer.reject && answer.index == index
        };
        if self.acknowledged == (term, index) {
            self.raw.raft.msgs.pop_if(|answer| says_it_again(answer));
        }
    }
}
