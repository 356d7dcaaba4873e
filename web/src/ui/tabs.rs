//! The actions beside the cube: messages, stored messages and break, one at a time.

use yew::prelude::*;

use super::break_panel::BreakPanel;
use super::browse::Browse;
use super::publish_form::PublishForm;
use super::subscribe_form::SubscribeForm;
use super::tab_list::{TabList, TabMark};
use crate::model::task::Panel;
use crate::model::view::ClientNames;
use crate::model::{State, Tab, ViewAction};

const TABS: [(Tab, &str, &str); 3] = [
    (Tab::Messages, "tab-messages", "Messages"),
    (Tab::Browse, "tab-browse", "Stored"),
    (Tab::Break, "tab-break", "Break"),
];

/// Properties of [`Tabs`].
#[derive(Properties, PartialEq)]
pub struct TabsProps {
    pub state: State,
}

/// The tabs with the selected form.
#[component]
pub fn Tabs(props: &TabsProps) -> Html {
    let state = &props.state;
    let report = |panel| state.reports.get(panel).cloned();
    let topic = state.topic_text.clone();
    let ClientNames { publisher, subscriber } = state.names.clone();
    let panel = match state.tab {
        Tab::Messages => {
            let (inboxes, sent) = (state.inboxes.clone(), state.sent.clone());
            html! {
                <>
                    <PublishForm topic={topic.clone()} {publisher} report={report(Panel::Publish)} />
                    <SubscribeForm {topic} {subscriber} {inboxes} {sent} report={report(Panel::Subscribe)} />
                </>
            }
        }
        Tab::Browse => {
            let info = state.topic().and_then(|topic| state.topics.topics.get(&topic));
            html! {
                <Browse
                    {topic}
                    {subscriber}
                    stored={state.stored.clone()}
                    known={info.map_or(0, |info| info.messages)}
                    now_ms={state.now_ms}
                    report={report(Panel::Browse)}
                />
            }
        }
        Tab::Break => html! { <BreakPanel state={state.clone()} /> },
    };
    let chosen = TABS.iter().find(|(tab, ..)| *tab == state.tab).map(|(_, id, _)| *id);
    let tabs: Vec<TabMark> = TABS.iter().map(|(tab, id, words)| tab_mark(state, *tab, id, words)).collect();
    html! {
        <div class="card">
            <TabList class="tabs" label="Actions" {tabs} />
            <div class="tab-panel" role="tabpanel" aria-labelledby={chosen}>{panel}</div>
        </div>
    }
}

fn tab_mark(state: &State, tab: Tab, id: &'static str, words: &'static str) -> TabMark {
    TabMark { id, words, is_chosen: state.tab == tab, is_bad: false, choose: ViewAction::ChooseTab(tab) }
}
