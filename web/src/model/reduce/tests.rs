use cubecast_core::client::ClientError;
use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, SubscriberId, TopicId, TopicName};
use cubecast_core::seating::Seating;
use cubecast_core::states::{NodeState, Role};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::{
    Answer, ClusterView, Counters, Done, ErrorCode, Failure, LinkView, Message, NodeStatus, NodeView,
};
use cubecast_core::wire::client;
use cubecast_core::wire::event::{Event, FrameKind, WatchEvent};

use super::*;
use crate::model::action::ViewAction;
use crate::model::cluster::{Cluster, EdgeHealth, Health};
use crate::model::feed::{FaultChange, Stored};
use crate::model::inbox::Inbox;
use crate::model::invariants::story::{cube, leads};
use crate::model::report::{Remark, TaskChange};
use crate::model::shared::Shared;
use crate::model::task::Panel;
use crate::model::traffic::{MAX_PULSES, PULSE_MS};
use crate::testing::named;

#[test]
fn a_node_that_stops_is_failed_and_counts_down_until_it_is_back() {
    let state = running().told("100", Event::Stopped { mode: StopMode::Crash, duration_ms: 10_000 });
    assert_eq!(state.cluster.health(named("100")), Health::Failed);
    assert_eq!(state.cluster.nodes[&named("100")].returns_at_ms, Some(11_000));
    let state = state.told("100", Event::Returned { incarnation: 1 });
    assert_eq!(state.cluster.health(named("100")), Health::Recovering);
    assert_eq!(state.cluster.nodes[&named("100")].returns_at_ms, None);
}

#[test]
fn a_node_that_lost_its_disk_returns_as_another() {
    let node = named("100");
    let back = |incarnation| running().told("100", Event::Returned { incarnation }).feed.entries[0].fact.clone();
    assert_eq!(back(1), Fact::Returned { node, is_new: false });
    assert_eq!(back(7), Fact::Returned { node, is_new: true });
}

#[test]
fn a_wiped_node_shows_nothing_of_what_it_was_and_leads_nothing_until_it_says_so() {
    let (node, group, term) = (named("100"), named("100"), 3);
    let leads = Event::RoleChanged { group, role: Role::Leader, term, leader: Some(node) };
    let state = running().told("100", leads.clone()).with(status("100"));
    assert!(state.cluster.led_by(node) == [group] && state.cluster.nodes[&node].status.is_some());
    let state = state.told("100", Event::Stopped { mode: StopMode::Wipe, duration_ms: 5_000 });
    assert!(state.cluster.led_by(node).is_empty() && state.cluster.nodes[&node].status.is_none());
    let state = state.told("100", Event::Returned { incarnation: 2 });
    assert!(state.cluster.led_by(node).is_empty(), "nobody was told to lead in its place yet");
    let state = state.told("100", Event::NodeState { subject: node, state: NodeState::Up }).told("100", leads);
    assert_eq!(state.cluster.led_by(node), [group]);
}

#[test]
fn a_node_that_answers_that_it_is_failing_is_shown_as_failed() {
    let answer = Answer {
        id: None,
        served_by: named("100"),
        hops: None,
        result: Err(ErrorCode::NodeFailed.because("I am stopped by a requested fault")),
    };
    let state = running().with(Action::Answered { asked: named("100"), answer });
    assert_eq!(state.cluster.health(named("100")), Health::Failed);
}

#[test]
fn a_lost_socket_is_told_once_and_so_is_its_return() {
    let closed = || Action::SocketChanged { node: named("100"), socket: Socket::Closed };
    let state = running().with(closed()).with(closed());
    assert_eq!(state.feed.entries.len(), 1);
    let state = state.with(Action::SocketChanged { node: named("100"), socket: Socket::Open });
    assert_eq!(state.feed.entries.len(), 2);
    assert_eq!(state.feed.entries[0].fact, Fact::ConnectionRestored(named("100")));
}

