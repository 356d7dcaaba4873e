//! The dashboard's components in a real browser: what they show, and what they hand on when a person types and clicks.
#![cfg(target_arch = "wasm32")]

use std::cell::RefCell;
use std::rc::Rc;

use cubecast_core::client::Target;
use cubecast_core::cube::{Dimension, Vertex};
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::time::Timestamp;
use cubecast_core::wire::answer::{ClusterView, NodeState, NodeView, Role};
use cubecast_core::wire::client::{self, Ack, StopMode};
use cubecast_core::wire::event::{self, WatchEvent};
use cubecast_web::model::closer::CloserTab;
use cubecast_web::model::cluster::{Cluster, Socket};
use cubecast_web::model::feed::{Feed, Subject, Tone};
use cubecast_web::model::inbox::Inboxes;
use cubecast_web::model::shared::Shared;
use cubecast_web::model::task::Task;
use cubecast_web::model::{Action, Moment, Selection, State};
use cubecast_web::ui::{
    App, Cube, CubeProps, FeedList, FeedListProps, LookCloser, LookCloserProps, NodeCard, NodeCardProps,
};
use cubecast_web::ui::{PublishForm, PublishFormProps, SubscribeForm, SubscribeFormProps, TopicCard, TopicCardProps};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{
    Element, Event, EventInit, HtmlElement, HtmlInputElement, HtmlSelectElement, KeyboardEvent, KeyboardEventInit,
};
use yew::prelude::*;
use yew::scheduler;

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn what_is_typed_is_published_with_the_chosen_acknowledgement() {
    let (run, tasks) = heard::<Task>();
    let page = Page::of::<PublishForm>(yew::props!(PublishFormProps {
        topic: "news",
        publisher: "writer",
        report: None,
        run,
    }))
    .await;
    page.type_into("#content-input", "Hello, cube").await;
    page.choose("#ack-select", "all").await;
    page.click("#publish-button").await;
    let tasks = tasks.borrow();
    let last = tasks[0].steps.last().unwrap();
    assert_eq!(last.to, Target::Home);
    match &last.action {
        client::Action::Publish { topic, content, ack, .. } => {
            assert_eq!((topic.as_str(), content.as_str(), *ack), ("news", "Hello, cube", Ack::All));
        }
        other => panic!("{other:?} is no publish"),
    }
}

#[wasm_bindgen_test]
async fn a_publish_without_a_topic_is_not_sent_and_says_why() {
    let (run, tasks) = heard::<Task>();
    let page =
        Page::of::<PublishForm>(yew::props!(PublishFormProps { topic: "", publisher: "writer", report: None, run }))
            .await;
    page.click("#publish-button").await;
    assert!(tasks.borrow().is_empty());
    assert!(page.text("#publish-result").contains("Choose a topic"), "{}", page.text("#publish-result"));
}

#[wasm_bindgen_test]
async fn a_subscription_that_has_ended_says_why_and_can_be_begun_again() {
    let (subscriber, topic): (SubscriberId, TopicName) = ("reader".parse().unwrap(), "news".parse().unwrap());
    let mut inboxes = Inboxes::default();
    inboxes.open(subscriber.clone(), topic.clone());
    inboxes.end(&subscriber, &topic, "topic `news` was deleted".into());
    let (run, tasks) = heard::<Task>();
    let page = Page::of::<SubscribeForm>(yew::props!(SubscribeFormProps {
        topic: "news",
        subscriber: "reader",
        inboxes: Shared::from(inboxes),
        report: None,
        on_subscriber: Callback::noop(),
        act: Callback::noop(),
        run,
        stop_deliveries: Callback::noop(),
    }))
    .await;
    let told = page.text("[data-testid=subscription-ended]");
    assert!(told.contains("topic `news` was deleted"), "{told}");
    page.click("#subscribe-button").await;
    assert_eq!(tasks.borrow().len(), 1);
}

#[wasm_bindgen_test]
async fn the_cube_shows_each_node_and_link_and_they_are_buttons() {
    let (act, actions) = heard::<Action>();
    let page = Page::of::<Cube>(yew::props!(CubeProps { state: watching("news"), act })).await;
    assert_eq!((page.all(".node").len(), page.all(".edge").len()), (8, 12));
    assert_eq!(page.get("#node-100").get_attribute("data-state").as_deref(), Some("up"));
    assert_eq!(page.get("#node-011").get_attribute("data-state").as_deref(), Some("failed"));
    assert!(page.get("#node-100").class_name_of_svg().contains("is-home"));

    page.click("#node-100").await;
    page.press_enter("#edge-100-101").await;
    let selected: Vec<_> = actions.borrow().iter().map(|action| format!("{action:?}")).collect();
    let node = Action::Select(Some(Selection::Node(vertex("100"))));
    let edge = Action::Select(Some(Selection::edge(vertex("101"), vertex("100"))));
    assert_eq!(selected, [format!("{node:?}"), format!("{edge:?}")]);
}

