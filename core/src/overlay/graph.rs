//! The cube as seen by this node: the directed edges that carry frames, the live vertices, and the distances between
//! vertices.
//!
//! The link state of a node counts only while its announcements can reach this node. The nodes whose link states count
//! are found by a search that starts at this vertex: the neighbours from which it receives frames (in the code, those
//! that it *hears*), the neighbours that those hear, and so on. Without this rule, two neighbours that died together,
//! each having last announced that it hears the other, would appear alive for ever.

use std::collections::{BTreeMap, VecDeque};

use super::link_states::LinkStates;
use crate::cube::Vertex;

/// The number of destinations for which distances are cached. A node sends mostly to vertices within two edges, of
/// which a cube of d = 10 has 56 including itself. If there are more, all distances are dropped and recomputed on
/// demand.
const KEPT_DESTINATIONS: usize = 64;

const FAR: u16 = u16::MAX;

/// The directed graph of working edges, as seen by one vertex.
pub struct Graph {
    me: Vertex,
    /// For each vertex, whether its link state counts.
    trusted: Vec<bool>,
    /// For each vertex, a mask of the edges over which it receives frames; 0 if its link state does not count.
    arriving: Vec<u16>,
    /// For each vertex, whether it is trusted and a path leads there.
    alive: Vec<bool>,
    /// The number of edges that carry frames.
    edges_up: usize,
    /// For each destination, the hops from every vertex to it. Computed on demand.
    distances: BTreeMap<Vertex, Vec<u16>>,
}

/// The changes of a graph.
#[derive(PartialEq, Debug, Default)]
pub struct Changes {
    /// Directed edges that now carry frames (`true`), or no longer (`false`).
    pub edges: Vec<(Vertex, Vertex, bool)>,
    /// Vertices that became alive or are no longer alive.
    pub views: Vec<Vertex>,
}

/// The known distances to one destination.
pub enum Distances<'a> {
    /// All edges work: the distance is that of the cube.
    Cube(Vertex),
    /// The hops from each vertex, by its index.
    Known(&'a [u16]),
}

impl Graph {
    /// The graph that follows from these link states.
    pub fn new(me: Vertex, states: &LinkStates) -> Graph {
        let size = me.dimension().size();
        let mut graph = Graph {
            me,
            trusted: vec![false; size],
            arriving: vec![0; size],
            alive: vec![false; size],
            edges_up: 0,
            distances: BTreeMap::new(),
        };
        graph.alive[me.index()] = true;
        graph.grow(states, vec![me]);
        graph
    }

    /// Applies the link states of the changed vertices. New edges are added to the existing graph, so that a starting
    /// cube costs each node one traversal in total and not one per announcement. If an edge is lost, the graph is
    /// computed from scratch.
    pub fn update(&mut self, states: &LinkStates, changed: &[Vertex]) -> Changes {
        let counts =
            |vertex: &&Vertex| self.trusted[vertex.index()] && self.arriving(**vertex) != states.hears(**vertex);
        let news: Vec<Vertex> = changed.iter().filter(counts).copied().collect();
        if news.is_empty() {
            return Changes::default();
        }
        self.distances.clear();
        if news.iter().all(|&vertex| self.arriving(vertex) & !states.hears(vertex) == 0) {
            return self.grow(states, news);
        }
        let earlier = std::mem::replace(self, Graph::new(self.me, states));
        self.changes_since(&earlier)
    }

    /// Whether frames sent from `from` across bit `bit` arrive.
    pub fn carries(&self, from: Vertex, bit: u8) -> bool {
        self.arriving(from.across(bit)) & (1 << bit) != 0
    }

    /// Whether there is a path from this node to the vertex and one back.
    pub fn is_alive(&self, vertex: Vertex) -> bool {
        self.alive.get(vertex.index()).copied().unwrap_or(false)
    }

