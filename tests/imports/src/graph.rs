//! Directed graphs: their strongly connected components, and a shortest cycle in one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// A directed graph over numbered vertices.
#[derive(Clone, Default, Debug)]
pub struct Graph {
    edges: BTreeMap<usize, BTreeSet<usize>>,
}

impl Graph {
    /// Adds an edge. Vertices need no declaration.
    pub fn add(&mut self, from: usize, to: usize) {
        self.edges.entry(from).or_default().insert(to);
    }

    fn after(&self, vertex: usize) -> impl Iterator<Item = usize> + '_ {
        self.edges.get(&vertex).into_iter().flatten().copied()
    }

    /// The sets of at least two vertices of which each reaches each other, in order of their least vertex.
    pub fn knots(&self) -> Vec<BTreeSet<usize>> {
        let reached: BTreeMap<usize, BTreeSet<usize>> =
            self.edges.keys().map(|&vertex| (vertex, self.reached_from(vertex))).collect();
        let reaches = |from: usize, to: usize| reached.get(&from).is_some_and(|vertices| vertices.contains(&to));
        let mut knots = Vec::new();
        let mut done: BTreeSet<usize> = BTreeSet::new();
        for &vertex in self.edges.keys() {
            if !done.contains(&vertex) && reaches(vertex, vertex) {
                let knot: BTreeSet<usize> =
                    reached[&vertex].iter().copied().filter(|&other| reaches(other, vertex)).collect();
                done.extend(&knot);
                knots.push(knot);
            }
        }
        knots
    }

    fn reached_from(&self, vertex: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<usize> = self.after(vertex).collect();
        while let Some(vertex) = next.pop() {
            if reached.insert(vertex) {
                next.extend(self.after(vertex));
            }
        }
        reached
    }

    /// A shortest cycle through vertices of a knot; the first vertex is not repeated at the end.
    pub fn shortest_cycle(&self, knot: &BTreeSet<usize>) -> Vec<usize> {
        let cycles = knot.iter().filter_map(|&vertex| self.cycle_through(vertex, knot));
        cycles.min_by_key(Vec::len).unwrap_or_default()
    }

    fn cycle_through(&self, start: usize, knot: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let mut before = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(vertex) = queue.pop_front() {
            for next in self.after(vertex).filter(|next| knot.contains(next)) {
                if next == start {
                    return Some(path_back(vertex, start, &before));
                }
                before.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    vertex
                });
            }
        }
        None
    }
}

fn path_back(last: usize, start: usize, before: &HashMap<usize, usize>) -> Vec<usize> {
    let mut path = vec![last];
    while path[path.len() - 1] != start {
        path.push(before[&path[path.len() - 1]]);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(usize, usize)]) -> Graph {
        let mut graph = Graph::default();
        edges.iter().for_each(|&(from, to)| graph.add(from, to));
        graph
    }

    #[test]
    fn a_graph_without_cycles_has_no_knot() {
        assert!(graph(&[(0, 1), (1, 2), (0, 2)]).knots().is_empty());
    }

    #[test]
    fn every_knot_is_found_with_its_shortest_cycle() {
        let graph = graph(&[(0, 1), (1, 2), (2, 3), (3, 0), (2, 1), (3, 4), (4, 5), (5, 6), (6, 4)]);
        let knots = graph.knots();
        assert_eq!(knots, [BTreeSet::from([0, 1, 2, 3]), BTreeSet::from([4, 5, 6])]);
        assert_eq!(graph.shortest_cycle(&knots[0]), [1, 2]);
        assert_eq!(graph.shortest_cycle(&knots[1]), [4, 5, 6]);
    }
}
