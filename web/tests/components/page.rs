//! Tests of the dashboard's components in a real browser: what they show, and which callbacks they call.

use cubecast_core::client::{ClientError, Target};
use cubecast_core::faults::StopMode;
use cubecast_core::identity::HostId;
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::states::Role;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::client::{self, Ack};
use cubecast_core::wire::event::{self, WatchEvent};
use cubecast_web::model::feed::{Fact, Feed};
use cubecast_web::model::inbox::Inboxes;
use cubecast_web::model::report::{Remark, TaskChange};
use cubecast_web::model::shared::Shared;
use cubecast_web::model::task::Panel;
use cubecast_web::model::topics::TopicBook;
use cubecast_web::model::{Action, CloserTab, Moment, Selection, State, ViewAction};
use cubecast_web::ui::{
    App, BreakPanel, BreakPanelProps, Cube, CubeProps, FeedList, FeedListProps, LookCloser, LookCloserProps, NodeCard,
    NodeCardProps,
};
use cubecast_web::ui::{PublishForm, PublishFormProps, SubscribeForm, SubscribeFormProps, TopicCard, TopicCardProps};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::harness::{Page, SvgClass, named, watching};

#[wasm_bindgen_test]
async fn what_is_typed_is_published_with_the_chosen_acknowledgement() {
    let page =
        Page::of::<PublishForm>(yew::props!(PublishFormProps { topic: "news", publisher: "writer", report: None }))
            .await;
    page.type_into("#content-input", "Hello, cube").await;
    page.choose("#ack-select", "all").await;
    page.click("#publish-button").await;
    let tasks = page.commands.tasks();
    let last = tasks[0].steps.last().unwrap();
    assert_eq!(last.to, Target::Home);
    match &last.action {
        client::Action::Write(client::Write::Publish { topic, content, ack, .. }) => {
            assert_eq!((topic.as_str(), content.as_str(), *ack), ("news", "Hello, cube", Ack::All));
        }
        other => panic!("{other:?} is no publish"),
    }
}

#[wasm_bindgen_test]
async fn a_publish_without_a_topic_is_not_sent_and_says_why() {
    let page =
        Page::of::<PublishForm>(yew::props!(PublishFormProps { topic: "", publisher: "writer", report: None })).await;
    page.click("#publish-button").await;
    assert!(page.commands.tasks().is_empty());
    assert!(page.text("#publish-result").contains("Choose a topic"), "{}", page.text("#publish-result"));
}

#[wasm_bindgen_test]
async fn a_placeholder_is_no_message_and_the_refusal_goes_when_one_is_typed() {
    let form = |topic: &'static str| yew::props!(PublishFormProps { topic, publisher: "writer", report: None });
    let mut page = Page::of::<PublishForm>(form("news")).await;
    page.click("#publish-button").await;
    assert!(page.commands.tasks().is_empty());
    assert_eq!(page.text("#publish-result"), "Type a message first.");
    page.type_into("#content-input", "h").await;
    assert_eq!(page.text("#publish-result"), "");
    page.type_into("#content-input", "").await;
    page.click("#publish-button").await;
    page.update(form("cricket")).await;
    assert_eq!(page.text("#publish-result"), "", "that was said of another topic");
}

#[wasm_bindgen_test]
async fn a_topic_that_was_refused_offers_nothing_to_unsubscribe_from() {
    let (subscriber, topic): (SubscriberId, TopicName) = ("reader".parse().unwrap(), "nope".parse().unwrap());
    let mut inboxes = Inboxes::default();
    inboxes.open(subscriber.clone(), topic.clone());
    inboxes.ask(&subscriber, &topic, 1);
    let form = |inboxes: Inboxes| {
        yew::props!(SubscribeFormProps {
            topic: "nope",
            subscriber: "reader",
            inboxes: Shared::from(inboxes),
            report: None,
        })
    };
    let mut page = Page::of::<SubscribeForm>(form(inboxes.clone())).await;
    assert!(page.all("[data-testid=unsubscribe-button], h3").is_empty(), "it is only asked for");
    inboxes.end_task(1);
    page.update(form(inboxes.clone())).await;
    assert!(page.all("[data-testid=unsubscribe-button], h3").is_empty(), "it was refused");
    inboxes.open(subscriber.clone(), topic.clone());
    inboxes.ask(&subscriber, &topic, 2);
    inboxes.confirm(2, Offset(0));
    page.update(form(inboxes)).await;
    assert!(page.get("#subscribe-button").has_attribute("disabled"), "its place is not taken by the opposite");
    page.get("[data-testid=unsubscribe-button]");
}

