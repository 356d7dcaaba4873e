//! Finds the cycles: sibling modules that import each other, each counted with everything below it.
//!
//! An import from one module to another counts for the two siblings that contain them, directly below their nearest
//! common ancestor. An import between a module and one of its ancestors does not count, because a parent and its
//! children belong together. Any cycle of modules without such imports is a cycle of siblings, too. The reverse does
//! not hold: siblings also form a cycle if different children of theirs import each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::Graph;
use crate::resolve::named_modules;
use crate::tree::{ModuleId, Tree};

/// An import: the sibling that contains it, and the sibling that contains the imported item.
pub type Edge = (ModuleId, ModuleId);

/// The imports between two siblings.
pub struct Imports {
    /// The module that contains the first import.
    pub module: ModuleId,
    /// Its line in the module's file, from 1.
    pub line: usize,
    /// The imported path, as the source names it.
    pub path: String,
    /// The number of mentions.
    pub count: usize,
}

/// Siblings of which each imports each other, directly or through others of them.
pub struct Knot {
    /// The siblings.
    pub modules: BTreeSet<ModuleId>,
    /// The imports of a shortest cycle.
    pub cycle: Vec<Edge>,
    /// All other imports between these siblings.
    pub others: Vec<Edge>,
}

/// All imports between siblings of a crate.
pub fn imports_between_siblings(tree: &Tree) -> BTreeMap<Edge, Imports> {
    let mut imports: BTreeMap<Edge, Imports> = BTreeMap::new();
    for (from, module) in tree.modules.iter().enumerate() {
        for mention in &module.mentions {
            for edge in named_modules(tree, from, mention).into_iter().filter_map(|to| sibling_edge(tree, from, to)) {
                let first = || Imports { module: from, line: mention.line, path: mention.path.join("::"), count: 0 };
                imports.entry(edge).or_insert_with(first).count += 1;
            }
        }
    }
    imports
}

/// The siblings that contain these two modules. `None` for a module and its ancestor.
fn sibling_edge(tree: &Tree, from: ModuleId, to: ModuleId) -> Option<Edge> {
    let (above_from, above_to) = (tree.line_of(from), tree.line_of(to));
    above_from.into_iter().zip(above_to).find(|(from, to)| from != to)
}

/// The knots among these imports.
pub fn knots(edges: &[Edge]) -> Vec<Knot> {
    let mut graph = Graph::default();
    edges.iter().for_each(|&(from, to)| graph.add(from, to));
    graph.knots().into_iter().map(|modules| knot(&graph, modules, edges)).collect()
}

fn knot(graph: &Graph, modules: BTreeSet<ModuleId>, edges: &[Edge]) -> Knot {
    let vertices = graph.shortest_cycle(&modules);
    let next = vertices.iter().cycle().skip(1);
    let cycle: Vec<Edge> = vertices.iter().zip(next).map(|(from, to)| (*from, *to)).collect();
    let is_inside = |edge: &&Edge| modules.contains(&edge.0) && modules.contains(&edge.1);
    let others = edges.iter().filter(is_inside).filter(|edge| !cycle.contains(edge)).copied().collect();
    Knot { modules, cycle, others }
}
