//! The live page; the only place that connects state, sockets and time.

use gloo_timers::callback::Interval;
use web_sys::UrlSearchParams;
use yew::prelude::*;

use super::dispatch::{Command, Dispatch};
use super::failover::use_replay;
use super::first_minute::FirstMinute;
use super::layout_switch;
use super::live_lessons::LiveLessons;
use super::page::Page;
use super::palette::Palette;
use super::simulated::ModeSwitch;
use crate::model::place::Place;
use crate::model::{Act, Action, CloserTab, Moment, Selection, State};
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
    use_place(&state, &dispatcher);
    let dispatch = use_memo((*driver).clone(), |driver| {
        let driver = driver.clone();
        Dispatch::new(move |command| match command {
            Command::View(action) => dispatcher.dispatch(moment(vec![Action::View(action)])),
            Command::Act(act) => act_through(&driver, act),
            Command::Insist(task) => act_through(&driver, Act::Run(task)),
        })
    });
    let present = state.seen();
    let shown = use_replay(present.clone());
    let state = shown.state;
    let mode_switch = html! {
        <>
            <ModeSwitch live={Some(state.clone())} />
            <Palette state={state.clone()} />
        </>
    };
    let guide = html! { <LiveLessons state={state.clone()} /> };
    // The first minute goes on during a replay.
    let story = html! {
        <>
            <div hidden={shown.is_replay}><FirstMinute state={present} /></div>
            {shown.bar}
        </>
    };
    html! { <Page {state} dispatch={(*dispatch).clone()} {mode_switch} {guide} {story} pace={shown.pace} /> }
}

/// Nothing can be done before the driver has started.
fn act_through(driver: &Option<Driver>, act: Act) {
    if let Some(driver) = driver {
        driver.act(act);
    }
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

/// The address leads to what the page shows: other tabs and selections are new entries of the history.
#[hook]
fn use_place(state: &State, dispatcher: &UseReducerDispatcher<State>) {
    let place = Place::of(state);
    {
        let dispatcher = dispatcher.clone();
        use_effect_with((), move |()| {
            // An address that leads nowhere in particular shows the layout of the last visit.
            let usual = Place { layout: layout_switch::remembered(), ..Place::default() };
            if Place::read(&browser::fragment()) == Some(Place::default()) && usual != Place::default() {
                browser::write_fragment(&usual.write());
            }
            let go = move || {
                let there = Place::read(&browser::fragment()).map(|place| place.actions()).unwrap_or_default();
                dispatcher.dispatch(moment(there.into_iter().map(Action::View).collect()));
            };
            go();
            let listener = Listener::on_window("popstate", move |_| go());
            move || drop(listener)
        });
    }
    let before = use_mut_ref(|| None::<Place>);
    use_effect_with(place, move |place| {
        let before = before.borrow_mut().replace(place.clone());
        let fragment = place.write();
        // The first place comes before that of the address is known.
        let Some(before) = before.filter(|_| browser::fragment().trim_start_matches('#') != &fragment[1..]) else {
            return;
        };
        if before.topic == place.topic {
            browser::push_fragment(&fragment);
        } else {
            browser::write_fragment(&fragment);
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
