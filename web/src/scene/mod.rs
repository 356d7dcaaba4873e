//! Layout of the drawing: the position and state of each shape. Pure; [`crate::ui`] renders it as SVG.

pub mod camera;
pub mod charts;
pub mod geometry;
pub mod grid;
pub mod pulses;
pub mod spacetime;
pub mod sparkline;
pub mod xray;

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::seating::Seating;

use crate::model::cluster::{EdgeHealth, Health};
use crate::model::{Layout, Placement, Selection, State};
use geometry::{Curve, Outline, PagePoint, Turn, cube_points, node_radius};

/// In smaller cubes everything can be seen at once, so that nothing is dimmed.
const FIRST_DIMMED: u8 = 5;

/// The static part of the drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct Scene {
    /// In the drawing order: back to front.
    pub nodes: Vec<NodeMark>,
    /// Back to front.
    pub edges: Vec<EdgeMark>,
    map: Map,
}

/// A node in the drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeMark {
    pub node: HostId,
    pub at: PagePoint,
    /// In page units, scaled by depth.
    pub outline: Outline,
    pub health: Health,
    /// The health as text.
    pub health_words: &'static str,
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
    /// In the grid, which does not draw every link: the number of its links that are cut, in at least one direction.
    pub cut_links: usize,
    /// Whether it stands back, because it is up and has no part in the chosen topic.
    pub dimmed: bool,
    pub selected: bool,
}

/// An edge in the drawing.
#[derive(Clone, PartialEq, Debug)]
pub struct EdgeMark {
    /// The smaller end first.
    pub ends: (HostId, HostId),
    pub curve: Curve,
    pub health: EdgeHealth,
    /// Whether it joins the chosen topic's home with a replica.
    pub carries_chosen: bool,
    /// Whether it stands back, because it works and has no part in the chosen topic.
    pub dimmed: bool,
    /// Whether it is drawn only while the user looks at one of its ends. In the grid, links between distant cells would
    /// cover each other.
    pub on_demand: bool,
    pub selected: bool,
}

/// The positions in the drawing.
#[derive(Clone, PartialEq, Debug)]
struct Map {
    seating: Seating,
    layout: Layout,
    /// By vertex index.
    points: Vec<PagePoint>,
    /// The outline of a node at the centre.
    outline: Outline,
}

impl Scene {
    /// `None` until the cube's dimension is known. `turn`: the rotation of the cube.
    pub fn of(state: &State, turn: Turn) -> Option<Scene> {
        let map = Map::of(state.cluster.seating()?, state.layout, turn);
        let dims = map.seating.dimension().bits() >= FIRST_DIMMED && state.home().is_some();
        let mut edges: Vec<_> =
            state.cluster.edges().into_iter().map(|ends| edge_mark(state, &map, ends, dims)).collect();
        // Where others stand back, the chosen topic's group is in front.
        edges.sort_by(|a, b| {
            let in_group = |edge: &EdgeMark| dims && edge.carries_chosen;
            in_group(a).cmp(&in_group(b)).then(a.depth().total_cmp(&b.depth()))
        });
        let vertices = map.seating.dimension().vertices();
        let mut nodes: Vec<_> = vertices.map(|vertex| node_mark(state, &map, vertex, dims)).collect();
        nodes.sort_by(|a, b| {
            let in_group = |node: &NodeMark| dims && node.placement != Some(Placement::Elsewhere);
            in_group(a).cmp(&in_group(b)).then(a.at.scale.total_cmp(&b.at.scale))
        });
        if state.layout == Layout::Grid {
            count_cut_links(&mut nodes, &edges);
        }
        Some(Scene { nodes, edges, map })
    }

    /// The position of a node; `None` if it is not part of the cluster.
    pub fn point(&self, node: HostId) -> Option<PagePoint> {
        self.map.points.get(self.map.seating.index_of(node)?).copied()
    }

    /// The way from a node to its neighbour; `None` if they are not neighbours in this cluster.
    pub fn way(&self, from: HostId, to: HostId) -> Option<Curve> {
        self.map.seating.edge(from, to)?;
        self.map.curve(from, to)
    }

    /// The outline of a node at the centre.
    pub fn outline(&self) -> Outline {
        self.map.outline
    }
}

impl Map {
    fn of(seating: Seating, layout: Layout, turn: Turn) -> Map {
        let dimension = seating.dimension();
        let (points, outline) = match layout {
            Layout::Cube => (cube_points(dimension, turn), Outline::circle(node_radius(dimension))),
            Layout::Grid => (grid::grid_points(dimension), grid::cell(dimension)),
        };
        Map { seating, layout, points, outline }
    }

    fn curve(&self, from: HostId, to: HostId) -> Option<Curve> {
        let (from, to) = (self.seating.vertex_of(from)?, self.seating.vertex_of(to)?);
        Some(match self.layout {
            Layout::Cube => Curve::straight(self.points[from.index()], self.points[to.index()]),
            Layout::Grid => grid::grid_link(from, to),
        })
    }

