//! The members of groups that this node runs, by group.
//!
//! The node drives them: it passes messages and time, flushes them in each round of a turn, and carries out their
//! effects. Messages of a member whose first meeting is not recorded durably wait here.

use std::collections::BTreeMap;
use std::ops::{Bound, Index};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::out::Beginning;
use super::queues::{Queue, topics_queues};
use super::storage::Room;
use crate::group::members::Presence;
use crate::group::{Group, GroupConfig, GroupEffect, Start};
use crate::identity::{GroupId, HostId};
use crate::seating::Seating;
use crate::states::Role;
use crate::time::Instant;
use crate::topics::Sizes;
use crate::wire::peer::RaftMessage;

/// Interval of the maintenance by leaders. It causes no turn by itself and runs in the first turn after it is due; a
/// leader's heartbeats cause turns.
const MAINTENANCE: Duration = Duration::from_millis(250);
/// Most messages held back from members whose first meeting is not recorded durably yet. Beyond this, they are dropped
/// as if they had been lost.
const MAX_HELD: usize = 256;

/// See the [module](self).
#[derive(Serialize, Deserialize)]
pub(super) struct Groups {
    members: BTreeMap<GroupId, Group>,
    /// Messages that wait, each with the number of the batch that records the meeting, and its group.
    held: Vec<(u64, GroupId, RaftMessage)>,
    /// When this node last saw each host alive.
    last_seen: BTreeMap<HostId, Instant>,
    /// When the process started: as if it had seen all hosts then.
    started: Instant,
    next_maintenance: Instant,
    /// This turn received a leader's heartbeat.
    heartbeat_heard: bool,
}

/// The input of a group's maintenance by its leader.
pub(super) struct Maintenance {
    pub group: GroupId,
    /// Each host of the group.
    pub presences: Vec<Presence>,
    pub room: Room,
}

impl Groups {
    /// No groups yet. `now`: the start of the process.
    pub fn new(now: Instant) -> Groups {
        Groups {
            members: BTreeMap::new(),
            held: Vec::new(),
            last_seen: BTreeMap::new(),
            started: now,
            next_maintenance: now,
            heartbeat_heard: false,
        }
    }

    /// Creates this node's member of each of these groups.
    pub fn form(&mut self, now: Instant, groups: impl Iterator<Item = GroupConfig>, beginning: Beginning) {
        let mut starts = Starts::of(beginning);
        let member = |config: GroupConfig| {
            let (id, start) = (config.id, starts.take(config.id));
            (id, Group::new(now, config, start))
        };
        self.members = groups.map(member).collect();
    }

    /// Drops all members, and the messages that wait for them: the node crashes.
    pub fn drop_members(&mut self) {
        self.members.clear();
        self.held.clear();
    }

    // Queries.

    /// Whether each member is at the place of its group.
    pub fn are_keyed(&self) -> bool {
        self.members.iter().all(|(id, group)| *id == group.id())
    }

    /// This node's member of a group.
    pub fn get(&self, group: GroupId) -> Option<&Group> {
        self.members.get(&group)
    }

    /// This node's member of a group. `None` if it has none.
    pub fn get_mut(&mut self, group: GroupId) -> Option<&mut Group> {
        self.members.get_mut(&group)
    }

    /// Whether this node has a member of the group.
    pub fn contains(&self, group: GroupId) -> bool {
        self.members.contains_key(&group)
    }

