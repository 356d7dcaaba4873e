//! The charts: throughput and latency second by second, and availability.

use yew::prelude::*;

use super::words::{plain_words, words};
use crate::model::charts::{Availability, Fault, History, SECONDS};
use crate::model::shared::Shared;
use crate::scene::charts::{
    Chart, ChartsScene, FaultMark, HEIGHT, MAX_NODE_CHARTS, MAX_TOPIC_CHARTS, STRIP_HEIGHT, WIDTH,
};
use crate::terms;

/// Selectable time spans in seconds, with their labels.
const SPANS: [(usize, &str); 2] = [(120, "2 minutes"), (SECONDS, "10 minutes")];

/// Properties of [`ChartsView`].
#[derive(Properties, PartialEq)]
pub struct ChartsViewProps {
    pub history: Shared<History>,
}

/// The charts tab.
#[component]
pub fn ChartsView(props: &ChartsViewProps) -> Html {
    let span = use_state(|| SPANS[0].0);
    let scene = ChartsScene::of(&props.history, *span);
    let choose = |seconds: usize, words: &'static str| {
        let set = span.clone();
        let onclick = Callback::from(move |_: MouseEvent| set.set(seconds));
        html! {
            <button type="button" class="chip" aria-pressed={(*span == seconds).to_string()} {onclick}>{words}</button>
        }
    };
    html! {
        <div class="charts" data-testid="charts">
            <div class="charts-head">
                <h3>{"Could this page publish?"}<span class="aside">{scene.availability_words.clone()}</span></h3>
                <div class="links" role="group" aria-label="Period">
                    { for SPANS.iter().map(|(seconds, words)| choose(*seconds, words)) }
                </div>
            </div>
            {strip(&scene)}
            <div class="charts-main">
                {chart(&scene.throughput, "chart-throughput")}
                {chart(&scene.latency, "chart-latency")}
            </div>
            if !scene.nodes.is_empty() {
                <h3>
                    {"Each node"}
                    <span class="aside">
                        {format!(
                            "messages that became readable on it; latency from arrival to answer{}",
                            busiest(scene.nodes.len(), MAX_NODE_CHARTS)
                        )}
                    </span>
                </h3>
                <div class="charts-small">{ for scene.nodes.iter().map(|node| chart(node, "chart-node")) }</div>
            }
            if !scene.topics.is_empty() {
                <h3>
                    {"Each topic"}
                    <span class="aside">
                        {format!("of all publishers{}", busiest(scene.topics.len(), MAX_TOPIC_CHARTS))}
                    </span>
                </h3>
                <div class="charts-small">{ for scene.topics.iter().map(|topic| chart(topic, "chart-topic")) }</div>
            }
        </div>
    }
}

/// Mentions that only the busiest are shown, if there may be more.
fn busiest(shown: usize, most: usize) -> String {
    if shown == most { format!("; the busiest {most}") } else { String::new() }
}

/// Availability by height, not by colour alone: failed seconds fill the whole height, good ones leave a margin above
/// and below, slow ones fill the lower half, quiet ones are a thin line.
fn strip(scene: &ChartsScene) -> Html {
    let run_shape = |state: Availability| match state {
        Availability::Good => (6.0, STRIP_HEIGHT - 12.0),
        Availability::Slow => (STRIP_HEIGHT / 2.0, STRIP_HEIGHT / 2.0 - 6.0),
        Availability::Failed => (0.0, STRIP_HEIGHT),
        Availability::Quiet => (STRIP_HEIGHT / 2.0 - 1.0, 2.0),
    };
    html! {
        <>
            <svg
                class="strip"
                data-testid="availability"
                viewBox={format!("0 0 {WIDTH} {STRIP_HEIGHT}")}
                preserveAspectRatio="none"
                role="img"
                aria-label={scene.availability_words.clone()}
            >
                { for scene.strip.iter().map(|run| {
                    let (y, height) = run_shape(run.state);
                    html! {
                        <rect
                            class={run.state.name()}
                            x={format!("{:.2}", run.x)}
                            y={format!("{y}")}
                            width={format!("{:.2}", run.width)}
                            height={format!("{height}")}
                        >
                            <title>{format!("{} s {}", run.seconds, run.state.name())}</title>
                        </rect>
                    }
                }) }
            </svg>
            <div class="fault-marks" aria-hidden="true">
                { for scene.faults.iter().map(|FaultMark { x, fault }| html! {
                    <span
                        class={if fault.heals() { "heals" } else { "breaks" }}
                        style={format!("left: {:.2}%", x / WIDTH * 100.0)}
                        title={plain_words(&fault_words(fault))}
                    >
                        {if fault.heals() { "▴" } else { "✕" }}
                    </span>
                }) }
            </div>
            <ul class="strip-legend">
                <li><i class="good"></i>{"good"}</li>
                <li><i class="slow"></i>{"waited more than 1 s"}</li>
                <li><i class="failed"></i>{"failed"}</li>
                <li><b class="breaks">{"✕"}</b>{"something broke"}</li>
                <li><b class="heals">{"▴"}</b>{"something healed"}</li>
            </ul>
        </>
    }
}

fn fault_words(fault: &Fault) -> String {
    match fault {
        Fault::Stopped { node, mode } => format!("{node} {}", terms::stop_verb(*mode)),
        Fault::Returned { node } => format!("{node} is back"),
        Fault::Link { from, to, conditions } => format!("{from} → {to} {}", terms::conditions(conditions)),
    }
}

fn chart(chart: &Chart, id: &'static str) -> Html {
    html! {
        <figure class="chart" data-testid={id}>
            <figcaption>
                <strong title={plain_words(&chart.title)}>{words(&chart.title)}</strong>
                <span>{chart.now.clone()}</span>
            </figcaption>
            <div class="plot">
                <span class="top" aria-hidden="true">{chart.top.clone()}</span>
                <svg viewBox={format!("0 0 {WIDTH} {HEIGHT}")} preserveAspectRatio="none" aria-hidden="true">
                    <path class="ground" d={format!("M0 {0}H{WIDTH}M0 {1}H{WIDTH}", HEIGHT - 0.5, HEIGHT / 2.0)} />
                    { for chart.lines.iter().filter_map(|line| line.area.as_ref()).map(|area| html! {
                        <path class="area" d={area.clone()} />
                    }) }
                    { for chart.lines.iter().map(|line| html! {
                        <path class={classes!("line", line.name)} d={line.path.clone()} />
                    }) }
                </svg>
            </div>
            if chart.lines.len() > 1 {
                <ul class="line-legend">
                    { for chart.lines.iter().map(|line| html! {
                        <li>
                            <svg viewBox="0 0 22 4" aria-hidden="true">
                                <path class={classes!("line", line.name)} d="M0 2H22" />
                            </svg>
                            {line.name}
                        </li>
                    }) }
                </ul>
            }
        </figure>
    }
}
