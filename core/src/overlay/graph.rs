//! The cube as this node knows it: which directed edges carry frames, who is alive, and how far it is to everywhere.
//!
//! What a node says counts only while news of it can reach us: from this vertex outwards, those whom it hears, those whom they hear, and so on.
//! Without this rule two neighbours that died together, each having last said that it hears the other,
//! would look alive for ever.

use std::collections::{BTreeMap, VecDeque};

use super::link_states::LinkStates;
use crate::cube::Vertex;

/// For how many destinations the distances are kept. A node talks to those within two edges, of which a cube of d = 10 has 56;
/// when there are more, all are computed again as needed.
const KEPT_DESTINATIONS: usize = 64;

const FAR: u16 = u16::MAX;

pub struct Graph {
    me: Vertex,
    /// Per vertex, whether its word counts.
    trusted: Vec<bool>,
    /// Per vertex, the edges whose frames it gets, as a mask; 0 where its word does not count.
    arriving: Vec<u16>,
    /// Trusted, and a path leads there.
    alive: Vec<bool>,
    /// The number of edges that carry frames.
    edges_up: usize,
    /// Per destination, the hops from every vertex to it; computed when first asked for.
    distances: BTreeMap<Vertex, Vec<u16>>,
}

/// What became of the graph.
#[derive(PartialEq, Debug, Default)]
pub struct Changes {
    /// Directed edges that carry frames now, or no longer.
    pub edges: Vec<(Vertex, Vertex, bool)>,
    /// Vertices that came into or went out of sight.
    pub sights: Vec<Vertex>,
}

/// The known distances to one destination.
pub enum Distances<'a> {
    Cube(Vertex),
    Known(&'a [u16]),
}

impl Graph {
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

    /// Takes in what these vertices say now. Gains are added to what stands, so that a cube that starts costs each node one walk over it, and not
    /// one for every word; for a loss everything is walked anew.
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

    /// There is a path from here to it, and one back.
    pub fn is_alive(&self, vertex: Vertex) -> bool {
        self.alive.get(vertex.index()).copied().unwrap_or(false)
    }

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

    /// These hear more than before, or count from now on; whom they hear counts too.
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
                self.spread_life(to, &mut changes.sights);
            }
        }
        changes
    }

    /// A path leads to this vertex now, so also to those who hear it.
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
                changes.sights.push(to);
            }
        }
        changes
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

/// The bits that are set in a mask of edges.
fn edges(mask: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |bit| mask & (1 << bit) != 0)
}

/// Hops to `to` from every vertex, [`FAR`] where no path leads: breadth first, backwards.
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
    use crate::wire::answer::{NodeState, StorageState};
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

    /// A graph that took in every word as it came, and the states it knows.
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
        assert_eq!(follower.hear(vertex("0"), all), Changes { edges: edges(true), sights: vec![vertex("1")] });
        assert_eq!(follower.hear(vertex("0"), 0), Changes { edges: edges(false), sights: vec![vertex("1")] });
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
