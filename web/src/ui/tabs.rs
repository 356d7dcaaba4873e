//! What can be done: publish, subscribe, pull, break. One at a time, so that the page stays calm.

use cubecast_core::names::{SubscriberId, TopicName};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};
use yew::prelude::*;

use super::break_panel::BreakPanel;
use super::publish_form::PublishForm;
use super::pull_form::PullForm;
use super::subscribe_form::SubscribeForm;
use crate::model::task::{Panel, Task};
use crate::model::{Action, State, Tab};

const TABS: [(Tab, &str, &str); 4] = [
    (Tab::Publish, "tab-publish", "Publish"),
    (Tab::Subscribe, "tab-subscribe", "Subscribe"),
    (Tab::Pull, "tab-pull", "Pull"),
    (Tab::Break, "tab-break", "Break"),
];

#[derive(Properties, PartialEq)]
pub struct TabsProps {
    pub state: State,
    pub publisher: String,
    pub act: Callback<Action>,
    pub run: Callback<Task>,
    pub stop_deliveries: Callback<(SubscriberId, TopicName)>,
}

#[component]
pub fn Tabs(props: &TabsProps) -> Html {
    let subscriber = use_state(|| "reader1".to_owned());
    let on_subscriber = super::field::setter(&subscriber);
    let subscriber = (*subscriber).clone();
    let state = &props.state;
    let report = |panel| state.tasks.reports.get(&panel).cloned();
    let topic = state.topic_text.clone();
    let run = props.run.clone();
    let panel = match state.tab {
        Tab::Publish => {
            let publisher = props.publisher.clone();
            html! { <PublishForm {topic} {publisher} report={report(Panel::Publish)} {run} /> }
        }
        Tab::Subscribe => html! {
            <SubscribeForm
                {topic}
                {subscriber}
                inboxes={state.inboxes.clone()}
                report={report(Panel::Subscribe)}
                {on_subscriber}
                act={props.act.clone()}
                {run}
                stop_deliveries={props.stop_deliveries.clone()}
            />
        },
        Tab::Pull => {
            html! { <PullForm {topic} {subscriber} report={report(Panel::Pull)} {on_subscriber} {run} /> }
        }
        Tab::Break => html! { <BreakPanel state={state.clone()} act={props.act.clone()} {run} /> },
    };
    let chosen = TABS.iter().find(|(tab, ..)| *tab == state.tab).map(|(_, id, _)| *id);
    html! {
        <div class="card">
            <div class="tabs" role="tablist" aria-label="What to do">
                { for TABS.iter().map(|(tab, id, words)| tab_button(props, *tab, id, words)) }
            </div>
            <div class="tab-panel" role="tabpanel" aria-labelledby={chosen}>{panel}</div>
        </div>
    }
}

fn tab_button(props: &TabsProps, tab: Tab, id: &'static str, words: &'static str) -> Html {
    let is_chosen = props.state.tab == tab;
    let onclick = props.act.reform(move |_: MouseEvent| Action::ChooseTab(tab));
    let onkeydown = Callback::from(move |event: KeyboardEvent| move_focus(&event));
    html! {
        <button
            type="button"
            role="tab"
            {id}
            data-testid={id}
            aria-selected={is_chosen.to_string()}
            tabindex={if is_chosen { "0" } else { "-1" }}
            {onclick}
            {onkeydown}
        >
            {words}
        </button>
    }
}

/// The arrow keys go from tab to tab, and choose.
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