    /// Whether the way between two neighbours passes other cells.
    fn is_long(&self, (a, b): (HostId, HostId)) -> bool {
        let ends = self.seating.vertex_of(a).zip(self.seating.vertex_of(b));
        self.layout == Layout::Grid && ends.is_some_and(|(a, b)| !grid::is_side_by_side(a, b))
    }
}

impl EdgeMark {
    /// Whether this node is one of its ends.
    pub fn ends_at(&self, node: HostId) -> bool {
        self.ends.0 == node || self.ends.1 == node
    }

    fn depth(&self) -> f64 {
        self.curve.from.scale + self.curve.to.scale
    }
}

fn node_mark(state: &State, map: &Map, vertex: Vertex, dims: bool) -> NodeMark {
    let node = map.seating.host_of(vertex);
    let leads = state.cluster.led_by(node);
    let at = map.points[vertex.index()];
    let health = state.cluster.health(node);
    let placement = state.placement(node);
    let selected = state.selection == Some(Selection::Node(node));
    NodeMark {
        node,
        at,
        outline: map.outline.scaled(at.scale),
        health,
        health_words: state.cluster.health_words(node),
        filled: state.cluster.filled(node),
        placement,
        leads_chosen: state.home().is_some_and(|home| leads.contains(&home)),
        term: state.home().filter(|home| leads.contains(home)).and_then(|home| state.cluster.term_of(home)),
        leads_own: leads.contains(&vertex),
        leads_others: leads.into_iter().filter(|group| *group != vertex).collect(),
        cut_links: 0,
        dimmed: dims && !selected && health == Health::Up && placement == Some(Placement::Elsewhere),
        selected,
    }
}

fn edge_mark(state: &State, map: &Map, ends: (HostId, HostId), dims: bool) -> EdgeMark {
    let (a, b) = ends;
    let health = state.cluster.edge_health(a, b);
    let carries_chosen = state.home_node().is_some_and(|home| home == a || home == b);
    let selected = state.selection == Some(Selection::edge(a, b));
    let (is_unremarkable, is_well) = match health {
        EdgeHealth::Up | EdgeHealth::Idle => (true, true),
        EdgeHealth::Unknown => (true, false),
        EdgeHealth::Slow | EdgeHealth::OneWay { .. } | EdgeHealth::Cut => (false, false),
    };
    let stands_out = carries_chosen || selected;
    EdgeMark {
        ends,
        curve: map.curve(a, b).expect("an end of an edge is a node of this cluster"),
        health,
        carries_chosen,
        dimmed: dims && !stands_out && is_well,
        on_demand: !stands_out && is_unremarkable && map.is_long(ends),
        selected,
    }
}

