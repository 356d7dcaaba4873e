//! How the followers hear what is committed: with the next entries; where none follow, in a message of its own.
//!
//! raft would tell every commit at once. Where one request follows the other, that is three messages for each, soon after which
//! the next entries say the same. So news travels alone at most once in [`PAUSE`]: the first commit after a quiet time is told
//! at once, and what is committed right behind it goes with entries, or when the pause is over.
//!
//! Whoever must know that all members know ([`Group::have_confirmed`]) asks them with a heartbeat, for heartbeats are answered.

use std::time::Duration;

use raft::eraftpb::{Message, MessageType};

use super::Group;
use crate::cube::Vertex;
use crate::identity::NodeId;
use crate::time::Instant;

/// Followers, and who reads from them, are behind by so much more at most.
const PAUSE: Duration = Duration::from_millis(10);

/// What a leader has told of its commits.
#[derive(Default)]
pub(super) struct CommitNews {
    /// The commit index that the last round of messages carried to all.
    told: u64,
    /// Not before this is a round sent that carries nothing else.
    alone_from: Instant,
    /// The index that the members were last asked to confirm, behind the term in which they were.
    asked: (u64, u64),
}

impl Group {
    /// When a commit that nobody was told of is to be told.
    pub fn news_due(&self) -> Option<Instant> {
        (self.is_leader() && self.commit_index() > self.news.told).then_some(self.news.alone_from)
    }

    /// Entries are on their way to all followers, with the commit index.
    pub(super) fn news_travels_along(&mut self) {
        self.news.told = self.commit_index();
    }

    /// Called whenever something may have been committed.
    pub(super) fn tell_news_when_due(&mut self, now: Instant) {
        if self.news_due().is_some_and(|due| due <= now) {
            self.news.alone_from = now + PAUSE;
            self.news.told = self.commit_index();
            self.raw.raft.bcast_append();
        }
    }

    /// What is committed is told now, for somebody will look for it at a follower next.
    pub fn tell_news_at_once(&mut self) {
        self.news.alone_from = Instant::default();
        self.stirred |= self.news_due().is_some();
    }

    /// Asks all members to say that they know `index` to be committed, unless they were asked and not all have answered yet.
    /// `held` is what all have, for a heartbeat tells nobody of more than that; `known` is what all have said that they know.
    pub fn have_confirmed(&mut self, index: u64, held: u64, known: u64) {
        let (term, commit) = (self.term(), self.commit_index());
        let asked = if self.news.asked.0 == term { self.news.asked.1 } else { 0 };
        let through = held.min(commit);
        if self.is_leader() && (asked + 1..=through).contains(&index) && asked <= known {
            self.news.asked = (term, through);
            if through == commit {
                self.news.told = commit;
            }
            self.stirred = true;
            self.raw.ping();
        }
    }

    /// A member is here again. It may know less than it said, for what it knew need not be on its disk; and what it was told, or
    /// said, may have been lost on the way.
    pub fn handle_member_back(&mut self, vertex: Vertex) {
        self.commit_told = (0, 0);
        self.news.asked = (0, 0);
        let here = |id: &u64| NodeId::from_raft(*id).is_some_and(|member| member.vertex == vertex);
        let ids: Vec<u64> = self.raw.raft.prs().iter().map(|(id, _)| *id).filter(here).collect();
        for id in ids {
            if let Some(progress) = self.raw.raft.mut_prs().get_mut(id) {
                progress.committed_index = 0;
            }
        }
    }

    /// The news of a commit needs no answer from a member that has acknowledged its entries. Should that have been lost, the
    /// leader asks again after a heartbeat, with no news then.
    pub(super) fn leave_unanswered(&mut self, (term, index): (u64, u64)) {
        let says_it_again = |answer: &Message| {
            answer.get_msg_type() == MessageType::MsgAppendResponse && !answer.reject && answer.index == index
        };
        if self.acknowledged == (term, index) {
            self.raw.raft.msgs.pop_if(|answer| says_it_again(answer));
        }
    }
}
