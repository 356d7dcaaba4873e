//! The page, live or simulated.

use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent};
use yew::prelude::*;

use super::closer::LookCloser;
use super::dispatch::{Command, Dispatch};
use super::header::Header;
use super::layout_switch;
use super::panes::{Panes, splitters, use_panes};
use super::pulse::Pace;
use super::stage::Stage;
use super::tabs::Tabs;
use super::topic_card::TopicCard;
use crate::model::task::Panel;
use crate::model::{Act, State, ViewAction, gate};
use crate::net::browser::Listener;

/// Properties of [`Page`], which does not depend on the source of its state.
#[derive(Properties, PartialEq)]
pub struct PageProps {
    pub state: State,
    /// Receives the user's commands. It must never change.
    pub dispatch: Dispatch,
    /// Shown in the header.
    #[prop_or_default]
    pub mode_switch: Html,
    /// Shown below the cube, as wide as the page: the time of a simulation.
    #[prop_or_default]
    pub time: Html,
    /// Shown above the cube.
    #[prop_or_default]
    pub story: Html,
    /// The pace of time on the cube; real time by default.
    #[prop_or_default]
    pub pace: Pace,
    /// Shown beside the cube, above the actions.
    #[prop_or_default]
    pub guide: Html,
}

/// The page, with its dispatcher as context.
#[component]
pub fn Page(props: &PageProps) -> Html {
    let state = &props.state;
    let dispatch = use_gate(state, &props.dispatch);
    use_no_repeats();
    let (panes, set_panes) = use_panes();
    let set_closed = set_panes.reform(move |is_dock_closed| Panes { is_dock_closed, ..panes });
    html! {
        <ContextProvider<Dispatch> context={dispatch}>
            <div class="app">
                <a class="skip" href="#controls">{"Skip the topics and the cube"}</a>
                <Header
                    cluster={state.cluster.clone()}
                    topics={state.topics.listed.then(|| state.topics.topics.len())}
                    seed_failed={state.seed_failed.clone()}
                >
                    {props.mode_switch.clone()}
                </Header>
                <main class="workspace" style={panes.style()}>
                    <section class="pane topics-pane" aria-label="Choose a topic">
                        <TopicCard
                            topics={state.topics.clone()}
                            cluster={state.cluster.clone()}
                            rates={state.rates.history.clone()}
                            inboxes={state.inboxes.clone()}
                            topic={state.topic_text.clone()}
                            publisher={state.names.publisher.clone()}
                            report={state.reports.get(Panel::Topic).cloned()}
                        />
                    </section>
                    <Stage state={state.clone()} pace={props.pace} story={props.story.clone()} />
                    <section class="pane actions-pane" id="controls" aria-label="Actions" tabindex="-1">
                        {props.guide.clone()}
                        <Tabs state={state.clone()} />
                    </section>
                    if props.time != Html::default() { <div class="time">{props.time.clone()}</div> }
                    <LookCloser state={state.clone()} is_closed={panes.is_dock_closed} {set_closed} />
                    {splitters(panes, &set_panes)}
                </main>
            </div>
        </ContextProvider<Dispatch>>
    }
}

/// A dispatcher that holds tasks which no node can carry out now, so that the user gets the reason at once. It also
/// remembers the chosen layout.
#[hook]
fn use_gate(state: &State, dispatch: &Dispatch) -> Dispatch {
    // The newest state, because the dispatcher itself must not change with it.
    let newest = use_mut_ref(State::default);
    *newest.borrow_mut() = state.clone();
    let gated = use_memo(dispatch.clone(), |dispatch| {
        let dispatch = dispatch.clone();
        Dispatch::new(move |command| {
            if let Command::View(ViewAction::ChooseLayout(layout)) = &command {
                layout_switch::remember(*layout);
            }
            let held = match &command {
                Command::Act(Act::Run(task)) => gate::obstacle_to_task(&newest.borrow(), task)
                    .map(|obstacle| ViewAction::HoldTask { task: task.clone(), obstacle }),
                Command::Act(_) | Command::Insist(_) | Command::View(_) => None,
            };
            dispatch.send(held.map_or(command, Command::View));
        })
    });
    (*gated).clone()
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