    /// All members, in the order of their groups.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.members.values()
    }

    /// All members, in the order of their groups.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.members.values_mut()
    }

    /// The groups that this node leads, with their terms.
    pub fn led(&self) -> Vec<(GroupId, u64)> {
        self.iter().filter(|group| group.is_leader()).map(|group| (group.id(), group.term())).collect()
    }

    /// Whether a member is still catching up.
    pub fn is_any_learner(&self) -> bool {
        self.iter().any(|group| group.role() == Role::Learner)
    }

    /// When a member has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.iter().map(Group::next_deadline).min()
    }

    /// Bounded queues and tables; of those that exist per group or topic, the fullest.
    pub fn queues(&self) -> impl Iterator<Item = Queue> {
        let sizes = self.iter().map(|group| group.topics().sizes()).fold(Sizes::default(), Sizes::or_more);
        let held = Queue::of("held messages of members not yet met", self.held.len(), MAX_HELD);
        std::iter::once(held).chain(topics_queues(sizes))
    }

    // Time.

    /// Accounts for time in which the members could receive messages.
    pub fn pass_time(&mut self, now: Instant) {
        self.iter_mut().for_each(|group| group.pass_time(now));
    }

    /// Accounts for time in which this process stalled or was silent: it does not count as an absence of others.
    pub fn pass_stall(&mut self, now: Instant, missed: Duration) {
        for seen in self.last_seen.values_mut() {
            *seen = now.min(*seen + missed);
        }
    }

    /// Passes the time to every member.
    pub fn handle_time(&mut self, now: Instant) {
        self.iter_mut().for_each(|group| group.handle_time(now));
    }

    // Messages and writes.

    /// Holds a message until the batch that records the meeting with its sender is durable.
    pub fn hold(&mut self, batch: u64, group: GroupId, message: RaftMessage) {
        if self.held.len() < MAX_HELD {
            self.held.push((batch, group, message));
        }
    }

    /// A leader's heartbeat arrived: this turn's heartbeats of own groups follow it.
    pub fn note_heartbeat(&mut self) {
        self.heartbeat_heard = true;
    }

    /// Lets own heartbeats travel with those that arrived in this turn.
    pub fn keep_heartbeats_together(&mut self, now: Instant) {
        if std::mem::take(&mut self.heartbeat_heard) {
            self.iter_mut().for_each(|group| group.keep_up_with_heartbeats(now));
        }
    }

    /// All batches up to `batch` are durable. Returns the messages that waited for them, with their groups.
    pub fn handle_written(&mut self, batch: u64) -> Vec<(GroupId, RaftMessage)> {
        self.iter_mut().for_each(|group| group.handle_written(batch));
        let due = self.held.extract_if(.., |(waits_for, ..)| *waits_for <= batch);
        due.map(|(_, group, message)| (group, message)).collect()
    }

    /// Flushes the next member after `behind` that has something to flush. `None`: there is none.
    pub fn flush_next(
        &mut self,
        behind: Bound<GroupId>,
        now: Instant,
        batch: u64,
    ) -> Option<(GroupId, Vec<GroupEffect>)> {
        let mut rest = self.members.range_mut((behind, Bound::Unbounded));
        let (&group, member) = rest.find(|(_, member)| member.is_dirty())?;
        Some((group, member.flush(now, batch)))
    }

    // Members that come and go.

    /// A host became visible again, or has a new incarnation.
    pub fn handle_member_back(&mut self, now: Instant, host: HostId) {
        self.last_seen.insert(host, now);
        self.iter_mut().for_each(|group| group.handle_member_back(host));
        self.look_after_members_soon(now);
    }

    /// A host is lost. `me` stands for election after the members before it that are alive.
    pub fn handle_member_lost(&mut self, me: HostId, host: HostId, is_alive: impl Fn(HostId) -> bool) {
        for group in self.members.values_mut() {
            let mut left = group.hosts().iter().filter(|other| **other != host && (**other == me || is_alive(**other)));
            let rank = left.position(|other| *other == me);
            group.handle_leader_lost(host, rank.unwrap_or(0));
        }
    }

    /// Makes maintenance due now, so that a returned member, or a change that waits for another, is handled without
    /// delay.
    pub fn look_after_members_soon(&mut self, now: Instant) {
        self.next_maintenance = now;
    }

    /// Whether it is time for the periodic maintenance of groups.
    pub fn is_maintenance_due(&self, now: Instant) -> bool {
        self.next_maintenance <= now
    }

    /// Schedules the next maintenance, one interval after `now`.
    pub fn note_maintenance(&mut self, now: Instant) {
        self.next_maintenance = now + MAINTENANCE;
    }

    /// Notes which hosts are alive now.
    pub fn note_alive(&mut self, now: Instant, seating: &Seating, is_up: impl Fn(HostId) -> bool) {
        for host in seating.hosts() {
            let seen = self.last_seen.entry(host).or_insert(self.started);
            if is_up(host) {
                *seen = now;
            }
        }
    }

    /// How long a host has not been seen alive.
    pub fn away(&self, now: Instant, host: HostId) -> Duration {
        now.since(self.last_seen.get(&host).copied().unwrap_or(self.started))
    }

    /// Changes members where that is due, and hands leadership to members with room.
    pub fn maintain(&mut self, now: Instant, tasks: Vec<Maintenance>) {
        for Maintenance { group, presences, room } in tasks {
            let Some(member) = self.members.get_mut(&group) else { continue };
            member.maintain(now, &presences, room.home_may_lead);
            if room.leads_elsewhere {
                member.hand_over(|host| room.members.contains(&host));
            }
        }
    }

    /// Whether the disk is full, so that the logs keep as little as possible.
    pub fn save_room(&mut self, saves_room: bool) {
        self.iter_mut().for_each(|group| group.save_room(saves_room));
    }
}

