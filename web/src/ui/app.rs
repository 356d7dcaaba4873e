//! The whole page; the only place that connects state, sockets and time.

use cubecast_core::names::{SubscriberId, TopicName};
use gloo_timers::callback::Interval;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, UrlSearchParams};
use yew::prelude::*;

use super::closer::LookCloser;
use super::header::Header;
use super::live_lessons::LiveLessons;
use super::node_table::NodeTable;
use super::pulse::Pace;
use super::report::Insist;
use super::simulated::ModeSwitch;
use super::stage::Stage;
use super::tabs::Tabs;
use super::topic_card::TopicCard;
use crate::model::closer::CloserTab;
use crate::model::load::LoadPlan;
use crate::model::task::{Panel, Task};
use crate::model::{Action, Moment, Selection, State, gate};
use crate::net::Driver;
use crate::net::address::PageAddress;
use crate::net::browser::{self, Listener};

/// Interval at which the page checks for changes by time alone, milliseconds.
const TICK_MS: u32 = 250;

/// The live page.
#[component]
pub fn App() -> Html {
    let state = use_reducer(State::default);
    let dispatcher = state.dispatcher();
    let driver = use_driver(dispatcher.to_callback());
    use_clock(dispatcher.to_callback());
    use_attention(&driver, state.selection);
    use_replicas(&driver, &state);

    let act = {
        let dispatcher = dispatcher.clone();
        Callback::from(move |action| dispatcher.dispatch(moment(vec![action])))
    };
    let run = {
        let driver = driver.clone();
        Callback::from(move |task: Task| {
            if let Some(driver) = &*driver {
                driver.run(task);
            }
        })
    };
    let stop_deliveries = {
        let driver = driver.clone();
        Callback::from(move |(subscriber, topic)| {
            if let Some(driver) = &*driver {
                driver.stop_deliveries(subscriber, topic);
            }
        })
    };
    let set_load = {
        let driver = driver.clone();
        Callback::from(move |plan| {
            if let Some(driver) = &*driver {
                driver.set_load(plan);
            }
        })
    };
    let state = state.seen();
    let mode_switch = html! { <ModeSwitch live={Some(state.clone())} /> };
    let guide = html! { <LiveLessons state={state.clone()} act={act.clone()} run={run.clone()} /> };
    html! { <Page {state} {mode_switch} {guide} {act} {run} {stop_deliveries} {set_load} /> }
}

/// Properties of [`Page`], which does not depend on the source of its state.
#[derive(Properties, PartialEq)]
pub struct PageProps {
    pub state: State,
    /// Shown in the header.
    pub mode_switch: Html,
    /// Shown below the cube.
    #[prop_or_default]
    pub under_cube: Html,
    /// The pace of time on the cube; real time by default.
    #[prop_or_default]
    pub pace: Pace,
    /// Shown beside the cube, above the controls.
    #[prop_or_default]
    pub guide: Html,
    pub act: Callback<Action>,
    pub run: Callback<Task>,
    pub stop_deliveries: Callback<(SubscriberId, TopicName)>,
    pub set_load: Callback<Option<LoadPlan>>,
}

/// The page, live or simulated.
#[component]
pub fn Page(props: &PageProps) -> Html {
    let PageProps { state, act, stop_deliveries, .. } = props;
    let insist = Insist(props.run.clone());
    let run = &held_where_nobody_can(state, act, &props.run);
    let publisher = use_state(|| "publisher1".to_owned());
    let on_publisher = {
        let (set, act) = (super::field::setter(&publisher), act.clone());
        Callback::from(move |typed: String| {
            set.emit(typed);
            act.emit(Action::ForgetReports(&[Panel::Topic, Panel::Publish]));
        })
    };
    use_no_repeats();
    let topic_report = state.tasks.reports.get(&Panel::Topic).cloned();
    html! {
        <ContextProvider<Insist> context={insist}>
            <a class="skip" href="#controls">{"Skip the cube"}</a>
            <Header cluster={state.cluster.clone()} topics={state.topics.listed.then(|| state.topics.topics.len())} seed_failed={state.seed_failed.clone()}>
                {props.mode_switch.clone()}
            </Header>
            <main class="layout">
                <Stage state={state.clone()} act={act.clone()} run={run.clone()} pace={props.pace}>{props.under_cube.clone()}</Stage>
                <section class="controls" id="controls" aria-label="Controls" tabindex="-1">
                    {props.guide.clone()}
                    <TopicCard
                        topics={state.topics.clone()}
                        cluster={state.cluster.clone()}
                        topic={state.topic_text.clone()}
                        publisher={(*publisher).clone()}
                        report={topic_report}
                        {on_publisher}
                        act={act.clone()}
                        run={run.clone()}
                    />
                    <Tabs
                        state={state.clone()}
                        publisher={(*publisher).clone()}
                        act={act.clone()}
                        run={run.clone()}
                        stop_deliveries={stop_deliveries.clone()}
                    />
                </section>
                <LookCloser
                    state={state.clone()}
                    publisher={(*publisher).clone()}
                    act={act.clone()}
                    run={run.clone()}
                    set_load={props.set_load.clone()}
                />
                <NodeTable cluster={state.cluster.clone()} topic={state.topic()} />
            </main>
        </ContextProvider<Insist>>
    }
}

