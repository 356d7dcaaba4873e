use cubecast_core::faults::StopMode;
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::placement;
use cubecast_core::states::{NodeState, Role};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::event::{Event, FrameKind, WatchEvent};

use super::*;
use crate::model::cluster::Health;
use crate::model::traffic::PULSE_MS;
use crate::model::{Action, Moment};
use crate::testing::led_by_homes;

const TOPIC: &str = "demo";

/// A page, its watch, and the time.
struct Story {
    state: State,
    watch: FailoverWatch,
    kept: Option<Failover>,
}

impl Story {
    fn begin() -> Story {
        let mut state = led_by_homes(3);
        state.topic_text = TOPIC.to_owned();
        let mut story = Story { state, watch: FailoverWatch::default(), kept: None };
        story.look(1_000);
        story
    }

    /// The members of the topic's group, the leader first.
    fn members(&self) -> Vec<HostId> {
        self.state.cluster.members(self.group())
    }

    fn group(&self) -> Vertex {
        placement::home(TOPIC, self.state.cluster.dimension.unwrap())
    }

    /// `at_ms`: when the node reports it, and when this page receives it.
    fn told(&mut self, at_ms: u64, node: HostId, event: Event) {
        let told = WatchEvent { node, time: Timestamp(at_ms * 1_000), at_us: at_ms * 1_000, trace: None, event };
        self.state =
            std::mem::take(&mut self.state).after(Moment { now_ms: at_ms, actions: vec![Action::Event(told)] });
    }

    fn look(&mut self, now_ms: u64) {
        if let Some(failover) = self.watch.look(now_ms, &self.state) {
            self.kept = Some(failover);
        }
    }

    /// The leader crashes 2 s after the beginning, and the second member takes over after 160 ms.
    fn fail_over(&mut self) {
        let (members, group) = (self.members(), self.group());
        let stopped = Event::Stopped { mode: StopMode::Crash, duration_ms: 15_000 };
        let silent = Event::NodeState { subject: members[0], state: NodeState::Failed };
        let role = |role, leader| Event::RoleChanged { group, role, term: 2, leader };
        let stored = Event::ReplicaStored { topic: TOPIC.parse().unwrap(), group, offset: Offset(7) };
        self.told(3_000, members[0], stopped);
        self.told(3_120, members[1], silent.clone());
        self.told(3_125, members[2], silent);
        self.told(3_150, members[1], role(Role::Candidate, None));
        self.told(3_151, members[1], Event::FrameSent { to: members[0], what: FrameKind::Vote, group: Some(group) });
        self.told(3_160, members[1], role(Role::Leader, Some(members[1])));
        self.told(3_200, members[1], stored);
    }
}

#[test]
fn a_failover_is_kept_once_its_last_moments_were_recorded() {
    let mut story = Story::begin();
    story.look(2_500);
    story.fail_over();
    story.look(3_300);
    assert!(story.kept.is_none(), "it is not over yet");
    story.look(3_160 + AFTER_MS);
    let members = story.members();
    let failover = story.kept.unwrap();
    assert_eq!((failover.election.before, failover.election.leader), (members[0], members[1]));
    assert_eq!(failover.took_us(), Some(160_000));
    let steps: Vec<_> = failover.steps.iter().map(|step| (step.node, step.what.clone())).collect();
    let topic: TopicName = TOPIC.parse().unwrap();
    assert_eq!(
        steps,
        [
            (members[0], StepKind::Stopped { mode: StopMode::Crash }),
            (members[1], StepKind::Silence),
            (members[1], StepKind::Candidate { term: 2 }),
            (members[1], StepKind::Elected { term: 2 }),
            (members[1], StepKind::Stored { topic, offset: Offset(7) }),
        ]
    );
}

#[test]
fn the_first_election_of_a_group_is_no_failover() {
    let mut story = Story::begin();
    let (leader, group) = (story.members()[0], story.group());
    story.told(2_000, leader, Event::RoleChanged { group, role: Role::Leader, term: 2, leader: Some(leader) });
    for now_ms in [2_500, 5_000] {
        story.look(now_ms);
    }
    assert!(story.kept.is_none());
}