impl Index<GroupId> for Groups {
    type Output = Group;

    /// Panics if this node has no member of the group.
    fn index(&self, group: GroupId) -> &Group {
        &self.members[&group]
    }
}

/// The state with which each member begins.
enum Starts {
    Founding,
    Joining,
    Restored(BTreeMap<GroupId, Start>),
}

impl Starts {
    fn of(beginning: Beginning) -> Starts {
        match beginning {
            Beginning::Founding => Starts::Founding,
            Beginning::Joining => Starts::Joining,
            Beginning::Restored(found) => {
                Starts::Restored(found.into_iter().map(|found| (found.group, Start::Restored(found))).collect())
            }
        }
    }

    fn take(&mut self, group: GroupId) -> Start {
        match self {
            Starts::Founding => Start::Founding,
            Starts::Joining => Start::Joining,
            Starts::Restored(found) => found.remove(&group).unwrap_or(Start::Joining),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::Dimension;
    use crate::identity::Member;
    use crate::node::testing::founding_groups;

    fn host(text: &str) -> HostId {
        text.parse().unwrap()
    }

    fn group(home: &str) -> GroupId {
        GroupId::of(home.parse().unwrap())
    }

    fn seating() -> Seating {
        Seating::founding(Dimension::new(2).unwrap())
    }

    fn groups(beginning: Beginning) -> Groups {
        let mut groups = Groups::new(Instant(0));
        groups.form(Instant(0), founding_groups(&seating(), host("01")), beginning);
        groups
    }

    fn message(index: u64) -> RaftMessage {
        let (from, to) = (Member::founding(host("00")), Member::founding(host("01")));
        RaftMessage {
            kind: 0,
            from,
            to,
            term: 1,
            log_term: 1,
            index,
            entries: Vec::new(),
            commit: 0,
            commit_term: 0,
            snapshot: None,
            request_snapshot: 0,
            reject: false,
            reject_hint: 0,
            context: Vec::new(),
            priority: 0,
        }
    }

    #[test]
    fn a_node_is_a_member_of_its_own_group_and_of_its_neighbours() {
        let groups = groups(Beginning::Founding);
        assert_eq!(groups.iter().map(Group::id).collect::<Vec<_>>(), ["00", "01", "11"].map(group));
        assert!(!groups.is_any_learner() && groups.get(group("10")).is_none());
    }

    #[test]
    fn a_member_without_a_state_is_a_learner() {
        assert!(groups(Beginning::Joining).is_any_learner());
        assert!(groups(Beginning::Restored(Vec::new())).is_any_learner());
    }

    #[test]
    fn held_messages_wait_for_their_batch_and_too_many_are_dropped() {
        let mut groups = groups(Beginning::Founding);
        for index in 0..=MAX_HELD as u64 {
            groups.hold(1 + index % 2, group("00"), message(index));
        }
        assert!(groups.queues().all(|queue| queue.is_within_limit()));
        assert_eq!(groups.handle_written(1).len(), MAX_HELD / 2);
        assert_eq!(groups.handle_written(2).len(), MAX_HELD / 2);
        assert_eq!(groups.handle_written(3), []);
    }

    #[test]
    fn the_time_of_an_own_stall_is_not_an_absence_of_others() {
        let mut groups = groups(Beginning::Founding);
        let now = Instant(9_000_000);
        groups.note_alive(Instant(0), &seating(), |_| true);
        groups.pass_stall(now, Duration::from_secs(4));
        assert_eq!(groups.away(now, host("00")), Duration::from_secs(5));
        groups.note_alive(now, &seating(), |host| host != self::host("00"));
        assert_eq!([host("00"), host("11")].map(|away| groups.away(now, away).as_secs()), [5, 0]);
    }
}
