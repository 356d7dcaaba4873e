//! The selected node or link, with its controls.

use yew::prelude::*;

use super::edge_card::EdgeCard;
use super::node_card::NodeCard;
use super::presets::Presets;
use crate::model::task::Panel;
use crate::model::{Selection, State};

/// Properties of [`BreakPanel`].
#[derive(Properties, PartialEq)]
pub struct BreakPanelProps {
    pub state: State,
}

/// The break panel.
#[component]
pub fn BreakPanel(props: &BreakPanelProps) -> Html {
    let state = &props.state;
    let reports = &state.reports;
    let selected = match state.selection {
        None => html! {
            <p class="empty" data-testid="nothing-selected">
                {"Click a node in the cube to crash, wipe or pause it. Click a link to cut it or to make it slow."}
            </p>
        },
        Some(Selection::Node(id)) => html! {
            <NodeCard
                key={id.to_string()}
                {id}
                cluster={state.cluster.clone()}
                now_ms={state.now_ms}
                report={reports.of_nodes(Panel::Node, &[id]).cloned()}
            />
        },
        Some(Selection::Edge(a, b)) => html! {
            <EdgeCard
                key={format!("{a}-{b}")}
                {a}
                {b}
                cluster={state.cluster.clone()}
                report={reports.of_nodes(Panel::Edge, &[a, b]).cloned()}
            />
        },
    };
    html! {
        <>
            {selected}
            <Presets state={state.clone()} report={reports.get(Panel::Break).cloned()} />
        </>
    }
}