#[wasm_bindgen_test]
async fn a_double_click_on_delete_asks_and_does_not_delete() {
    let mut topics = TopicBook::default();
    topics.learn_created(&"news".parse().unwrap(), named("100"));
    let page = Page::of::<TopicCard>(yew::props!(TopicCardProps {
        topics: Shared::from(topics),
        cluster: watching("news").cluster,
        topic: "news",
        publisher: "writer",
        report: None,
    }))
    .await;
    assert!(page.get("[data-testid=create-topic-button]").has_attribute("disabled"));
    page.double_click("[data-testid=delete-topic-button]").await;
    page.double_click("[data-testid=delete-for-good-button]").await;
    assert_eq!(page.commands.tasks().len(), 1, "once, after the question");
}

#[wasm_bindgen_test]
async fn what_is_said_of_a_node_is_not_said_of_another() {
    let goal = Some(client::Action::Admin(client::Admin::RecoverNode { node: Some(named("011")) }));
    let error = ClientError::Unavailable { why: "nobody answers".into() };
    let told = [
        Action::View(ViewAction::Select(Some(Selection::Node(named("011"))))),
        Action::Task { panel: Panel::Node, task: 1, change: TaskChange::Started { goal: goal.clone() } },
        Action::Task { panel: Panel::Node, task: 1, change: TaskChange::GaveUp(Remark::Unanswered { goal, error }) },
    ];
    let state = watching("news").after(Moment { now_ms: 1_000, actions: told.to_vec() });
    let props = |state: State| yew::props!(BreakPanelProps { state });
    let mut page = Page::of::<BreakPanel>(props(state.clone())).await;
    let result = page.text("#node-result");
    assert!(result.contains("Nothing was done: nobody answers."), "{result}");
    assert!(result.ends_with("At 00:00:01 UTC."), "{result}");
    let select = Action::View(ViewAction::Select(Some(Selection::Node(named("100")))));
    page.update(props(state.after(Moment { now_ms: 1_000, actions: vec![select] }))).await;
    assert_eq!(page.text("#node-result"), "");
}

#[wasm_bindgen_test]
async fn a_subscription_that_has_ended_says_why_and_can_be_begun_again() {
    let (subscriber, topic): (SubscriberId, TopicName) = ("reader".parse().unwrap(), "news".parse().unwrap());
    let mut inboxes = Inboxes::default();
    inboxes.open(subscriber.clone(), topic.clone());
    inboxes.end(&subscriber, &topic, "topic `news` was deleted".into());
    let page = Page::of::<SubscribeForm>(yew::props!(SubscribeFormProps {
        topic: "news",
        subscriber: "reader",
        inboxes: Shared::from(inboxes),
        report: None,
    }))
    .await;
    let told = page.text("[data-testid=subscription-ended]");
    assert!(told.contains("topic `news` was deleted"), "{told}");
    page.click("#subscribe-button").await;
    assert_eq!(page.commands.tasks().len(), 1);
}

#[wasm_bindgen_test]
async fn the_cube_shows_each_node_and_link_and_they_are_buttons() {
    let page = Page::of::<Cube>(yew::props!(CubeProps { state: watching("news") })).await;
    assert_eq!((page.all(".node").len(), page.all(".edge").len()), (8, 12));
    assert_eq!(page.get("#node-100").get_attribute("data-state").as_deref(), Some("up"));
    assert_eq!(page.get("#node-011").get_attribute("data-state").as_deref(), Some("failed"));
    assert!(page.get("#node-100").class_name_of_svg().contains("is-home"));

    page.click("#node-100").await;
    page.press_enter("#edge-100-101").await;
    let node = ViewAction::Select(Some(Selection::Node(named("100"))));
    let edge = ViewAction::Select(Some(Selection::edge(named("101"), named("100"))));
    assert_eq!(page.commands.views(), [node, edge]);
}

#[wasm_bindgen_test]
async fn without_topics_the_page_teaches_where_one_would_live() {
    let page = Page::of::<TopicCard>(yew::props!(TopicCardProps {
        topics: Shared::from(TopicBook { listed: true, ..TopicBook::default() }),
        cluster: watching("").cluster,
        topic: "",
        publisher: "writer",
        report: None,
    }))
    .await;
    assert!(page.text("[data-testid=topic-list-empty]").contains("its home will be 100"));
    page.click("[data-testid=suggest-topic]").await;
    assert_eq!(page.commands.views(), [ViewAction::ChooseTopic("news".into())]);
}

