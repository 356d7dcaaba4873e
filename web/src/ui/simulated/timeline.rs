//! The timeline of a run: faults, user actions, and the current position, which can be dragged.

use wasm_bindgen::JsCast;
use web_sys::Element;
use yew::prelude::*;

use crate::format::{exact_seconds, plural};
use crate::model::shared::Shared;
use crate::simulated::timeline::{Look, Timeline};
use crate::ui::words::plain_words;

/// Number of columns.
const COLUMNS: usize = 240;
/// In the picture's own units.
const WIDTH: f64 = 1_000.0;
/// The timeline's length grows in these steps, seconds.
const LENGTHS_S: &[u64] = &[20, 30, 45, 60, 90, 120, 180, 240, 300, 450, 600];

/// A lane of the picture.
struct Lane {
    class: &'static str,
    /// Its upper end.
    top: f64,
    height: f64,
    /// The value that it shows.
    what: fn(&Look) -> u64,
}

const LANES: [Lane; 4] = [
    Lane { class: "down", top: 16.0, height: 16.0, what: |look| look.nodes_down.into() },
    Lane { class: "leaderless", top: 35.0, height: 10.0, what: |look| look.groups_without_leader.into() },
    Lane { class: "cut", top: 48.0, height: 10.0, what: |look| look.edges_cut.into() },
    Lane { class: "acknowledged", top: 61.0, height: 17.0, what: |look| look.acknowledged },
];
const HEIGHT: f64 = 80.0;

/// Properties of [`TimelineBar`].
#[derive(Properties, PartialEq)]
pub struct TimelineBarProps {
    pub timeline: Shared<Timeline>,
    pub shown_ms: u64,
    /// How far the run has been computed, milliseconds.
    pub reached_ms: u64,
    /// The end of the scenario's clients and faults, milliseconds.
    pub ends_ms: Option<u64>,
    /// Whether this is an incident.
    pub is_recorded: bool,
    /// The user's actions, with their time in milliseconds.
    pub user_actions: Vec<(u64, String)>,
    /// Called while the position is dragged; `seek` is called when it is released.
    pub scrub: Callback<u64>,
    pub seek: Callback<u64>,
}

/// The timeline.
#[component]
pub fn TimelineBar(props: &TimelineBarProps) -> Html {
    let dragging = use_mut_ref(|| false);
    let began_ms = props.timeline.began_ms;
    let end_ms = end_ms(props);
    let x = |at_ms: u64| at_ms.saturating_sub(began_ms) as f64 / (end_ms - began_ms) as f64 * WIDTH;
    let instant = move |event: &PointerEvent| {
        let place: Option<Element> = event.current_target().map(JsCast::unchecked_into);
        let bounds = place?.get_bounding_client_rect();
        let share = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
        Some(began_ms + (share.clamp(0.0, 1.0) * (end_ms - began_ms) as f64) as u64)
    };
    let onpointerdown = {
        let (dragging, scrub) = (dragging.clone(), props.scrub.clone());
        Callback::from(move |event: PointerEvent| {
            *dragging.borrow_mut() = true;
            if let Some(place) = event.current_target().map(JsCast::unchecked_into::<Element>) {
                // If the browser refuses, dragging ends at the picture's edge.
                let _ = place.set_pointer_capture(event.pointer_id());
            }
            instant(&event).into_iter().for_each(|at_ms| scrub.emit(at_ms));
        })
    };
    let onpointermove = {
        let (dragging, scrub) = (dragging.clone(), props.scrub.clone());
        Callback::from(move |event: PointerEvent| {
            if *dragging.borrow() {
                instant(&event).into_iter().for_each(|at_ms| scrub.emit(at_ms));
            }
        })
    };
    let onpointerup = {
        let seek = props.seek.clone();
        Callback::from(move |event: PointerEvent| {
            if std::mem::take(&mut *dragging.borrow_mut()) {
                instant(&event).into_iter().for_each(|at_ms| seek.emit(at_ms));
            }
        })
    };
    let columns = props.timeline.columns(end_ms, COLUMNS);
    let width = WIDTH / ((end_ms - began_ms) as f64 / 100.0 / looks_a_column(began_ms, end_ms)).ceil();
    let now = x(props.shown_ms);
    html! {
        <div
            class="timeline"
            data-testid="timeline"
            role="slider"
            tabindex="0"
            aria-label="The run's time"
            aria-valuemin={exact_seconds(began_ms)}
            aria-valuemax={exact_seconds(props.reached_ms)}
            aria-valuenow={exact_seconds(props.shown_ms)}
            aria-valuetext={words(props)}
            {onpointerdown}
            {onpointermove}
            onpointerup={onpointerup.clone()}
            onpointercancel={onpointerup}
        >
            <svg viewBox={format!("0 0 {WIDTH} {HEIGHT}")} preserveAspectRatio="none" aria-hidden="true">
                { for LANES.iter().map(|lane| html! {
                    <rect
                        key={lane.class}
                        class="lane"
                        x="0"
                        y={lane.top.to_string()}
                        width={WIDTH.to_string()}
                        height={lane.height.to_string()}
                    />
                }) }
                { for LANES.iter().map(|lane| html! {
                    <path key={lane.class} class={classes!("bars", lane.class)} d={bars(&columns, width, lane)} />
                }) }
                { for props.ends_ms.map(|ends_ms| html! {
                    <line class="ends" x1={px(x(ends_ms))} x2={px(x(ends_ms))} y1="12" y2={HEIGHT.to_string()} />
                }) }
                <rect
                    class="future"
                    x={px(now)}
                    y="12"
                    width={px((x(props.reached_ms) + width - now).max(0.0))}
                    height={HEIGHT.to_string()}
                />
                <line class="playhead" x1={px(now)} x2={px(now)} y1="0" y2={HEIGHT.to_string()} />
            </svg>
            { for props.timeline.faults.iter().map(|(at_ms, what)| mark("fault", x(*at_ms), what)) }
            { for props
                .user_actions
                .iter()
                .filter(|(at_ms, _)| *at_ms >= began_ms)
                .map(|(at_ms, what)| mark("user-action", x(*at_ms), what)) }
        </div>
    }
}

