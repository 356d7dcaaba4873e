//! A row of tabs. The arrow keys move to the next tab and select it.

use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};
use yew::prelude::*;

use super::dispatch::{Dispatch, use_dispatch};
use crate::model::ViewAction;

/// One tab of a row.
#[derive(Clone, PartialEq)]
pub struct TabMark {
    pub id: &'static str,
    pub words: &'static str,
    pub is_chosen: bool,
    /// Draws attention to the tab's content.
    pub is_bad: bool,
    /// Opens the tab.
    pub choose: ViewAction,
}

/// Properties of [`TabList`].
#[derive(Properties, PartialEq)]
pub struct TabListProps {
    pub class: &'static str,
    pub label: &'static str,
    pub tabs: Vec<TabMark>,
}

/// A row of tabs.
#[component]
pub fn TabList(props: &TabListProps) -> Html {
    let dispatch = use_dispatch();
    html! {
        <div class={props.class} role="tablist" aria-label={props.label}>
            { for props.tabs.iter().map(|tab| tab_button(tab, &dispatch)) }
        </div>
    }
}

fn tab_button(tab: &TabMark, dispatch: &Dispatch) -> Html {
    let choose = tab.choose.clone();
    let onclick = dispatch.on(move |_: MouseEvent| choose.clone());
    let onkeydown = Callback::from(|event: KeyboardEvent| move_focus(&event));
    html! {
        <button
            type="button"
            role="tab"
            class={classes!(tab.is_bad.then_some("is-bad"))}
            id={tab.id}
            data-testid={tab.id}
            aria-selected={tab.is_chosen.to_string()}
            tabindex={if tab.is_chosen { "0" } else { "-1" }}
            {onclick}
            {onkeydown}
        >
            {tab.words}
        </button>
    }
}

fn move_focus(event: &KeyboardEvent) {
    let Some(button) = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok()) else {
        return;
    };
    let next = match event.key().as_str() {
        "ArrowRight" => button.next_element_sibling(),
        "ArrowLeft" => button.previous_element_sibling(),
        _ => None,
    };
    if let Some(next) = next.and_then(|next| next.dyn_into::<HtmlElement>().ok()) {
        event.prevent_default();
        next.click();
        let _ = next.focus();
    }
}
