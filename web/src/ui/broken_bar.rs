//! The list of injected faults, each with a button that mends it. Z mends the last one, Shift+Z all.

use gloo_events::EventListener;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};
use yew::prelude::*;

use crate::model::State;
use crate::model::breakage::mend;
use crate::model::describe::plural;
use crate::model::task::Task;

/// Number of faults that are listed, so that the cube stays in sight; the rest is counted.
const MOST_SHOWN: usize = 6;

/// Properties of [`BrokenBar`].
#[derive(Properties, PartialEq)]
pub struct BrokenBarProps {
    pub state: State,
    pub run: Callback<Task>,
}

/// The list of injected faults.
#[component]
pub fn BrokenBar(props: &BrokenBarProps) -> Html {
    let breakages = &props.state.breakages;
    let (last, all) = (mend(&breakages.last()), mend(&breakages.all()));
    use_keys(props.run.clone(), last.clone(), all.clone());
    if breakages.is_empty() {
        return html! { <div class="broken-bar is-empty" data-testid="broken-bar" data-state="whole" /> };
    }
    let broken = breakages.all();
    let rest = broken.len().saturating_sub(MOST_SHOWN);
    let chips = broken.iter().rev().take(MOST_SHOWN).map(|broken| {
        let words = broken.words(&props.state);
        let onclick = run(&props.run, mend(&[*broken]));
        html! {
            <button type="button" class="chip" title="Mend it" aria-label={format!("{words}. Mend it")} {onclick}>
                {words}<span aria-hidden="true">{"×"}</span>
            </button>
        }
    });
    html! {
        <div class="broken-bar" data-testid="broken-bar" data-state="broken">
            <p role="status"><strong>{format!("{} broken on request", plural(broken.len() as u64, "thing"))}</strong></p>
            <div class="chips">
                { for chips }
                if rest > 0 { <span class="aside">{format!("and {rest} more")}</span> }
            </div>
            <div class="chips">
                <button type="button" class="chip" data-testid="undo-button" onclick={run(&props.run, last)}>
                    {"Undo the last"}<kbd>{"Z"}</kbd>
                </button>
                <button type="button" class="chip" data-testid="mend-all-button" onclick={run(&props.run, all)}>
                    {"Mend all"}<kbd>{"⇧Z"}</kbd>
                </button>
            </div>
        </div>
    }
}

fn run(run: &Callback<Task>, task: Task) -> Callback<MouseEvent> {
    run.reform(move |_| task.clone())
}

/// Handles the keys Z and Shift+Z, except in text fields.
#[hook]
fn use_keys(run: Callback<Task>, last: Task, all: Task) {
    use_effect_with((run, last, all), |(run, last, all)| {
        let (run, last, all) = (run.clone(), last.clone(), all.clone());
        let listener = web_sys::window().map(|window| {
            EventListener::new(&window, "keydown", move |event| {
                let Some(event) = event.dyn_ref::<KeyboardEvent>().filter(|event| !is_typing(event)) else { return };
                let task = match (event.key().to_lowercase().as_str(), event.shift_key()) {
                    ("z", false) => &last,
                    ("z", true) => &all,
                    _ => return,
                };
                if !task.steps.is_empty() {
                    run.emit(task.clone());
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
