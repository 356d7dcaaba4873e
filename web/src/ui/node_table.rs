//! The cube as a table, with the same content as the drawing.

use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::placement;
use yew::prelude::*;

use crate::format::nodes;
use crate::model::cluster::{Cluster, Socket};
use crate::model::shared::Shared;

/// Properties of [`NodeTable`].
#[derive(Properties, PartialEq)]
pub struct NodeTableProps {
    pub cluster: Shared<Cluster>,
    pub topic: Option<TopicName>,
}

/// One row per node.
#[component]
pub fn NodeTable(props: &NodeTableProps) -> Html {
    let vertices: Vec<_> = props.cluster.dimension.into_iter().flat_map(|dimension| dimension.vertices()).collect();
    html! {
        <details class="twin">
            <summary>{"The cube as a table"}</summary>
            <div class="scroll">
                <table data-testid="node-table">
                    <thead><tr>
                        <th scope="col">{"Node"}</th><th scope="col">{"State"}</th><th scope="col">{"Chosen topic"}</th>
                        <th scope="col">{"Leads groups"}</th><th scope="col">{"Links that are not up"}</th><th scope="col">{"This page is"}</th><th scope="col">{"Address"}</th>
                    </tr></thead>
                    <tbody>{ for vertices.into_iter().map(|vertex| row(props, vertex)) }</tbody>
                </table>
            </div>
        </details>
    }
}

fn row(props: &NodeTableProps, vertex: Vertex) -> Html {
    let cluster = &props.cluster;
    let health = cluster.health(vertex);
    let place =
        props.topic.as_ref().map(|topic| match placement::home(topic.as_str(), vertex.dimension()).distance(vertex) {
            0 => "home",
            1 => "replica",
            _ => "–",
        });
    let broken: Vec<_> = vertex
        .neighbours()
        .map(|peer| (peer, cluster.edge_health(vertex, peer).name()))
        .filter(|(_, name)| *name != "up")
        .map(|(peer, name)| format!("{peer} {name}"))
        .collect();
    html! {
        <tr key={vertex.to_string()} data-testid={format!("row-{vertex}")}>
            <th scope="row"><code>{vertex.to_string()}</code></th>
            <td><span class="standing" data-state={health.name()}>{cluster.health_words(vertex)}</span></td>
            <td>{place.unwrap_or("–")}</td>
            <td>{or_dash(nodes(&cluster.led_by(vertex)))}</td>
            <td>{or_dash(broken.join(", "))}</td>
            <td>{cluster.nodes.get(&vertex).map_or("–", |node| connection(node.socket))}</td>
            <td>{cluster.nodes.get(&vertex).map(|node| node.address.clone()).unwrap_or_default()}</td>
        </tr>
    }
}

/// This page's connection to a node, as a word.
fn connection(socket: Socket) -> &'static str {
    match socket {
        Socket::Connecting => "connecting",
        Socket::Open => "connected",
        Socket::Closed => "not connected",
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "–".to_owned() } else { text }
}
