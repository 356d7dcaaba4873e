//! The cube as seen by this node: the directed edges that carry frames, the live hosts, and the distances between
//! hosts.
//!
//! The link state of a node counts only while its announcements can reach this node. The nodes whose link states count
//! are found by a search that starts at this host: the neighbours from which it receives frames (in the code, those
//! that it *hears*), the neighbours that those hear, and so on. Without this rule, two neighbours that died together,
//! each having last announced that it hears the other, would appear alive for ever.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::link_states::LinkStates;
use crate::identity::HostId;
use crate::seating::Seating;

/// The number of destinations for which distances are cached. A node sends mostly to hosts within two edges, of
/// which a cube of d = 10 has 56 including itself. If there are more, all distances are dropped and recomputed on
/// demand.
const KEPT_DESTINATIONS: usize = 64;

const FAR: u16 = u16::MAX;

/// The directed graph of working edges, as seen by one host.
#[derive(Serialize, Deserialize)]
pub struct Graph {
    seating: Seating,
    me: HostId,
    /// For each host, whether its link state counts.
    trusted: Vec<bool>,
    /// For each host, a mask of the edges over which it receives frames; 0 if its link state does not count.
    arriving: Vec<u16>,
    /// For each host, whether it is trusted and a path leads there.
    alive: Vec<bool>,
    /// The number of edges that carry frames.
    edges_up: usize,
    /// For each destination, the hops from every host to it. Computed on demand.
    distances: BTreeMap<HostId, Vec<u16>>,
}

/// The changes of a graph.
#[derive(PartialEq, Debug, Default)]
pub struct Changes {
    /// Directed edges that now carry frames (`true`), or no longer (`false`).
    pub edges: Vec<(HostId, HostId, bool)>,
    /// Hosts that became alive or are no longer alive.
    pub views: Vec<HostId>,
}

/// The known distances to one destination.
pub enum Distances<'a> {
    /// All edges work: the distance is that of the cube.
    Cube(&'a Seating, HostId),
    /// The hops from each host, by its index.
    Known(&'a Seating, &'a [u16]),
}

impl Graph {
    /// Whether a restored graph can be the one that this host sees.
    pub fn is_sound(&self, me: HostId, seating: &Seating) -> bool {
        let hosts = seating.hosts().len();
        let lengths = [self.trusted.len(), self.arriving.len(), self.alive.len()];
        self.me == me
            && self.seating == *seating
            && lengths == [hosts; 3]
            && self.arriving.iter().all(|bits| u32::from(*bits) >> seating.links() == 0)
            && self.distances.iter().all(|(host, distances)| seating.has(*host) && distances.len() == hosts)
    }

    /// The graph that follows from these link states.
    pub fn new(seating: Seating, me: HostId, states: &LinkStates) -> Graph {
        let size = seating.hosts().len();
        let mut graph = Graph {
            seating,
            me,
            trusted: vec![false; size],
            arriving: vec![0; size],
            alive: vec![false; size],
            edges_up: 0,
            distances: BTreeMap::new(),
        };
        let mine = graph.index(me);
        graph.alive[mine] = true;
        graph.grow(states, vec![me]);
        graph
    }

    /// Applies the link states of the changed hosts. New edges are added to the existing graph, so that a starting
    /// cube costs each node one traversal in total and not one per announcement. If an edge is lost, the graph is
    /// computed from scratch.
    pub fn update(&mut self, states: &LinkStates, changed: &[HostId]) -> Changes {
        let counts = |host: &&HostId| self.trusted[self.index(**host)] && self.arriving(**host) != states.hears(**host);
        let news: Vec<HostId> = changed.iter().filter(counts).copied().collect();
        if news.is_empty() {
            return Changes::default();
        }
        self.distances.clear();
        if news.iter().all(|&host| self.arriving(host) & !states.hears(host) == 0) {
            return self.grow(states, news);
        }
        let earlier = std::mem::replace(self, Graph::new(self.seating.clone(), self.me, states));
        self.changes_since(&earlier)
    }

    /// Whether frames sent from `from` across bit `bit` arrive.
    pub fn carries(&self, from: HostId, bit: u8) -> bool {
        self.arriving(self.seating.across(from, bit)) & (1 << bit) != 0
    }