#[test]
fn a_failover_begins_with_the_last_stop_of_its_leader() {
    let mut story = Story::begin();
    let leader = story.members()[0];
    story.told(1_500, leader, Event::Stopped { mode: StopMode::Crash, duration_ms: 500 });
    story.told(1_600, leader, Event::Returned { incarnation: 1 });
    story.fail_over();
    story.look(3_200);
    story.look(3_160 + AFTER_MS);
    assert_eq!(story.kept.unwrap().took_us(), Some(160_000));
}

#[test]
fn a_leader_that_hands_over_leaves_no_time_without_a_leader() {
    let mut story = Story::begin();
    let (members, group) = (story.members(), story.group());
    story.told(2_000, members[1], Event::NodeState { subject: members[0], state: NodeState::Failed });
    let elected = Event::RoleChanged { group, role: Role::Leader, term: 2, leader: Some(members[1]) };
    story.told(6_000, members[1], elected);
    story.look(6_100);
    story.look(6_000 + AFTER_MS);
    assert_eq!(story.kept.unwrap().took_us(), None);
}

#[test]
fn the_group_of_the_chosen_topic_is_preferred() {
    let mut story = Story::begin();
    let chosen = story.group();
    let other = story.state.cluster.dimension.unwrap().vertices().find(|group| *group != chosen).unwrap();
    for group in [chosen, other] {
        let second = story.state.cluster.members(group)[1];
        story.told(2_000, second, Event::RoleChanged { group, role: Role::Leader, term: 2, leader: Some(second) });
    }
    story.look(2_100);
    story.look(2_000 + AFTER_MS);
    assert_eq!(story.kept.unwrap().election.group, chosen);
}

#[test]
fn a_replay_shows_each_moment_as_it_was_in_any_order() {
    let mut story = Story::begin();
    story.fail_over();
    story.look(3_200);
    story.look(3_160 + AFTER_MS);
    let (members, group) = (story.members(), story.group());
    // The present is another: the former leader is back.
    story.told(9_000, members[0], Event::Returned { incarnation: 1 });
    let present = story.state.clone();
    let failover = Rc::new(story.kept.unwrap());
    let first_us = failover.steps[0].at_us;
    let mut replay = Replay::of(failover.clone());
    assert!(replay.at_us <= first_us);
    let mut at = |ms: u64| {
        replay.go_to(first_us + ms * 1_000);
        replay.shown(&present)
    };
    for _ in 0..2 {
        let elected = at(165);
        assert_eq!(elected.cluster.leader_of(group), Some(members[1]));
        assert_eq!(elected.cluster.health(members[0]), Health::Failed);
        assert_eq!(elected.traffic.pulses.len(), 1, "the vote is on its way");
        assert_eq!(elected.topic_text, TOPIC, "what the user chose is that of the present");
        // Back in time.
        let silent = at(121);
        assert_eq!((silent.cluster.leader_of(group), silent.traffic.pulses.len()), (None, 0));
    }
    assert_eq!(at(200).topics.topics[&TOPIC.parse::<TopicName>().unwrap()].messages, 8);
    replay.go_to(u64::MAX);
    assert!(replay.is_over() && replay.at_us == failover.length_us());
}

#[test]
fn frames_that_arrived_long_ago_are_not_drawn_after_a_jump() {
    let mut story = Story::begin();
    story.fail_over();
    let (members, group) = (story.members(), story.group());
    story.told(4_600, members[1], Event::Committed { group, index: 9 });
    story.look(3_160 + AFTER_MS);
    let mut replay = Replay::of(Rc::new(story.kept.unwrap()));
    replay.go_to(u64::MAX);
    let shown = replay.shown(&story.state);
    assert!(shown.now_ms > 3_151 + PULSE_MS && shown.traffic.pulses.is_empty());
}
