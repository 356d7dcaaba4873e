//! A frame on its way over an edge. The style sheet moves it; for those who want no motion it marks the edge's middle.

use cubecast_core::wire::event::FrameKind;
use yew::prelude::*;

use super::cube::px;
use crate::scene::geometry::{PagePoint, between};

#[derive(Properties, PartialEq)]
pub struct PulseProps {
    pub what: FrameKind,
    pub dropped: bool,
    pub from: PagePoint,
    pub to: PagePoint,
}

#[component]
pub fn PulseDot(props: &PulseProps) -> Html {
    let end = if props.dropped { between(props.from, props.to, 0.5) } else { props.to };
    let style = format!(
        "--from-x: {}px; --from-y: {}px; --to-x: {}px; --to-y: {}px",
        px(props.from.x),
        px(props.from.y),
        px(end.x),
        px(end.y),
    );
    let radius = 5.0 * (props.from.scale + props.to.scale) / 2.0;
    html! { <circle class={classes!("pulse", group(props.what), props.dropped.then_some("is-dropped"))} {style} r={px(radius)} /> }
}

/// Kinds that are drawn alike: what a person can tell apart.
pub(super) fn group(what: FrameKind) -> &'static str {
    match what {
        FrameKind::Append => "entries",
        FrameKind::Acknowledge => "acks",
        FrameKind::Ask | FrameKind::Reply => "requests",
        FrameKind::Vote => "votes",
        FrameKind::Snapshot => "snapshots",
        FrameKind::Heartbeat | FrameKind::Overlay => "background",
    }
}
