//! The first minute on the live page: a topic that is published to twice a second, and the crash of its leader.
//!
//! The story is computed from this page's own publishes, the deliveries to its own subscription, and the events of the
//! nodes. The page states nothing that it has not seen.

use std::rc::Rc;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, StartAt, SubscriberId, TopicName};
use cubecast_core::placement;
use cubecast_core::states::Role;
use cubecast_core::wire::client::Ack;
use cubecast_core::wire::event::Event;

use super::cluster::Health;
use super::cluster::groups::Service;
use super::spacetime::RecordedEvent;
use super::spacetime::clocks::Clocks;
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

/// The progress of the first minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Step {
    /// The user has not started it.
    #[default]
    Invited,
    Publishing,
    /// The user requested the crash of this leader.
    Crashed(HostId),
}

/// The text to show, as data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Story {
    Invitation {
        nodes: usize,
    },
    Publishing {
        stored: usize,
        leader: Option<HostId>,
    },
    /// The leader is down, and no other node leads yet.
    Electing {
        crashed: HostId,
    },
    TakenOver {
        leader: HostId,
        /// From the crash to the election, by the nodes' clocks.
        after_ms: Option<u64>,
        /// Acknowledged messages of which the deliveries show whether they still exist.
        checked: usize,
        /// Those that the deliveries skipped.
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
        Step::Crashed(crashed) => match leader {
            Some(leader) if leader != crashed => {
                let (checked, lost) = compare(state, &topic, &acknowledged);
                Story::TakenOver { leader, after_ms: took_over_after(state, home, crashed, leader), checked, lost }
            }
            None if state.cluster.health(crashed) == Health::Failed => Story::Electing { crashed },
            // The crash has not happened yet or was refused, or the node is back.
            Some(_) | None => Story::Publishing { stored, leader },
        },
    })
}

/// The time from the last crash of one node to the first later election of another, by the nodes' clocks.
fn took_over_after(state: &State, home: Vertex, crashed: HostId, elected: HostId) -> Option<u64> {
    let events = &state.closer.recorder.events;
    let clocks = Clocks::of(elected, events.iter().map(|told| &**told));
    let is_stop =
        |told: &&Rc<RecordedEvent>| told.event.node == crashed && matches!(told.event.event, Event::Stopped { .. });
    let stopped_us = clocks.corrected_us(events.iter().rev().find(is_stop)?);
    let elections = events.iter().filter(|told| {
        let is_leader =
            |event: &Event| matches!(event, Event::RoleChanged { group, role: Role::Leader, .. } if *group == home);
        told.event.node == elected && is_leader(&told.event.event)
    });
    let elected_us = elections.map(|told| clocks.corrected_us(told)).find(|at_us| *at_us >= stopped_us)?;
    Some((elected_us - stopped_us) as u64 / 1_000)
}

/// The number of acknowledged messages that can be compared with the deliveries, and the number of those that are lost.
/// A subscription delivers in the order of offsets, so a message that is missing between delivered ones is lost.
fn compare(state: &State, topic: &TopicName, acknowledged: &[Offset]) -> (usize, usize) {
    let inbox = SubscriberId::new(NAME).ok().and_then(|name| state.inboxes.get(&name, topic));
    let Some(delivered) = inbox.map(|inbox| &inbox.messages) else { return (0, 0) };
    let (Some(newest), Some(oldest)) = (delivered.front(), delivered.back()) else { return (0, 0) };
    let due = acknowledged.iter().filter(|offset| (oldest.offset..=newest.offset).contains(offset));
    let is_lost = |offset: &&Offset| delivered.iter().all(|message| message.offset != **offset);
    (due.clone().count(), due.filter(is_lost).count())
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
    use cubecast_core::faults::StopMode;
    use cubecast_core::names::PublisherId;
    use cubecast_core::time::Timestamp;
    use cubecast_core::wire::answer::{Answer, Delivery, Done, Message};
    use cubecast_core::wire::event::WatchEvent;

    use super::*;
    use crate::model::report::TaskChange;
    use crate::model::{Action, Moment};
    use crate::testing::{led_by_homes, named};

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
        let state = led_by_homes(3).after(Moment { now_ms: 1_000, actions });
        let topic = TOPIC.parse().unwrap();
        let offsets: Vec<Offset> = state.sent.of(&topic).filter_map(|sent| sent.offset()).collect();
        assert_eq!(offsets.len(), 4);
        assert_eq!(compare(&state, &topic, &offsets), (3, 1));
        assert_eq!(compare(&led_by_homes(3), &topic, &offsets), (0, 0), "nothing is claimed without deliveries");
    }

    #[test]
    fn the_story_follows_the_leader() {
        let state = led_by_homes(3);
        let home = placement::home(TOPIC, state.cluster.dimension.unwrap());
        let members = state.cluster.members(home);
        assert_eq!(story(&state, Step::Invited), Some(Story::Invitation { nodes: 8 }));
        assert_eq!(story(&state, Step::Publishing), Some(Story::Publishing { stored: 0, leader: Some(members[0]) }));
        let crashed = Step::Crashed(members[0]);
        assert_eq!(story(&state, crashed), story(&state, Step::Publishing), "the crash may be refused");
        let event =
            |node, at_us, event| Action::Event(WatchEvent { node, time: Timestamp(at_us), at_us, trace: None, event });
        let stopped = Event::Stopped { mode: StopMode::Crash, duration_ms: 15_000 };
        let state = state.after(Moment { now_ms: 2_000, actions: vec![event(members[0], 2_000_000, stopped)] });
        assert_eq!(story(&state, crashed), Some(Story::Electing { crashed: members[0] }));
        let elected = Event::RoleChanged { group: home, role: Role::Leader, term: 2, leader: Some(members[1]) };
        let state = state.after(Moment { now_ms: 2_163, actions: vec![event(members[1], 2_163_400, elected)] });
        let taken_over = Story::TakenOver { leader: members[1], after_ms: Some(163), checked: 0, lost: 0 };
        assert_eq!(story(&state, crashed), Some(taken_over));
        assert_eq!(story(&State::default(), Step::Invited), None);
    }
}
