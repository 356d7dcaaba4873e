//! A vertex of the cube: its name, the state of its node, and its role for the chosen topic.

use yew::prelude::*;

use super::dispatch::use_dispatch;
use super::svg::{on_enter, px};
use crate::model::cluster::Health;
use crate::model::{Placement, Selection, ViewAction};
use crate::scene::NodeMark;
use crate::scene::geometry::{Outline, segment};

/// Smaller text cannot be read, so it is left out; CSS pixels.
const LEAST_TEXT: f64 = 9.0;
/// The size of a node's name under the magnifier; CSS pixels.
const MAGNIFIED_TEXT: f64 = 16.0;
/// A larger name needs no magnifier; CSS pixels.
const CLEAR_TEXT: f64 = 12.0;

/// The texts of a node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NodeTexts {
    /// The font size of the name, in page units; `None` without a name.
    pub name_size: Option<f64>,
    /// The font size of the label, in page units; `None` without a label.
    pub label_size: Option<f64>,
}

impl NodeTexts {
    /// All texts. `whole`: CSS pixels per page unit when the whole page is in view; on a small screen, labels get a
    /// larger part of it.
    pub fn all(mark: &NodeMark, whole: f64) -> NodeTexts {
        NodeTexts { name_size: Some(name_sizes(mark).0), label_size: Some(label_size(mark, whole)) }
    }

    /// The texts that can be read. `now`: CSS pixels per page unit. A name may fill its node in order to be readable.
    pub fn readable(mark: &NodeMark, whole: f64, now: f64) -> NodeTexts {
        let is_readable = |size: &f64| size * now >= LEAST_TEXT;
        let label_size = Some(label_size(mark, whole)).filter(is_readable);
        let (usual, largest) = name_sizes(mark);
        // A little more, because of rounding.
        let name_size = usual.max((LEAST_TEXT * 1.01 / now).min(largest));
        NodeTexts { name_size: Some(name_size).filter(is_readable), label_size }
    }
}

/// Properties of [`Node`].
#[derive(Properties, PartialEq)]
pub struct NodeProps {
    pub mark: NodeMark,
    pub texts: NodeTexts,
}

/// A node of the cube.
#[component]
pub fn Node(props: &NodeProps) -> Html {
    let mark = &props.mark;
    let id = format!("node-{}", mark.node);
    let next = (!mark.selected).then_some(Selection::Node(mark.node));
    let select = use_dispatch().on(move |()| ViewAction::Select(next));
    let onclick = select.reform(|_: MouseEvent| ());
    let onkeydown = on_enter(select);
    html! {
        <g
            class={classes(mark)}
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
                aria-label={node_words(mark)}
                aria-pressed={mark.selected.to_string()}
                {onkeydown}
            >
                { shape("halo", mark.outline.grown(8.0)) }
                { face(mark, props.texts) }
            </g>
            // The accessible name of the button contains the same information.
            <g aria-hidden="true">{ signs(mark, props.texts) }</g>
        </g>
    }
}

/// The node in front of all others, larger, with all its texts. `None` if it can be read without that.
pub fn magnified(mark: &NodeMark, whole: f64, now: f64) -> Option<Html> {
    let text = name_sizes(mark).0 * now;
    let texts = NodeTexts::all(mark, whole);
    let factor = MAGNIFIED_TEXT / text;
    (text < CLEAR_TEXT).then(|| {
        html! {
            <g
                class={classes!(classes(mark), "is-magnified")}
                data-state={mark.health.name()}
                data-testid="magnified"
                transform={format!("translate({} {}) scale({factor:.3})", px(mark.at.x), px(mark.at.y))}
                aria-hidden="true"
            >
                { face(mark, texts) }
                { signs(mark, texts) }
            </g>
        }
    })
}

fn classes(mark: &NodeMark) -> Classes {
    let placement = mark.placement.map(|placement| match placement {
        Placement::Home => "is-home",
        Placement::Replica => "is-replica",
        Placement::Elsewhere => "is-elsewhere",
    });
    classes!("node", placement, mark.selected.then_some("is-selected"), mark.dimmed.then_some("is-dimmed"))
}

/// A circle, or a cell with its name in the upper half.
fn face(mark: &NodeMark, texts: NodeTexts) -> Html {
    let raised = if mark.outline.is_circle() { 0.0 } else { mark.outline.half_height * -0.2 };
    html! {
        <>
            { shape("body", mark.outline) }
            { fill(mark) }
            if let Some(size) = texts.name_size {
                <text class="name" y={px(raised)} style={format!("font-size: {}px", px(size))}>
                    {mark.node.to_string()}
                </text>
            }
        </>
    }
}

fn signs(mark: &NodeMark, texts: NodeTexts) -> Html {
    html! {
        <>
            { state_sign(mark) }
            { leader_sign(mark) }
            if let Some(size) = texts.label_size {
                { label(mark, size) }
            }
        </>
    }
}

