//! Layout of the drawing: the position and state of each shape. Pure; [`crate::ui`] renders it as SVG.

pub mod charts;
pub mod geometry;
pub mod pulses;
pub mod spacetime;
pub mod sparkline;
pub mod xray;

use std::collections::BTreeMap;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;

use crate::model::cluster::{EdgeHealth, Health};
use crate::model::{Placement, Selection, State};
use geometry::{PagePoint, Turn, layout, node_radius};

/// The static part of the drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct Scene {
    /// Back to front, which is the drawing order.
    pub nodes: Vec<NodeMark>,
    /// Back to front.
    pub edges: Vec<EdgeMark>,
    /// The rotation of the cube.
    pub turn: Turn,
    points: BTreeMap<HostId, PagePoint>,
}

/// A node in the drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeMark {
    pub node: HostId,
    pub at: PagePoint,
    /// In page units, scaled by depth.
    pub radius: f64,
    pub health: Health,
    /// Share of its groups' committed entries that it has applied while it catches up, from 0 to 1.
    pub filled: Option<f64>,
    /// Its role for the chosen topic.
    pub placement: Option<Placement>,
    /// Whether it leads the chosen topic's group.
    pub leads_chosen: bool,
    /// The term of the chosen topic's group, if it leads that group.
    pub term: Option<u64>,
    /// Whether it leads the group of which it is the home.
    pub leads_own: bool,
    /// The groups of other homes that it leads.
    pub leads_others: Vec<Vertex>,
    pub selected: bool,
}

/// An edge in the drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct EdgeMark {
    /// The smaller end first.
    pub ends: (HostId, HostId),
    pub from: PagePoint,
    pub to: PagePoint,
    pub health: EdgeHealth,
    /// Whether it joins the chosen topic's home with a replica.
    pub carries_chosen: bool,
    pub selected: bool,
}

impl Scene {
    /// `None` until the cube's dimension is known. `turn`: `None` for the initial view.
    pub fn of(state: &State, turn: Option<Turn>) -> Option<Scene> {
        let seating = state.cluster.seating()?;
        let dimension = seating.dimension();
        let turn = turn.unwrap_or_else(|| Turn::first(dimension));
        let points = layout(dimension, turn);
        let mut nodes: Vec<_> =
            dimension.vertices().map(|vertex| node_mark(state, &seating, vertex, points[vertex.index()])).collect();
        nodes.sort_by(|a, b| a.at.scale.total_cmp(&b.at.scale));
        let mut edges: Vec<_> =
            state.cluster.edges().into_iter().map(|ends| edge_mark(state, &seating, ends, &points)).collect();
        edges.sort_by(|a, b| a.depth().total_cmp(&b.depth()));
        let points = seating.hosts().zip(points).collect();
        Some(Scene { nodes, edges, turn, points })
    }

    /// The position of a node; `None` if it is not part of the cluster.
    pub fn point(&self, node: HostId) -> Option<PagePoint> {
        self.points.get(&node).copied()
    }
}

impl EdgeMark {
    fn depth(&self) -> f64 {
        self.from.scale + self.to.scale
    }
}

fn node_mark(state: &State, seating: &Seating, vertex: Vertex, at: PagePoint) -> NodeMark {
    let node = seating.host_of(vertex);
    let leads = state.cluster.led_by(node);
    NodeMark {
        node,
        at,
        radius: node_radius(seating.dimension()) * at.scale,
        health: state.cluster.health(node),
        filled: state.cluster.filled(node),
        placement: state.placement(node),
        leads_chosen: state.home().is_some_and(|home| leads.contains(&home)),
        term: state.home().filter(|home| leads.contains(home)).and_then(|home| state.cluster.term_of(home)),
        leads_own: leads.contains(&vertex),
        leads_others: leads.into_iter().filter(|group| *group != vertex).collect(),
        selected: state.selection == Some(Selection::Node(node)),
    }
}

fn edge_mark(state: &State, seating: &Seating, ends: (HostId, HostId), points: &[PagePoint]) -> EdgeMark {
    let (a, b) = ends;
    let at = |node| points[seating.index_of(node).expect("an end of an edge is a node of this cluster")];
    EdgeMark {
        ends,
        from: at(a),
        to: at(b),
        health: state.cluster.edge_health(a, b),
        carries_chosen: state.home_node().is_some_and(|home| home == a || home == b),
        selected: state.selection == Some(Selection::edge(a, b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::Cluster;
    use crate::model::shared::Shared;
    use cubecast_core::cube::Dimension;

    fn state(topic: &str) -> State {
        let cluster = Cluster::of(Dimension::new(3).unwrap());
        State { cluster: Shared::from(cluster), topic_text: topic.into(), ..State::default() }
    }

    #[test]
    fn a_cube_has_eight_nodes_and_twelve_edges_and_what_is_behind_is_drawn_first() {
        let scene = Scene::of(&state(""), None).unwrap();
        assert_eq!((scene.nodes.len(), scene.edges.len()), (8, 12));
        assert!(scene.nodes.is_sorted_by(|a, b| a.at.scale <= b.at.scale));
    }

    #[test]
    fn the_chosen_topic_lights_its_home_its_replicas_and_the_edges_between() {
        let scene = Scene::of(&state("news"), None).unwrap();
        let at = |placement| -> Vec<_> {
            let mut names: Vec<_> =
                scene.nodes.iter().filter(|n| n.placement == Some(placement)).map(|n| n.node.to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(at(Placement::Home), ["100"]);
        assert_eq!(at(Placement::Replica), ["000", "101", "110"]);
        assert_eq!(scene.edges.iter().filter(|edge| edge.carries_chosen).count(), 3);
    }

    #[test]
    fn without_a_cluster_there_is_nothing_to_draw_and_without_a_topic_nothing_is_lit() {
        assert_eq!(Scene::of(&State::default(), None), None);
        assert!(Scene::of(&state("two words"), None).unwrap().nodes.iter().all(|node| node.placement.is_none()));
    }
}
