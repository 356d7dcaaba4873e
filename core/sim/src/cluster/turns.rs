//! When nodes take their turns: on an input, and at a deadline.

use std::time::Duration;

use cubecast_core::group::{Group, Proposed};
use cubecast_core::identity::{GroupId, HostId, Member};
use cubecast_core::io::Input;
use cubecast_core::time::Instant;

use super::{Arrival, Cluster};
use crate::check::evidence::MemberChange;
use crate::host::Host;

impl Cluster {
    /// Number of turns of all nodes together.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// Gives a node an input, as a turn of its own or as a part of the next one.
    pub(super) fn give(&mut self, node: HostId, input: Input) {
        if !self.config.gather_turns {
            return self.take_turn(node, vec![input]);
        }
        let host = &mut self.hosts[node];
        if host.node.is_some() {
            host.gathered.push(input);
            if host.gathered.len() == 1 {
                self.at(self.now, node, Arrival::Turn);
            }
        }
    }

    pub(super) fn take_turn(&mut self, node: HostId, inputs: Vec<Input>) {
        let clock = self.clock(node);
        let Host { node: process, recording, .. } = &mut self.hosts[node];
        let Some(process) = process else { return };
        self.turns += 1;
        if let Some(recording) = recording {
            recording.begin_turn(process, clock, &inputs);
        }
        let effects = process.handle(clock, inputs);
        if let Some(recording) = recording {
            recording.end_turn(&effects);
        }
        let deadline = self.hosts[node].next_deadline();
        self.note_member_changes(node);
        for effect in effects {
            self.record(node, &effect);
            self.carry_out(node, effect);
        }
        if let Some(deadline) = deadline {
            self.wake_at(node, deadline);
        }
    }

    /// Records the membership change that this node proposed in its turn, and the voters that did not know the previous
    /// one.
    fn note_member_changes(&mut self, node: HostId) {
        for group in self.seating.groups_of(node) {
            let Some(leader) = self.node(node) else { return };
            let Some(proposed) = leader.group(group).and_then(Group::proposed_change) else { continue };
            if self.proposed.insert((node, group), proposed) == Some(proposed) {
                continue;
            }
            let Proposed { index, last, waited } = proposed;
            let home = self.seating.home(group).expect("a node's groups are on its cube");
            let unaware = self.unaware_of(last, group, node);
            self.member_changes.push(MemberChange {
                group: home,
                leader: node,
                at: self.now,
                index,
                last,
                waited,
                unaware,
            });
        }
    }

    /// The voters that a leader sees and that have not applied that change. (This excludes voters that follow a newer
    /// set of members than a leader that was stopped for a while, and voters that restart and know the members from
    /// disk.)
    fn unaware_of(&self, change: u64, group: GroupId, leader: HostId) -> Vec<HostId> {
        let Some(node) = self.node(leader) else { return Vec::new() };
        let Some(its_group) = node.group(group) else { return Vec::new() };
        let members = |group: &Group| (group.voters(), group.learners());
        let known = members(its_group);
        let is_unaware = |voter: &Member| {
            let node_of = self.node(voter.host).filter(|node_of| node_of.identity() == Some(*voter));
            let group_of = node_of.and_then(|node_of| node_of.group(group));
            node.sees(voter.host)
                && group_of.is_some_and(|group_of| group_of.applied_index() < change && members(group_of) != known)
        };
        known.0.iter().filter(|voter| is_unaware(voter)).map(|voter| voter.host).collect()
    }

    fn wake_at(&mut self, node: HostId, deadline: Instant) {
        let at = deadline.max(self.now + Duration::from_micros(1));
        let host = &mut self.hosts[node];
        if host.wakes_at.is_none_or(|known| at < known) {
            host.wakes_at = Some(at);
            self.at(at, node, Arrival::Wake);
        }
    }

    /// Handles a due deadline. If the node has a later one now, it is woken at that time instead.
    pub(super) fn wake(&mut self, node: HostId) {
        let host = &mut self.hosts[node];
        if host.wakes_at.take_if(|at| *at <= self.now).is_none() {
            return;
        }
        match host.next_deadline() {
            Some(later) if later > self.now => self.wake_at(node, later),
            _ => self.give(node, Input::DeadlineReached),
        }
    }
}