#[test]
fn the_state_of_a_cluster_that_runs_well_is_no_news() {
    assert!(running().feed.entries.is_empty());
}

#[test]
fn every_frame_of_a_burst_counts_and_as_many_as_can_be_seen_are_drawn() {
    let sent = || event("100", Event::FrameSent { to: named("101"), what: FrameKind::Append, group: None });
    let burst: Vec<_> = (0..MAX_PULSES + 50).map(|_| sent()).collect();
    let state = running().after(Moment { now_ms: 2_000, actions: burst });
    assert_eq!(state.traffic.seen, MAX_PULSES as u64 + 50);
    assert_eq!(state.traffic.pulses.len(), MAX_PULSES);
    let later = state.after(Moment { now_ms: 2_000 + PULSE_MS, actions: vec![] });
    assert!(later.traffic.pulses.is_empty());
}

#[test]
fn heartbeats_are_drawn_only_when_asked_for() {
    let beat = Event::FrameSent { to: named("101"), what: FrameKind::Heartbeat, group: None };
    assert!(running().told("100", beat.clone()).traffic.pulses.is_empty());
    assert_eq!(running().with(ViewAction::ShowBackground(true)).told("100", beat).traffic.pulses.len(), 1);
}

#[test]
fn a_topic_told_by_four_replicas_is_one_topic_and_one_entry() {
    let topic = TopicName::new("news").unwrap();
    let mut state = running();
    for node in ["100", "101", "110", "000"] {
        state = state.told(node, Event::TopicCreated { topic: topic.clone(), group: named("100") });
        state = state.told(node, Event::ReplicaStored { topic: topic.clone(), group: named("100"), offset: Offset(0) });
    }
    assert_eq!(state.topics.topics[&topic].messages, 1);
    assert_eq!(state.feed.entries.len(), 2);
    let replicas = ["100", "101", "110", "000"].map(named).to_vec();
    let stored = Stored { topic, first: Offset(0), last: Offset(0), replicas };
    assert_eq!(state.feed.entries[0].fact, Fact::Stored(stored));
}

#[test]
fn a_result_that_comes_after_a_newer_task_began_is_not_shown_as_its_own() {
    let state = running()
        .with(task(Panel::Publish, 1, TaskChange::Started { goal: None }))
        .with(task(Panel::Publish, 2, TaskChange::Started { goal: None }))
        .with(task(Panel::Publish, 1, TaskChange::GaveUp(unanswered())));
    let report = &state.reports.by_panel[&Panel::Publish];
    assert!(report.running && report.lines.is_empty());
}

#[test]
fn what_was_said_of_one_topic_is_not_shown_beside_another() {
    let state = running()
        .with(ViewAction::ChooseTopic("news".into()))
        .with(task(Panel::Publish, 1, TaskChange::Started { goal: None }))
        .with(task(Panel::Node, 2, TaskChange::Started { goal: None }))
        .with(ViewAction::ChooseTopic("cricket".into()));
    assert_eq!(state.reports.by_panel.keys().collect::<Vec<_>>(), [&Panel::Node]);
}

#[test]
fn that_there_is_no_such_topic_is_over_when_there_is_one() {
    let refused = answer(Err(ErrorCode::UnknownTopic.because("no topic `news`")));
    let state = running()
        .with(ViewAction::ChooseTopic("news".into()))
        .with(task(Panel::Publish, 1, TaskChange::Started { goal: None }))
        .with(task(Panel::Publish, 1, TaskChange::Answered { answer: refused, took_ms: 1.0 }))
        .with(task(Panel::Publish, 1, TaskChange::Ended));
    assert_eq!(state.reports.by_panel[&Panel::Publish].failed_ms, Some(1_000));
    let topic = TopicName::new("news").unwrap();
    let state = state.told("100", Event::TopicCreated { topic, group: named("100") });
    assert!(state.reports.by_panel.is_empty());
}

