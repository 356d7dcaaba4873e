//! The page, live or simulated.

use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent};
use yew::prelude::*;

use super::closer::LookCloser;
use super::dispatch::{Command, Dispatch};
use super::header::Header;
use super::node_table::NodeTable;
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
    /// Shown below the cube.
    #[prop_or_default]
    pub under_cube: Html,
    /// The pace of time on the cube; real time by default.
    #[prop_or_default]
    pub pace: Pace,
    /// Shown beside the cube, above the controls.
    #[prop_or_default]
    pub guide: Html,
}

/// The page, with its dispatcher as context.
#[component]
pub fn Page(props: &PageProps) -> Html {
    let state = &props.state;
    let dispatch = use_gate(state, &props.dispatch);
    use_no_repeats();
    html! {
        <ContextProvider<Dispatch> context={dispatch}>
            <a class="skip" href="#controls">{"Skip the cube"}</a>
            <Header
                cluster={state.cluster.clone()}
                topics={state.topics.listed.then(|| state.topics.topics.len())}
                seed_failed={state.seed_failed.clone()}
            >
                {props.mode_switch.clone()}
            </Header>
            <main class="layout">
                <Stage state={state.clone()} pace={props.pace}>{props.under_cube.clone()}</Stage>
                <section class="controls" id="controls" aria-label="Controls" tabindex="-1">
                    {props.guide.clone()}
                    <TopicCard
                        topics={state.topics.clone()}
                        cluster={state.cluster.clone()}
                        topic={state.topic_text.clone()}
                        publisher={state.names.publisher.clone()}
                        report={state.reports.get(Panel::Topic).cloned()}
                    />
                    <Tabs state={state.clone()} />
                </section>
                <LookCloser state={state.clone()} />
                <NodeTable cluster={state.cluster.clone()} topic={state.topic()} />
            </main>
        </ContextProvider<Dispatch>>
    }
}

/// A dispatcher that holds tasks which no node can carry out now, so that the user gets the reason at once.
#[hook]
fn use_gate(state: &State, dispatch: &Dispatch) -> Dispatch {
    // The newest state, because the dispatcher itself must not change with it.
    let newest = use_mut_ref(State::default);
    *newest.borrow_mut() = state.clone();
    let gated = use_memo(dispatch.clone(), |dispatch| {
        let dispatch = dispatch.clone();
        Dispatch::new(move |command| {
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
