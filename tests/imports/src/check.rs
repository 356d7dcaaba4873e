//! Checks one crate, and describes its cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use crate::allowed::Allowed;
use crate::siblings::{Edge, Imports, Knot, imports_between_siblings, knots};
use crate::tree::{Module, Tree};

/// A crate with all imports between sibling modules.
pub struct Crate {
    /// The name, as `allowed.txt` gives it.
    pub name: String,
    tree: Tree,
    imports: BTreeMap<Edge, Imports>,
}

/// The result for one crate.
#[derive(Default)]
pub struct Findings {
    /// A description of each cycle.
    pub cycles: Vec<String>,
    /// The lines of `allowed.txt` that allow an import of a cycle.
    pub needed: BTreeSet<usize>,
}

impl Crate {
    /// Reads the crate whose root module is in this file.
    pub fn read(name: String, root: &Path) -> Result<Crate, String> {
        let tree = Tree::read(root)?;
        let imports = imports_between_siblings(&tree);
        Ok(Crate { name, tree, imports })
    }

    /// The number of modules.
    pub fn size(&self) -> usize {
        self.tree.modules.len()
    }

    /// Finds all cycles except those that need an allowed import.
    pub fn check(&self, allowed: &[Allowed]) -> Findings {
        let all: Vec<Edge> = self.imports.keys().copied().collect();
        let in_cycles: BTreeSet<Edge> =
            knots(&all).into_iter().flat_map(|knot| knot.cycle.into_iter().chain(knot.others)).collect();
        let line_of = |edge: &Edge| allowed.iter().find(|allowed| self.is(allowed, *edge)).map(|allowed| allowed.line);
        let forbidden: Vec<Edge> = all.iter().filter(|edge| line_of(edge).is_none()).copied().collect();
        Findings {
            cycles: knots(&forbidden).iter().map(|knot| self.describe(knot)).collect(),
            needed: in_cycles.iter().filter_map(line_of).collect(),
        }
    }

    fn is(&self, allowed: &Allowed, (from, to): Edge) -> bool {
        let modules = &self.tree.modules;
        allowed.krate == self.name && allowed.from == modules[from].path && allowed.to == modules[to].path
    }

    fn describe(&self, knot: &Knot) -> String {
        let names: Vec<&str> = knot.modules.iter().map(|module| self.tree.modules[*module].path.as_str()).collect();
        let mut text = format!("{}: these modules import each other: {}\n", self.name, names.join(", "));
        text.push_str("  a shortest cycle:\n");
        knot.cycle.iter().for_each(|edge| self.describe_edge(*edge, &mut text));
        if !knot.others.is_empty() {
            text.push_str("  other imports between them:\n");
            knot.others.iter().for_each(|edge| self.describe_edge(*edge, &mut text));
        }
        text
    }

    fn describe_edge(&self, edge: Edge, text: &mut String) {
        let module = |id: usize| -> &Module { &self.tree.modules[id] };
        let imports = &self.imports[&edge];
        let file = module(imports.module).file.display();
        let Imports { line, path, count, .. } = imports;
        let more = if *count > 1 { format!(" ({count} mentions)") } else { String::new() };
        let (from, to) = (&module(edge.0).path, &module(edge.1).path);
        writeln!(text, "    {from} -> {to}: {file}:{line}: {path}{more}").expect("a String takes everything");
    }
}
