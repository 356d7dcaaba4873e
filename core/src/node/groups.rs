//! The members of groups that this node runs, by the home of each group.
//!
//! The node drives them: it passes messages and time, flushes them in each round of a turn, and carries out their
//! effects. Messages of a member whose first meeting is not recorded durably wait here.

use std::collections::BTreeMap;
use std::ops::{Bound, Index};
use std::time::Duration;

use super::out::Beginning;
use super::queues::{Queue, topics_queues};
use super::storage::Room;
use crate::bugs::Bugs;
use crate::cube::Vertex;
use crate::group::members::Presence;
use crate::group::{Group, GroupEffect, LogLimits, Start};
use crate::identity::NodeId;
use crate::placement;
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
pub(super) struct Groups {
    members: BTreeMap<Vertex, Group>,
    /// Messages that wait, each with the number of the batch that records the meeting, and its group.
    held: Vec<(u64, Vertex, RaftMessage)>,
    /// When this node last saw each vertex alive.
    last_seen: BTreeMap<Vertex, Instant>,
    /// When the process started: as if it had seen all vertices then.
    started: Instant,
    next_maintenance: Instant,
    /// This turn received a leader's heartbeat.
    heartbeat_heard: bool,
}

/// The input of a group's maintenance by its leader.
pub(super) struct Maintenance {
    pub home: Vertex,
    /// Each vertex of the group.
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

    /// Creates the member of every group that `identity` belongs to, each with a seed of its own.
    pub fn form(
        &mut self,
        now: Instant,
        identity: NodeId,
        beginning: Beginning,
        limits: LogLimits,
        bugs: Bugs,
        mut seed: impl FnMut() -> u64,
    ) {
        let mut starts = Starts::of(beginning);
        self.members = placement::members(identity.vertex)
            .map(|home| (home, Group::new(now, home, identity, seed(), limits, bugs, starts.take(home))))
            .collect();
    }

    /// Drops all members, and the messages that wait for them: the node crashes.
    pub fn drop_members(&mut self) {
        self.members.clear();
        self.held.clear();
    }

    // Queries.

    /// This node's member of the group of `home`.
    pub fn get(&self, home: Vertex) -> Option<&Group> {
        self.members.get(&home)
    }

    pub fn get_mut(&mut self, home: Vertex) -> Option<&mut Group> {
        self.members.get_mut(&home)
    }

    /// Whether this node has a member of the group.
    pub fn contains(&self, home: Vertex) -> bool {
        self.members.contains_key(&home)
    }