#[wasm_bindgen_test]
async fn a_node_is_told_to_fail_as_chosen_and_one_that_failed_can_only_be_brought_back() {
    let card = |name: &str| {
        yew::props!(NodeCardProps { id: named::<HostId>(name), cluster: watching("").cluster, now_ms: 0, report: None })
    };
    let page = Page::of::<NodeCard>(card("100")).await;
    page.choose("#mode-select", "wipe").await;
    page.choose("#duration-select", "30000").await;
    page.click("#fail-button").await;
    let expected = client::Action::Admin(client::Admin::StopNode {
        node: Some(named("100")),
        mode: StopMode::Wipe,
        duration_ms: 30_000,
    });
    assert_eq!(page.commands.tasks()[0].steps[0].action, expected);
    drop(page);

    let page = Page::of::<NodeCard>(card("011")).await;
    assert!(page.get("#fail-button").has_attribute("disabled"));
    assert!(!page.get("#recover-button").has_attribute("disabled"));
}

#[wasm_bindgen_test]
async fn the_feed_shows_the_newest_first() {
    let mut feed = Feed::default();
    feed.add(1_000, Fact::ConnectionLost(named("100")));
    feed.add(2_000, Fact::ConnectionRestored(named("100")));
    let page = Page::of::<FeedList>(yew::props!(FeedListProps { feed: Shared::from(feed) })).await;
    let entries: Vec<_> = page.all("#event-feed li").iter().map(|entry| entry.text_content().unwrap()).collect();
    assert_eq!(
        entries,
        ["00:00:02This page is connected to 100 again", "00:00:01This page lost its connection to 100"]
    );
}

#[wasm_bindgen_test]
async fn the_x_ray_shows_each_replica_what_it_has_and_says_the_same_in_a_table() {
    let page = look_closer(state_with_a_replica_behind()).await;
    assert_eq!(page.all(".xray-strip[data-testid]").len(), 4);
    let behind = page.get("[data-testid=xray-101]");
    assert_eq!(behind.get_attribute("data-lag").as_deref(), Some("2"));
    assert_eq!(page.all("[data-testid=xray-101] .xcell.readable").len(), 1);
    assert!(page.text("[data-testid=xray-table]").contains("misses #1 to #2"));
}

#[wasm_bindgen_test]
async fn a_violation_says_so_on_every_tab_until_it_is_dismissed() {
    let two_leaders = ["100", "101"].map(|node| {
        let (group, leader) = (named("100"), Some(named(node)));
        told(node, event::Event::RoleChanged { group, role: Role::Leader, term: 7, leader })
    });
    let state = watching("news").after(Moment { now_ms: 1_000, actions: two_leaders.to_vec() });
    let page = look_closer(state.seen()).await;
    assert_eq!(page.get("[data-testid=invariants]").get_attribute("data-state").as_deref(), Some("bad"));
    assert!(page.text("[data-testid=violation]").contains("two leaders in term 7"));
    page.click("[data-testid=dismiss-violation]").await;
    assert_eq!(page.commands.views(), [ViewAction::DismissViolation]);
}

/// Before a node answers, the page claims nothing; and everything it started ends with it.
#[wasm_bindgen_test]
async fn a_page_without_a_cluster_says_that_it_looks_for_one() {
    let page = Page::of::<App>(()).await;
    assert!(page.text("#cluster-summary").contains("Looking for the cluster"));
    assert!(page.all(".node").is_empty());
}

async fn look_closer(state: State) -> Page<LookCloser> {
    Page::of::<LookCloser>(yew::props!(LookCloserProps { state })).await
}

/// Three messages, of which 101 has one.
fn state_with_a_replica_behind() -> State {
    let mut actions = [ViewAction::ChooseTopic("news".into()), ViewAction::ChooseCloserTab(CloserTab::Xray)]
        .map(Action::View)
        .to_vec();
    for (node, last) in [("100", 2), ("101", 0), ("110", 2), ("000", 2)] {
        let (topic, group, offset) = ("news".parse().unwrap(), named("100"), Offset(last));
        actions.push(told(node, event::Event::ReplicaStored { topic, group, offset }));
    }
    let told = watching("").after(Moment { now_ms: 1_000, actions });
    told.after(Moment { now_ms: 3_000, actions: Vec::new() })
}

fn told(node: &str, event: event::Event) -> Action {
    Action::Event(WatchEvent { node: named(node), time: Timestamp(1), at_us: 1, trace: None, event })
}
