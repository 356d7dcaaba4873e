//! `ack: all`: a publish is answered when every member that is up has the message and serves it.
//!
//! Raft waits for a majority. For `ack: all` the leader also waits for the others, then tells all members that the
//! message is committed and awaits their confirmation. After the answer, every replica therefore serves the message,
//! even if the leader fails at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Node;
use super::serve::Waiter;
use crate::cube::Vertex;
use crate::group::members::Progress;
use crate::identity::RequestKey;
use crate::placement;
use crate::time::Instant;
use crate::topics::Outcome;
use crate::wire::answer::ErrorCode;
use crate::wire::peer::Reply;

/// How long to wait for members that are up but do not confirm. After that the client receives `timeout`, and a retry
/// is recognised as a repeat.
const PATIENCE: Duration = Duration::from_secs(4);

/// A committed publish that awaits all members.
pub(super) struct AwaitingAll {
    pub key: RequestKey,
    pub waiter: Waiter,
    group: Vertex,
    index: u64,
    until: Instant,
    outcome: Outcome,
}

/// Log indexes that every other member that is up is known to have reached.
struct Through {
    /// Every member has the entries up to this index.
    held: u64,
    /// Every member has confirmed that the entries up to this index are committed.
    known: u64,
}

impl Node {
    pub(super) fn await_all(&mut self, group: Vertex, index: u64, key: RequestKey, waiter: Waiter, outcome: Outcome) {
        let until = self.now.monotonic + PATIENCE;
        self.serving.awaiting_all.push(AwaitingAll { key, waiter, group, index, until, outcome });
    }

    /// Tells the members that entries which all of them have are committed, and requests their confirmation.
    pub(super) fn have_commits_confirmed(&mut self) {
        let mut awaited: BTreeMap<Vertex, Vec<u64>> = BTreeMap::new();
        for waiting in &self.serving.awaiting_all {
            awaited.entry(waiting.group).or_default().push(waiting.index);
        }
        for (home, indexes) in awaited {
            let through = self.through_all(home);
            let held = indexes.into_iter().filter(|index| *index <= through.held).max();
            if let (Some(index), Some(group)) = (held, self.groups.get_mut(&home)) {
                group.have_confirmed(index, through.held, through.known);
            }
        }
    }

    /// Answers the publishes that every member has confirmed, and those whose time has passed.
    pub(super) fn check_awaited_replicas(&mut self) {
        if self.serving.awaiting_all.is_empty() {
            return;
        }
        let mut known_by_all = BTreeMap::new();
        for waiting in std::mem::take(&mut self.serving.awaiting_all) {
            if !self.groups.get(&waiting.group).is_some_and(|group| group.is_leader()) {
                self.reply(&waiting.waiter.requester, Reply::NotLeader { leader: None, proposed: true });
                continue;
            }
            let known = *known_by_all.entry(waiting.group).or_insert_with(|| self.through_all(waiting.group).known);
            if waiting.index <= known {
                self.acknowledge(waiting.index, waiting.waiter, waiting.outcome);
            } else if self.now.monotonic < waiting.until {
                self.serving.awaiting_all.push(waiting);
            } else {
                let lacking = self.lacking(waiting.group, waiting.index).join(", ");
                let text =
                    format!("committed, but {lacking} did not confirm in time; retry with the same sequence number");
                self.reply_result(
                    &waiting.waiter.requester,
                    waiting.waiter.hops,
                    Err(ErrorCode::Timeout.because(text)),
                );
            }
        }
    }

    fn through_all(&self, home: Vertex) -> Through {
        let (held, known): (Vec<u64>, Vec<u64>) = self.others_up(home).map(|(_, held, known)| (held, known)).unzip();
        let least = |through: Vec<u64>| through.into_iter().min().unwrap_or(u64::MAX);
        Through { held: least(held), known: least(known) }
    }

    fn lacking(&self, home: Vertex, index: u64) -> Vec<String> {
        self.others_up(home).filter(|(_, _, known)| *known < index).map(|(vertex, ..)| vertex.to_string()).collect()
    }

    /// The other members that are up: each with the index up to which it has the log, and the index up to which it has
    /// confirmed the commit. A member that returned as a new incarnation counts from zero, whatever its lost disk held.
    fn others_up(&self, home: Vertex) -> impl Iterator<Item = (Vertex, u64, u64)> {
        let progress = self.groups.get(&home).map(|group| group.progress()).unwrap_or_default();
        let up = placement::members(home).filter(|vertex| *vertex != self.me && self.overlay.is_alive(*vertex));
        up.map(move |vertex| {
            let incarnation = self.overlay.incarnation_of(vertex);
            let is_it = |progress: &&Progress| {
                progress.member.vertex == vertex && Some(progress.member.incarnation) == incarnation
            };
            let it = progress.iter().find(is_it);
            (vertex, it.map_or(0, |it| it.matched), it.map_or(0, |it| it.committed))
        })
    }
}