/// Runs tasks, except those that no node can carry out now: these are held, and the user gets the reason at once.
fn held_where_nobody_can(state: &State, act: &Callback<Action>, run: &Callback<Task>) -> Callback<Task> {
    let (state, act, run) = (state.clone(), act.clone(), run.clone());
    Callback::from(move |task: Task| match gate::obstacle(&state, &task) {
        Some(text) => act.emit(Action::TaskHeld { task, text }),
        None => run.emit(task),
    })
}

fn moment(actions: Vec<Action>) -> Moment {
    Moment { now_ms: browser::now_ms(), actions }
}

/// The sockets: opened when the page is first rendered, closed when it is removed.
#[hook]
fn use_driver(tell: Callback<Moment>) -> UseStateHandle<Option<Driver>> {
    let driver = use_state(|| None);
    let started = driver.clone();
    use_effect_with((), move |()| {
        started.set(Some(Driver::start(page_address(), tell)));
        move || started.set(None)
    });
    driver
}

/// Ignores key repeats, so that holding a key presses a button only once.
#[hook]
fn use_no_repeats() {
    use_effect_with((), |()| {
        let listener = Listener::on_window("keydown", |event| {
            let Some(event) = event.dyn_ref::<KeyboardEvent>().filter(|event| event.repeat()) else { return };
            let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            let presses = match (target.map(|element| element.tag_name()).as_deref(), event.key().as_str()) {
                (Some("INPUT" | "BUTTON"), "Enter") | (Some("BUTTON"), " ") => true,
                (_, _) => false,
            };
            if presses {
                event.prevent_default();
            }
        });
        move || drop(listener)
    });
}

#[hook]
fn use_clock(tell: Callback<Moment>) {
    use_effect_with((), move |()| {
        let interval = Interval::new(TICK_MS, move || tell.emit(moment(Vec::new())));
        move || drop(interval)
    });
}

/// Keeps the details of the selected node fresh.
#[hook]
fn use_attention(driver: &Option<Driver>, selection: Option<Selection>) {
    let node = match selection {
        Some(Selection::Node(node)) => Some(node),
        Some(Selection::Edge(..)) | None => None,
    };
    let driver = driver.clone();
    use_effect_with((driver, node), |(driver, node)| {
        if let Some(driver) = driver {
            driver.attend(*node);
        }
    });
}

/// Polls the replicas of the chosen topic while a view shows them.
#[hook]
fn use_replicas(driver: &Option<Driver>, state: &State) {
    let looks = matches!(state.closer.tab, CloserTab::Xray | CloserTab::Invariants);
    let topic = state.topic().filter(|topic| looks && state.topics.topics.contains_key(topic));
    let driver = driver.clone();
    use_effect_with((driver, topic), |(driver, topic)| {
        if let Some(driver) = driver {
            driver.look_into(topic.clone());
        }
    });
}

fn page_address() -> PageAddress {
    let Some(location) = web_sys::window().map(|window| window.location()) else {
        return PageAddress::default();
    };
    let query = location.search().ok().and_then(|search| UrlSearchParams::new_with_str(&search).ok());
    PageAddress {
        protocol: location.protocol().unwrap_or_default(),
        hostname: location.hostname().unwrap_or_default(),
        port: location.port().unwrap_or_default(),
        path: location.pathname().unwrap_or_default(),
        cluster: query.and_then(|query| query.get("cluster")),
    }
}
