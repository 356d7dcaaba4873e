//! The cube: edges and nodes as SVG, with frames in flight above. It is rotated by dragging or with buttons.

use cubecast_core::cube::Dimension;
use yew::prelude::*;

use super::edge::Edge;
use super::node::Node;
use super::pulse::{Pace, group};
use super::pulses::{Pulses, Sent};
use super::svg::px;
use crate::model::traffic::is_background;
use crate::model::{SeedFailure, State};
use crate::scene::Scene;
use crate::scene::geometry::{PAGE_HEIGHT, PAGE_WIDTH, PagePoint, Turn, layout, node_radius};
use crate::scene::pulses::Way;

/// Radians per pixel of dragging.
const DRAG: f64 = 0.006;
/// Radians per press of a button.
const STEP: f64 = 0.17;
/// In larger cubes, the tab key stops only at nodes, and edges are reached through their nodes.
const MAX_NODES_WITH_EDGE_STOPS: usize = 8;

/// Properties of [`Cube`].
#[derive(Properties, PartialEq)]
pub struct CubeProps {
    pub state: State,
    /// The pace of time; real time by default.
    #[prop_or_default]
    pub pace: Pace,
}

/// The cube with its controls.
#[component]
pub fn Cube(props: &CubeProps) -> Html {
    let turn = use_state(|| None::<Turn>);
    let drag_from = use_mut_ref(|| None::<(i32, i32)>);
    let Some(scene) = Scene::of(&props.state, *turn) else { return empty(&props.state) };
    let seen = scene.turn;

    let on_press = {
        let drag_from = drag_from.clone();
        Callback::from(move |event: PointerEvent| *drag_from.borrow_mut() = Some((event.client_x(), event.client_y())))
    };
    let on_move = {
        let (drag_from, turn) = (drag_from.clone(), turn.clone());
        Callback::from(move |event: PointerEvent| {
            let mut from = drag_from.borrow_mut();
            let Some((x, y)) = from.filter(|_| event.buttons() & 1 == 1) else {
                return;
            };
            let (dx, dy) = (event.client_x() - x, event.client_y() - y);
            *from = Some((event.client_x(), event.client_y()));
            turn.set(Some(seen.by(f64::from(dx) * DRAG, f64::from(dy) * DRAG)));
        })
    };
    let on_release = Callback::from(move |_: PointerEvent| *drag_from.borrow_mut() = None);
    let sent = sent(props, &scene);
    let edge_stops = scene.nodes.len() <= MAX_NODES_WITH_EDGE_STOPS;
    html! {
        <div class="cube" data-testid="cube">
            <svg
                class="drawing"
                viewBox={format!("0 0 {PAGE_WIDTH} {PAGE_HEIGHT}")}
                role="group"
                aria-label="The nodes and links of the cluster"
                onpointerdown={on_press}
                onpointermove={on_move}
                onpointerup={on_release.clone()}
                onpointerleave={on_release}
            >
                <g>
                    { for scene.edges.iter().map(|mark| {
                        let key = format!("{}-{}", mark.ends.0, mark.ends.1);
                        html! { <Edge {key} mark={mark.clone()} is_stop={edge_stops} /> }
                    }) }
                </g>
                <g>
                    { for scene.nodes.iter().map(|mark| {
                        let health_words = props.state.cluster.health_words(mark.node);
                        html! { <Node key={mark.node.to_string()} mark={mark.clone()} {health_words} /> }
                    }) }
                </g>
            </svg>
            <Pulses {sent} stands={props.pace.stands} />
            <div class="turn" role="group" aria-label="Turn the cube">
                { turn_button(&turn, Some(seen.by(-STEP, 0.0)), "turn-left", "Turn left", "‹") }
                { turn_button(&turn, None, "turn-home", "Reset the view", "•") }
                { turn_button(&turn, Some(seen.by(STEP, 0.0)), "turn-right", "Turn right", "›") }
            </div>
        </div>
    }
}

/// The frames to draw.
fn sent(props: &CubeProps, scene: &Scene) -> Vec<Sent> {
    let State { traffic, show_background, now_ms, cluster, .. } = &props.state;
    let Some(radius) = cluster.dimension.map(node_radius) else { return Vec::new() };
    let shown = traffic.pulses.iter().filter(|pulse| *show_background || !is_background(pulse.what));
    let sent = shown.filter_map(|pulse| {
        let way = Way::new(scene.point(pulse.from)?, scene.point(pulse.to)?, radius, pulse.dropped);
        let travel = props.pace.travel(now_ms.saturating_sub(pulse.born_ms))?;
        Some(Sent { key: (props.pace.turn, pulse.number), group: group(pulse.what), way, travel })
    });
    sent.collect()
}

fn turn_button(
    turn: &UseStateHandle<Option<Turn>>,
    to: Option<Turn>,
    id: &'static str,
    label: &'static str,
    sign: &'static str,
) -> Html {
    let turn = turn.clone();
    let onclick = Callback::from(move |_: MouseEvent| turn.set(to));
    html! { <button type="button" data-testid={id} aria-label={label} title={label} {onclick}>{sign}</button> }
}

/// Shown before the cluster is known: an empty cube, and the connection attempt.
fn empty(state: &State) -> Html {
    let refused = state.seed_failed.as_ref().is_some_and(|failure| failure.why.is_some());
    let text = match &state.seed_failed {
        Some(SeedFailure { address, why: Some(why) }) => format!("This page cannot connect to {address}. {why}"),
        Some(SeedFailure { address, why: None }) => {
            format!(
                "No node answers at {address} yet. Start a cluster with “cubecast up”; \
                 this page then connects automatically. Or choose Simulated above, which needs no nodes."
            )
        }
        None => "Looking for the cluster…".to_owned(),
    };
    html! {
        <div class="cube is-empty">
            <svg class="drawing" viewBox={format!("0 0 {PAGE_WIDTH} {PAGE_HEIGHT}")} aria-hidden="true">
                <path class="ghost" d={ghost()} />
            </svg>
            <p class="empty" data-testid="cube-empty"><span class={refused.then_some("is-refused")}>{text}</span></p>
        </div>
    }
}

/// The edges of a three-dimensional cube as the data of a path. The HTML of both pages contains the same path, so that
/// it is visible before this program runs.
fn ghost() -> String {
    let Ok(cube) = Dimension::new(3) else { return String::new() };
    let points = layout(cube, Turn::first(cube));
    let edges = cube.vertices().flat_map(|a| a.neighbours().filter(move |b| a < *b).map(move |b| (a, b)));
    let line = |from: PagePoint, to: PagePoint| format!("M{} {}L{} {}", px(from.x), px(from.y), px(to.x), px(to.y));
    edges.map(|(a, b)| line(points[a.index()], points[b.index()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_paint_contains_the_empty_cube() {
        for page in [include_str!("../../../index.html"), include_str!("../../../simulated.html")] {
            assert!(page.contains(&format!("<path class=\"ghost\" d=\"{}\"></path>", ghost())), "{}", ghost());
        }
    }
}