    /// The distances from all vertices to this one.
    pub fn distances_to(&mut self, to: Vertex) -> Distances<'_> {
        if self.edges_up == self.trusted.len() * usize::from(self.me.dimension().bits()) {
            return Distances::Cube(to);
        }
        if self.distances.len() >= KEPT_DESTINATIONS && !self.distances.contains_key(&to) {
            self.distances.clear();
        }
        let arriving = &self.arriving;
        Distances::Known(self.distances.entry(to).or_insert_with(|| hops_to(to, arriving)))
    }

    fn arriving(&self, at: Vertex) -> u16 {
        self.arriving[at.index()]
    }

    /// Adds edges: the given vertices hear more than before, or are newly trusted. The vertices that they hear become
    /// trusted too.
    fn grow(&mut self, states: &LinkStates, mut news: Vec<Vertex>) -> Changes {
        let mut changes = Changes::default();
        while let Some(to) = news.pop() {
            self.trusted[to.index()] = true;
            let gained = states.hears(to) & !self.arriving(to);
            self.arriving[to.index()] |= gained;
            for from in edges(gained).map(|bit| to.across(bit)) {
                changes.edges.push((from, to, true));
                if !self.trusted[from.index()] {
                    news.push(from);
                }
            }
        }
        self.edges_up += changes.edges.len();
        for &(from, to, _) in &changes.edges {
            if self.is_alive(from) && !self.is_alive(to) {
                self.spread_life(to, &mut changes.views);
            }
        }
        changes
    }

    /// Marks a vertex as reachable, and then the vertices that hear it.
    fn spread_life(&mut self, first: Vertex, found: &mut Vec<Vertex>) {
        let mut reached = vec![first];
        while let Some(vertex) = reached.pop() {
            if !std::mem::replace(&mut self.alive[vertex.index()], true) {
                found.push(vertex);
                reached.extend(
                    (0..).zip(vertex.neighbours()).filter(|&(bit, _)| self.carries(vertex, bit)).map(|(_, next)| next),
                );
            }
        }
    }

    fn changes_since(&self, earlier: &Graph) -> Changes {
        let mut changes = Changes::default();
        for to in self.me.dimension().vertices() {
            let changed = edges(self.arriving(to) ^ earlier.arriving(to));
            changes.edges.extend(changed.map(|bit| (to.across(bit), to, self.carries(to.across(bit), bit))));
            if self.is_alive(to) != earlier.is_alive(to) {
                changes.views.push(to);
            }
        }
        changes
    }
}

impl Distances<'_> {
    /// The number of hops from a vertex; `None` if no path is known.
    pub fn from(&self, vertex: Vertex) -> Option<u32> {
        match self {
            Distances::Cube(to) => Some(vertex.distance(*to)),
            Distances::Known(hops) => Some(hops[vertex.index()]).filter(|&hops| hops != FAR).map(u32::from),
        }
    }
}

/// The bits that are set in a mask of edges.
fn edges(mask: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |bit| mask & (1 << bit) != 0)
}

