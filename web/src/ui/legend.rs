//! The legend of the cube.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::dispatch::use_dispatch;
use crate::model::ViewAction;

const FRAMES: &[(&str, &str)] = &[
    ("entries", "entries"),
    ("acks", "acknowledgements"),
    ("requests", "requests"),
    ("votes", "votes"),
    ("snapshots", "snapshots"),
];

/// Properties of [`Legend`].
#[derive(Properties, PartialEq)]
pub struct LegendProps {
    pub show_background: bool,
    /// Whether frames are left out because there are too many.
    pub leaves_out: bool,
}

/// The legend, with the switch for background frames.
#[component]
pub fn Legend(props: &LegendProps) -> Html {
    let onchange = use_dispatch()
        .on(|event: Event| ViewAction::ShowBackground(event.target_unchecked_into::<HtmlInputElement>().checked()));
    html! {
        <div class="legend">
            <ul aria-label="Frames that cross the links">
                { for FRAMES.iter().map(|(class, text)| html! {
                    <li>
                        <svg viewBox="-6 -6 12 12" aria-hidden="true">
                            <circle class={classes!("pulse", *class)} r="5" />
                        </svg>
                        {*text}
                    </li>
                }) }
            </ul>
            if props.leaves_out {
                <span class="aside" data-testid="leaves-out">{"Too many to draw all of them."}</span>
            }
            <label class="check">
                <input type="checkbox" data-testid="background-toggle" checked={props.show_background} {onchange} />
                {"heartbeats"}
            </label>
        </div>
    }
}