#[wasm_bindgen_test]
async fn without_topics_the_page_teaches_where_one_would_live() {
    let (act, actions) = heard::<Action>();
    let page = Page::of::<TopicCard>(yew::props!(TopicCardProps {
        topics: Shared::default(),
        cluster: watching("").cluster,
        topic: "",
        publisher: "writer",
        report: None,
        on_publisher: Callback::noop(),
        act,
        run: Callback::noop(),
    }))
    .await;
    assert!(page.text("[data-testid=topic-list-empty]").contains("its home will be 100"));
    page.click("[data-testid=suggest-topic]").await;
    assert!(matches!(&actions.borrow()[0], Action::ChooseTopic(topic) if topic == "news"));
}

#[wasm_bindgen_test]
async fn a_node_is_told_to_fail_as_chosen_and_one_that_failed_can_only_be_brought_back() {
    let (run, tasks) = heard::<Task>();
    let card = |name: &str, run: Callback<Task>| {
        yew::props!(NodeCardProps {
            vertex: vertex(name),
            cluster: watching("").cluster,
            now_ms: 0,
            report: None,
            act: Callback::noop(),
            run,
        })
    };
    let page = Page::of::<NodeCard>(card("100", run)).await;
    page.choose("#mode-select", "wipe").await;
    page.choose("#duration-select", "30000").await;
    page.click("#fail-button").await;
    let expected = client::Action::StopNode { node: Some(vertex("100")), mode: StopMode::Wipe, duration_ms: 30_000 };
    assert_eq!(tasks.borrow()[0].steps[0].action, expected);
    drop(page);

    let page = Page::of::<NodeCard>(card("011", Callback::noop())).await;
    assert!(page.get("#fail-button").has_attribute("disabled"));
    assert!(!page.get("#recover-button").has_attribute("disabled"));
}

#[wasm_bindgen_test]
async fn the_feed_shows_the_newest_first() {
    let mut feed = Feed::default();
    feed.add(1_000, Tone::Bad, Subject::Page, "100 crashes");
    feed.add(2_000, Tone::Good, Subject::Page, "100 is back");
    let page = Page::of::<FeedList>(yew::props!(FeedListProps { feed: Shared::from(feed) })).await;
    let entries: Vec<_> = page.all("#event-feed li").iter().map(|entry| entry.text_content().unwrap()).collect();
    assert_eq!(entries, ["00:00:02100 is back", "00:00:01100 crashes"]);
}

#[wasm_bindgen_test]
async fn the_x_ray_shows_each_holder_what_it_has_and_says_the_same_in_a_table() {
    let page = look_closer(state_with_a_replica_behind(), Callback::noop()).await;
    assert_eq!(page.all(".xray-strip[data-testid]").len(), 4);
    let behind = page.get("[data-testid=xray-101]");
    assert_eq!(behind.get_attribute("data-lag").as_deref(), Some("2"));
    assert_eq!(page.all("[data-testid=xray-101] .xcell.readable").len(), 1);
    assert!(page.text("[data-testid=xray-table]").contains("misses #1 to #2"));
}

#[wasm_bindgen_test]
async fn a_broken_promise_says_so_on_every_tab_until_it_is_dismissed() {
    let (act, actions) = heard::<Action>();
    let two_leaders = ["100", "101"].map(|node| {
        let (group, leader) = (vertex("100"), Some(vertex(node)));
        told(node, event::Event::RoleChanged { group, role: Role::Leader, term: 7, leader })
    });
    let state = watching("news").after(Moment { now_ms: 1_000, actions: two_leaders.to_vec() });
    let page = look_closer(state.seen(), act).await;
    assert_eq!(page.get("[data-testid=invariants]").get_attribute("data-state").as_deref(), Some("bad"));
    assert!(page.text("[data-testid=violation]").contains("two leaders in term 7"));
    page.click("[data-testid=dismiss-violation]").await;
    assert!(matches!(actions.borrow().last(), Some(Action::DismissViolation)));
}

/// Before anybody answered it claims nothing; and what it started ends with it.
#[wasm_bindgen_test]
async fn a_page_without_a_cluster_says_that_it_looks_for_one() {
    let page = Page::of::<App>(()).await;
    assert!(page.text("#cluster-summary").contains("Looking for the cluster"));
    assert!(page.all(".node").is_empty());
}

async fn look_closer(state: State, act: Callback<Action>) -> Page<LookCloser> {
    Page::of::<LookCloser>(yew::props!(LookCloserProps {
        state,
        publisher: "writer",
        act,
        run: Callback::noop(),
        set_load: Callback::noop(),
    }))
    .await
}