/// Hops to `to` from every vertex, [`FAR`] if no path leads there. A breadth-first search backwards.
fn hops_to(to: Vertex, arriving: &[u16]) -> Vec<u16> {
    let mut hops = vec![FAR; arriving.len()];
    hops[to.index()] = 0;
    let mut queue = VecDeque::from([to]);
    while let Some(vertex) = queue.pop_front() {
        for from in edges(arriving[vertex.index()]).map(|bit| vertex.across(bit)) {
            if hops[from.index()] == FAR {
                hops[from.index()] = (hops[vertex.index()] + 1).min(FAR - 1);
                queue.push_back(from);
            }
        }
    }
    hops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NodeId;
    use crate::states::{NodeState, StorageState};
    use crate::wire::peer::LinkState;

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    /// The graph of `00` when these vertices have announced that they hear these edges.
    fn graph(words: [(&str, u16); 4]) -> Graph {
        let mut states = LinkStates::new(vertex("00"), 1);
        for (name, hears) in words {
            if name == "00" {
                states.announce(|own| own.hears = hears);
            } else {
                let node = NodeId::founding(vertex(name));
                let (state, storage) = (NodeState::Up, StorageState::Ok);
                states.merge(LinkState { node, version: 1, state, hears, leads: Vec::new(), storage });
            }
        }
        Graph::new(vertex("00"), &states)
    }

    #[test]
    fn a_whole_cube_needs_no_search() {
        let mut graph = graph([("00", 0b11), ("01", 0b11), ("10", 0b11), ("11", 0b11)]);
        assert!(matches!(graph.distances_to(vertex("11")), Distances::Cube(_)));
        assert_eq!(graph.distances_to(vertex("11")).from(vertex("00")), Some(2));
    }

    #[test]
    fn two_that_died_together_do_not_keep_each_other_alive() {
        // 01 and 11 last announced that they hear each other; no other vertex hears them any more.
        let graph = graph([("00", 0b10), ("01", 0b11), ("10", 0b10), ("11", 0b11)]);
        let alive: Vec<_> = ["00", "01", "10", "11"].map(|name| graph.is_alive(vertex(name))).to_vec();
        assert_eq!(alive, [true, false, true, false]);
        assert!(!graph.carries(vertex("00"), 0));
    }

    #[test]
    fn distances_follow_the_direction_of_the_edges() {
        // 01 does not hear 00; all other edges work.
        let mut graph = graph([("00", 0b11), ("01", 0b10), ("10", 0b11), ("11", 0b11)]);
        assert_eq!(graph.distances_to(vertex("01")).from(vertex("00")), Some(3));
        assert_eq!(graph.distances_to(vertex("00")).from(vertex("01")), Some(1));
        assert!(graph.is_alive(vertex("01")));
    }

    #[test]
    fn one_who_hears_nobody_is_not_alive_though_he_is_heard() {
        let mut graph = graph([("00", 0b11), ("01", 0b00), ("10", 0b11), ("11", 0b11)]);
        assert!(!graph.is_alive(vertex("01")));
        assert_eq!(graph.distances_to(vertex("01")).from(vertex("00")), None);
    }

    /// A graph that was updated with every announcement, and its link states.
    struct Follower {
        states: LinkStates,
        graph: Graph,
        version: u64,
    }

    impl Follower {
        fn new(me: &str) -> Follower {
            let states = LinkStates::new(vertex(me), 1);
            let graph = Graph::new(vertex(me), &states);
            Follower { states, graph, version: 1 }
        }

        fn hear(&mut self, said_by: Vertex, hears: u16) -> Changes {
            self.version += 1;
            if said_by == self.graph.me {
                self.states.announce(|own| own.hears = hears);
            } else {
                let node = NodeId::founding(said_by);
                let storage = StorageState::Ok;
                let word =
                    LinkState { node, version: self.version, state: NodeState::Up, hears, leads: Vec::new(), storage };
                assert!(self.states.merge(word));
            }
            let changed = self.states.take_changed();
            self.graph.update(&self.states, &changed)
        }
    }

    #[test]
    fn changes_name_each_directed_edge_and_those_who_came_or_went() {
        let (mut follower, all) = (Follower::new("0"), 0b1);
        assert_eq!(follower.hear(vertex("1"), all), Changes::default(), "nobody whose word counts hears it");
        let (there, back) = ((vertex("0"), vertex("1")), (vertex("1"), vertex("0")));
        let edges = |up| vec![(back.0, back.1, up), (there.0, there.1, up)];
        assert_eq!(follower.hear(vertex("0"), all), Changes { edges: edges(true), views: vec![vertex("1")] });
        assert_eq!(follower.hear(vertex("0"), 0), Changes { edges: edges(false), views: vec![vertex("1")] });
    }

    #[test]
    fn word_by_word_it_becomes_what_it_would_be_from_the_start() {
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut follower = Follower::new("0000");
            let cube = follower.graph.me.dimension();
            for _ in 0..100 {
                let said_by = cube.vertex(rng.u32(0..16)).unwrap();
                let hears = follower.states.hears(said_by);
                follower.hear(said_by, if rng.u8(0..5) == 0 { hears & rng.u16(..) } else { hears | 1 << rng.u8(0..4) });
                let fresh = Graph::new(follower.graph.me, &follower.states);
                assert_eq!(fresh.changes_since(&follower.graph), Changes::default(), "seed {seed}");
                assert_eq!(
                    (&fresh.trusted, fresh.edges_up),
                    (&follower.graph.trusted, follower.graph.edges_up),
                    "seed {seed}"
                );
            }
        }
    }
}
