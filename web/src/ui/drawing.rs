//! The nodes and links of the cube as SVG. A node that the user points at or focuses is magnified if it is small, and
//! its links stand out.

use cubecast_core::identity::HostId;
use web_sys::{Element, EventTarget};
use yew::prelude::*;

use super::edge::Edge;
use super::node::{Node, NodeTexts, magnified};
use crate::model::shared::Shared;
use crate::scene::{NodeMark, Scene};

/// In larger cubes, the tab key stops only at nodes, and edges are reached through their nodes.
const MAX_NODES_WITH_EDGE_STOPS: usize = 8;

/// Properties of [`Drawing`].
#[derive(Properties, PartialEq)]
pub struct DrawingProps {
    pub scene: Shared<Scene>,
    /// CSS pixels per page unit when the whole page is in view.
    pub whole: f64,
    /// CSS pixels per page unit.
    pub now: f64,
    /// The node that the user points at or focuses.
    pub near: Option<HostId>,
}

/// Everything that moves with the page. It is drawn again when something of it changes, and not while the user moves it.
#[component]
pub fn Drawing(props: &DrawingProps) -> Html {
    let DrawingProps { scene, whole, now, near } = props;
    let edge_stops = scene.nodes.len() <= MAX_NODES_WITH_EDGE_STOPS;
    let is_near = |mark: &NodeMark| Some(mark.node) == *near;
    html! {
        <>
            <g>
                { for scene.edges.iter().filter_map(|mark| {
                    let is_near = near.is_some_and(|node| mark.ends_at(node));
                    let key = format!("{}-{}", mark.ends.0, mark.ends.1);
                    (is_near || !mark.on_demand).then(|| html! {
                        <Edge {key} mark={mark.clone()} is_stop={edge_stops} {is_near} />
                    })
                }) }
            </g>
            <g>
                { for scene.nodes.iter().map(|mark| {
                    let texts = NodeTexts::readable(mark, *whole, *now);
                    html! { <Node key={mark.node.to_string()} mark={mark.clone()} {texts} /> }
                }) }
            </g>
            // Always there, so that the nodes remain the same elements, of which one may have the focus.
            <g>
                { for scene.nodes.iter().find(|mark| is_near(mark)).and_then(|mark| magnified(mark, *whole, *now)) }
            </g>
        </>
    }
}

/// The node that this element is a part of.
pub fn node_at(target: Option<EventTarget>) -> Option<HostId> {
    let element: Element = wasm_bindgen::JsCast::dyn_into(target?).ok()?;
    element.closest(".node").ok()??.id().strip_prefix("node-")?.parse().ok()
}
