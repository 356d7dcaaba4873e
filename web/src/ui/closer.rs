//! The views below the cube: past events and internal state, one view at a time.

use cubecast_core::identity::HostId;
use yew::prelude::*;

use super::charts::ChartsView;
use super::dispatch::{Dispatch, use_dispatch};
use super::feed::FeedList;
use super::invariants_panel::InvariantsPanel;
use super::load_panel::LoadPanel;
use super::node_table::NodeTable;
use super::spacetime::SpaceTime;
use super::tab_list::{TabList, TabMark};
use super::xray::XrayView;
use crate::format::time_of_day;
use crate::model::closer::Closer;
use crate::model::task::Panel;
use crate::model::{CloserTab, State, ViewAction};

const TABS: [(CloserTab, &str, &str); 6] = [
    (CloserTab::Feed, "tab-feed", "Events"),
    (CloserTab::Xray, "tab-xray", "X-ray"),
    (CloserTab::Invariants, "tab-invariants", "Invariants"),
    (CloserTab::SpaceTime, "tab-spacetime", "Space-time"),
    (CloserTab::Charts, "tab-charts", "Charts"),
    (CloserTab::Nodes, "tab-nodes", "Nodes"),
];

/// Properties of [`LookCloser`].
#[derive(Properties, PartialEq)]
pub struct LookCloserProps {
    pub state: State,
    /// Whether only the tabs are shown.
    #[prop_or_default]
    pub is_closed: bool,
    /// Shows or hides the views.
    #[prop_or_default]
    pub set_closed: Callback<bool>,
}

/// The views, with their tabs. Choosing a tab also opens them.
#[component]
pub fn LookCloser(props: &LookCloserProps) -> Html {
    let dispatch = use_dispatch();
    let closer = &props.state.closer;
    let publisher = &props.state.names.publisher;
    let chosen = TABS.iter().find(|(tab, ..)| *tab == closer.tab).map(|(_, id, _)| *id);
    let panel = match closer.tab {
        CloserTab::Feed => html! { <FeedList feed={props.state.feed.clone()} /> },
        CloserTab::Xray => html! { <XrayView state={props.state.clone()} /> },
        CloserTab::Invariants => html! {
            <InvariantsPanel
                invariants={closer.invariants.clone()}
                topic={props.state.topic_text.clone()}
                replicas={readable_replicas(&props.state)}
                end={closer.xray.committed().unwrap_or_default()}
                report={props.state.reports.get(Panel::Compare).cloned()}
            />
        },
        CloserTab::SpaceTime => html! {
            <SpaceTime
                recorder={closer.recorder.clone()}
                topic={props.state.topic_text.clone()}
                publisher={publisher.clone()}
            />
        },
        CloserTab::Charts => html! {
            <>
                <LoadPanel
                    load={closer.load.clone()}
                    topic={props.state.topic_text.clone()}
                    publisher={publisher.clone()}
                />
                <ChartsView
                    history={closer.charts.history.clone()}
                    topic={props.state.topic()}
                    epoch_ms={props.state.epoch_ms}
                />
            </>
        },
        CloserTab::Nodes => html! { <NodeTable cluster={props.state.cluster.clone()} topic={props.state.topic()} /> },
    };
    let is_closed = props.is_closed;
    let toggle = props.set_closed.reform(move |_: MouseEvent| !is_closed);
    let tabs: Vec<TabMark> = TABS.iter().map(|(tab, id, words)| tab_mark(closer, *tab, id, words)).collect();
    html! {
        <section class={classes!("closer", is_closed.then_some("is-closed"))} aria-label="Views">
            <div class="closer-head">
                <div onclick={props.set_closed.reform(|_: MouseEvent| false)}>
                    <TabList class="closer-tabs" label="Views" {tabs} />
                </div>
                <button
                    type="button"
                    class="link"
                    data-testid="dock-toggle"
                    aria-expanded={(!is_closed).to_string()}
                    onclick={toggle}
                >
                    { if is_closed { "Show" } else { "Hide" } }
                </button>
            </div>
            { frozen_bar(closer, &dispatch) }
            if !is_closed {
                <div class="closer-panel" role="tabpanel" aria-labelledby={chosen}>{panel}</div>
            }
        </section>
    }
}

/// The running replicas of the chosen topic; none if there is no message to compare.
fn readable_replicas(state: &State) -> Vec<HostId> {
    let replicas = state.closer.xray.replicas.iter().map(|replica| replica.node);
    let serving = replicas.filter(|node| state.cluster.health(*node).is_running());
    serving.filter(|_| state.closer.xray.committed().is_some_and(|end| end > 0)).collect()
}

/// Shown on every tab after a violation, so that the frozen picture is not mistaken for the current state.
fn frozen_bar(closer: &Closer, dispatch: &Dispatch) -> Html {
    let Some(violation) = &closer.invariants.violation else { return Html::default() };
    let onclick = dispatch.on(|_: MouseEvent| ViewAction::DismissViolation);
    html! {
        <div class="frozen" role="alert" data-testid="frozen">
            <p>
                <strong>{"An invariant was violated; the picture is frozen."}</strong>
                {format!(" It shows {} UTC; the cluster keeps running.", time_of_day(violation.at_ms))}
            </p>
            <button type="button" class="chip" data-testid="dismiss-violation" {onclick}>
                {"Return to the present"}
            </button>
        </div>
    }
}

fn tab_mark(closer: &Closer, tab: CloserTab, id: &'static str, words: &'static str) -> TabMark {
    TabMark {
        id,
        words,
        is_chosen: closer.tab == tab,
        is_bad: tab == CloserTab::Invariants && !closer.invariants.is_good(),
        choose: ViewAction::ChooseCloserTab(tab),
    }
}