/// Properties of [`Reading`].
#[derive(Properties, PartialEq)]
pub struct ReadingProps {
    pub timeline: Shared<Timeline>,
    pub shown_ms: u64,
}

/// The values at the displayed instant.
#[component]
pub fn Reading(props: &ReadingProps) -> Html {
    let look = look_at(&props.timeline, props.shown_ms);
    let item = |class: &'static str, text: String| html! { <li class={class}>{text}</li> };
    html! {
        <ul class="reading" data-testid="reading">
            { item("down", format!("{} down", plural(look.nodes_down.into(), "node"))) }
            { item("leaderless", format!("{} without a leader", plural(look.groups_without_leader.into(), "group"))) }
            { item("cut", format!("{} cut", plural(look.edges_cut.into(), "link"))) }
            { item("acknowledged", format!("{} acknowledged", plural(look.acknowledged, "message"))) }
        </ul>
    }
}

fn look_at(timeline: &Timeline, at_ms: u64) -> Look {
    let place = at_ms.saturating_sub(timeline.began_ms) / crate::simulated::timeline::LOOK_EVERY_MS;
    let last = timeline.looks.len().saturating_sub(1);
    timeline.looks.get((place as usize).min(last)).copied().unwrap_or_default()
}

fn end_ms(props: &TimelineBarProps) -> u64 {
    // An incident has an end, and nothing after it.
    if let Some(ends_ms) = props.ends_ms.filter(|ends_ms| props.is_recorded && props.reached_ms <= *ends_ms) {
        return ends_ms.max(props.timeline.began_ms + 1);
    }
    let began_ms = props.timeline.began_ms;
    let needed_ms = props.reached_ms.max(props.shown_ms).max(props.ends_ms.unwrap_or_default()) - began_ms;
    let fits =
        LENGTHS_S.iter().map(|length_s| length_s * 1_000).find(|length_ms| *length_ms >= needed_ms + needed_ms / 20);
    began_ms + fits.unwrap_or(needed_ms)
}

fn looks_a_column(began_ms: u64, end_ms: u64) -> f64 {
    ((end_ms - began_ms) / crate::simulated::timeline::LOOK_EVERY_MS).div_ceil(COLUMNS as u64).max(1) as f64
}

/// Bars on the lane's lower end; the highest fills the lane.
fn bars(columns: &[Look], width: f64, lane: &Lane) -> String {
    let (what, floor) = (lane.what, lane.top + lane.height);
    let most = columns.iter().map(what).max().unwrap_or_default().max(1) as f64;
    let bar = |(place, look): (usize, &Look)| {
        let share = what(look) as f64 / most;
        let (x, tall) = (place as f64 * width, (lane.height * share).max(3.0));
        (share > 0.0).then(|| format!("M{x:.1} {:.1}h{width:.1}v{tall:.1}h-{width:.1}z", floor - tall))
    };
    columns.iter().enumerate().filter_map(bar).collect()
}

fn mark(class: &'static str, x: f64, what: &str) -> Html {
    let style = format!("left: {:.2}%", x / WIDTH * 100.0);
    html! { <span class={classes!("mark", class)} {style} title={plain_words(what)} aria-hidden="true"></span> }
}

fn words(props: &TimelineBarProps) -> String {
    let look = look_at(&props.timeline, props.shown_ms);
    format!(
        "{} seconds, {} down, {} cut",
        exact_seconds(props.shown_ms),
        plural(look.nodes_down.into(), "node"),
        plural(look.edges_cut.into(), "link")
    )
}

fn px(value: f64) -> String {
    format!("{value:.1}")
}
