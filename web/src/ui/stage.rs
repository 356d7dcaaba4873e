//! The stage: the cube with its caption, fault list and legend.

use yew::prelude::*;

use super::broken_bar::BrokenBar;
use super::cube::Cube;
use super::legend::Legend;
use super::presets::QuickPresets;
use super::pulse::Pace;
use super::text::status;
use super::topic_row::rate_words;
use super::words::words;
use crate::format::{grouped, nodes, plural};
use crate::model::State;
use crate::model::obstacle::Obstacle;

/// Properties of [`Stage`].
#[derive(Properties, PartialEq)]
pub struct StageProps {
    pub state: State,
    #[prop_or_default]
    pub pace: Pace,
    /// Shown below the caption.
    #[prop_or_default]
    pub story: Html,
}

/// The stage.
#[component]
pub fn Stage(props: &StageProps) -> Html {
    let state = &props.state;
    html! {
        <section class="stage" aria-label="The cube">
            <div class="caption">{caption(state)}</div>
            <div class="stories">{props.story.clone()}</div>
            <BrokenBar state={state.clone()} />
            <Cube state={state.clone()} pace={props.pace} />
            <QuickPresets state={state.clone()} />
            <Legend show_background={state.show_background} leaves_out={state.traffic.leaves_out(state.now_ms)} />
        </section>
    }
}

/// The home and the leader of the chosen topic. The home follows from the topic's name alone.
fn caption(state: &State) -> Html {
    let (Some(topic), Some(home)) = (state.topic(), state.home()) else {
        return html! {
            <>
                <h2>{"Every vertex is a node, every edge a link"}</h2>
                <p>{"Type a topic to see where it lives. Click a node or a link to look at it, and to break it."}</p>
            </>
        };
    };
    let replicas: Vec<_> = home.neighbours().collect();
    let messages = match state.topics.topics.get(&topic) {
        None if !state.topics.listed => "Its messages are not known yet.".to_owned(),
        None => "It does not exist yet.".to_owned(),
        Some(info) => {
            let rate = state.rates.history.rate(&topic, info.home);
            let rate = rate.map(|rate| format!(", {}", rate_words(rate))).unwrap_or_default();
            let lag = state.inboxes.lag(&topic, info.messages).filter(|_| state.rates.history.hears(info.home));
            let lag = lag.map(|lag| format!(" Lag of this page: {}.", grouped(lag))).unwrap_or_default();
            format!("{}{rate}.{lag}", plural(info.messages, "message"))
        }
    };
    let lead = status::lead(&state.cluster, home);
    let obstacle = Obstacle::of(&state.cluster, state.now_ms, topic.as_str(), home);
    html! {
        <>
            <h2>{"Topic "}<em>{words(&topic.to_string())}</em></h2>
            <p data-testid="placement">
                {"Home "}
                <code class="is-home">{home.to_string()}</code>
                {", replicas "}
                <code>{nodes(&replicas)}</code>
                {". "}
                <span class="leads">{lead}</span>
                {". "}{messages}
            </p>
            if let Some(obstacle) = obstacle {
                <p class="obstacle" role="status" data-testid="obstacle">{words(&status::obstacle(&obstacle))}</p>
            }
        </>
    }
}