#[test]
fn what_was_done_with_a_topic_goes_with_it_but_for_the_word_that_it_is_deleted() {
    let topic = TopicName::new("news").unwrap();
    let publisher = "p".parse().unwrap();
    let goal = Some(client::Action::Write(client::Write::DeleteTopic { publisher, topic: topic.clone() }));
    let state = running()
        .with(ViewAction::ChooseTopic("news".into()))
        .told("100", Event::TopicCreated { topic: topic.clone(), group: named("100") })
        .with(task(Panel::Browse, 1, TaskChange::Started { goal: None }))
        .with(task(Panel::Browse, 1, TaskChange::Ended))
        .with(task(Panel::Topic, 2, TaskChange::Started { goal }))
        .with(task(Panel::Topic, 2, TaskChange::Ended))
        .told("100", Event::TopicDeleted { topic, group: named("100") });
    assert_eq!(state.reports.by_panel.keys().collect::<Vec<_>>(), [&Panel::Topic]);
}

#[test]
fn a_rate_counts_what_was_stored_while_the_page_listened() {
    let (topic, group): (TopicName, Vertex) = ("news".parse().unwrap(), named("100"));
    let stored = |offset| Event::ReplicaStored { topic: topic.clone(), group, offset: Offset(offset) };
    let at = |state: State, now_ms, actions: Vec<Action>| state.after(Moment { now_ms, actions });
    let rate = |state: &State| state.rates.history.rate(&topic, group);
    let sockets = |socket| ["100", "101", "110", "000"].map(|node| Action::SocketChanged { node: named(node), socket });
    let state = at(running(), 10_000, Vec::new()).told("100", stored(41));
    let state = at(state, 11_000, Vec::new()).told("100", stored(43)).told("101", stored(43)).told("110", stored(42));
    let state = at(state, 12_000, Vec::new());
    assert_eq!(rate(&state), Some(0.6), "each message once, over five seconds");

    let state = at(state, 12_000, sockets(Socket::Closed).to_vec());
    assert_eq!(rate(&state), None);
    let state = at(state, 15_000, sockets(Socket::Open).to_vec());
    let state = at(state, 16_000, Vec::new()).told("100", stored(9_000));
    let state = at(state, 17_000, Vec::new());
    assert_eq!(rate(&state), Some(1.0), "what was stored unheard is not of this second");
}

#[test]
fn that_a_node_is_away_for_a_while_is_over_when_it_is_back_and_is_not_said_of_another() {
    let node = named("100");
    let goal = Some(client::Action::Admin(client::Admin::StopNode {
        node: Some(node),
        mode: StopMode::Crash,
        duration_ms: 9,
    }));
    let state = running().with(task(Panel::Node, 1, TaskChange::Started { goal })).with(task(
        Panel::Node,
        1,
        TaskChange::Ended,
    ));
    assert!(state.reports.of_nodes(Panel::Node, &[node]).is_some());
    assert_eq!(state.reports.of_nodes(Panel::Node, &[named("101")]), None);
    let state = state.told("100", Event::Returned { incarnation: 1 });
    assert_eq!(state.reports.of_nodes(Panel::Node, &[node]), None);
}

#[test]
fn a_subscription_that_was_refused_is_not_one_and_one_that_stands_survives_a_later_refusal() {
    let (subscriber, topic): (SubscriberId, TopicName) = ("reader".parse().unwrap(), "news".parse().unwrap());
    let goal = Some(client::Action::Write(client::Write::Subscribe {
        subscriber: subscriber.clone(),
        topic: topic.clone(),
        from: None,
        push: true,
    }));
    let asked = |state: State, number| {
        let (subscriber, topic) = (subscriber.clone(), topic.clone());
        let started = TaskChange::Started { goal: goal.clone() };
        state.with(Action::OpenInbox { subscriber, topic }).with(task(Panel::Subscribe, number, started))
    };
    let ended = |state: State, number, result| {
        let answered = TaskChange::Answered { answer: answer(result), took_ms: 1.0 };
        let state = state.with(task(Panel::Subscribe, number, answered));
        state.with(task(Panel::Subscribe, number, TaskChange::Ended))
    };
    let refused = || Err(ErrorCode::UnknownTopic.because("no topic `news`"));
    let cursor = Offset(0);
    let topic_id = TopicId(1);
    let subscribed = Done::Subscribed { topic: topic.clone(), topic_id, cursor, original_node: None };
    let is_live = |state: &State| state.inboxes.get(&subscriber, &topic).is_some_and(Inbox::is_live);

    let state = ended(asked(running(), 1), 1, refused());
    assert!(!is_live(&state) && state.inboxes.boxes.is_empty());
    let state = ended(asked(state, 2), 2, Ok(subscribed));
    assert!(is_live(&state));
    assert!(is_live(&ended(asked(state, 3), 3, refused())));
}