fn shape(class: &'static str, outline: Outline) -> Html {
    let Outline { half_width, half_height, corner } = outline;
    html! {
        <rect
            {class}
            x={px(-half_width)}
            y={px(-half_height)}
            width={px(half_width * 2.0)}
            height={px(half_height * 2.0)}
            rx={px(corner)}
        />
    }
}

/// While a node catches up, it fills from the bottom.
fn fill(mark: &NodeMark) -> Html {
    let Outline { half_width, half_height, corner } = mark.outline;
    match mark.filled {
        Some(share) if mark.outline.is_circle() => html! { <path class="fill" d={segment(corner, share)} /> },
        Some(share) => {
            let height = half_height * 2.0 * share;
            let (x, y, width) = (px(-half_width), px(half_height - height), px(half_width * 2.0));
            html! { <rect class="fill" {x} {y} {width} height={px(height)} rx={px(corner)} /> }
        }
        None => Html::default(),
    }
}

/// The usual font size of the name, and the largest that fits, for any number of bits; page units.
fn name_sizes(mark: &NodeMark) -> (f64, f64) {
    let Outline { half_width, half_height, .. } = mark.outline;
    let bits = f64::from(mark.node.to_string().len().max(3) as u8);
    ((half_width * 2.7 / bits).min(half_height * 0.72), (half_width * 3.0 / bits).min(half_height * 1.1))
}

/// The font size of the label, in page units: inside a cell, or below a circle.
fn label_size(mark: &NodeMark, whole: f64) -> f64 {
    const LEAST: f64 = 13.5;
    let room = mark.outline.half_height;
    match mark.outline.is_circle() {
        true if room < 22.0 => room * 0.6,
        true => (10.0 / whole).clamp(LEAST, 23.0),
        false => {
            let letters = label_words(mark).chars().count().max(7) as f64;
            (room * 0.5).min(mark.outline.half_width * 3.0 / letters)
        }
    }
}

/// Each state has its own sign, so that it can be recognised without colours.
fn state_sign(mark: &NodeMark) -> Html {
    let sign = match mark.health {
        Health::Up => return Html::default(),
        Health::Failed => "×",
        Health::Recovering => "↻",
        Health::Unknown => "?",
    };
    let size = (mark.outline.half_height * 0.42).clamp(9.0, 16.0);
    // In a cell, the corner beside the label.
    let side = if mark.outline.is_circle() { 0.76 } else { -0.9 };
    let (x, y) = (px(mark.outline.half_width * side), px(mark.outline.half_height * side));
    html! {
        <g class="badge state" transform={format!("translate({x} {y})")}>
            <circle r={px(size)} />
            <text style={format!("font-size: {}px", px(size * 1.25))}>{sign}</text>
        </g>
    }
}

/// A star with the term, which grows with each election.
fn leader_sign(mark: &NodeMark) -> Html {
    if !mark.leads_chosen {
        return Html::default();
    }
    let sign = mark.term.map_or_else(|| "★".to_owned(), |term| format!("★ {term}"));
    let height = (mark.outline.half_height * 0.42).clamp(11.0, 16.0);
    let width = height * (0.6 + 0.42 * sign.chars().count() as f64);
    let Outline { half_width, half_height, .. } = mark.outline;
    let (x, y) = match mark.outline.is_circle() {
        true => (px(half_width * 0.8), px(half_height * -0.8)),
        false => (px(half_width - width * 0.7), px(-half_height)),
    };
    html! {
        <g class="badge leader" transform={format!("translate({x} {y})")}>
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

fn label(mark: &NodeMark, size: f64) -> Html {
    let y = match mark.outline.is_circle() {
        true => mark.outline.half_height + 8.0 + size,
        false => mark.outline.half_height * 0.62,
    };
    let class = classes!("label", (!mark.outline.is_circle()).then_some("is-inside"));
    html! { <text {class} y={px(y)} style={format!("font-size: {}px", px(size))}>{label_words(mark)}</text> }
}

/// Its role for the chosen topic and the groups that it leads. A cell has space for one fact, the worst.
fn label_words(mark: &NodeMark) -> String {
    let cut = (mark.cut_links > 0).then(|| format!("{} cut", mark.cut_links));
    let role = match mark.placement {
        Some(Placement::Home) => Some("home".to_owned()),
        Some(Placement::Replica) => Some("replica".to_owned()),
        Some(Placement::Elsewhere) | None => None,
    };
    let others = mark.leads_others.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let others = (!others.is_empty()).then(|| format!("leads {others}"));
    let facts = cut.into_iter().chain(role).chain(others);
    facts.take(if mark.outline.is_circle() { 2 } else { 1 }).collect::<Vec<_>>().join(" · ")
}

/// Describes a node.
fn node_words(mark: &NodeMark) -> String {
    let mut words = vec![format!("Node {}", mark.node), mark.health_words.to_owned()];
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
    match mark.cut_links {
        0 => {}
        1 => words.push("1 link is cut".to_owned()),
        cut => words.push(format!("{cut} links are cut")),
    }
    let led = mark.leads_others.len() + usize::from(mark.leads_own);
    if led != 1 && mark.health.is_running() {
        words.push(format!("leads {led} groups"));
    }
    words.join(", ")
}
