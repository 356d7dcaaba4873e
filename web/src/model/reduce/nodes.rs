//! What nodes report: updates the state from their answers and events, and notes the changes in the feed.

use cubecast_core::cube::Vertex;
use cubecast_core::faults::LinkConditions;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::seating::Seating;
use cubecast_core::states::{NodeState, Role};
use cubecast_core::wire::answer::{Answer, Done, ErrorCode};
use cubecast_core::wire::event::{Event, FrameKind, WatchEvent};

use crate::model::charts::Charts;
use crate::model::cluster::{EdgeHealth, Health};
use crate::model::feed::Fact;
use crate::model::invariants::{Evidence, Invariants};
use crate::model::state::State;
use crate::model::task::Panel;
use crate::model::traffic::is_background;
use crate::model::xray::Xray;

impl State {
    /// The views come first: they compare the answer with what was known before.
    pub(super) fn learn_answer(&mut self, asked: HostId, answer: &Answer) {
        if self.closer.xray.topic.is_some() {
            let now_ms = self.now_ms;
            self.placed_xray().learn_answer(now_ms, answer);
            let is_located = matches!(answer.result, Ok(Done::Located(_)));
            if let (true, Some(topic), Some(end)) = (is_located, &self.closer.xray.topic, self.closer.xray.committed())
            {
                self.closer.charts.change().learn_end(now_ms, topic, end);
            }
        }
        if answer.result.is_ok() {
            self.check_invariants(Evidence::Answer(answer));
        }
        self.note_failing(asked, answer);
        self.learn_result(asked, answer);
    }

    /// A failing node still answers, but only that it is failing.
    fn note_failing(&mut self, node: HostId, answer: &Answer) {
        let is_failing = matches!(&answer.result, Err(failure) if failure.code == ErrorCode::NodeFailed);
        if is_failing && answer.served_by == node {
            self.learn_state(node, node, NodeState::Failed);
        }
    }

    fn learn_result(&mut self, asked: HostId, answer: &Answer) {
        let Ok(done) = &answer.result else { return };
        match done {
            Done::Cluster(view) => self.cluster.change().learn_view(answer.served_by, view),
            Done::Status(status) => self.cluster.change().learn_status(asked, status),
            Done::Topics { topics, missing } => self.topics.change().learn_list(topics, missing),
            Done::TopicCreated { topic, home, .. } => {
                self.topics.change().learn_created(topic, *home);
                self.welcome_topic(topic);
            }
            Done::TopicDeleted { topic, .. } => {
                self.topics.change().learn_deleted(topic);
                self.forget_topic(topic);
            }
            Done::LinkSet { from, to, conditions } => self.learn_conditions(*from, *to, *conditions),
            Done::Published { topic, offset: Some(offset), .. } => {
                if let Some(home) = self.topics.topics.get(topic).map(|info| info.home) {
                    self.learn_stored(topic, home, *offset);
                }
            }
            Done::NodeStopped { node, duration_ms, .. } => self.expect_return(*node, *duration_ms),
            _ => {}
        }
    }

    /// The views come first: they compare the event with what was known before.
    pub(super) fn learn_event(&mut self, told: &WatchEvent) {
        let now_ms = self.now_ms;
        self.closer.recorder.change().record(now_ms, told);
        if self.closer.xray.topic.is_some() {
            self.placed_xray().learn_event(now_ms, told);
        }
        if Charts::concerns(&told.event) {
            self.closer.charts.change().learn_event(now_ms, told);
        }
        if Invariants::concerns(&told.event) {
            self.check_invariants(Evidence::Event(told));
        }
        self.learn_change(told.node, &told.event);
    }

    /// The X-ray, with its replicas set.
    fn placed_xray(&mut self) -> &mut Xray {
        let xray = self.closer.xray.change();
        xray.place(&self.cluster);
        xray
    }

    fn learn_change(&mut self, by: HostId, event: &Event) {
        match event {
            Event::NodeState { subject, state } => self.learn_state(by, *subject, *state),
            Event::LinkState { from, to, up } => self.learn_link(by, *from, *to, *up),
            Event::LinkConditions { from, to, conditions } => self.learn_conditions(*from, *to, *conditions),
            Event::RoleChanged { group, role, term, leader } => self.learn_role(by, *group, *role, *term, *leader),
            Event::MembersChanged { group, voters, learners } => self.learn_members(by, *group, voters, learners),
            Event::FrameSent { to, what, .. } => self.see_frame(by, *to, *what, false),
            Event::FrameDropped { to, what, .. } => self.see_frame(by, *to, *what, true),
            Event::ReplicaStored { topic, group, offset } => {
                self.learn_stored(topic, *group, *offset);
                self.feed.change().add_stored(self.now_ms, topic, *offset, by);
            }
            Event::TopicCreated { topic, group } => {
                if self.topics.change().learn_created(topic, *group) {
                    self.welcome_topic(topic);
                    self.note(Fact::TopicCreated { topic: topic.clone(), home: *group });
                }
            }
            Event::TopicDeleted { topic, .. } => {
                if self.topics.change().learn_deleted(topic) {
                    self.forget_topic(topic);
                    self.note(Fact::TopicDeleted { topic: topic.clone() });
                }
            }
            Event::Stopped { mode, duration_ms } => {
                self.cluster.change().learn_state(by, by, NodeState::Failed);
                self.expect_return(by, *duration_ms);
                self.note(Fact::Stopped { node: by, mode: *mode, duration_ms: *duration_ms });
            }
            Event::Returned { incarnation } => self.learn_return(by, *incarnation),
            Event::CaughtUp { group, applied } => {
                self.note(Fact::CaughtUp { node: by, group: *group, applied: *applied });
            }
            Event::SnapshotProgress { group, received, total } if received == total => {
                self.note(Fact::SnapshotReceived { node: by, group: *group });
            }
            Event::OutboxStored { topic } => self.note(Fact::OutboxStored { node: by, topic: topic.clone() }),
            Event::OutboxDrained { topic } => self.note(Fact::OutboxDrained { node: by, topic: topic.clone() }),
            Event::StorageState { state, .. } => self.note(Fact::StorageChanged { node: by, state: *state }),
            Event::Warning { text } => self.note(Fact::Warning { node: by, text: text.clone() }),
            Event::SnapshotProgress { .. } | Event::Committed { .. } => {}
            Event::RequestReceived { .. } | Event::RequestAnswered { .. } | Event::Delivered { .. } => {}
        }
    }

