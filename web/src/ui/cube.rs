//! The cube, or the grid in its place. Before the cluster is known, an empty cube.

use cubecast_core::cube::Dimension;
use yew::prelude::*;

use super::layout_switch::LayoutSwitch;
use super::pulse::Pace;
use super::svg::px;
use super::viewport::Viewport;
use crate::model::{SeedFailure, State};
use crate::scene::geometry::{PAGE_HEIGHT, PAGE_WIDTH, PagePoint, Turn, cube_points};

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
    let CubeProps { state, pace } = props;
    let Some(dimension) = state.cluster.dimension else { return empty(state) };
    html! {
        <div class="cube" data-testid="cube">
            <Viewport
                key={format!("{}{}", state.layout.name(), dimension.bits())}
                state={state.clone()}
                {dimension}
                pace={*pace}
            />
            <LayoutSwitch layout={state.layout} />
        </div>
    }
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
    let points = cube_points(cube, Turn::first(cube));
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
