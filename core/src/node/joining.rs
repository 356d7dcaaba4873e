//! Determines the identity of this node.
//!
//! A folder with an identity keeps it. A new folder may belong to a founding member of a new cluster, or to a member
//! that lost its disk; the node cannot tell these apart alone. It therefore asks every vertex with which it could have
//! exchanged group traffic: its co-members, at distance 1 and 2. If none of them has met this vertex, the node is a
//! founding member and may vote at once, because no one relied on state that it does not have. If one has met it, the
//! node returns as a new incarnation without a vote.
//!
//! For this to hold, every node records its first meeting with a member durably before it processes that member's first
//! message.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Node, Phase};
use crate::bugs::Bug;
use crate::cube::Vertex;
use crate::group::{Start, check_entry};
use crate::identity::{Incarnation, NodeId};
use crate::store::{Recovered, Write, recovery};
use crate::time::Instant;
use crate::wire::event::Event;
use crate::wire::peer::Body;

/// Delay before an unanswered introduction is repeated.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Interval of the warning that names the vertices without an answer.
const WARN_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Joining {
    nonce: u64,
    /// Vertices that have answered that they never met this one.
    strangers: BTreeMap<Vertex, ()>,
    next_ask: Instant,
    next_warning: Instant,
}

impl Node {
    /// Starts with the recovered state. `wiped`: the disk was erased on request, so an empty folder does not make a
    /// node with a previous identity a founder.
    pub(super) fn start(&mut self, mut recovered: Recovered, wiped: bool) {
        self.phase = Phase::Serving;
        for nonsense in recovery::reject_nonsense(&mut recovered, check_entry) {
            let text = format!(
                "the data folder of node {} is damaged, or was written by another version: {nonsense}. The node \
                 rejoins as a new member and is refilled by its neighbours; if that fails, move the folder away and \
                 start with an empty one",
                self.me
            );
            self.observe(Event::Warning { text }, None);
        }
        let previous = self.record.identity;
        let starts = recovered.record.as_ref().map_or(0, |record| record.starts) + 1;
        self.record = recovered.record.unwrap_or_else(|| crate::store::NodeRecord {
            identity: None,
            vertex: self.me,
            starts: 0,
            met: Vec::new(),
        });
        self.record.starts = starts;
        self.restore_outbox(recovered.outbox);
        let damaged = recovered.groups.iter().any(|group| group.tail_cut);
        match self.record.identity {
            Some(_) if damaged && !self.bugs.has(Bug::DamagedLogKeepsItsVote) => {
                self.record.identity = Some(self.new_incarnation(self.record.identity));
                self.restore_groups(recovered.groups);
            }
            Some(_) => self.restore_groups(recovered.groups),
            None if wiped && previous.is_some() => self.join_anew(previous),
            None => self.begin_joining(),
        }
        self.writes.push(Write::Identity(self.record.clone()));
        self.started_in = self.batch;
        self.unsettled = true;
    }

    /// Starts the identity query from the beginning.
    pub(super) fn begin_joining(&mut self) {
        self.phase = Phase::Joining(Joining {
            nonce: self.random.u64(..),
            strangers: BTreeMap::new(),
            next_ask: self.now.monotonic,
            next_warning: self.now.monotonic + WARN_EVERY,
        });
    }

    fn restore_groups(&mut self, recovered: Vec<crate::store::RecoveredGroup>) {
        let mut found: BTreeMap<_, _> = recovered.into_iter().map(|group| (group.group, group)).collect();
        self.form_groups(|home| found.remove(&home).map_or(Start::Joining, Start::Restored));
    }

    /// Returns an unused incarnation: at least the wall clock in seconds, and larger than the last one known.
    fn new_incarnation(&self, previous: Option<NodeId>) -> NodeId {
        const MICROSECONDS: u64 = 1_000_000;
        let by_clock = (self.now.wall.0 / MICROSECONDS) as u32;
        let last = previous.map_or(Incarnation::FOUNDING, |identity| identity.incarnation);
        let known = self.overlay.incarnation_of(self.me).map_or(last, |known| known.max(last));
        NodeId { vertex: self.me, incarnation: Incarnation(by_clock.max(known.0 + 1)) }
    }

