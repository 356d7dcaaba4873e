//! The list of injected faults, each with a button that mends it. Z mends the last one, Shift+Z all.

use gloo_events::EventListener;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};
use yew::prelude::*;

use super::dispatch::{Dispatch, use_dispatch};
use crate::format::{plural, whole_seconds};
use crate::model::State;
use crate::model::breakage::{Broken, mend};
use crate::model::task::Task;
use crate::terms;

/// Number of faults that are listed, so that the cube stays in sight; the rest is counted.
const MOST_SHOWN: usize = 6;

/// Properties of [`BrokenBar`].
#[derive(Properties, PartialEq)]
pub struct BrokenBarProps {
    pub state: State,
}

/// The list of injected faults.
#[component]
pub fn BrokenBar(props: &BrokenBarProps) -> Html {
    let dispatch = use_dispatch();
    let breakages = &props.state.breakages;
    let (last, all) = (mend(&breakages.last()), mend(&breakages.all()));
    use_keys(dispatch.clone(), last.clone(), all.clone());
    if breakages.is_empty() {
        return html! { <div class="broken-bar is-empty" data-testid="broken-bar" data-state="whole" /> };
    }
    let broken = breakages.all();
    let rest = broken.len().saturating_sub(MOST_SHOWN);
    let chips = broken.iter().rev().take(MOST_SHOWN).map(|broken| {
        let words = fault_words(*broken, &props.state);
        let onclick = run(&dispatch, mend(&[*broken]));
        html! {
            <button type="button" class="chip" title="Mend it" aria-label={format!("{words}. Mend it")} {onclick}>
                {words}<span aria-hidden="true">{"×"}</span>
            </button>
        }
    });
    html! {
        <div class="broken-bar" data-testid="broken-bar" data-state="broken">
            <p role="status"><strong>{format!("You broke {}", plural(broken.len() as u64, "thing"))}</strong></p>
            <div class="chips">
                { for chips }
                if rest > 0 { <span class="aside">{format!("and {rest} more")}</span> }
            </div>
            <div class="chips">
                <button type="button" class="chip" data-testid="undo-button" onclick={run(&dispatch, last)}>
                    {"Undo the last"}<kbd>{"Z"}</kbd>
                </button>
                <button type="button" class="chip" data-testid="mend-all-button" onclick={run(&dispatch, all)}>
                    {"Mend all"}<kbd>{"⇧Z"}</kbd>
                </button>
            </div>
        </div>
    }
}

fn run(dispatch: &Dispatch, task: Task) -> Callback<MouseEvent> {
    dispatch.on(move |_| task.clone())
}

/// An injected fault as text.
fn fault_words(broken: Broken, state: &State) -> String {
    match broken {
        Broken::Node(node) => {
            let back = state.cluster.nodes.get(&node).and_then(|known| known.returns_at_ms);
            match back.filter(|at| *at > state.now_ms) {
                Some(at) => format!("{node} is down for another {}", whole_seconds(at - state.now_ms)),
                None => format!("{node} is down"),
            }
        }
        Broken::Edge(a, b) => format!("{a} – {b} {}", terms::conditions(&state.cluster.link(a, b).conditions)),
        Broken::Link(from, to) => {
            format!("{from} → {to} {}", terms::conditions(&state.cluster.link(from, to).conditions))
        }
    }
}

/// Handles the keys Z and Shift+Z, except in text fields.
#[hook]
fn use_keys(dispatch: Dispatch, last: Task, all: Task) {
    use_effect_with((dispatch, last, all), |(dispatch, last, all)| {
        let (dispatch, last, all) = (dispatch.clone(), last.clone(), all.clone());
        let listener = web_sys::window().map(|window| {
            EventListener::new(&window, "keydown", move |event| {
                let Some(event) = event.dyn_ref::<KeyboardEvent>().filter(|event| !is_typing(event)) else { return };
                let task = match (event.key().to_lowercase().as_str(), event.shift_key()) {
                    ("z", false) => &last,
                    ("z", true) => &all,
                    _ => return,
                };
                if !task.steps.is_empty() {
                    dispatch.send(task.clone());
                }
            })
        });
        move || drop(listener)
    });
}

fn is_typing(event: &KeyboardEvent) -> bool {
    let target = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
    let types = |element: HtmlElement| matches!(element.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT");
    target.is_some_and(types)
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::faults::LinkConditions;
    use cubecast_core::identity::HostId;

    use super::*;
    use crate::model::cluster::Cluster;
    use crate::model::shared::Shared;

    #[test]
    fn a_fault_says_what_is_broken_and_for_how_long() {
        let (a, b): (HostId, HostId) = ("100".parse().unwrap(), "101".parse().unwrap());
        let mut cluster = Cluster::of(Dimension::new(3).unwrap());
        cluster.learn_conditions(a, b, LinkConditions { cut: true, ..LinkConditions::PERFECT });
        cluster.nodes.entry(b).or_default().returns_at_ms = Some(4_000);
        let state = State { cluster: Shared::from(cluster), now_ms: 1_000, ..State::default() };
        assert_eq!(fault_words(Broken::Node(b), &state), "101 is down for another 3 s");
        assert_eq!(fault_words(Broken::Link(a, b), &state), "100 → 101 is cut");
    }
}
