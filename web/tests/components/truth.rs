//! Tests in a real browser that the dashboard distinguishes known from unknown facts.

use cubecast_core::cube::Dimension;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::Offset;
use cubecast_core::seating::Seating;
use cubecast_core::states::{NodeState, Role};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::{Answer, Counters, Done, GroupStatus, NodeStatus, StorageStatus};
use cubecast_core::wire::event::{self, WatchEvent};
use cubecast_web::model::cluster::Socket;
use cubecast_web::model::{Action, CloserTab, Moment, SeedFailure, State, ViewAction};
use cubecast_web::ui::{
    Cube, CubeProps, Header, HeaderProps, LookCloser, LookCloserProps, NodeCard, NodeCardProps, Page as Dashboard,
    PageProps,
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::harness::{Commands, Page, SvgClass, named, watching};

#[wasm_bindgen_test]
async fn the_x_ray_shows_what_nobody_told_as_unknown_and_not_as_missing() {
    let mut state = state_with_messages();
    state.closer.xray.change().replicas[3].readable = None;
    state.closer.xray.change().replicas[3].stored = 0;
    let page = look_closer(state).await;
    let unknown = page.get("[data-testid=xray-000]");
    assert_eq!(unknown.get_attribute("data-lag").as_deref(), Some("unknown"));
    assert_eq!(page.all("[data-testid=xray-000] .xcell.unknown").len(), 3);
    assert!(page.all("[data-testid=xray-000] .xcell.missing").is_empty());
    let summary = page.text("[data-testid=xray-summary]");
    assert!(summary.contains("The state of 000 is unknown") && !summary.contains("000 lacks"), "{summary}");
    assert!(page.text(".xray-legend").contains("not known"));
}

#[wasm_bindgen_test]
async fn what_no_majority_can_store_is_not_sent_says_why_at_once_and_can_be_sent_all_the_same() {
    let commands = Commands::default();
    let state = without_a_majority();
    let page = Page::of::<Dashboard>(dashboard(state.clone(), &commands)).await;
    let obstacle = "news cannot be written: 2 of 4 replicas up, 3 needed.";
    assert!(page.text("[data-testid=obstacle]").contains(obstacle), "{}", page.text("[data-testid=obstacle]"));
    assert!(page.text("[data-testid=obstacle]").contains("Reads with “any” still work at 100, 000."));
    assert!(page.text("[data-testid=placement]").contains("No leader possible"));
    assert!(page.text("[data-testid=topic-row-news]").contains("cannot be written"));
    assert!(page.text("[data-testid=cluster-summary]").contains("groups cannot be written"));
    page.type_into("#content-input", "hello").await;
    page.click("#publish-button").await;
    assert!(commands.tasks().is_empty());
    drop(page);

    let held = commands.views().into_iter().find(|action| matches!(action, ViewAction::HoldTask { .. }));
    let state = state.after(Moment { now_ms: 1_000, actions: vec![Action::View(held.expect("it is held"))] });
    let page = Page::of::<Dashboard>(dashboard(state, &commands)).await;
    assert!(page.text("#publish-result").contains(&format!("Not sent: {obstacle}")));
    page.click("[data-testid=publish-result-insist]").await;
    assert_eq!(commands.tasks().len(), 1);
}

#[wasm_bindgen_test]
async fn the_head_tells_what_the_cluster_says_from_what_this_page_reaches() {
    let mut state = watching("");
    let cluster = state.cluster.change();
    let seating = Seating::founding(Dimension::new(3).unwrap());
    for node in seating.hosts() {
        cluster.learn_state(named("000"), node, NodeState::Up);
        if node != named("000") {
            cluster.learn_socket(node, Socket::Closed);
        }
    }
    let page = Page::of::<Header>(head(&state, None)).await;
    assert_eq!(page.text("#cluster-summary"), "8 of 8 nodes up");
    assert!(page.text("[data-testid=cluster-reach]").contains("connected to only 000"));
    assert!(page.all("[data-testid=cluster-cut]").is_empty());
    drop(page);

    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    let seating = Seating::founding(Dimension::new(3).unwrap());
    for node in seating.hosts() {
        state.cluster.change().learn_conditions(node, seating.across(node, 2), cut);
    }
    let page = Page::of::<Header>(head(&state, None)).await;
    assert!(page.text("#cluster-summary").contains("cut in two"));
    assert!(page.get("#cluster-summary").class_name_of_svg().contains("warning"));
    assert!(page.text("[data-testid=cluster-cut]").contains("000, 001, 010, 011 and 100, 101, 110, 111"));
}

#[wasm_bindgen_test]
async fn why_a_node_refuses_this_page_is_shown_with_the_cure() {
    let why = "The node answered: start the node with --allow-origin https://a.example.".to_owned();
    let failed = SeedFailure { address: "wss://a.example/ws".into(), why: Some(why) };
    let state = State { seed_failed: Some(failed), ..State::default() };
    let page = Page::of::<Cube>(yew::props!(CubeProps { state })).await;
    assert!(page.text("[data-testid=cube-empty]").contains("--allow-origin https://a.example"));
}

#[wasm_bindgen_test]
async fn a_wiped_nodes_card_lists_nothing_of_what_it_led() {
    let state = watching("").after(Moment { now_ms: 1_000, actions: vec![status_of("100")] });
    let card = |state: &State| {
        yew::props!(NodeCardProps {
            id: named::<HostId>("100"),
            cluster: state.cluster.clone(),
            now_ms: 1_000,
            report: None
        })
    };
    let page = Page::of::<NodeCard>(card(&state)).await;
    assert!(page.text(".groups").contains("leader"));
    drop(page);
    let wiped = told("100", event::Event::Stopped { mode: StopMode::Wipe, duration_ms: 5_000 });
    let state = state.after(Moment { now_ms: 1_000, actions: vec![wiped] });
    let page = Page::of::<NodeCard>(card(&state)).await;
    assert!(page.all(".groups").is_empty());
    assert!(page.text("[data-testid=node-card]").contains("returns by itself in 5 s"));
    drop(page);
    let back = told("100", event::Event::Returned { incarnation: 2 });
    let page = Page::of::<NodeCard>(card(&state.after(Moment { now_ms: 1_000, actions: vec![back] }))).await;
    assert!(page.all(".groups").is_empty(), "nothing is known of it yet");
}

fn dashboard(state: State, commands: &Commands) -> PageProps {
    yew::props!(PageProps { state, dispatch: commands.dispatch() })
}

fn head(state: &State, seed_failed: Option<SeedFailure>) -> HeaderProps {
    yew::props!(HeaderProps { cluster: state.cluster.clone(), topics: None::<usize>, seed_failed })
}

/// The topic `news`, with two of its four replicas down.
fn without_a_majority() -> State {
    let (topic, group) = ("news".parse().unwrap(), named("100"));
    let created = told("100", event::Event::TopicCreated { topic, group });
    let mut state = watching("news").after(Moment { now_ms: 1_000, actions: vec![created] });
    let cluster = state.cluster.change();
    let members = cluster.members(group);
    cluster.learn_members(group, &members, &[], members[0]);
    for node in ["101", "110"] {
        cluster.learn_state(named(node), named(node), NodeState::Failed);
    }
    state
}

/// The node leads its own group.
fn status_of(name: &str) -> Action {
    let node = named(name);
    let group = GroupStatus {
        home: named(name),
        role: Role::Leader,
        term: 2,
        leader: Some(node),
        usable: true,
        obstacle: None,
        voters_up: 4,
        voters_needed: 3,
        voters: ["100", "101", "110", "000"].map(named).to_vec(),
        learners: Vec::new(),
        last_index: 3,
        commit_index: 3,
        applied_index: 3,
        log_entries: 3,
        log_bytes: 100,
        topics: 1,
        messages: 1,
    };
    let status = NodeStatus {
        node,
        incarnation: 1,
        state: NodeState::Up,
        version: "1".into(),
        sync: "always".into(),
        uptime_ms: 1,
        faults_allowed: true,
        storage: StorageStatus::default(),
        groups: vec![group],
        links: Vec::new(),
        counters: Counters::default(),
    };
    let result = Ok(Done::Status(status.into()));
    Action::Answered { asked: node, answer: Answer { id: None, served_by: node, hops: None, result } }
}

async fn look_closer(state: State) -> Page<LookCloser> {
    Page::of::<LookCloser>(yew::props!(LookCloserProps { state })).await
}

/// Three messages, stored by each replica two seconds ago.
fn state_with_messages() -> State {
    let mut actions = [ViewAction::ChooseTopic("news".into()), ViewAction::ChooseCloserTab(CloserTab::Xray)]
        .map(Action::View)
        .to_vec();
    for node in ["100", "101", "110", "000"] {
        let (topic, group) = ("news".parse().unwrap(), named("100"));
        actions.push(told(node, event::Event::ReplicaStored { topic, group, offset: Offset(2) }));
    }
    let told = watching("").after(Moment { now_ms: 1_000, actions });
    told.after(Moment { now_ms: 3_000, actions: Vec::new() })
}

fn told(node: &str, event: event::Event) -> Action {
    Action::Event(WatchEvent { node: named(node), time: Timestamp(1), at_us: 1, trace: None, event })
}