    /// All members, in the order of their homes.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.members.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.members.values_mut()
    }

    /// The groups that this node leads, with their terms.
    pub fn led(&self) -> Vec<(Vertex, u64)> {
        self.iter().filter(|group| group.is_leader()).map(|group| (group.home(), group.term())).collect()
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

    pub fn handle_time(&mut self, now: Instant) {
        self.iter_mut().for_each(|group| group.handle_time(now));
    }

    // Messages and writes.

    /// Holds a message until the batch that records the meeting with its sender is durable.
    pub fn hold(&mut self, batch: u64, home: Vertex, message: RaftMessage) {
        if self.held.len() < MAX_HELD {
            self.held.push((batch, home, message));
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
    pub fn handle_written(&mut self, batch: u64) -> Vec<(Vertex, RaftMessage)> {
        self.iter_mut().for_each(|group| group.handle_written(batch));
        let due = self.held.extract_if(.., |(waits_for, ..)| *waits_for <= batch);
        due.map(|(_, home, message)| (home, message)).collect()
    }

    /// Flushes the next member after `behind` that has something to flush. `None`: there is none.
    pub fn flush_next(
        &mut self,
        behind: Bound<Vertex>,
        now: Instant,
        batch: u64,
    ) -> Option<(Vertex, Vec<GroupEffect>)> {
        let mut rest = self.members.range_mut((behind, Bound::Unbounded));
        let (&home, group) = rest.find(|(_, group)| group.is_dirty())?;
        Some((home, group.flush(now, batch)))
    }

    // Members that come and go.

    /// A vertex became visible again, or has a new incarnation.
    pub fn handle_member_back(&mut self, now: Instant, vertex: Vertex) {
        self.last_seen.insert(vertex, now);
        self.iter_mut().for_each(|group| group.handle_member_back(vertex));
        self.look_after_members_soon(now);
    }

    /// A vertex is lost. `me` stands for election after the members before it that are alive.
    pub fn handle_member_lost(&mut self, me: Vertex, vertex: Vertex, is_alive: impl Fn(Vertex) -> bool) {
        for group in self.members.values_mut() {
            let rank = placement::members(group.home())
                .filter(|member| *member != vertex && (*member == me || is_alive(*member)))
                .position(|member| member == me);
            group.handle_leader_lost(vertex, rank.unwrap_or(0));
        }
    }

    /// Makes maintenance due now, so that a returned member, or a change that waits for another, is handled without
    /// delay.
    pub fn look_after_members_soon(&mut self, now: Instant) {
        self.next_maintenance = now;
    }

    pub fn is_maintenance_due(&self, now: Instant) -> bool {
        self.next_maintenance <= now
    }

    pub fn note_maintenance(&mut self, now: Instant) {
        self.next_maintenance = now + MAINTENANCE;
    }

    /// Notes which vertices are alive now.
    pub fn note_alive(&mut self, now: Instant, me: Vertex, is_alive: impl Fn(Vertex) -> bool) {
        for vertex in me.dimension().vertices() {
            let seen = self.last_seen.entry(vertex).or_insert(self.started);
            if vertex == me || is_alive(vertex) {
                *seen = now;
            }
        }
    }

    /// How long a vertex has not been seen alive.
    pub fn away(&self, now: Instant, vertex: Vertex) -> Duration {
        now.since(self.last_seen.get(&vertex).copied().unwrap_or(self.started))
    }

    /// Changes members where that is due, and hands leadership to members with room.
    pub fn maintain(&mut self, now: Instant, tasks: Vec<Maintenance>) {
        for Maintenance { home, presences, room } in tasks {
            let Some(group) = self.members.get_mut(&home) else { continue };
            group.maintain(now, &presences, room.home_may_lead);
            if room.leads_elsewhere {
                group.hand_over(|vertex| room.members.contains(&vertex));
            }
        }
    }

    /// Whether the disk is full, so that the logs keep as little as possible.
    pub fn save_room(&mut self, saves_room: bool) {
        self.iter_mut().for_each(|group| group.save_room(saves_room));
    }
}

impl Index<Vertex> for Groups {
    type Output = Group;

    /// Panics if this node has no member of the group.
    fn index(&self, home: Vertex) -> &Group {
        &self.members[&home]
    }
}

/// The state with which each member begins.
enum Starts {
    Founding,
    Joining,
    Restored(BTreeMap<Vertex, Start>),
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

    fn take(&mut self, home: Vertex) -> Start {
        match self {
            Starts::Founding => Start::Founding,
            Starts::Joining => Start::Joining,
            Starts::Restored(found) => found.remove(&home).unwrap_or(Start::Joining),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    fn groups(beginning: Beginning) -> Groups {
        let mut groups = Groups::new(Instant(0));
        let identity = NodeId::founding(vertex("01"));
        groups.form(Instant(0), identity, beginning, LogLimits::default(), Bugs::default(), || 1);
        groups
    }

    fn message(index: u64) -> RaftMessage {
        let (from, to) = (NodeId::founding(vertex("00")), NodeId::founding(vertex("01")));
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
        assert_eq!(groups.iter().map(Group::home).collect::<Vec<_>>(), ["00", "01", "11"].map(vertex));
        assert!(!groups.is_any_learner() && groups.get(vertex("10")).is_none());
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
            groups.hold(1 + index % 2, vertex("00"), message(index));
        }
        assert!(groups.queues().all(|queue| queue.is_within_limit()));
        assert_eq!(groups.handle_written(1).len(), MAX_HELD / 2);
        assert_eq!(groups.handle_written(2).len(), MAX_HELD / 2);
        assert_eq!(groups.handle_written(3), []);
    }

    #[test]
    fn the_time_of_an_own_stall_is_not_an_absence_of_others() {
        let mut groups = groups(Beginning::Founding);
        let (me, now) = (vertex("01"), Instant(9_000_000));
        groups.note_alive(Instant(0), me, |_| true);
        groups.pass_stall(now, Duration::from_secs(4));
        assert_eq!(groups.away(now, vertex("00")), Duration::from_secs(5));
        groups.note_alive(now, me, |vertex| vertex != self::vertex("00"));
        assert_eq!([vertex("00"), vertex("11")].map(|away| groups.away(now, away).as_secs()), [5, 0]);
    }
}
