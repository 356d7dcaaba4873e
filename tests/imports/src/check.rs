//! Checks one crate, and describes its cycles.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::siblings::{Edge, Imports, Knot, imports_between_siblings, knots};
use crate::tree::{Module, Tree};

/// A crate with all imports between sibling modules.
pub struct Crate {
    /// The name, as the check prints it.
    pub name: String,
    tree: Tree,
    imports: BTreeMap<Edge, Imports>,
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

    /// A description of each cycle.
    pub fn cycles(&self) -> Vec<String> {
        let imports: Vec<Edge> = self.imports.keys().copied().collect();
        knots(&imports).iter().map(|knot| self.describe(knot)).collect()
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
