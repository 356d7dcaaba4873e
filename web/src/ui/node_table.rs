//! The nodes as a table, with the same content as the drawing.

use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::placement;
use cubecast_core::seating::Seating;
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
    html! {
        <div class="scroll">
            <table class="nodes" data-testid="node-table">
                <thead><tr>
                    <th scope="col">{"Node"}</th><th scope="col">{"State"}</th><th scope="col">{"Chosen topic"}</th>
                    <th scope="col">{"Leads groups"}</th>
                    <th scope="col">{"Links that are not up"}</th>
                    <th scope="col">{"This page is"}</th>
                    <th scope="col">{"Address"}</th>
                </tr></thead>
                <tbody>{ for props.cluster.all_nodes().map(|node| row(props, node)) }</tbody>
            </table>
        </div>
    }
}

fn row(props: &NodeTableProps, node: HostId) -> Html {
    let cluster = &props.cluster;
    let health = cluster.health(node);
    let seating = Seating::founded_by(node);
    let home = |topic: &TopicName| seating.host_of(placement::home(topic.as_str(), seating.dimension()));
    let place = props.topic.as_ref().map(|topic| match seating.distance(home(topic), node) {
        0 => "home",
        1 => "replica",
        _ => "–",
    });
    let broken: Vec<_> = seating
        .neighbours(node)
        .map(|peer| (peer, cluster.edge_health(node, peer).name()))
        .filter(|(_, name)| *name != "up")
        .map(|(peer, name)| format!("{peer} {name}"))
        .collect();
    html! {
        <tr key={node.to_string()} data-testid={format!("row-{node}")}>
            <th scope="row"><code>{node.to_string()}</code></th>
            <td><span class="standing" data-state={health.name()}>{cluster.health_words(node)}</span></td>
            <td>{place.unwrap_or("–")}</td>
            <td>{or_dash(nodes(&cluster.led_by(node)))}</td>
            <td>{or_dash(broken.join(", "))}</td>
            <td>{cluster.nodes.get(&node).map_or("–", |known| connection(known.socket))}</td>
            <td>{cluster.nodes.get(&node).map(|known| known.address.clone()).unwrap_or_default()}</td>
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
