//! The modules of one crate, read from its source files.

use std::collections::HashMap;
use std::fs;
use std::iter::successors;
use std::path::{Path, PathBuf};

use syn::ext::IdentExt;
use syn::visit::Visit;

use crate::mentions::{Collector, Import, Mention, attributes, imports_of};
use crate::only_in_tests::only_in_tests;

/// The index of a module in [`Tree::modules`].
pub type ModuleId = usize;

/// The root module of a crate.
pub const ROOT: ModuleId = 0;

/// The modules of one crate, without modules that exist only in tests.
#[derive(Default)]
pub struct Tree {
    /// The root first, and every parent before its children.
    pub modules: Vec<Module>,
}

/// One module: a file, or a `mod` block in a file.
pub struct Module {
    /// Its path below the crate, for instance `wire::json`: empty for the root.
    pub path: String,
    /// `None` for the root.
    pub parent: Option<ModuleId>,
    /// The file that contains it.
    pub file: PathBuf,
    /// The names that it declares and imports.
    pub names: HashMap<String, Vec<Name>>,
    /// Its glob imports.
    pub globs: Vec<Glob>,
    /// Everything that its code mentions.
    pub mentions: Vec<Mention>,
    /// Whether its macros are visible after it (`#[macro_use]`).
    pub exports_macros: bool,
}

/// One meaning of a name in a module.
pub struct Name {
    /// What the name means.
    pub meaning: Meaning,
    /// Where the name can be used.
    pub scope: Scope,
}

/// What a name in a module means.
pub enum Meaning {
    /// An item that is defined in this module.
    Item,
    /// A child module.
    Module(ModuleId),
    /// An import of this path.
    Import(Vec<String>),
    /// A macro that is defined in that module.
    Macro(ModuleId),
}

/// A glob import.
pub struct Glob {
    /// The path before `::*`.
    pub path: Vec<String>,
    /// Where the imported names can be used.
    pub scope: Scope,
}

/// Where a name can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Also by modules outside.
    Public,
    /// By this module and its descendants.
    Private,
    /// By this module only, because it stands in a function.
    Local,
}

/// Where a module's children are: the folder of `mod name;`, and the folder of `#[path = "file"]`.
struct Folders {
    children: PathBuf,
    paths: PathBuf,
}

impl Tree {
    /// Reads the crate whose root module is in this file.
    pub fn read(root: &Path) -> Result<Tree, String> {
        let mut tree = Tree::default();
        let folder = folder_of(root);
        tree.read_file(root, String::new(), None, Folders { children: folder.clone(), paths: folder })?;
        Ok(tree)
    }

    /// Whether this module is the other one or below it.
    pub fn is_within(&self, module: ModuleId, ancestor: ModuleId) -> bool {
        self.line_of(module).contains(&ancestor)
    }

    /// The module and its ancestors, the root first.
    pub fn line_of(&self, module: ModuleId) -> Vec<ModuleId> {
        let mut line: Vec<ModuleId> = successors(Some(module), |module| self.modules[*module].parent).collect();
        line.reverse();
        line
    }

    fn read_file(
        &mut self,
        file: &Path,
        path: String,
        parent: Option<ModuleId>,
        folders: Folders,
    ) -> Result<ModuleId, String> {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let parsed = syn::parse_file(&text)
            .map_err(|error| format!("cannot parse {}, line {}: {error}", file.display(), error.span().start().line))?;
        let items = if only_in_tests(&parsed.attrs) { Vec::new() } else { parsed.items };
        self.read_module(&items, file, path, parent, &folders)
    }

    fn read_module(
        &mut self,
        items: &[syn::Item],
        file: &Path,
        path: String,
        parent: Option<ModuleId>,
        folders: &Folders,
    ) -> Result<ModuleId, String> {
        let id = self.modules.len();
        self.modules.push(Module::new(path, parent, file));
        for item in items.iter().filter(|item| !only_in_tests(attributes(item))) {
            if let syn::Item::Mod(child) = item {
                self.read_child(id, child, folders)?;
            } else {
                self.modules[id].read_item(item);
                self.export_macro(id, item);
            }
        }
        Ok(id)
    }