    fn learn_stored(&mut self, topic: &TopicName, home: Vertex, offset: Offset) {
        let new = self.topics.change().learn_stored(topic, home, offset);
        if new > 0 {
            self.rates.change().count(self.now_ms, topic, home, new);
        }
    }

    pub(super) fn learn_sample(&mut self, node: HostId, sample: u32) {
        self.closer.xray.change().learn_sample(node, sample);
        self.rates.change().learn_sample(self.now_ms, node, sample, &self.cluster);
        self.update_completeness();
    }

    /// Learns of which groups this page hears everything.
    pub(super) fn listen(&mut self) {
        let new = self.rates.change().listen(self.now_ms, &self.cluster);
        if !new.is_empty() {
            self.topics.change().doubt(&new);
        }
    }

    fn learn_state(&mut self, by: HostId, subject: HostId, state: NodeState) {
        let before = self.cluster.health(subject);
        self.cluster.change().learn_state(by, subject, state);
        let after = self.cluster.health(subject);
        // Not for the feed: the first report of a running node, and a node's report of its own stop or return, which
        // has its own event.
        let is_first_word = before == Health::Unknown && after == Health::Up;
        let is_told_apart = by == subject && state != NodeState::Up;
        if before == after || is_first_word || is_told_apart {
            return;
        }
        self.note(match after {
            Health::Failed if by != subject => Fact::Silent { node: subject, by },
            health => Fact::HealthChanged { node: subject, health },
        });
    }

    fn learn_return(&mut self, node: HostId, incarnation: u32) {
        let known = self.cluster.nodes.get(&node).map_or(incarnation, |known| known.incarnation);
        self.reports.change().forget(|panel, report| panel == Panel::Node && !report.running && report.stops(node));
        let cluster = self.cluster.change();
        cluster.learn_state(node, node, NodeState::Recovering);
        cluster.forget_work_of(node);
        cluster.nodes.entry(node).or_default().incarnation = incarnation;
        self.note(Fact::Returned { node, is_new: known != incarnation });
    }

    /// A link that goes silent between two healthy nodes is reported, and so is its recovery. Links that go silent
    /// because their node stopped are covered by the node's entry.
    fn learn_link(&mut self, by: HostId, from: HostId, to: HostId, up: bool) {
        let before = self.cluster.edge_health(from, to);
        self.cluster.change().learn_link(by, from, to, up);
        let after = self.cluster.edge_health(from, to);
        if before == after {
            return;
        }
        let ends_are_well = [from, to].iter().all(|end| self.cluster.health(*end) == Health::Up);
        let was_up = matches!(before, EdgeHealth::Up | EdgeHealth::Slow);
        if !up && was_up && ends_are_well {
            self.cluster.change().silent.insert((from, to));
            self.note(Fact::LinkSilent { from, to });
        } else if up && self.cluster.silent.contains(&(from, to)) {
            self.cluster.change().silent.remove(&(from, to));
            self.note(Fact::LinkRestored { from, to });
        }
    }

    fn learn_conditions(&mut self, from: HostId, to: HostId, conditions: LinkConditions) {
        if self.cluster.link(from, to).conditions == conditions {
            return;
        }
        self.cluster.change().learn_conditions(from, to, conditions);
        self.note(Fact::LinkConditions { from, to, conditions });
    }

    fn learn_role(&mut self, by: HostId, group: Vertex, role: Role, term: u64, leader: Option<HostId>) {
        let leader = if role == Role::Leader { Some(by) } else { leader };
        let before = self.cluster.leader_of(group);
        self.cluster.change().learn_leader(group, term, leader);
        let after = self.cluster.leader_of(group);
        if let Some(leader) = after.filter(|_| after != before) {
            self.note(Fact::LeaderElected { group, leader, term });
        }
    }

    /// Only the leader's report counts, for all members.
    fn learn_members(&mut self, by: HostId, group: Vertex, voters: &[HostId], learners: &[HostId]) {
        if self.cluster.leader_of(group) != Some(by) {
            return;
        }
        self.cluster.change().learn_members(group, voters, learners, by);
        self.note(Fact::MembersChanged { group, learners: learners.to_vec() });
    }

    /// A frame that was dropped for lack of a route has no edge to be drawn on.
    fn see_frame(&mut self, from: HostId, to: HostId, what: FrameKind, dropped: bool) {
        if Seating::founded_by(from).edge(from, to).is_none() {
            return;
        }
        if self.show_background || !is_background(what) {
            let now_ms = self.now_ms;
            self.traffic.change().add(now_ms, from, to, what, dropped);
        }
    }

    fn expect_return(&mut self, node: HostId, duration_ms: u64) {
        let returns_at_ms = self.now_ms + duration_ms;
        if let Some(node) = self.cluster.change().nodes.get_mut(&node) {
            node.returns_at_ms = Some(returns_at_ms);
        }
    }
}
