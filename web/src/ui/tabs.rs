//! The controls beside the cube: publish, subscribe, pull and break, one at a time.

use cubecast_core::names::{SubscriberId, TopicName};
use yew::prelude::*;

use super::break_panel::BreakPanel;
use super::publish_form::PublishForm;
use super::pull_form::PullForm;
use super::subscribe_form::SubscribeForm;
use super::tab_list::{TabList, TabMark};
use crate::model::task::{Panel, Task};
use crate::model::{Action, State, Tab};

const TABS: [(Tab, &str, &str); 4] = [
    (Tab::Publish, "tab-publish", "Publish"),
    (Tab::Subscribe, "tab-subscribe", "Subscribe"),
    (Tab::Pull, "tab-pull", "Pull"),
    (Tab::Break, "tab-break", "Break"),
];

/// Properties of [`Tabs`].
#[derive(Properties, PartialEq)]
pub struct TabsProps {
    pub state: State,
    pub publisher: String,
    pub act: Callback<Action>,
    pub run: Callback<Task>,
    pub stop_deliveries: Callback<(SubscriberId, TopicName)>,
}

/// The tabs with the selected form.
#[component]
pub fn Tabs(props: &TabsProps) -> Html {
    let subscriber = use_state(|| "reader1".to_owned());
    let on_subscriber = {
        let (set, act) = (super::field::setter(&subscriber), props.act.clone());
        Callback::from(move |typed: String| {
            set.emit(typed);
            act.emit(Action::ForgetReports(&[Panel::Subscribe, Panel::Pull]));
        })
    };
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
    let tabs: Vec<TabMark> = TABS.iter().map(|(tab, id, words)| tab_mark(props, *tab, id, words)).collect();
    html! {
        <div class="card">
            <TabList class="tabs" label="What to do" {tabs} />
            <div class="tab-panel" role="tabpanel" aria-labelledby={chosen}>{panel}</div>
        </div>
    }
}

fn tab_mark(props: &TabsProps, tab: Tab, id: &'static str, words: &'static str) -> TabMark {
    let choose = props.act.reform(move |()| Action::ChooseTab(tab));
    TabMark { id, words, is_chosen: props.state.tab == tab, is_bad: false, choose }
}
