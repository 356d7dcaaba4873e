//! Finds the module that defines the item of a path. Imports and re-exports are followed to the definition.

use crate::mentions::{Form, Mention};
use crate::tree::{Meaning, Module, ModuleId, ROOT, Scope, Tree};

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    /// A module.
    Module(ModuleId),
    /// An item that is defined in this module.
    Item(ModuleId),
    /// Something in another crate.
    Outside,
}

/// The lookups under way: they end imports that lead back to themselves.
type UnderWay = Vec<(ModuleId, String)>;

/// The modules whose items a mention in this module names.
pub fn named_modules(tree: &Tree, from: ModuleId, mention: &Mention) -> Vec<ModuleId> {
    let mut targets = resolve(tree, from, &mention.path, &mut Vec::new());
    if targets.is_empty() && mention.form == Form::MacroCall {
        targets.extend(macro_in_scope(tree, from, &mention.path).map(Target::Item));
    }
    targets.iter().filter_map(|target| named_module(*target, mention)).collect()
}

/// An import of a module names none of its items yet: the paths through it do.
fn named_module(target: Target, mention: &Mention) -> Option<ModuleId> {
    match target {
        Target::Item(module) => Some(module),
        Target::Module(module) if mention.form == Form::Glob => Some(module),
        Target::Module(module) if mention.form == Form::Code && mention.path.len() > 1 => Some(module),
        Target::Module(_) | Target::Outside => None,
    }
}

fn resolve(tree: &Tree, from: ModuleId, path: &[String], under_way: &mut UnderWay) -> Vec<Target> {
    let Some((mut targets, rest)) = start(tree, from, path, under_way) else { return Vec::new() };
    for name in rest {
        let modules: Vec<ModuleId> = targets.iter().filter_map(Target::module).collect();
        if modules.is_empty() {
            break;
        }
        targets = modules.into_iter().flat_map(|module| member(tree, module, name, from, under_way)).collect();
    }
    targets.sort_unstable_by_key(Target::order);
    targets.dedup();
    targets
}

/// What the beginning of a path leads to, and the rest of the path.
fn start<'a>(
    tree: &Tree,
    from: ModuleId,
    path: &'a [String],
    under_way: &mut UnderWay,
) -> Option<(Vec<Target>, &'a [String])> {
    let (first, mut rest) = path.split_first()?;
    let mut module = match first.as_str() {
        "crate" => ROOT,
        "self" => from,
        "super" => tree.modules[from].parent?,
        "Self" => return None,
        _ => return Some((look_up(tree, from, first, from, under_way), rest)),
    };
    while let Some((_, after)) = rest.split_first().filter(|(next, _)| *next == "super") {
        module = tree.modules[module].parent?;
        rest = after;
    }
    Some((vec![Target::Module(module)], rest))
}

/// A member of a module. A name that its source does not declare comes from a macro call in that module.
fn member(tree: &Tree, module: ModuleId, name: &str, from: ModuleId, under_way: &mut UnderWay) -> Vec<Target> {
    let found = look_up(tree, module, name, from, under_way);
    if found.is_empty() { vec![Target::Item(module)] } else { found }
}

/// The meanings of a name in a module, as far as code in `from` can use them.
fn look_up(tree: &Tree, module: ModuleId, name: &str, from: ModuleId, under_way: &mut UnderWay) -> Vec<Target> {
    let key = (module, name.to_string());
    if under_way.contains(&key) {
        return Vec::new();
    }
    under_way.push(key);
    let mut found = look_up_declared(tree, module, name, from, under_way);
    if found.is_empty() {
        found = look_up_globs(tree, module, name, from, under_way);
    }
    under_way.pop();
    found
}

fn look_up_declared(
    tree: &Tree,
    module: ModuleId,
    name: &str,
    from: ModuleId,
    under_way: &mut UnderWay,
) -> Vec<Target> {
    let mut found = Vec::new();
    for meaning in tree.modules[module].names.get(name).into_iter().flatten() {
        if !is_visible(tree, module, meaning.scope, from) {
            continue;
        }
        match &meaning.meaning {
            Meaning::Item => found.push(Target::Item(module)),
            Meaning::Module(child) => found.push(Target::Module(*child)),
            Meaning::Macro(definer) => found.push(Target::Item(*definer)),
            Meaning::Import(path) => {
                let targets = resolve(tree, module, path, under_way);
                found.extend(if targets.is_empty() { vec![Target::Outside] } else { targets });
            }
        }
    }
    found
}

fn look_up_globs(tree: &Tree, module: ModuleId, name: &str, from: ModuleId, under_way: &mut UnderWay) -> Vec<Target> {
    let mut found = Vec::new();
    for glob in &tree.modules[module].globs {
        if !is_visible(tree, module, glob.scope, from) {
            continue;
        }
        let sources = resolve(tree, module, &glob.path, under_way);
        for source in sources.iter().filter_map(Target::module) {
            found.extend(look_up(tree, source, name, module, under_way));
        }
    }
    found
}

fn is_visible(tree: &Tree, module: ModuleId, scope: Scope, from: ModuleId) -> bool {
    match scope {
        Scope::Public => true,
        Scope::Private => tree.is_within(from, module),
        Scope::Local => from == module,
    }
}

/// `macro_rules!` above in the file, in a parent, or in a module with `#[macro_use]`.
fn macro_in_scope(tree: &Tree, from: ModuleId, path: &[String]) -> Option<ModuleId> {
    let [name] = path else { return None };
    let defines = |module: &Module| {
        let names = module.names.get(name).into_iter().flatten();
        names.into_iter().any(|name| matches!(name.meaning, Meaning::Item))
    };
    let ancestor = tree.line_of(from).into_iter().rev().find(|module| defines(&tree.modules[*module]));
    ancestor.or_else(|| tree.modules.iter().position(|module| module.exports_macros && defines(module)))
}

impl Target {
    fn module(&self) -> Option<ModuleId> {
        match self {
            Target::Module(module) => Some(*module),
            Target::Item(_) | Target::Outside => None,
        }
    }

    fn order(&self) -> (u8, ModuleId) {
        match self {
            Target::Module(module) => (0, *module),
            Target::Item(module) => (1, *module),
            Target::Outside => (2, 0),
        }
    }
}
