//! The first minute on the live page: a topic that is published to twice a second, and the crash of its leader.
//!
//! What it says is computed from what this page saw: its own publishes, the deliveries to its own subscription, and the
//! events of the nodes.

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, StartAt, SubscriberId, TopicName};
use cubecast_core::placement;
use cubecast_core::wire::client::Ack;

use super::cluster::groups::Service;
use super::feed::Fact;
use super::state::State;
use super::task::{Panel, Task};
use super::tasks::{self, Refusal};

/// The topic.
pub const TOPIC: &str = "demo";
/// The publisher and the subscriber.
const NAME: &str = "first-minute";
/// Interval of its publishes.
pub const EVERY_MS: u32 = 500;
/// Number of messages after which it stops.
const MOST: u64 = 120;

/// What the user has started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Step {
    /// Nothing.
    #[default]
    Invited,
    Publishing,
    /// The user crashed this leader. `at_ms`: when, milliseconds since 1970.
    Crashed {
        leader: HostId,
        at_ms: u64,
    },
}

/// What there is to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Story {
    Invitation {
        nodes: usize,
    },
    Publishing {
        stored: usize,
        leader: Option<HostId>,
    },
    /// No other node leads yet.
    Electing {
        crashed: HostId,
    },
    TakenOver {
        leader: HostId,
        /// From the crash to the election, as this page saw them.
        after_ms: Option<u64>,
        stored: usize,
        /// Acknowledged messages that were skipped by the deliveries.
        lost: usize,
    },
}

/// The story at this step; `None` while the page does not know the cluster.
pub fn story(state: &State, step: Step) -> Option<Story> {
    let dimension = state.cluster.dimension?;
    let topic: TopicName = TOPIC.parse().ok()?;
    let home = placement::home(TOPIC, dimension);
    let leader = match state.cluster.service(home) {
        Service::Led(leader) => Some(*leader),
        Service::Leaderless | Service::NoQuorum(_) | Service::Unknown => None,
    };
    let acknowledged: Vec<Offset> = state.sent.of(&topic).filter_map(|sent| sent.offset()).collect();
    let stored = acknowledged.len();
    Some(match step {
        Step::Invited => Story::Invitation { nodes: dimension.size() },
        Step::Publishing => Story::Publishing { stored, leader },
        Step::Crashed { leader: crashed, at_ms } => match leader.filter(|leader| *leader != crashed) {
            None => Story::Electing { crashed },
            Some(leader) => {
                let after_ms = election(state, home, leader, at_ms).map(|elected_ms| elected_ms - at_ms);
                Story::TakenOver { leader, after_ms, stored, lost: lost(state, &topic, &acknowledged) }
            }
        },
    })
}

/// When the first election of this leader after `from_ms` was seen.
fn election(state: &State, home: Vertex, elected: HostId, from_ms: u64) -> Option<u64> {
    let is_it =
        |fact: &Fact| matches!(fact, Fact::LeaderElected { group, leader, .. } if *group == home && *leader == elected);
    let later = state.feed.entries.iter().filter(|entry| entry.at_ms >= from_ms && is_it(&entry.fact));
    later.map(|entry| entry.at_ms).min()
}

/// The number of acknowledged messages that the subscription skipped: it delivers in the order of offsets, so a message
/// that is missing before a delivered one is lost.
fn lost(state: &State, topic: &TopicName, acknowledged: &[Offset]) -> usize {
    let Some(inbox) = SubscriberId::new(NAME).ok().and_then(|name| state.inboxes.get(&name, topic)) else { return 0 };
    let (Some(newest), Some(oldest)) = (inbox.messages.front(), inbox.messages.back()) else { return 0 };
    let is_due = |offset: &&Offset| (oldest.offset..=newest.offset).contains(offset);
    let is_delivered = |offset: &Offset| inbox.messages.iter().any(|message| message.offset == *offset);
    acknowledged.iter().filter(is_due).filter(|offset| !is_delivered(offset)).count()
}

/// The subscription, whose deliveries are compared with what was acknowledged.
pub fn names() -> Option<(SubscriberId, TopicName)> {
    Some((SubscriberId::new(NAME).ok()?, TOPIC.parse().ok()?))
}

/// Creates the topic.
pub fn create() -> Result<Task, Refusal> {
    tasks::create_topic(NAME, TOPIC)
}