#[test]
fn a_cut_is_told_once_though_both_ends_tell() {
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    let (from, to) = (named("100"), named("101"));
    let state = running()
        .told("100", Event::LinkConditions { from, to, conditions: cut })
        .told("101", Event::LinkState { from, to, up: false })
        .told("000", Event::LinkState { from, to, up: false });
    assert_eq!(state.cluster.edge_health(from, to), EdgeHealth::OneWay { from: to, to: from });
    assert_eq!(state.feed.entries.len(), 1);
}

#[test]
fn a_link_that_goes_silent_with_its_node_is_no_news_of_its_own() {
    let (from, to) = (named("100"), named("101"));
    let silent = |up| Event::LinkState { from, to, up };
    let state = running().told("100", Event::Stopped { mode: StopMode::Crash, duration_ms: 1 });
    let state =
        state.told("101", silent(false)).told("100", Event::Returned { incarnation: 1 }).told("101", silent(true));
    assert_eq!(state.feed.entries.len(), 2);
    let state = running().told("101", silent(false)).told("101", silent(true));
    assert_eq!(state.feed.entries.len(), 2, "between nodes that are well it is");
}

#[test]
fn a_fault_is_charted_once_however_many_nodes_tell_and_so_is_a_death_of_which_only_others_tell() {
    let (dead, cut) = (named("100"), LinkConditions { cut: true, ..LinkConditions::PERFECT });
    let state = |subject, state| Event::NodeState { subject, state };
    let link = Event::LinkConditions { from: named("000"), to: named("001"), conditions: cut };
    let mut told = running().with(Action::SocketChanged { node: dead, socket: Socket::Closed });
    for by in ["000", "001", "010", "011", "101", "110", "111"] {
        told = told.told(by, state(dead, NodeState::Failed));
    }
    let told = told
        .told("011", Event::Stopped { mode: StopMode::Crash, duration_ms: 1 })
        .told("010", state(named("011"), NodeState::Failed))
        .told("000", link.clone())
        .told("001", link)
        .at(2_000, event("011", Event::Returned { incarnation: 1 }))
        .at(3_000, status("000"));
    let seconds = &told.closer.charts.history.seconds;
    let began: Vec<_> = seconds[0].faults.iter().map(Fact::fault).collect();
    assert_eq!(began, [Some(FaultChange::Began); 3], "{:?}", seconds[0].faults);
    assert_eq!(seconds[1].faults, [Fact::Returned { node: named("011"), is_new: false }]);
}