/// Three messages, of which 101 has one.
fn state_with_a_replica_behind() -> State {
    let mut actions = vec![Action::ChooseTopic("news".into()), Action::ChooseCloserTab(CloserTab::Xray)];
    for (node, last) in [("100", 2), ("101", 0), ("110", 2), ("000", 2)] {
        let (topic, group, offset) = ("news".parse().unwrap(), vertex("100"), Offset(last));
        actions.push(told(node, event::Event::ReplicaStored { topic, group, offset }));
    }
    watching("").after(Moment { now_ms: 1_000, actions })
}

fn told(node: &str, event: event::Event) -> Action {
    Action::Told(WatchEvent { node: vertex(node), time: Timestamp(1), at_us: 1, trace: None, event })
}

/// A component mounted in a part of the test page of its own; both go in Drop.
struct Page<C: BaseComponent> {
    root: Element,
    app: Option<yew::AppHandle<C>>,
}

impl Page<App> {
    async fn of<C: BaseComponent>(properties: C::Properties) -> Page<C> {
        let document = web_sys::window().unwrap().document().unwrap();
        let root = document.create_element("div").unwrap();
        document.body().unwrap().append_child(&root).unwrap();
        let app = yew::Renderer::<C>::with_root_and_props(root.clone(), properties).render();
        scheduler::flush().await;
        Page { root, app: Some(app) }
    }
}

impl<C: BaseComponent> Page<C> {
    fn get(&self, selector: &str) -> Element {
        self.root.query_selector(selector).unwrap().unwrap_or_else(|| panic!("{selector} is not on the page"))
    }

    fn all(&self, selector: &str) -> Vec<Element> {
        let list = self.root.query_selector_all(selector).unwrap();
        (0..list.length()).map(|at| list.get(at).unwrap().unchecked_into()).collect()
    }

    fn text(&self, selector: &str) -> String {
        self.get(selector).text_content().unwrap_or_default()
    }

    async fn click(&self, selector: &str) {
        let element = self.get(selector);
        match element.dyn_ref::<HtmlElement>() {
            Some(element) => element.click(),
            None => bubble(&element, "click"),
        }
        scheduler::flush().await;
    }

    async fn press_enter(&self, selector: &str) {
        let init = KeyboardEventInit::new();
        init.set_key("Enter");
        init.set_bubbles(true);
        let event = KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &init).unwrap();
        self.get(selector).dispatch_event(&event).unwrap();
        scheduler::flush().await;
    }

    async fn type_into(&self, selector: &str, text: &str) {
        let input: HtmlInputElement = self.get(selector).unchecked_into();
        input.set_value(text);
        bubble(&input, "input");
        scheduler::flush().await;
    }

    async fn choose(&self, selector: &str, value: &str) {
        let select: HtmlSelectElement = self.get(selector).unchecked_into();
        select.set_value(value);
        bubble(&select, "change");
        scheduler::flush().await;
    }
}

impl<C: BaseComponent> Drop for Page<C> {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            app.destroy();
        }
        self.root.remove();
    }
}

/// `class_name` answers for HTML only.
trait SvgClass {
    fn class_name_of_svg(&self) -> String;
}

impl SvgClass for Element {
    fn class_name_of_svg(&self) -> String {
        self.get_attribute("class").unwrap_or_default()
    }
}

fn bubble(element: &Element, name: &str) {
    let init = EventInit::new();
    init.set_bubbles(true);
    element.dispatch_event(&Event::new_with_event_init_dict(name, &init).unwrap()).unwrap();
}

/// A callback, and what it was called with.
fn heard<T: 'static>() -> (Callback<T>, Rc<RefCell<Vec<T>>>) {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let into = heard.clone();
    (Callback::from(move |value| into.borrow_mut().push(value)), heard)
}

fn vertex(name: &str) -> Vertex {
    name.parse().unwrap()
}

/// A cube that is watched and of which node 011 has failed.
fn watching(topic: &str) -> State {
    let dimension = Dimension::new(3).unwrap();
    let node = |node: Vertex| NodeView {
        node,
        address: String::new(),
        state: if node == vertex("011") { NodeState::Failed } else { NodeState::Up },
        incarnation: 1,
        leads: vec![node],
    };
    let view = ClusterView { dimension, nodes: dimension.vertices().map(node).collect(), links: Vec::new() };
    let mut cluster = Cluster::default();
    for node in dimension.vertices() {
        cluster.learn_socket(node, Socket::Open);
        cluster.learn_view(node, &view);
    }
    State { cluster: Shared::from(cluster), topic_text: topic.into(), ..State::default() }
}
