//! An edge of the cube: a clickable line that shows the state of both directions.

use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::svg::{on_enter, px};
use crate::model::cluster::EdgeHealth;
use crate::model::{Selection, ViewAction};
use crate::scene::EdgeMark;
use crate::scene::geometry::{Curve, PagePoint};

/// Properties of [`Edge`].
#[derive(Properties, PartialEq)]
pub struct EdgeProps {
    pub mark: EdgeMark,
    /// Whether the tab key stops here.
    pub is_stop: bool,
    /// Whether the user looks at one of its ends.
    pub is_near: bool,
}

/// An edge of the cube.
#[component]
pub fn Edge(props: &EdgeProps) -> Html {
    let mark = &props.mark;
    let (a, b) = mark.ends;
    let id = format!("edge-{a}-{b}");
    let words = edge_words(mark);
    let next = (!mark.selected).then_some(Selection::edge(a, b));
    let select = use_dispatch().on(move |()| ViewAction::Select(next));
    let onclick = select.reform(|_: MouseEvent| ());
    let onkeydown = on_enter(select);
    let classes = classes!(
        "edge",
        mark.selected.then_some("is-selected"),
        mark.carries_chosen.then_some("carries-chosen"),
        mark.dimmed.then_some("is-dimmed"),
        props.is_near.then_some("is-near"),
    );
    let depth = (mark.curve.from.scale + mark.curve.to.scale) / 2.0;
    html! {
        <g
            class={classes}
            id={id.clone()}
            data-testid={id}
            data-state={mark.health.name()}
            role="button"
            tabindex={if props.is_stop { "0" } else { "-1" }}
            aria-label={words.clone()}
            aria-pressed={mark.selected.to_string()}
            style={format!("--depth: {depth:.2}")}
            {onclick}
            {onkeydown}
        >
            <title>{words}</title>
            { line("hit", &mark.curve) }
            { strokes(mark) }
        </g>
    }
}

/// A full line; a line with a gap if cut; half a line with an arrow if only one direction works.
fn strokes(mark: &EdgeMark) -> Html {
    let curve = &mark.curve;
    match mark.health {
        EdgeHealth::Cut => html! {
            <>
                { line("stroke", &curve.part(0.0, 0.42)) }
                { line("stroke", &curve.part(0.58, 1.0)) }
                { cross(curve.at(0.5)) }
            </>
        },
        EdgeHealth::OneWay { from: works_from, .. } => {
            let (tail, tip) = if works_from == mark.ends.0 { (0.46, 0.54) } else { (0.54, 0.46) };
            html! {
                <>
                    { line("stroke", curve) }
                    { arrow(curve.at(tail), curve.at(tip)) }
                </>
            }
        }
        EdgeHealth::Up | EdgeHealth::Slow | EdgeHealth::Idle | EdgeHealth::Unknown => line("stroke", curve),
    }
}

fn line(class: &'static str, curve: &Curve) -> Html {
    let Curve { from, via, to } = curve;
    let d = format!("M{} {}Q{} {} {} {}", px(from.x), px(from.y), px(via.x), px(via.y), px(to.x), px(to.y));
    html! { <path {class} {d} /> }
}

fn cross(at: PagePoint) -> Html {
    let arm = 7.0 * at.scale;
    let path = format!(
        "M{} {}L{} {}M{} {}L{} {}",
        px(at.x - arm),
        px(at.y - arm),
        px(at.x + arm),
        px(at.y + arm),
        px(at.x - arm),
        px(at.y + arm),
        px(at.x + arm),
        px(at.y - arm),
    );
    html! { <path class="sign" d={path} /> }
}

/// An arrowhead at `to` that points away from `from`.
fn arrow(from: PagePoint, to: PagePoint) -> Html {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx.hypot(dy).max(1.0);
    let (dx, dy) = (dx / length * 13.0, dy / length * 13.0);
    let path = format!(
        "M{} {}L{} {}L{} {}z",
        px(to.x + dx / 2.0),
        px(to.y + dy / 2.0),
        px(to.x - dx / 2.0 - dy / 2.0),
        px(to.y - dy / 2.0 + dx / 2.0),
        px(to.x - dx / 2.0 + dy / 2.0),
        px(to.y - dy / 2.0 - dx / 2.0),
    );
    html! { <path class="arrow" d={path} /> }
}

/// Describes an edge.
fn edge_words(mark: &EdgeMark) -> String {
    let (a, b) = mark.ends;
    let health = match mark.health {
        EdgeHealth::Up => "up".to_owned(),
        EdgeHealth::Slow => "slow".to_owned(),
        EdgeHealth::OneWay { from, to } => format!("carries frames only from {from} to {to}"),
        EdgeHealth::Cut => "cut".to_owned(),
        EdgeHealth::Idle => "idle, a node is down".to_owned(),
        EdgeHealth::Unknown => "unknown".to_owned(),
    };
    format!("Link {a} – {b}, {health}")
}
