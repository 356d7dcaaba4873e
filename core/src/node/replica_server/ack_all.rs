//! `ack: all`: a publish is answered when every member that is up has the message and serves it.
//!
//! Raft waits for a majority. For `ack: all` the leader also waits for the others, then tells all members that the
//! message is committed and awaits their confirmation. After the answer, every replica therefore serves the message,
//! even if the leader fails at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::out::{GroupAsk, Out, PartEffect};
use super::super::view::View;
use super::ReplicaServer;
use super::commands::{AwaitingAll, Waiter};
use crate::group::Group;
use crate::group::members::Progress;
use crate::identity::{GroupId, HostId, RequestKey};
use crate::topics::Outcome;
use crate::wire::answer::ErrorCode;
use crate::wire::peer::Reply;

/// How long to wait for members that are up but do not confirm. After that the client receives `timeout`, and a retry
/// is recognised as a repeat.
const PATIENCE: Duration = Duration::from_secs(4);

/// Log indexes that every other member that is up is known to have reached.
struct Through {
    /// Every member has the entries up to this index.
    held: u64,
    /// Every member has confirmed that the entries up to this index are committed.
    known: u64,
}

impl ReplicaServer {
    pub(super) fn await_all(
        &mut self,
        group: GroupId,
        index: u64,
        key: RequestKey,
        waiter: Waiter,
        outcome: Outcome,
        view: &View,
    ) {
        let until = view.monotonic() + PATIENCE;
        self.commands.awaiting_all.push(AwaitingAll { key, waiter, group, index, until, outcome });
    }

    /// Tells the members that entries which all of them have are committed, and requests their confirmation.
    pub fn have_commits_confirmed(&mut self, view: &View, out: &mut Out) {
        let mut awaited: BTreeMap<GroupId, Vec<u64>> = BTreeMap::new();
        for waiting in &self.commands.awaiting_all {
            awaited.entry(waiting.group).or_default().push(waiting.index);
        }
        for (group, indexes) in awaited {
            let through = through_all(view, group);
            let held = indexes.into_iter().filter(|index| *index <= through.held).max();
            if let Some(index) = held {
                let ask = GroupAsk::HaveConfirmed { index, held: through.held, known: through.known };
                out.push(PartEffect::Group(group, ask));
            }
        }
    }

    /// Answers the publishes that every member has confirmed, and those whose time has passed.
    pub fn check_awaited_replicas(&mut self, view: &View, out: &mut Out) {
        if self.commands.awaiting_all.is_empty() {
            return;
        }
        let mut known_by_all = BTreeMap::new();
        for waiting in std::mem::take(&mut self.commands.awaiting_all) {
            if !view.groups.get(waiting.group).is_some_and(|group| group.is_leader()) {
                out.reply(&waiting.waiter.requester, Reply::NotLeader { leader: None, proposed: true });
                continue;
            }
            let known = *known_by_all.entry(waiting.group).or_insert_with(|| through_all(view, waiting.group).known);
            if waiting.index <= known {
                self.acknowledge(waiting.index, waiting.waiter, waiting.outcome, view, out);
            } else if view.monotonic() < waiting.until {
                self.commands.awaiting_all.push(waiting);
            } else {
                let lacking = lacking(view, waiting.group, waiting.index).join(", ");
                let text =
                    format!("committed, but {lacking} did not confirm in time; retry with the same sequence number");
                out.reply_result(
                    view.me,
                    &waiting.waiter.requester,
                    waiting.waiter.hops,
                    Err(ErrorCode::Timeout.because(text)),
                );
            }
        }
    }
}

fn through_all(view: &View, group: GroupId) -> Through {
    let (held, known): (Vec<u64>, Vec<u64>) = others_up(view, group).map(|(_, held, known)| (held, known)).unzip();
    let least = |through: Vec<u64>| through.into_iter().min().unwrap_or(u64::MAX);
    Through { held: least(held), known: least(known) }
}

fn lacking(view: &View, group: GroupId, index: u64) -> Vec<String> {
    others_up(view, group).filter(|(_, _, known)| *known < index).map(|(host, ..)| host.to_string()).collect()
}

/// The other members that are up: each with the index up to which it has the log, and the index up to which it has
/// confirmed the commit. A member that returned as a new incarnation counts from zero, whatever its lost disk held.
fn others_up(view: &View, group: GroupId) -> impl Iterator<Item = (HostId, u64, u64)> {
    let progress = view.groups.get(group).map(Group::progress).unwrap_or_default();
    let up = view.members(group).filter(|host| *host != view.me && view.overlay.is_alive(*host));
    up.map(move |host| {
        let incarnation = view.overlay.incarnation_of(host);
        let is_it =
            |progress: &&Progress| progress.member.host == host && Some(progress.member.incarnation) == incarnation;
        let it = progress.iter().find(is_it);
        (host, it.map_or(0, |it| it.matched), it.map_or(0, |it| it.committed))
    })
}
