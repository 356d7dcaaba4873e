//! The cube as this node knows it: which directed edges carry frames, who is alive, and how far it is to everywhere.
//!
//! What a node says counts only while news of it can reach us: from this vertex outwards, those whom it hears, those whom they hear, and so on.
//! Without this rule two neighbours that died together, each having last said that it hears the other,
//! would look alive for ever.

use std::collections::{BTreeMap, VecDeque};

use super::link_states::{LinkStates, all_edges};
use crate::cube::Vertex;

/// For how many destinations the distances are kept. A node talks to those within two edges, of which a cube of d = 10 has 56;
/// when there are more, all are computed again as needed.
const KEPT_DESTINATIONS: usize = 64;

const FAR: u16 = u16::MAX;

pub struct Graph {
    me: Vertex,
    /// Per vertex, the edges whose frames it gets, as a mask; 0 where its word does not count.
    arriving: Vec<u16>,
    alive: Vec<bool>,
    /// Nothing is broken: distances are the cube's own.
    is_whole: bool,
    /// Per destination, the hops from every vertex to it; computed when first asked for.
    distances: BTreeMap<Vertex, Vec<u16>>,
}

/// The known distances to one destination.
pub enum Distances<'a> {
    Cube(Vertex),
    Known(&'a [u16]),
}

impl Graph {
    pub fn new(me: Vertex, states: &LinkStates) -> Graph {
        let arriving = trusted_words(me, states);
        let alive = reachable(me, &arriving);
        let all = all_edges(me.dimension());
        let is_whole = arriving.iter().all(|&edges| edges == all);
        Graph { me, arriving, alive, is_whole, distances: BTreeMap::new() }
    }

    /// Whether frames sent from `from` across bit `bit` arrive.
    pub fn carries(&self, from: Vertex, bit: u8) -> bool {
        self.arriving[from.across(bit).index()] & (1 << bit) != 0
    }

    /// The edges on which this vertex hears its neighbours, as a mask; 0 where its word does not count.
    pub fn arriving(&self, at: Vertex) -> u16 {
        self.arriving[at.index()]
    }

    /// There is a path from here to it, and one back.
    pub fn is_alive(&self, vertex: Vertex) -> bool {
        self.alive.get(vertex.index()).copied().unwrap_or(false)
    }

    pub fn distances_to(&mut self, to: Vertex) -> Distances<'_> {
        if self.is_whole {
            return Distances::Cube(to);
        }
        if self.distances.len() >= KEPT_DESTINATIONS && !self.distances.contains_key(&to) {
            self.distances.clear();
        }
        let arriving = &self.arriving;
        Distances::Known(self.distances.entry(to).or_insert_with(|| hops_to(to, arriving)))
    }

    /// Every directed edge that differs from an earlier graph: from where, over which bit, and whether it carries frames now.
    pub fn changes_since<'a>(&'a self, earlier: &'a Graph) -> impl Iterator<Item = (Vertex, Vertex, bool)> + 'a {
        let cube = self.me.dimension();
        cube.vertices().flat_map(move |to| {
            let (now, changed) = (self.arriving(to), self.arriving(to) ^ earlier.arriving(to));
            (0..cube.bits()).filter(move |bit| changed & (1 << bit) != 0).map(move |bit| (to.across(bit), to, now & (1 << bit) != 0))
        })
    }
}

impl Distances<'_> {
    pub fn from(&self, vertex: Vertex) -> Option<u32> {
        match self {
            Distances::Cube(to) => Some(vertex.distance(*to)),
            Distances::Known(hops) => Some(hops[vertex.index()]).filter(|&hops| hops != FAR).map(u32::from),
        }
    }
}

/// Per vertex the edges on which it hears, where news of it can reach us.
fn trusted_words(me: Vertex, states: &LinkStates) -> Vec<u16> {
    let trusted = spread(me, |vertex, bit| states.hears(vertex) & (1 << bit) != 0);
    me.dimension().vertices().map(|vertex| if trusted[vertex.index()] == FAR { 0 } else { states.hears(vertex) }).collect()
}

/// Those to whom a path leads from here. (That one leads back is [`trusted_words`]'s doing: others hear nobody.)
fn reachable(me: Vertex, arriving: &[u16]) -> Vec<bool> {
    let reached = spread(me, |vertex, bit| arriving[vertex.across(bit).index()] & (1 << bit) != 0);
    reached.iter().map(|&hops| hops != FAR).collect()
}

/// Hops to `to`, walked backwards from it.
fn hops_to(to: Vertex, arriving: &[u16]) -> Vec<u16> {
    spread(to, |vertex, bit| arriving[vertex.index()] & (1 << bit) != 0)
}

/// Breadth first: the number of steps from `start` to every vertex, where `leads` says which edges may be walked; [`FAR`] where none lead.
fn spread(start: Vertex, leads: impl Fn(Vertex, u8) -> bool) -> Vec<u16> {
    let mut steps = vec![FAR; start.dimension().size()];
    steps[start.index()] = 0;
    let mut queue = VecDeque::from([start]);
    while let Some(vertex) = queue.pop_front() {
        for (bit, next) in (0..).zip(vertex.neighbours()) {
            if steps[next.index()] == FAR && leads(vertex, bit) {
                steps[next.index()] = (steps[vertex.index()] + 1).min(FAR - 1);
                queue.push_back(next);
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::NodeId;
    use crate::wire::answer::NodeState;
    use crate::wire::peer::LinkState;

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    /// The graph that `00` knows when these vertices said that they hear these edges.
    fn graph(words: [(&str, u16); 4]) -> Graph {
        let mut states = LinkStates::new(vertex("00"), 1);
        for (name, hears) in words {
            if name == "00" {
                states.announce(|own| own.hears = hears);
            } else {
                let node = NodeId::founding(vertex(name));
                states.merge(LinkState { node, version: 1, state: NodeState::Up, hears, leads: Vec::new() });
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
        // 01 and 11 last said that they hear each other; nobody else hears them any more.
        let graph = graph([("00", 0b10), ("01", 0b11), ("10", 0b10), ("11", 0b11)]);
        let alive: Vec<_> = ["00", "01", "10", "11"].map(|name| graph.is_alive(vertex(name))).to_vec();
        assert_eq!(alive, [true, false, true, false]);
        assert!(!graph.carries(vertex("00"), 0));
    }

    #[test]
    fn distances_follow_the_direction_of_the_edges() {
        // 01 does not hear 00; all else is heard.
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

    #[test]
    fn changes_name_each_directed_edge() {
        let before = graph([("00", 0b11), ("01", 0b11), ("10", 0b11), ("11", 0b11)]);
        let after = graph([("00", 0b11), ("01", 0b10), ("10", 0b11), ("11", 0b11)]);
        let changes: Vec<_> = after.changes_since(&before).collect();
        assert_eq!(changes, [(vertex("00"), vertex("01"), false)]);
    }
}
