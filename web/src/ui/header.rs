//! The page's header: its name, the overall state of the cluster, and the nodes that this page reaches.

use yew::prelude::*;

use super::text::status::{self, Summary};
use super::words::words;
use crate::model::SeedFailure;
use crate::model::cluster::Cluster;
use crate::model::shared::Shared;
use crate::model::tone::Tone;

/// Properties of [`Header`].
#[derive(Properties, PartialEq)]
pub struct HeaderProps {
    pub cluster: Shared<Cluster>,
    /// Number of topics, once a node has listed them.
    pub topics: Option<usize>,
    pub seed_failed: Option<SeedFailure>,
    /// Shown between the name and the state of the cluster.
    #[prop_or_default]
    pub children: Html,
}

/// The page's header.
#[component]
pub fn Header(props: &HeaderProps) -> Html {
    let Summary { tone, cluster, cut, reach } = summary(props);
    html! {
        <header class="head">
            <div class="brand">
                <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
                    <path d="M3 11h18v18H3zM11 3h18v18H11zM3 11l8-8M21 11l8-8M21 29l8-8M3 29l8-8" />
                </svg>
                <h1>{"Cubecast"}</h1>
            </div>
            {props.children.clone()}
            <div class="summaries" role="status">
                <p class={classes!("summary", tone_class(tone))} id="cluster-summary" data-testid="cluster-summary">
                    {words(&cluster)}
                </p>
                if let Some(cut) = cut { <p class="warning" data-testid="cluster-cut">{cut}</p> }
                if let Some(reach) = reach { <p class="aside" data-testid="cluster-reach">{words(&reach)}</p> }
            </div>
        </header>
    }
}

fn summary(props: &HeaderProps) -> Summary {
    if props.cluster.dimension.is_some() {
        return status::summary(&props.cluster, props.topics);
    }
    let (tone, cluster) = match &props.seed_failed {
        Some(SeedFailure { address, why: Some(_) }) => {
            (Tone::Bad, format!("{address} refuses this page; still trying"))
        }
        Some(SeedFailure { address, why: None }) => (Tone::Bad, format!("No node answers at {address}; still trying")),
        None => (Tone::Plain, "Looking for the cluster".to_owned()),
    };
    Summary { tone, cluster, cut: None, reach: None }
}

fn tone_class(tone: Tone) -> &'static str {
    match tone {
        Tone::Plain => "waiting",
        Tone::Good | Tone::Warning | Tone::Bad => tone.name(),
    }
}