#[test]
fn the_lag_of_this_page_begins_at_its_cursor_and_ends_with_the_subscription() {
    let (subscriber, topic): (SubscriberId, TopicName) = ("reader".parse().unwrap(), "news".parse().unwrap());
    let (topic_id, cursor) = (TopicId(1), Offset(4));
    let goal = Some(client::Action::Write(client::Write::Subscribe {
        subscriber: subscriber.clone(),
        topic: topic.clone(),
        from: None,
        push: true,
    }));
    let subscribed = Done::Subscribed { topic: topic.clone(), topic_id, cursor, original_node: None };
    let answered = TaskChange::Answered { answer: answer(Ok(subscribed)), took_ms: 1.0 };
    let message = Message {
        offset: Offset(6),
        publisher: "writer".parse().unwrap(),
        content: "hello".into(),
        time: Timestamp(0),
    };
    let stored = Event::ReplicaStored { topic: topic.clone(), group: named("100"), offset: Offset(9) };
    let state = running()
        .told("100", stored)
        .with(Action::OpenInbox { subscriber: subscriber.clone(), topic: topic.clone() })
        .with(task(Panel::Subscribe, 1, TaskChange::Started { goal }))
        .with(task(Panel::Subscribe, 1, answered))
        .at(2_000, Action::Delivered(Delivery { topic: topic.clone(), subscriber: subscriber.clone(), message }))
        .at(3_000, Action::CloseInbox { subscriber, topic })
        .at(4_000, status("000"));
    let lags = state.closer.charts.history.seconds.iter().map(|second| second.lags.first().map(|lag| lag.messages));
    assert_eq!(lags.collect::<Vec<_>>(), [Some(6), Some(3), None]);
}

#[test]
fn the_lag_of_others_is_a_bound_while_events_are_sampled_or_a_running_node_is_not_heard() {
    let (subscriber, topic): (SubscriberId, TopicName) = ("other".parse().unwrap(), "news".parse().unwrap());
    let delivered = event("101", Event::Delivered { topic, subscriber, offset: Offset(1) });
    let is_exact = |state: State| {
        let state = state.with(delivered.clone()).at(2_000, status("000"));
        state.closer.charts.history.seconds[0].lags[0].is_exact
    };
    assert!(is_exact(running()));
    assert!(!is_exact(running().with(Action::Sampled { node: named("100"), sample: 4 })));
    assert!(!is_exact(running().with(Action::SocketChanged { node: named("100"), socket: Socket::Closed })));
    let node = named("100");
    let again = running().with(Action::Sampled { node, sample: 4 }).with(Action::Sampled { node, sample: 1 });
    assert!(is_exact(again));
}

#[test]
fn an_election_is_told_by_its_winner_only() {
    let lead = |role| Event::RoleChanged { group: named("100"), role, term: 7, leader: Some(named("101")) };
    let state = running().told("101", lead(Role::Leader)).told("110", lead(Role::Follower));
    assert_eq!(state.cluster.leader_of(named("100")), Some(named("101")));
    assert_eq!(state.feed.entries.len(), 1);
}

#[test]
fn a_violation_freezes_what_is_seen_keeps_the_evidence_and_can_be_dismissed() {
    let opened = Action::SocketChanged { node: named("110"), socket: Socket::Open };
    let state = unheard().at(900, opened).at(1_000, leads("100", "100", 4)).at(2_000, leads("101", "100", 4));
    let violation = state.closer.invariants.violation.clone().unwrap();
    assert_eq!((violation.at_ms, violation.events.len()), (2_000, 2));
    assert!(violation.events[1].contains("\"term\":4"), "{:?}", violation.events);

    let crash = event("110", Event::Stopped { mode: StopMode::Crash, duration_ms: 60_000 });
    let state = state.at(3_000, crash);
    let failed = |state: &State| state.cluster.health(named("110")).name();
    assert_eq!((failed(&state), failed(&state.seen())), ("failed", "unknown"), "beneath, it goes on");

    let state = state.at(4_000, ViewAction::DismissViolation);
    assert_eq!((failed(&state.seen()), state.closer.invariants.violation.is_none()), ("failed", true));
    assert_eq!(state.closer.invariants.found, 1);
}

#[test]
fn while_the_picture_is_frozen_the_first_violation_stays() {
    let state = unheard().at(1, leads("100", "100", 4)).at(2, leads("101", "100", 4));
    let state = state.at(3, leads("110", "110", 7)).at(4, leads("111", "110", 7));
    assert!(state.closer.invariants.violation.as_ref().unwrap().what.contains("group 100"));
    assert_eq!(state.closer.invariants.found, 2);
}