/// Subscribes to it.
pub fn subscribe() -> Result<Task, Refusal> {
    tasks::subscribe(NAME, TOPIC, Some(StartAt::Beginning))
}

/// Publishes the message with this number; `None` after the last one.
pub fn publish(number: u64) -> Option<Task> {
    let task = tasks::publish(NAME, TOPIC, &format!("message {number}"), Ack::Quorum).ok()?;
    (number <= MOST).then_some(Task { panel: Panel::Backstage, ..task })
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::names::PublisherId;
    use cubecast_core::states::{NodeState, Role};
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::answer::{Answer, Delivery, Done, Message};
    use cubecast_core::wire::event::{Event, WatchEvent};

    use super::*;
    use crate::model::cluster::{Cluster, Socket};
    use crate::model::report::TaskChange;
    use crate::model::shared::Shared;
    use crate::model::{Action, Moment};
    use crate::testing::named;

    /// A cluster of eight nodes; each home leads its group.
    fn eight() -> State {
        let dimension = Dimension::new(3).unwrap();
        let mut cluster = Cluster::of(dimension);
        for node in cluster.all_nodes() {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
        }
        for home in dimension.vertices() {
            let members = cluster.members(home);
            cluster.learn_leader(home, 1, Some(members[0]));
            cluster.learn_members(home, &members, &[], members[0]);
        }
        State { cluster: Shared::from(cluster), now_ms: 1_000, ..State::default() }
    }

    fn acknowledged(task: u64, offset: u64) -> [Action; 2] {
        let publish = publish(offset).unwrap();
        let done = Done::Published {
            topic: TOPIC.parse().unwrap(),
            offset: Some(Offset(offset)),
            replicas: Vec::new(),
            repeated: false,
        };
        let answer = Answer { id: None, served_by: named("100"), hops: None, result: Ok(done) };
        let change = |change| Action::Task { panel: Panel::Backstage, task, change };
        [
            change(TaskChange::Started { goal: publish.goal().cloned() }),
            change(TaskChange::Answered { answer, took_ms: 1.0 }),
        ]
    }

    fn delivered(offset: u64) -> Action {
        let (subscriber, topic) = names().unwrap();
        let message = Message {
            offset: Offset(offset),
            publisher: PublisherId::new(NAME).unwrap(),
            content: "message".into(),
            time: Timestamp(0),
        };
        Action::Delivered(Delivery { topic, subscriber, message })
    }

    #[test]
    fn a_gap_in_the_deliveries_is_a_lost_message_and_later_ones_are_only_late() {
        let (subscriber, topic) = names().unwrap();
        let mut actions = vec![Action::OpenInbox { subscriber, topic }];
        actions.extend((0..4).flat_map(|offset| acknowledged(offset, offset)));
        actions.extend([0, 2].map(delivered));
        let state = eight().after(Moment { now_ms: 1_000, actions });
        let topic = TOPIC.parse().unwrap();
        let offsets: Vec<Offset> = state.sent.of(&topic).filter_map(|sent| sent.offset()).collect();
        assert_eq!(offsets.len(), 4);
        assert_eq!(lost(&state, &topic, &offsets), 1);
    }

    #[test]
    fn the_story_follows_the_leader() {
        let state = eight();
        let home = placement::home(TOPIC, state.cluster.dimension.unwrap());
        let members = state.cluster.members(home);
        assert_eq!(story(&state, Step::Invited), Some(Story::Invitation { nodes: 8 }));
        assert_eq!(story(&state, Step::Publishing), Some(Story::Publishing { stored: 0, leader: Some(members[0]) }));
        let crashed = Step::Crashed { leader: members[0], at_ms: 1_000 };
        assert_eq!(story(&state, crashed), Some(Story::Electing { crashed: members[0] }));
        let elected = Event::RoleChanged { group: home, role: Role::Leader, term: 2, leader: Some(members[1]) };
        let told = WatchEvent { node: members[1], time: Timestamp(1), at_us: 1, trace: None, event: elected };
        let state = state.after(Moment { now_ms: 1_163, actions: vec![Action::Event(told)] });
        let taken_over = Story::TakenOver { leader: members[1], after_ms: Some(163), stored: 0, lost: 0 };
        assert_eq!(story(&state, crashed), Some(taken_over));
        assert_eq!(story(&State::default(), Step::Invited), None);
    }
}