    fn join_anew(&mut self, previous: Option<NodeId>) {
        if self.bugs.has(Bug::WipedMemberVotes) {
            return self.found();
        }
        self.record.identity = Some(self.new_incarnation(previous));
        self.phase = Phase::Serving;
        self.form_groups(|_| Start::Joining);
        self.writes.push(Write::Identity(self.record.clone()));
    }

    fn found(&mut self) {
        self.record.identity = Some(NodeId::founding(self.me));
        self.phase = Phase::Serving;
        self.form_groups(|_| Start::Founding);
        self.writes.push(Write::Identity(self.record.clone()));
    }

    pub(super) fn handle_joining_time(&mut self) {
        let now = self.now.monotonic;
        let text = self.why_nothing_begins();
        let silent = self.silent_co_members();
        let Phase::Joining(joining) = &mut self.phase else { return };
        let nonce = joining.nonce;
        if now >= joining.next_warning {
            joining.next_warning = now + WARN_EVERY;
            self.observe(Event::Warning { text }, None);
        }
        let Phase::Joining(joining) = &mut self.phase else { return };
        if now >= joining.next_ask {
            joining.next_ask = now + ASK_AGAIN;
            for vertex in silent {
                self.send(vertex, None, Body::Introduce { nonce });
            }
        }
    }

    /// Sends an introduction at once to a vertex that became visible and has not answered.
    pub(super) fn introduce_to(&mut self, vertex: Vertex) {
        let Phase::Joining(joining) = &self.phase else { return };
        if !joining.strangers.contains_key(&vertex) && self.co_members().contains(&vertex) {
            let nonce = joining.nonce;
            self.send(vertex, None, Body::Introduce { nonce });
        }
    }

    /// Why early requests wait: the node cannot serve them yet.
    pub(super) fn why_nothing_begins(&self) -> String {
        if !self.is_joining() {
            return format!("node {} is starting: its start is not yet recorded on disk", self.me);
        }
        let silent: Vec<String> = self.silent_co_members().iter().map(Vertex::to_string).collect();
        format!(
            "node {} has a new data folder and is waiting for {} to report whether they met it before; start them, or \
             wait",
            self.me,
            silent.join(", ")
        )
    }

    /// The co-members that have not answered yet.
    fn silent_co_members(&self) -> Vec<Vertex> {
        let Phase::Joining(joining) = &self.phase else { return Vec::new() };
        self.co_members().into_iter().filter(|vertex| !joining.strangers.contains_key(vertex)).collect()
    }

    /// Every vertex that shares a group with this one.
    fn co_members(&self) -> Vec<Vertex> {
        self.me.dimension().vertices().filter(|vertex| (1..=2).contains(&vertex.distance(self.me))).collect()
    }

    pub(super) fn handle_introduce(&mut self, from: Vertex, nonce: u64) {
        let incarnation =
            self.record.met.iter().find(|(vertex, _)| *vertex == from).map(|(_, incarnation)| *incarnation);
        self.send(from, None, Body::Introduced { nonce, met: incarnation.is_some(), incarnation });
    }

    pub(super) fn handle_introduced(&mut self, from: Vertex, nonce: u64, met: bool, incarnation: Option<Incarnation>) {
        let others = self.co_members().len();
        let Phase::Joining(joining) = &mut self.phase else { return };
        if joining.nonce != nonce {
            return;
        }
        if met {
            let previous = incarnation.map(|incarnation| NodeId { vertex: self.me, incarnation });
            self.join_anew(previous);
            return self.handle_requests_time();
        }
        joining.strangers.insert(from, ());
        if joining.strangers.len() == others {
            self.found();
            self.handle_requests_time();
        }
    }

    /// Records a member as met. `Some(batch)`: the record is not durable before that batch, so the member's messages
    /// must wait.
    pub(super) fn meet(&mut self, member: NodeId) -> Option<u64> {
        let known = self.record.met.iter_mut().find(|(vertex, _)| *vertex == member.vertex);
        match known {
            Some((_, incarnation)) if *incarnation >= member.incarnation => {}
            Some((_, incarnation)) => {
                *incarnation = member.incarnation;
                self.writes.push(Write::Identity(self.record.clone()));
                self.met_in.insert(member.vertex, self.batch);
            }
            None => {
                self.record.met.push((member.vertex, member.incarnation));
                self.writes.push(Write::Identity(self.record.clone()));
                self.met_in.insert(member.vertex, self.batch);
            }
        }
        self.met_in.get(&member.vertex).copied().filter(|batch| *batch > self.written)
    }
}