    fn read_child(&mut self, parent: ModuleId, item: &syn::ItemMod, folders: &Folders) -> Result<(), String> {
        let name = item.ident.unraw().to_string();
        let path = match self.modules[parent].path.as_str() {
            "" => name.clone(),
            above => format!("{above}::{name}"),
        };
        let child = match &item.content {
            Some((_, items)) => {
                let folder = folders.children.join(&name);
                let file = self.modules[parent].file.clone();
                let folders = Folders { children: folder.clone(), paths: folder };
                self.read_module(items, &file, path, Some(parent), &folders)?
            }
            None => {
                let (file, children) = find_file(&name, item, folders)?;
                let folders = Folders { children, paths: folder_of(&file) };
                self.read_file(&file, path, Some(parent), folders)?
            }
        };
        self.modules[child].exports_macros = has_attribute(&item.attrs, "macro_use");
        self.modules[parent].declare(name, Meaning::Module(child), scope_of(&item.vis));
        Ok(())
    }

    /// `#[macro_export]` puts a macro into the root module.
    fn export_macro(&mut self, module: ModuleId, item: &syn::Item) {
        if let syn::Item::Macro(item) = item
            && let Some(name) = &item.ident
            && has_attribute(&item.attrs, "macro_export")
        {
            self.modules[ROOT].declare(name.unraw().to_string(), Meaning::Macro(module), Scope::Public);
        }
    }
}

/// The file of `mod name;`, and the folder of its own children.
fn find_file(name: &str, item: &syn::ItemMod, folders: &Folders) -> Result<(PathBuf, PathBuf), String> {
    if let Some(path) = item.attrs.iter().find_map(path_attribute) {
        let file = folders.paths.join(path);
        let folder = folder_of(&file);
        return Ok((file, folder));
    }
    let folder = folders.children.join(name);
    let candidates = [folders.children.join(format!("{name}.rs")), folder.join("mod.rs")];
    match candidates.into_iter().find(|file| file.exists()) {
        Some(file) => Ok((file, folder)),
        None => Err(format!("no file for module `{name}` in {}", folders.children.display())),
    }
}

fn path_attribute(attribute: &syn::Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) if pair.path.is_ident("path") => {
            Some(path.value())
        }
        _ => None,
    }
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).to_path_buf()
}

fn has_attribute(attributes: &[syn::Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident(name))
}

fn scope_of(visibility: &syn::Visibility) -> Scope {
    match visibility {
        syn::Visibility::Inherited => Scope::Private,
        _ => Scope::Public,
    }
}

impl Module {
    fn new(path: String, parent: Option<ModuleId>, file: &Path) -> Module {
        Module {
            path,
            parent,
            file: file.to_path_buf(),
            names: HashMap::new(),
            globs: Vec::new(),
            mentions: Vec::new(),
            exports_macros: false,
        }
    }

    fn read_item(&mut self, item: &syn::Item) {
        if let syn::Item::Use(item) = item {
            for import in imports_of(item) {
                self.mentions.push(import.mention());
                self.import(import, scope_of(&item.vis));
            }
            return;
        }
        for (name, scope) in declared_names(item) {
            self.declare(name, Meaning::Item, scope);
        }
        let mut collector = Collector::default();
        collector.visit_item(item);
        self.mentions.extend(collector.mentions);
        for import in collector.local_imports {
            self.import(import, Scope::Local);
        }
    }

    fn import(&mut self, import: Import, scope: Scope) {
        match import.name {
            Some(name) => self.declare(name, Meaning::Import(import.path), scope),
            None => self.globs.push(Glob { path: import.path, scope }),
        }
    }

    fn declare(&mut self, name: String, meaning: Meaning, scope: Scope) {
        self.names.entry(name).or_default().push(Name { meaning, scope });
    }
}

/// The names that an item declares. A macro call may declare more: [`crate::resolve`] copes with unknown names.
fn declared_names(item: &syn::Item) -> Vec<(String, Scope)> {
    let (ident, visibility) = match item {
        syn::Item::Const(item) => (&item.ident, &item.vis),
        syn::Item::Enum(item) => (&item.ident, &item.vis),
        syn::Item::Fn(item) => (&item.sig.ident, &item.vis),
        syn::Item::Static(item) => (&item.ident, &item.vis),
        syn::Item::Struct(item) => (&item.ident, &item.vis),
        syn::Item::Trait(item) => (&item.ident, &item.vis),
        syn::Item::TraitAlias(item) => (&item.ident, &item.vis),
        syn::Item::Type(item) => (&item.ident, &item.vis),
        syn::Item::Union(item) => (&item.ident, &item.vis),
        syn::Item::Macro(syn::ItemMacro { ident: Some(name), .. }) => {
            return vec![(name.unraw().to_string(), Scope::Private)];
        }
        _ => return Vec::new(),
    };
    vec![(ident.unraw().to_string(), scope_of(visibility))]
}
