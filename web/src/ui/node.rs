//! A vertex of the cube: its name, the state of its node, and its role for the chosen topic.

use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::svg::{on_enter, px};
use crate::model::cluster::Health;
use crate::model::{Placement, Selection, ViewAction};
use crate::scene::NodeMark;
use crate::scene::geometry::segment;

/// Smaller circles have no space for a label below.
const SMALLEST_WITH_LABEL: f64 = 20.0;

/// Properties of [`Node`].
#[derive(Properties, PartialEq)]
pub struct NodeProps {
    pub mark: NodeMark,
    /// The node's health as text.
    pub health_words: &'static str,
}

/// A node of the cube.
#[component]
pub fn Node(props: &NodeProps) -> Html {
    let mark = &props.mark;
    let id = format!("node-{}", mark.node);
    let placement = mark.placement.map(|placement| match placement {
        Placement::Home => "is-home",
        Placement::Replica => "is-replica",
        Placement::Elsewhere => "is-elsewhere",
    });
    let next = (!mark.selected).then_some(Selection::Node(mark.node));
    let select = use_dispatch().on(move |()| ViewAction::Select(next));
    let onclick = select.reform(|_: MouseEvent| ());
    let onkeydown = on_enter(select);
    html! {
        <g
            class={classes!("node", placement, mark.selected.then_some("is-selected"))}
            id={id.clone()}
            data-testid={id}
            data-state={mark.health.name()}
            data-leader={mark.leads_chosen.to_string()}
            transform={format!("translate({} {})", px(mark.at.x), px(mark.at.y))}
            {onclick}
        >
            <g
                class="button"
                role="button"
                tabindex="0"
                aria-label={node_words(mark, props.health_words)}
                aria-pressed={mark.selected.to_string()}
                {onkeydown}
            >
                <circle class="halo" r={px(mark.radius + 8.0)} />
                <circle class="body" r={px(mark.radius)} />
                { fill(mark) }
                <text class="name" style={format!("font-size: {}px", px(name_size(mark)))}>
                    {mark.node.to_string()}
                </text>
            </g>
            // The accessible name of the button contains the same information.
            <g aria-hidden="true">
                { state_sign(mark) }
                { leader_sign(mark) }
                { label(mark) }
            </g>
        </g>
    }
}

/// While a node catches up, its circle fills from the bottom.
fn fill(mark: &NodeMark) -> Html {
    match mark.filled {
        Some(share) => html! { <path class="fill" d={segment(mark.radius, share)} /> },
        None => Html::default(),
    }
}

/// The font size with which the name fits into the circle, for any number of bits.
fn name_size(mark: &NodeMark) -> f64 {
    let bits = f64::from(mark.node.to_string().len().max(3) as u8);
    (mark.radius * 2.9 / bits).min(mark.radius * 0.72)
}

/// Each state has its own sign, so that it can be recognised without colours.
fn state_sign(mark: &NodeMark) -> Html {
    let sign = match mark.health {
        Health::Up => return Html::default(),
        Health::Failed => "×",
        Health::Recovering => "↻",
        Health::Unknown => "?",
    };
    badge("state", mark.radius * 0.76, mark.radius * 0.76, mark.radius, sign)
}

/// A star with the term, which grows with each election.
fn leader_sign(mark: &NodeMark) -> Html {
    if !mark.leads_chosen {
        return Html::default();
    }
    let sign = mark.term.map_or_else(|| "★".to_owned(), |term| format!("★ {term}"));
    let height = (mark.radius * 0.42).max(9.0);
    let width = height * (0.6 + 0.42 * sign.chars().count() as f64);
    html! {
        <g
            class="badge leader"
            transform={format!("translate({} {})", px(mark.radius * 0.8), px(mark.radius * -0.8))}
        >
            <rect
                x={px(-width)}
                y={px(-height)}
                width={px(width * 2.0)}
                height={px(height * 2.0)}
                rx={px(height)}
            />
            <text style={format!("font-size: {}px", px(height * 1.15))}>{sign}</text>
        </g>
    }
}

fn badge(class: &'static str, x: f64, y: f64, radius: f64, sign: &'static str) -> Html {
    let size = (radius * 0.42).max(9.0);
    html! {
        <g class={classes!("badge", class)} transform={format!("translate({} {})", px(x), px(y))}>
            <circle r={px(size)} />
            <text style={format!("font-size: {}px", px(size * 1.25))}>{sign}</text>
        </g>
    }
}

fn label(mark: &NodeMark) -> Html {
    if mark.radius < SMALLEST_WITH_LABEL {
        return Html::default();
    }
    let role = match mark.placement {
        Some(Placement::Home) => Some("home"),
        Some(Placement::Replica) => Some("replica"),
        Some(Placement::Elsewhere) | None => None,
    };
    let others = mark.leads_others.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let others = (!others.is_empty()).then(|| format!("leads {others}"));
    let words: Vec<_> = role.map(str::to_owned).into_iter().chain(others).collect();
    html! { <text class="label" y={px(mark.radius + 22.0)}>{words.join(" · ")}</text> }
}

/// Describes a node.
fn node_words(mark: &NodeMark, health_words: &str) -> String {
    let mut words = vec![format!("Node {}", mark.node), health_words.to_owned()];
    if let Some(share) = mark.filled {
        words.push(format!("has {:.0} % of its logs", share * 100.0));
    }
    match mark.placement {
        Some(Placement::Home) => words.push("home of the chosen topic".to_owned()),
        Some(Placement::Replica) => words.push("replica of the chosen topic".to_owned()),
        Some(Placement::Elsewhere) | None => {}
    }
    if mark.leads_chosen {
        words.push(mark.term.map_or_else(|| "leads it".to_owned(), |term| format!("leads it in term {term}")));
    }
    let led = mark.leads_others.len() + usize::from(mark.leads_own);
    if led != 1 && mark.health.is_running() {
        words.push(format!("leads {led} groups"));
    }
    words.join(", ")
}
