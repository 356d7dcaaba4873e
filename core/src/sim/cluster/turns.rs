//! When nodes take their turns: when something reaches them, and when time is up.

use std::time::Duration;

use super::{Arrival, Cluster};
use crate::cube::Vertex;
use crate::io::Input;
use crate::time::Instant;

impl Cluster {
    /// How many turns all nodes together have taken.
    pub fn turns(&self) -> u64 {
        self.turns
    }

    /// One turn of a node, or a part of its next one.
    pub(super) fn give(&mut self, vertex: Vertex, input: Input) {
        if !self.config.gather_turns {
            return self.take_turn(vertex, vec![input]);
        }
        let host = &mut self.hosts[vertex.index()];
        if host.node.is_some() {
            host.gathered.push(input);
            if host.gathered.len() == 1 {
                self.at(self.now, vertex, Arrival::Turn);
            }
        }
    }

    pub(super) fn take_turn(&mut self, vertex: Vertex, inputs: Vec<Input>) {
        let clock = self.clock(vertex);
        let Some(node) = &mut self.hosts[vertex.index()].node else { return };
        self.turns += 1;
        let effects = node.handle(clock, inputs);
        let deadline = node.next_deadline();
        for effect in effects {
            self.record(vertex, &effect);
            self.carry_out(vertex, effect);
        }
        if let Some(deadline) = deadline {
            self.wake_at(vertex, deadline);
        }
    }

    fn wake_at(&mut self, vertex: Vertex, deadline: Instant) {
        let at = deadline.max(self.now + Duration::from_micros(1));
        let host = &mut self.hosts[vertex.index()];
        if host.wakes_at.is_none_or(|known| at < known) {
            host.wakes_at = Some(at);
            self.at(at, vertex, Arrival::Wake);
        }
    }

    /// A deadline that was told has come. Where a later one has taken its place, the node sleeps on.
    pub(super) fn wake(&mut self, vertex: Vertex) {
        let host = &mut self.hosts[vertex.index()];
        if host.wakes_at.take_if(|at| *at <= self.now).is_none() {
            return;
        }
        match host.node.as_ref().and_then(|node| node.next_deadline()) {
            Some(later) if later > self.now => self.wake_at(vertex, later),
            _ => self.give(vertex, Input::DeadlineReached),
        }
    }
}
