//! The charts: throughput, latency and lag second by second, and availability.

mod chart;

use cubecast_core::names::TopicName;
use web_sys::{Element, KeyboardEvent, js_sys};
use yew::prelude::*;

use super::download::download;
use super::text::feed;
use super::words::{plain_words, words};
use crate::model::charts::{Availability, History, MAX_FAULTS, SECONDS};
use crate::model::shared::Shared;
use crate::scene::charts::axis::Clock;
use crate::scene::charts::{ChartsScene, Choice, FaultGroup, MAX_NODE_CHARTS, MAX_TOPIC_CHARTS, STRIP_HEIGHT, WIDTH};
use chart::{MOST_NAMED, Size, TimeAxis, chart, crosshair, listed_faults, sign, spoken_faults};

/// Selectable time spans in seconds, with their labels.
const SPANS: [(usize, &str); 2] = [(120, "2 minutes"), (SECONDS, "10 minutes")];
/// What can be pointed at.
const TIMED: &str = ".timed";

/// Properties of [`ChartsView`].
#[derive(Properties, PartialEq)]
pub struct ChartsViewProps {
    pub history: Shared<History>,
    /// The chosen topic.
    #[prop_or_default]
    pub topic: Option<TopicName>,
    /// Where virtual time begins, milliseconds since 1970; `None` for real time.
    #[prop_or_default]
    pub epoch_ms: Option<u64>,
}

/// The charts tab. A crosshair shows the same second in all charts. It follows the pointer, and the arrow keys on a
/// focused chart; it keeps its second while the charts move on.
#[component]
pub fn ChartsView(props: &ChartsViewProps) -> Html {
    let span = use_state(|| SPANS[0].0);
    // Seconds since 1970.
    let pointed = use_state_eq(|| None::<u64>);
    let lane = use_node_ref();
    let choice =
        Choice { span: *span, topic: props.topic.clone(), clock: clock(props.epoch_ms), width_px: lane_px(&lane) };
    let scene = use_memo((props.history.clone(), choice), |(history, choice)| ChartsScene::of(history, choice));
    let at = pointed.and_then(|at_s| scene.span.index_of(at_s));
    let set = {
        let (pointed, span) = (pointed.clone(), scene.span);
        Callback::from(move |at: Option<usize>| pointed.set(at.map(|at| span.first_s + at as u64)))
    };
    let onpointermove = {
        let (set, span) = (set.clone(), scene.span);
        Callback::from(move |event: PointerEvent| match share_of(&event) {
            Some(share) => set.emit(span.second_at(share)),
            // A finger leaves the crosshair where it was.
            None if event.pointer_type() == "mouse" => set.emit(None),
            None => {}
        })
    };
    let onpointerleave = {
        let set = set.clone();
        Callback::from(move |event: PointerEvent| {
            if event.pointer_type() == "mouse" && event.target() == event.current_target() {
                set.emit(None);
            }
        })
    };
    let onkeydown = {
        let (set, span) = (set.clone(), scene.span);
        Callback::from(move |event: KeyboardEvent| {
            let is_modified = event.ctrl_key() || event.alt_key() || event.meta_key();
            if is_modified || timed(&event).is_none() {
                return;
            }
            if let Some(at) = span.after_key(at, &event.key(), event.shift_key()) {
                event.prevent_default();
                // In a simulation, the arrow keys also move through time.
                event.stop_propagation();
                set.emit(at);
            }
        })
    };
    let export = {
        let scene = scene.clone();
        // If the browser refuses the download, it informs the user itself.
        Callback::from(move |_: MouseEvent| drop(download("cubecast-charts.csv", "text/csv", &scene.csv(feed::words))))
    };
    let choose = |seconds: usize, words: &'static str| {
        let set = span.clone();
        let onclick = Callback::from(move |_: MouseEvent| set.set(seconds));
        html! {
            <button
                type="button"
                class="chip"
                data-testid={format!("period-{seconds}")}
                aria-pressed={(*span == seconds).to_string()}
                {onclick}
            >
                {words}
            </button>
        }
    };
    html! {
        <div
            class="charts"
            data-testid="charts"
            onpointerdown={onpointermove.clone()}
            {onpointermove}
            {onpointerleave}
            {onkeydown}
        >
            <div class="charts-head">
                <h3>{"Could this page publish?"}<span class="aside">{scene.availability_words.clone()}</span></h3>
                <div class="links" role="group" aria-label="Period">
                    { for SPANS.iter().map(|(seconds, words)| choose(*seconds, words)) }
                </div>
                <button type="button" class="chip" data-testid="charts-export" onclick={export}>{"Export as CSV"}</button>
            </div>
            {readout(&scene, at)}
            <div>
                <div class="timed">
                    {strip(&scene)}
                    {crosshair(&scene, at)}
                </div>
                <div class="fault-marks" ref={lane}>
                    { for scene.faults.iter().map(|group| mark(&scene, group, &set)) }
                </div>
                <TimeAxis ticks={scene.ticks[0].clone()} />
            </div>
            {strip_legend()}
            <div class="charts-main">
                {chart(&scene, &scene.throughput, at, Size::Large, "chart-throughput")}
                {chart(&scene, &scene.latency, at, Size::Large, "chart-latency")}
                {lag(&scene, props.topic.as_ref(), at)}
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
                <div class="charts-small">
                    { for scene.nodes.iter().map(|node| chart(&scene, node, at, Size::Small, "chart-node")) }
                </div>
            }
            if !scene.topics.is_empty() {
                <h3>
                    {"Each topic"}
                    <span class="aside">
                        {format!("of all publishers{}", busiest(scene.topics.len(), MAX_TOPIC_CHARTS))}
                    </span>
                </h3>
                <div class="charts-small">
                    { for scene.topics.iter().map(|topic| chart(&scene, topic, at, Size::Small, "chart-topic")) }
                </div>
            }
        </div>
    }
}

