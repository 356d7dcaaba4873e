//! The groups of which this node is a member: messages between their members, and the effects of the groups on this
//! node.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::storage::Room;
use super::{MAX_HELD, Node};
use crate::cube::Vertex;
use crate::group::members::Place;
use crate::group::{Applied, Group, GroupEffect, Start};
use crate::identity::NodeId;
use crate::placement;
use crate::states::{Role, StorageState};
use crate::wire::event::Event;
use crate::wire::peer::{Body, RaftMessage};

impl Node {
    /// Creates this vertex's member of every group that it belongs to.
    pub(super) fn form_groups(&mut self, mut start_of: impl FnMut(Vertex) -> Start) {
        let identity = self.record.identity.expect("a node forms groups only after it has its identity");
        self.groups.clear();
        for home in placement::members(self.me) {
            let seed = self.random.u64(..);
            let (now, limits) = (self.now.monotonic, self.config.log);
            self.groups.insert(home, Group::new(now, home, identity, seed, limits, self.bugs, start_of(home)));
        }
        let saves_room = self.storage.state() != StorageState::Ok;
        self.groups.values_mut().for_each(|group| group.save_room(saves_room));
    }

    pub(super) fn handle_raft(&mut self, from: Vertex, group: Vertex, message: RaftMessage) {
        if message.from.vertex != from || !self.groups.contains_key(&group) {
            return;
        }
        self.heartbeat_heard |= message.is_heartbeat();
        match self.meet(message.from) {
            None => self.step(group, message),
            Some(batch) if self.held.len() < MAX_HELD => self.held.push((batch, group, message)),
            Some(_) => {}
        }
    }

    pub(super) fn keep_heartbeats_together(&mut self) {
        if std::mem::take(&mut self.heartbeat_heard) {
            for group in self.groups.values_mut() {
                group.keep_up_with_heartbeats(self.now.monotonic);
            }
        }
    }

    pub(super) fn step(&mut self, group: Vertex, mut message: RaftMessage) {
        self.trim_to_room(&mut message);
        if let Some(group) = self.groups.get_mut(&group) {
            group.handle_message(message);
        }
    }

    pub(super) fn flush_groups(&mut self) -> bool {
        let mut moved = false;
        let mut behind = Bound::Unbounded;
        while let Some((&home, group)) =
            self.groups.range_mut((behind, Bound::Unbounded)).find(|(_, group)| group.is_dirty())
        {
            let effects = group.flush(self.now.monotonic, self.batch);
            moved |= !effects.is_empty();
            for effect in effects {
                self.handle_group_effect(home, effect);
            }
            behind = Bound::Excluded(home);
        }
        moved
    }

    fn handle_group_effect(&mut self, group: Vertex, effect: GroupEffect) {
        match effect {
            GroupEffect::Write(write) => write.push_to(&mut self.writes),
            GroupEffect::Send { to, message, can_wait } => {
                let body = Body::Raft { group, message };
                if can_wait {
                    self.overlay.send_along(self.now, to.vertex, body);
                } else {
                    self.send(to.vertex, None, body);
                }
            }
            GroupEffect::SendSnapshot { to, frame } => self.send(to.vertex, None, Body::Snapshot { group, frame }),
            GroupEffect::ReadForSnapshot { to, transfer, topic, from, end } => {
                self.read_for_snapshot(group, to, transfer, topic, from, end);
            }
            GroupEffect::Applied { index, key, outcome, change } => {
                self.handle_change(group, change);
                self.handle_applied(group, index, key, outcome);
            }
            GroupEffect::ReadReady { ticket } => self.handle_read_ready(group, ticket),
            GroupEffect::RoleChanged { role, term, leader } => {
                self.counters.elections += u64::from(role == Role::Candidate);
                let leader = leader.map(|leader| leader.vertex);
                self.observe(Event::RoleChanged { group, role, term, leader }, None);
                if role != Role::Leader {
                    self.give_up_leading(group, leader);
                }
            }
            GroupEffect::MembersChanged => {
                self.report_members(group);
                if self.groups[&group].is_leader() {
                    self.look_after_members_soon();
                }
            }
            GroupEffect::ChangeIsKnown => self.look_after_members_soon(),
            GroupEffect::Committed { index } => self.observe(Event::Committed { group, index }, None),
            GroupEffect::SnapshotProgress { received, total } => {
                self.observe(Event::SnapshotProgress { group, received, total }, None);
            }
            GroupEffect::SnapshotInstalled => {
                let applied = self.groups[&group].applied_index();
                self.observe(Event::CaughtUp { group, applied }, None);
                self.review_group(group);
            }
            GroupEffect::Altered { from, index, why } => {
                self.handle_altered(from.vertex, Some(format!("entry {index} of group {group}: {why}")));
            }
            GroupEffect::Trouble(text) => self.observe(Event::Warning { text: format!("group {group}: {text}") }, None),
        }
    }

    fn handle_change(&mut self, group: Vertex, change: Applied) {
        match change {
            Applied::Nothing => {}
            Applied::Created { topic } => self.observe(Event::TopicCreated { topic, group }, None),
            Applied::Deleted { topic, id } => {
                self.observe(Event::TopicDeleted { topic, group }, None);
                self.review_topic(group, id);
            }
            Applied::Unsubscribed { id } => self.review_topic(group, id),
            Applied::Stored { topic, id, message } => {
                if self.observes_frequent() {
                    self.observe(Event::ReplicaStored { topic: topic.clone(), group, offset: message.offset }, None);
                }
                self.feed_sessions(group, id, message);
                self.serve_fetches(group, id);
            }
        }
    }

    fn report_members(&mut self, group: Vertex) {
        let members = &self.groups[&group];
        let event =
            Event::MembersChanged { group, voters: vertices(members.voters()), learners: vertices(members.learners()) };
        self.observe(event, None);
    }

    /// Makes maintenance due now, so that a returned member, or a change that waits for another, is handled without
    /// delay.
    pub(super) fn look_after_members_soon(&mut self) {
        self.next_maintenance = self.now.monotonic;
    }

    pub(super) fn maintain_groups(&mut self) {
        let now = self.now.monotonic;
        for vertex in self.me.dimension().vertices() {
            let seen = self.last_seen.entry(vertex).or_insert(self.started);
            if vertex == self.me || self.overlay.is_alive(vertex) {
                *seen = now;
            }
        }
        let own = self.record.identity.map(|identity| identity.incarnation);
        let rooms: BTreeMap<Vertex, Room> = self.groups.keys().map(|home| (*home, self.room_to_lead(*home))).collect();
        for group in self.groups.values_mut().filter(|group| group.is_leader()) {
            let places: Vec<Place> = placement::members(group.home())
                .map(|vertex| {
                    let alive = if vertex == self.me { own } else { self.overlay.incarnation_of(vertex) };
                    let alive = alive.filter(|incarnation| {
                        incarnation.0 != 0 && (vertex == self.me || self.overlay.is_alive(vertex))
                    });
                    Place { vertex, alive, away: now.since(self.last_seen[&vertex]) }
                })
                .collect();
            let room = &rooms[&group.home()];
            group.maintain(now, &places, room.home_may_lead);
            if room.leads_elsewhere {
                group.hand_over(|vertex| room.members.contains(&vertex));
            }
        }
    }
}

/// The vertices of members. Two incarnations can be members at one vertex for a while: a lost one and its successor.
pub(super) fn vertices(members: Vec<NodeId>) -> Vec<Vertex> {
    let mut vertices: Vec<Vertex> = members.into_iter().map(|member| member.vertex).collect();
    vertices.dedup();
    vertices
}