fn count_cut_links(nodes: &mut [NodeMark], edges: &[EdgeMark]) {
    for node in nodes {
        let is_cut = |edge: &&EdgeMark| matches!(edge.health, EdgeHealth::Cut | EdgeHealth::OneWay { .. });
        node.cut_links = edges.iter().filter(|edge| edge.ends_at(node.node)).filter(is_cut).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::{Cluster, Socket};
    use crate::model::shared::Shared;
    use cubecast_core::cube::Dimension;
    use cubecast_core::faults::LinkConditions;
    use cubecast_core::states::NodeState;

    fn state(topic: &str) -> State {
        of_dimension(3, topic)
    }

    /// All nodes and links are up.
    fn of_dimension(bits: u8, topic: &str) -> State {
        let mut cluster = Cluster::of(Dimension::new(bits).unwrap());
        let seating = cluster.seating().unwrap();
        for node in seating.hosts() {
            cluster.learn_socket(node, Socket::Open);
            cluster.learn_state(node, node, NodeState::Up);
            seating.neighbours(node).for_each(|from| cluster.learn_link(node, from, node, true));
        }
        State { cluster: Shared::from(cluster), topic_text: topic.into(), ..State::default() }
    }

    fn scene(state: &State) -> Scene {
        Scene::of(state, Turn::first(state.cluster.dimension.unwrap())).unwrap()
    }

    fn names<'a>(marks: impl Iterator<Item = &'a NodeMark>) -> Vec<String> {
        let mut names: Vec<_> = marks.map(|mark| mark.node.to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_cube_has_eight_nodes_and_twelve_edges_and_what_is_behind_is_drawn_first() {
        let scene = scene(&state(""));
        assert_eq!((scene.nodes.len(), scene.edges.len()), (8, 12));
        assert!(scene.nodes.is_sorted_by(|a, b| a.at.scale <= b.at.scale));
    }

    #[test]
    fn the_chosen_topic_lights_its_home_its_replicas_and_the_edges_between() {
        let scene = scene(&state("news"));
        let at = |placement| names(scene.nodes.iter().filter(|node| node.placement == Some(placement)));
        assert_eq!(at(Placement::Home), ["100"]);
        assert_eq!(at(Placement::Replica), ["000", "101", "110"]);
        assert_eq!(scene.edges.iter().filter(|edge| edge.carries_chosen).count(), 3);
    }

    #[test]
    fn without_a_cluster_there_is_nothing_to_draw_and_without_a_topic_nothing_is_lit() {
        let turn = Turn { yaw: 0.0, pitch: 0.0 };
        assert_eq!(Scene::of(&State::default(), turn), None);
        assert!(scene(&state("two words")).nodes.iter().all(|node| node.placement.is_none()));
    }

    #[test]
    fn in_a_large_cube_a_chosen_topic_dims_all_but_its_group() {
        let scene = scene(&of_dimension(5, "news"));
        let (dimmed, seen): (Vec<_>, Vec<_>) = scene.nodes.iter().partition(|node| node.dimmed);
        assert_eq!((dimmed.len(), seen.len()), (26, 6));
        assert!(seen.iter().all(|node| node.placement != Some(Placement::Elsewhere)));
        assert!(scene.nodes.is_sorted_by(|a, b| a.dimmed >= b.dimmed), "the group is in front");
        let seen: Vec<_> = scene.edges.iter().filter(|edge| !edge.dimmed).collect();
        assert!(seen.len() == 5 && seen.iter().all(|edge| edge.carries_chosen));
    }

    #[test]
    fn nothing_is_dimmed_in_a_small_cube_or_without_a_topic() {
        for (bits, topic) in [(4, "news"), (5, ""), (6, "two words")] {
            let scene = scene(&of_dimension(bits, topic));
            assert!(!scene.nodes.iter().any(|node| node.dimmed) && !scene.edges.iter().any(|edge| edge.dimmed));
        }
    }

    #[test]
    fn what_is_selected_or_broken_or_unknown_is_not_dimmed() {
        let mut state = of_dimension(5, "news");
        let all: Vec<_> = scene(&state).nodes.into_iter().filter(|node| node.dimmed).map(|node| node.node).collect();
        let [selected, failed, recovering, unknown, .., one, _] = all[..] else { panic!("26 are dimmed") };
        let other = state.cluster.seating().unwrap().across(one, 0);
        let cluster = state.cluster.change();
        cluster.learn_state(failed, failed, NodeState::Failed);
        cluster.learn_state(recovering, recovering, NodeState::Recovering);
        cluster.nodes.remove(&unknown);
        let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
        cluster.learn_conditions(one, other, cut);
        cluster.learn_conditions(other, one, cut);
        state.selection = Some(Selection::Node(selected));
        let scene = scene(&state);
        let seen = scene.nodes.iter().filter(|node| !node.dimmed && node.placement == Some(Placement::Elsewhere));
        let mut expected = [selected, failed, recovering, unknown].map(|node| node.to_string());
        expected.sort();
        assert_eq!(names(seen), expected);
        let edge = scene.edges.iter().find(|edge| edge.ends_at(one) && edge.ends_at(other)).unwrap();
        assert!(edge.health == EdgeHealth::Cut && !edge.dimmed);
    }

    #[test]
    fn the_grid_draws_the_same_nodes_and_only_the_links_that_can_be_told_apart() {
        let cube = of_dimension(6, "");
        let grid = State { layout: Layout::Grid, ..cube.clone() };
        let (cube, grid) = (scene(&cube), scene(&grid));
        assert_eq!(names(cube.nodes.iter()), names(grid.nodes.iter()));
        assert_eq!((cube.edges.len(), grid.edges.len()), (192, 192));
        assert!(!cube.edges.iter().any(|edge| edge.on_demand));
        assert_eq!(grid.edges.iter().filter(|edge| !edge.on_demand).count(), 2 * 7 * 8, "those side by side");
    }

    #[test]
    fn the_grid_draws_a_distant_link_that_is_cut_and_counts_it_at_both_ends() {
        let mut state = State { layout: Layout::Grid, ..of_dimension(6, "") };
        let seating = state.cluster.seating().unwrap();
        let one = seating.hosts().next().unwrap();
        let other = seating.across(one, 2);
        state.cluster.change().learn_conditions(one, other, LinkConditions { cut: true, ..LinkConditions::PERFECT });
        let scene = scene(&state);
        let edge = scene.edges.iter().find(|edge| edge.ends_at(one) && edge.ends_at(other)).unwrap();
        assert_eq!((edge.health, edge.on_demand), (EdgeHealth::OneWay { from: other, to: one }, false));
        let cut: Vec<_> = scene.nodes.iter().filter(|node| node.cut_links > 0).collect();
        assert_eq!(names(cut.into_iter()), [one.to_string(), other.to_string()]);
    }
}