#[test]
fn the_x_ray_follows_the_chosen_topic() {
    let state = unheard().at(1, ViewAction::ChooseTopic("news".into()));
    assert_eq!(state.closer.xray.topic, TopicName::new("news").ok());
    let state = state.at(2, leads("100", "100", 1));
    assert_eq!(state.closer.xray.replicas.len(), 4);
    let state = state.at(3, ViewAction::ChooseTopic("no topic".into()));
    assert_eq!(state.closer.xray.topic, None);
}

#[test]
fn what_was_said_to_one_publisher_is_not_shown_to_another() {
    let state = running().with(task(Panel::Publish, 1, TaskChange::Started { goal: None })).with(task(
        Panel::Browse,
        2,
        TaskChange::Started { goal: None },
    ));
    let same = state.names.publisher.clone();
    let state = state.with(ViewAction::NamePublisher(same));
    assert_eq!(state.reports.by_panel.len(), 2, "it is the same publisher");
    let state = state.with(ViewAction::NamePublisher("another".into()));
    assert_eq!(state.reports.by_panel.keys().collect::<Vec<_>>(), [&Panel::Browse]);
    assert!(state.with(ViewAction::NameSubscriber("another".into())).reports.by_panel.is_empty());
}

/// Eight nodes of which nothing is known.
fn unheard() -> State {
    State { cluster: Shared::<Cluster>::from(cube()), ..State::default() }
}

fn task(panel: Panel, task: u64, change: TaskChange) -> Action {
    Action::Task { panel, task, change }
}

fn unanswered() -> Remark {
    Remark::Unanswered { goal: None, error: ClientError::Unavailable { why: "nobody answered".into() } }
}

fn answer(result: Result<Done, Failure>) -> Answer {
    Answer { id: None, served_by: named("100"), hops: None, result }
}

fn status(name: &str) -> Action {
    let node = named(name);
    let status = NodeStatus {
        node,
        incarnation: 1,
        state: NodeState::Up,
        version: "1".into(),
        sync: "always".into(),
        uptime_ms: 0,
        faults_allowed: true,
        storage: Default::default(),
        groups: Vec::new(),
        links: Vec::new(),
        counters: Counters::default(),
    };
    let done = Ok(Done::Status(status.into()));
    Action::Answered { asked: node, answer: Answer { id: None, served_by: node, hops: None, result: done } }
}

fn event(node: &str, event: Event) -> Action {
    let node = named(node);
    Action::Event(WatchEvent { node, time: Timestamp(0), at_us: 0, trace: None, event })
}

impl From<ViewAction> for Action {
    fn from(action: ViewAction) -> Action {
        Action::View(action)
    }
}

impl State {
    fn with(self, action: impl Into<Action>) -> State {
        self.at(1_000, action)
    }

    fn at(self, now_ms: u64, action: impl Into<Action>) -> State {
        self.after(Moment { now_ms, actions: vec![action.into()] })
    }

    fn told(self, node: &str, told: Event) -> State {
        self.with(event(node, told))
    }
}

/// Eight healthy nodes, each reported by itself.
fn running() -> State {
    let dimension = Dimension::new(3).unwrap();
    let seating = Seating::founding(dimension);
    let up = |node: HostId| NodeView {
        node,
        address: format!("127.0.0.1:{}", 8000 + node.number() % 8),
        state: NodeState::Up,
        incarnation: 1,
        leads: seating.vertex_of(node).into_iter().collect(),
    };
    let links_of = |from| seating.neighbours(from).map(move |to| LinkView { from, to, up: true });
    let links = seating.hosts().flat_map(links_of).collect();
    let view = ClusterView { dimension, nodes: seating.hosts().map(up).collect(), links };
    let opened = seating.hosts().flat_map(|node| {
        let answer = Answer { id: None, served_by: node, hops: None, result: Ok(Done::Cluster(view.clone())) };
        [Action::SocketChanged { node, socket: Socket::Open }, Action::Answered { asked: node, answer }]
    });
    State::default().after(Moment { now_ms: 1_000, actions: opened.collect() })
}
