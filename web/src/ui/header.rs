//! The page's head: what this is, and how the cluster is as a whole.

use yew::prelude::*;

use crate::model::cluster::{Cluster, Health};
use crate::model::describe::plural;
use crate::model::shared::Shared;

#[derive(Properties, PartialEq)]
pub struct HeaderProps {
    pub cluster: Shared<Cluster>,
    pub topics: usize,
    pub seed_failed: Option<String>,
    /// Stands between the name and how the cluster is.
    #[prop_or_default]
    pub children: Html,
}

#[component]
pub fn Header(props: &HeaderProps) -> Html {
    let (tone, summary) = summary(props);
    html! {
        <header class="head">
            <div class="brand">
                <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
                    <path d="M3 11h18v18H3zM11 3h18v18H11zM3 11l8-8M21 11l8-8M21 29l8-8M3 29l8-8" />
                </svg>
                <h1>{"Cubecast"}</h1>
                <p>{"publish and subscribe on a hypercube"}</p>
            </div>
            {props.children.clone()}
            <p class={classes!("summary", tone)} id="cluster-summary" data-testid="cluster-summary" role="status">{summary}</p>
        </header>
    }
}

fn summary(props: &HeaderProps) -> (&'static str, String) {
    let cluster = &props.cluster;
    if cluster.dimension.is_none() {
        return match &props.seed_failed {
            Some(address) => ("bad", format!("No node answers at {address}; still trying")),
            None => ("waiting", "Looking for the cluster".to_owned()),
        };
    }
    let (up, all) = (cluster.count(Health::Up), cluster.nodes.len());
    let others: Vec<_> = [Health::Recovering, Health::Failed, Health::Unreachable, Health::Connecting]
        .into_iter()
        .filter(|health| cluster.count(*health) > 0)
        .map(|health| format!("{} {}", cluster.count(health), health.name()))
        .collect();
    let tone = match up {
        0 => "bad",
        up if up == all => "good",
        _ => "warning",
    };
    let mut parts = vec![format!("{up} of {all} nodes up")];
    parts.extend(others);
    parts.push(plural(props.topics as u64, "topic"));
    (tone, parts.join(" · "))
}
