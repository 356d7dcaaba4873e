//! The selected node or link, with its controls.

use yew::prelude::*;

use super::edge_card::EdgeCard;
use super::node_card::NodeCard;
use super::presets::Presets;
use crate::model::task::{Panel, Task};
use crate::model::{Action, Selection, State};

/// Properties of [`BreakPanel`].
#[derive(Properties, PartialEq)]
pub struct BreakPanelProps {
    pub state: State,
    pub act: Callback<Action>,
    pub run: Callback<Task>,
}

/// The break panel.
#[component]
pub fn BreakPanel(props: &BreakPanelProps) -> Html {
    let state = &props.state;
    let tasks = &state.tasks;
    let (act, run) = (props.act.clone(), props.run.clone());
    let selected = match state.selection {
        None => html! {
            <p class="empty" data-testid="nothing-selected">
                {"Click a node in the cube to crash, wipe or pause it. Click a link to cut it or to make it slow."}
            </p>
        },
        Some(Selection::Node(vertex)) => html! {
            <NodeCard
                key={vertex.to_string()}
                {vertex}
                cluster={state.cluster.clone()}
                now_ms={state.now_ms}
                report={tasks.of_nodes(Panel::Node, &[vertex])}
                {act}
                run={run.clone()}
            />
        },
        Some(Selection::Edge(a, b)) => html! {
            <EdgeCard key={format!("{a}-{b}")} {a} {b} cluster={state.cluster.clone()} report={tasks.of_nodes(Panel::Edge, &[a, b])} run={run.clone()} />
        },
    };
    html! {
        <>
            {selected}
            <Presets state={state.clone()} report={tasks.reports.get(&Panel::Break).cloned()} {run} />
        </>
    }
}