/// Real time is shown as the browser's local time.
fn clock(epoch_ms: Option<u64>) -> Clock {
    match epoch_ms {
        Some(epoch_ms) => Clock::Virtual { epoch_s: epoch_ms / 1_000 },
        None => Clock::Local { east_s: -60 * js_sys::Date::new_0().get_timezone_offset() as i64 },
    }
}

/// The width of the lane of faults; before it is drawn, that of the window.
fn lane_px(lane: &NodeRef) -> u32 {
    let drawn = lane.cast::<Element>().map(|lane| lane.client_width());
    let width = drawn.or_else(|| Some(web_sys::window()?.inner_width().ok()?.as_f64()? as i32));
    width.unwrap_or_default().max(1) as u32
}

/// The chart on which the event happened.
fn timed(event: &Event) -> Option<Element> {
    event.target_dyn_into::<Element>()?.closest(TIMED).ok()?
}

/// The pointer's place on a chart, from 0 at the left to 1 at the right.
fn share_of(event: &PointerEvent) -> Option<f64> {
    let bounds = timed(event)?.get_bounding_client_rect();
    Some((f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0))
}

/// Mentions that only the busiest are shown, if there may be more.
fn busiest(shown: usize, most: usize) -> String {
    if shown == most { format!("; the busiest {most}") } else { String::new() }
}

/// The second under the crosshair: its time, this page's publishes, and its faults.
fn readout(scene: &ChartsScene, at: Option<usize>) -> Html {
    let Some((at, second)) = at.and_then(|at| Some((at, scene.seconds.get(at)?))) else {
        return html! {
            <p class="readout" data-testid="charts-readout">
                {"Point at a chart, or focus one and press the arrow keys, to read a second."}
                <span class="aside">{scene.clock.words()}</span>
            </p>
        };
    };
    let state = match second.availability {
        Availability::Quiet => "nothing was published",
        Availability::Good => "publishes succeeded",
        Availability::Slow => "publishes waited more than 1 s",
        Availability::Failed => "publishes failed",
    };
    html! {
        <p class="readout" data-testid="charts-readout">
            <strong>{scene.clock.name(second.at_s)}</strong>
            <span class={second.availability.name()}>{state}</span>
            {listed_faults(scene, at..=at, MOST_NAMED)}
        </p>
    }
}

/// The mark of faults, with their words. Focus moves the crosshair there.
fn mark(scene: &ChartsScene, group: &FaultGroup, set: &Callback<Option<usize>>) -> Html {
    let spoken = spoken_faults(scene, group.at..=group.to, MAX_FAULTS);
    let time = scene.seconds.get(group.at).map(|second| scene.clock.name(second.at_s)).unwrap_or_default();
    let show = {
        let at = Some(group.at);
        set.reform(move |()| at)
    };
    html! {
        <button
            type="button"
            key={scene.span.first_s + group.at as u64}
            class={classes!("fault-mark", (group.share > 0.5).then_some("is-late"))}
            style={format!("left: {:.2}%", group.share * 100.0)}
            aria-label={plain_words(&format!("{time}: {}", spoken))}
            onfocus={show.reform(|_: FocusEvent| ())}
            onclick={show.reform(|_: MouseEvent| ())}
        >
            if group.began {
                {sign(false)}
            }
            if group.ended {
                {sign(true)}
            }
            if group.count > 1 {
                <small>{group.count.to_string()}</small>
            }
            <span class="tip">
                <strong>{time}</strong>
                {listed_faults(scene, group.at..=group.to, MAX_FAULTS)}
            </span>
        </button>
    }
}

/// The lag of the topic's subscriptions, or how to see it.
fn lag(scene: &ChartsScene, topic: Option<&TopicName>, at: Option<usize>) -> Html {
    let missing = match (&scene.lag, topic) {
        (Some(lag), _) => return chart(scene, lag, at, Size::Large, "chart-lag"),
        (None, None) => "Choose a topic to see how far its subscribers are behind.".to_owned(),
        (None, Some(topic)) => format!(
            "No delivery of {topic} was seen yet. Subscribe in Messages, or wait for a delivery to a subscriber. \
             Cursors and pulls of other clients are not reported to this page."
        ),
    };
    html! {
        <figure class="chart" data-testid="chart-lag">
            <figcaption><strong>{"Lag of subscribers"}</strong></figcaption>
            <p class="empty">{words(&missing)}</p>
        </figure>
    }
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
    }
}

fn strip_legend() -> Html {
    html! {
        <ul class="strip-legend">
            <li><i class="good"></i>{"good"}</li>
            <li><i class="slow"></i>{"waited more than 1 s"}</li>
            <li><i class="failed"></i>{"failed"}</li>
            <li>{sign(false)}{"something broke"}</li>
            <li>{sign(true)}{"something healed"}</li>
        </ul>
    }
}