    /// Whether there is a path from this node to the host and one back.
    pub fn is_alive(&self, host: HostId) -> bool {
        self.seating.index_of(host).is_some_and(|index| self.alive[index])
    }

    /// The distances from all hosts to this one.
    pub fn distances_to(&mut self, to: HostId) -> Distances<'_> {
        if self.edges_up == self.trusted.len() * usize::from(self.seating.links()) {
            return Distances::Cube(&self.seating, to);
        }
        if self.distances.len() >= KEPT_DESTINATIONS && !self.distances.contains_key(&to) {
            self.distances.clear();
        }
        let (seating, arriving) = (&self.seating, &self.arriving);
        Distances::Known(seating, self.distances.entry(to).or_insert_with(|| hops_to(seating, to, arriving)))
    }

    fn arriving(&self, at: HostId) -> u16 {
        self.arriving[self.index(at)]
    }

    fn index(&self, host: HostId) -> usize {
        index(&self.seating, host)
    }

    /// Adds edges: the given hosts hear more than before, or are newly trusted. The hosts that they hear become
    /// trusted too.
    fn grow(&mut self, states: &LinkStates, mut news: Vec<HostId>) -> Changes {
        let mut changes = Changes::default();
        while let Some(to) = news.pop() {
            let at = self.index(to);
            self.trusted[at] = true;
            let gained = states.hears(to) & !self.arriving[at];
            self.arriving[at] |= gained;
            for bit in edges(gained) {
                let from = self.seating.across(to, bit);
                changes.edges.push((from, to, true));
                if !self.trusted[self.index(from)] {
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

    /// Marks a host as reachable, and then the hosts that hear it.
    fn spread_life(&mut self, first: HostId, found: &mut Vec<HostId>) {
        let mut reached = vec![first];
        while let Some(host) = reached.pop() {
            let at = self.index(host);
            if !std::mem::replace(&mut self.alive[at], true) {
                found.push(host);
                let neighbours = (0..).zip(self.seating.neighbours(host));
                reached.extend(neighbours.filter(|&(bit, _)| self.carries(host, bit)).map(|(_, next)| next));
            }
        }
    }

    fn changes_since(&self, earlier: &Graph) -> Changes {
        let mut changes = Changes::default();
        for to in self.seating.hosts() {
            for bit in edges(self.arriving(to) ^ earlier.arriving(to)) {
                let from = self.seating.across(to, bit);
                changes.edges.push((from, to, self.carries(from, bit)));
            }
            if self.is_alive(to) != earlier.is_alive(to) {
                changes.views.push(to);
            }
        }
        changes
    }
}

impl Distances<'_> {
    /// The number of hops from a host; `None` if no path is known.
    pub fn from(&self, host: HostId) -> Option<u32> {
        match self {
            Distances::Cube(seating, to) => Some(seating.distance(host, *to)),
            Distances::Known(seating, hops) => {
                Some(hops[index(seating, host)]).filter(|&hops| hops != FAR).map(u32::from)
            }
        }
    }
}

/// The bits that are set in a mask of edges.
fn edges(mask: u16) -> impl Iterator<Item = u8> {
    (0..16).filter(move |bit| mask & (1 << bit) != 0)
}

/// Hops to `to` from every host, [`FAR`] if no path leads there. A breadth-first search backwards.
fn hops_to(seating: &Seating, to: HostId, arriving: &[u16]) -> Vec<u16> {
    let mut hops = vec![FAR; arriving.len()];
    hops[index(seating, to)] = 0;
    let mut queue = VecDeque::from([to]);
    while let Some(host) = queue.pop_front() {
        let at = index(seating, host);
        for from in edges(arriving[at]).map(|bit| seating.across(host, bit)) {
            let next = index(seating, from);
            if hops[next] == FAR {
                hops[next] = (hops[at] + 1).min(FAR - 1);
                queue.push_back(from);
            }
        }
    }
    hops
}

/// The host's place in the tables of a graph.
fn index(seating: &Seating, host: HostId) -> usize {
    seating.index_of(host).expect("a graph has the hosts of its cluster only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::Dimension;
    use crate::identity::Member;
    use crate::states::{NodeState, StorageState};
    use crate::wire::peer::LinkState;

    fn host(text: &str) -> HostId {
        text.parse().unwrap()
    }

    fn seating(bits: u8) -> Seating {
        Seating::founding(Dimension::new(bits).unwrap())
    }

    /// The graph of `00` when these hosts have announced that they hear these edges.
    fn graph(words: [(&str, u16); 4]) -> Graph {
        let mut states = LinkStates::new(seating(2), host("00"), 1);
        for (name, hears) in words {
            if name == "00" {
                states.announce(|own| own.hears = hears);
            } else {
                let node = Member::founding(host(name));
                let (state, storage) = (NodeState::Up, StorageState::Ok);
                states.merge(LinkState { node, version: 1, state, hears, leads: Vec::new(), storage });
            }
        }
        Graph::new(seating(2), host("00"), &states)
    }

    #[test]
    fn a_whole_cube_needs_no_search() {
        let mut graph = graph([("00", 0b11), ("01", 0b11), ("10", 0b11), ("11", 0b11)]);
        assert!(matches!(graph.distances_to(host("11")), Distances::Cube(..)));
        assert_eq!(graph.distances_to(host("11")).from(host("00")), Some(2));
    }

    #[test]
    fn two_that_died_together_do_not_keep_each_other_alive() {
        // 01 and 11 last announced that they hear each other; no other host hears them any more.
        let graph = graph([("00", 0b10), ("01", 0b11), ("10", 0b10), ("11", 0b11)]);
        let alive: Vec<_> = ["00", "01", "10", "11"].map(|name| graph.is_alive(host(name))).to_vec();
        assert_eq!(alive, [true, false, true, false]);
        assert!(!graph.carries(host("00"), 0));
    }

    #[test]
    fn distances_follow_the_direction_of_the_edges() {
        // 01 does not hear 00; all other edges work.
        let mut graph = graph([("00", 0b11), ("01", 0b10), ("10", 0b11), ("11", 0b11)]);
        assert_eq!(graph.distances_to(host("01")).from(host("00")), Some(3));
        assert_eq!(graph.distances_to(host("00")).from(host("01")), Some(1));
        assert!(graph.is_alive(host("01")));
    }

    #[test]
    fn one_who_hears_nobody_is_not_alive_though_he_is_heard() {
        let mut graph = graph([("00", 0b11), ("01", 0b00), ("10", 0b11), ("11", 0b11)]);
        assert!(!graph.is_alive(host("01")));
        assert_eq!(graph.distances_to(host("01")).from(host("00")), None);
    }

    /// A graph that was updated with every announcement, and its link states.
    struct Follower {
        states: LinkStates,
        graph: Graph,
        version: u64,
    }

    impl Follower {
        fn new(me: &str) -> Follower {
            let (me, seating) = (host(me), seating(me.len() as u8));
            let states = LinkStates::new(seating.clone(), me, 1);
            let graph = Graph::new(seating, me, &states);
            Follower { states, graph, version: 1 }
        }

        fn hear(&mut self, said_by: HostId, hears: u16) -> Changes {
            self.version += 1;
            if said_by == self.graph.me {
                self.states.announce(|own| own.hears = hears);
            } else {
                let node = Member::founding(said_by);
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
        assert_eq!(follower.hear(host("1"), all), Changes::default(), "nobody whose word counts hears it");
        let (there, back) = ((host("0"), host("1")), (host("1"), host("0")));
        let edges = |up| vec![(back.0, back.1, up), (there.0, there.1, up)];
        assert_eq!(follower.hear(host("0"), all), Changes { edges: edges(true), views: vec![host("1")] });
        assert_eq!(follower.hear(host("0"), 0), Changes { edges: edges(false), views: vec![host("1")] });
    }

    #[test]
    fn word_by_word_it_becomes_what_it_would_be_from_the_start() {
        for seed in 0..50 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut follower = Follower::new("0000");
            let hosts: Vec<HostId> = follower.graph.seating.hosts().collect();
            for _ in 0..100 {
                let said_by = hosts[rng.u32(0..16) as usize];
                let hears = follower.states.hears(said_by);
                follower.hear(said_by, if rng.u8(0..5) == 0 { hears & rng.u16(..) } else { hears | 1 << rng.u8(0..4) });
                let fresh = Graph::new(follower.graph.seating.clone(), follower.graph.me, &follower.states);
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
