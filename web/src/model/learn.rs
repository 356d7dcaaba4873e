//! Updates the cluster's state from answers and events of nodes, and decides which changes go to the feed.

use cubecast_core::cube::Vertex;
use cubecast_core::wire::answer::{Answer, Done, ErrorCode, NodeState, Role, StorageState};
use cubecast_core::wire::client::LinkConditions;
use cubecast_core::wire::event::{Event, FrameKind, WatchEvent};

use super::State;
use super::cluster::{EdgeHealth, Health};
use super::describe;
use super::feed::{Subject, Tone};
use super::task::Panel;
use super::traffic::is_background;

impl State {
    /// A failing node still answers, but only that it is failing.
    pub(super) fn notice_failing(&mut self, node: Vertex, answer: &Answer) {
        let is_failing = matches!(&answer.result, Err(failure) if failure.code == ErrorCode::NodeFailed);
        if is_failing && answer.served_by == node {
            self.learn_state(node, node, NodeState::Failed);
        }
    }

    /// Updates the state from any successful answer.
    pub(super) fn learn_answer(&mut self, asked: Vertex, answer: &Answer) {
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
                    self.topics.change().learn_stored(topic, home, *offset);
                }
            }
            Done::NodeStopped { node, duration_ms, .. } => self.expect_return(*node, *duration_ms),
            _ => {}
        }
    }

    pub(super) fn learn_event(&mut self, told: &WatchEvent) {
        let by = told.node;
        match &told.event {
            Event::NodeState { subject, state } => self.learn_state(by, *subject, *state),
            Event::LinkState { from, to, up } => self.learn_link(by, *from, *to, *up),
            Event::LinkConditions { from, to, conditions } => self.learn_conditions(*from, *to, *conditions),
            Event::RoleChanged { group, role, term, leader } => self.learn_role(by, *group, *role, *term, *leader),
            Event::MembersChanged { group, voters, learners } => self.learn_members(by, *group, voters, learners),
            Event::FrameSent { to, what, .. } => self.see_frame(by, *to, *what, false),
            Event::FrameDropped { to, what, .. } => self.see_frame(by, *to, *what, true),
            Event::ReplicaStored { topic, group, offset } => {
                self.topics.change().learn_stored(topic, *group, *offset);
                self.feed.change().add_stored(self.now_ms, topic, *offset, by);
            }
            Event::TopicCreated { topic, group } => {
                if self.topics.change().learn_created(topic, *group) {
                    self.welcome_topic(topic);
                    self.tell(
                        Tone::Good,
                        Subject::Topic(topic.clone()),
                        format!("Topic {topic} is at home on {group}"),
                    );
                }
            }
            Event::TopicDeleted { topic, .. } => {
                if self.topics.change().learn_deleted(topic) {
                    self.forget_topic(topic);
                    self.tell(Tone::Plain, Subject::Topic(topic.clone()), format!("Topic {topic} is deleted"));
                }
            }
            Event::Stopped { mode, duration_ms } => {
                self.cluster.change().learn_state(by, by, NodeState::Failed);
                self.expect_return(by, *duration_ms);
                let text =
                    format!("{by} {} on request, for {}", describe::stop_verb(*mode), describe::duration(*duration_ms));
                self.tell(Tone::Bad, Subject::Node(by), text);
            }
            Event::Returned { incarnation } => self.learn_return(by, *incarnation),
            Event::CaughtUp { group, applied } => {
                self.tell(
                    Tone::Plain,
                    Subject::Group(*group),
                    format!("{by} has caught up with group {group} (entry {applied})"),
                );
            }
            Event::SnapshotProgress { group, received, total } if received == total => {
                self.tell(Tone::Plain, Subject::Group(*group), format!("{by} received a snapshot of group {group}"));
            }
            Event::OutboxStored { topic } => {
                self.tell(
                    Tone::Warning,
                    Subject::Node(by),
                    format!("{by} keeps a message to {topic} until there is a leader"),
                );
            }
            Event::OutboxDrained { topic } => {
                self.tell(
                    Tone::Good,
                    Subject::Node(by),
                    format!("A message to {topic} left {by}'s outbox for the log"),
                );
            }
            Event::StorageState { state: StorageState::Ok, .. } => {
                self.tell(Tone::Good, Subject::Node(by), format!("{by} has room on its disk again"));
            }
            Event::StorageState { state: StorageState::Full, .. } => {
                let text = format!("The disk of {by} is full: it refuses publishes. Delete topics, or make room");
                self.tell(Tone::Bad, Subject::Node(by), text);
            }
            Event::StorageState { state: StorageState::Exhausted, .. } => {
                let text = format!("The disk of {by} has next to no room: it only reads, votes and deletes");
                self.tell(Tone::Bad, Subject::Node(by), text);
            }
            Event::Warning { text } => self.tell(Tone::Warning, Subject::Node(by), format!("{by}: {text}")),
            Event::SnapshotProgress { .. } | Event::Committed { .. } => {}
            Event::RequestReceived { .. } | Event::RequestAnswered { .. } | Event::Delivered { .. } => {}
        }
    }

    fn learn_state(&mut self, by: Vertex, subject: Vertex, state: NodeState) {
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
        let tone = match after {
            Health::Up => Tone::Good,
            Health::Recovering | Health::Unknown => Tone::Warning,
            Health::Failed => Tone::Bad,
        };
        let text = match after {
            Health::Failed if by != subject => format!("{by} no longer hears {subject}: it is down or cut off"),
            _ => format!("{subject} is {}", after.name()),
        };
        self.tell(tone, Subject::Node(subject), text);
    }

    fn learn_return(&mut self, node: Vertex, incarnation: u32) {
        let known = self.cluster.nodes.get(&node).map_or(incarnation, |known| known.incarnation);
        self.tasks.change().forget(|panel, report| panel == Panel::Node && !report.running && report.stops(node));
        let cluster = self.cluster.change();
        cluster.learn_state(node, node, NodeState::Recovering);
        cluster.forget_work_of(node);
        cluster.nodes.entry(node).or_default().incarnation = incarnation;
        let how = if known == incarnation { "" } else { " with an empty disk, as a new incarnation," };
        self.tell(Tone::Good, Subject::Node(node), format!("{node} is back{how} and catches up"));
    }

    /// A link that goes silent between two healthy nodes is reported, and so is its recovery. Links that go silent
    /// because their node stopped are covered by the node's entry.
    fn learn_link(&mut self, by: Vertex, from: Vertex, to: Vertex, up: bool) {
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
            self.tell(Tone::Bad, Subject::Edge(from, to), format!("{from} → {to} is silent"));
        } else if up && self.cluster.silent.contains(&(from, to)) {
            self.cluster.change().silent.remove(&(from, to));
            self.tell(Tone::Good, Subject::Edge(from, to), format!("{from} → {to} carries frames again"));
        }
    }

    fn learn_conditions(&mut self, from: Vertex, to: Vertex, conditions: LinkConditions) {
        if self.cluster.link(from, to).conditions == conditions {
            return;
        }
        self.cluster.change().learn_conditions(from, to, conditions);
        let tone = if conditions.cut { Tone::Bad } else { Tone::Plain };
        let text = format!("{from} → {to} {} on request", describe::conditions(&conditions));
        self.tell(tone, Subject::Edge(from, to), text);
    }

    fn learn_role(&mut self, by: Vertex, group: Vertex, role: Role, term: u64, leader: Option<Vertex>) {
        let leader = if role == Role::Leader { Some(by) } else { leader };
        let before = self.cluster.leader_of(group);
        self.cluster.change().learn_leader(group, term, leader);
        let after = self.cluster.leader_of(group);
        if let Some(leader) = after.filter(|_| after != before) {
            self.tell(Tone::Plain, Subject::Group(group), format!("{leader} leads group {group} (term {term})"));
        }
    }

    /// Only the leader's report counts, for all members.
    fn learn_members(&mut self, by: Vertex, group: Vertex, voters: &[Vertex], learners: &[Vertex]) {
        if self.cluster.leader_of(group) != Some(by) {
            return;
        }
        self.cluster.change().learn_members(group, voters, learners, by);
        let text = match learners {
            [] => format!("All members of group {group} vote"),
            learners => format!("Group {group} goes on without the vote of {}", describe::nodes(learners)),
        };
        self.tell(Tone::Plain, Subject::Group(group), text);
    }

    /// A frame that was dropped for lack of a route has no edge to be drawn on.
    fn see_frame(&mut self, from: Vertex, to: Vertex, what: FrameKind, dropped: bool) {
        if from.edge_to(to).is_none() {
            return;
        }
        if self.show_background || !is_background(what) {
            let now_ms = self.now_ms;
            self.traffic.change().add(now_ms, from, to, what, dropped);
        }
    }

    fn expect_return(&mut self, node: Vertex, duration_ms: u64) {
        let returns_at_ms = self.now_ms + duration_ms;
        if let Some(node) = self.cluster.change().nodes.get_mut(&node) {
            node.returns_at_ms = Some(returns_at_ms);
        }
    }
}
