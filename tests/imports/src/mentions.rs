//! Collects the paths that code mentions: in `use` declarations, expressions, types, patterns, macros and attributes.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::visit::{self, Visit};

use crate::only_in_tests::only_in_tests;

/// A path in the source, for instance `super::Node`, and its line.
#[derive(Clone, Debug)]
pub struct Mention {
    /// The segments, without generic arguments.
    pub path: Vec<String>,
    /// The line in the module's file, from 1.
    pub line: usize,
    /// The form in which the path stands there.
    pub form: Form,
}

/// The form of a mention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `use path;`
    Use,
    /// `use path::*;`
    Glob,
    /// `path!(..)`
    MacroCall,
    /// Anything else.
    Code,
}

/// One name that a `use` declaration imports, or a glob.
#[derive(Debug)]
pub struct Import {
    /// The imported path.
    pub path: Vec<String>,
    /// The name under which it is imported: `None` for a glob.
    pub name: Option<String>,
    /// The line in the file.
    pub line: usize,
}

/// All mentions in an item, and the imports inside function bodies.
#[derive(Default)]
pub struct Collector {
    /// In the order of the source.
    pub mentions: Vec<Mention>,
    /// Imports inside function bodies.
    pub local_imports: Vec<Import>,
}

/// The imports of a `use` declaration. Paths with a leading `::` name other crates, so they are left out.
pub fn imports_of(item: &syn::ItemUse) -> Vec<Import> {
    let mut imports = Vec::new();
    if item.leading_colon.is_none() {
        flatten(&item.tree, &mut Vec::new(), &mut imports);
    }
    imports
}

fn flatten(tree: &syn::UseTree, prefix: &mut Vec<String>, imports: &mut Vec<Import>) {
    match tree {
        syn::UseTree::Path(path) => {
            prefix.push(path.ident.unraw().to_string());
            flatten(&path.tree, prefix, imports);
            prefix.pop();
        }
        syn::UseTree::Name(name) => imports.push(import(prefix, &name.ident, None)),
        syn::UseTree::Rename(rename) => imports.push(import(prefix, &rename.ident, Some(&rename.rename))),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, imports)),
        syn::UseTree::Glob(glob) => {
            let line = glob.star_token.spans[0].start().line;
            imports.push(Import { path: prefix.clone(), name: None, line });
        }
    }
}

/// `use a::b::{self}` imports `a::b` as `b`.
fn import(prefix: &[String], ident: &syn::Ident, rename: Option<&syn::Ident>) -> Import {
    let mut path = prefix.to_vec();
    if ident != "self" || path.is_empty() {
        path.push(ident.unraw().to_string());
    }
    let name = rename.map(|rename| rename.unraw().to_string()).or_else(|| path.last().cloned());
    Import { path, name, line: ident.span().start().line }
}

impl Import {
    /// The import as a mention.
    pub fn mention(&self) -> Mention {
        let form = if self.name.is_some() { Form::Use } else { Form::Glob };
        Mention { path: self.path.clone(), line: self.line, form }
    }
}

impl Collector {
    fn mention(&mut self, path: Vec<String>, line: usize, form: Form) {
        self.mentions.push(Mention { path, line, form });
    }

    /// The paths among the tokens of a macro or an attribute, which syn does not parse.
    fn scan(&mut self, tokens: TokenStream, also_single_names: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.scan(group.stream(), also_single_names),
                TokenTree::Ident(first) => {
                    let (path, next) = path_at(&tokens, at);
                    if (path.len() > 1 || also_single_names) && !continues(&tokens, at) {
                        self.mention(path, first.span().start().line, Form::Code);
                    }
                    at = next;
                    continue;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }

    /// serde takes paths as strings: `#[serde(with = "crate::wire::text")]`.
    fn scan_strings(&mut self, tokens: TokenStream) {
        for token in tokens {
            let line = token.span().start().line;
            let parsed = syn::parse2::<syn::LitStr>(token.into()).ok().and_then(|text| text.parse::<syn::Path>().ok());
            if let Some(path) = parsed.filter(|path| path.leading_colon.is_none()) {
                self.mention(segments(&path), line, Form::Code);
            }
        }
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.unraw().to_string()).collect()
}

/// The path that begins at this token, and the index of the token after it.
fn path_at(tokens: &[TokenTree], mut at: usize) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    while let Some(TokenTree::Ident(ident)) = tokens.get(at) {
        path.push(ident.unraw().to_string());
        at += 1;
        if !(is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')) {
            break;
        }
        at += 2;
    }
    (path, at)
}

/// Whether the name at this index is not the beginning of a path: a field, a method, a lifetime, a macro's variable,
/// or the rest of a longer path.
fn continues(tokens: &[TokenTree], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|index| tokens.get(index));
    let is_crate = matches!(&tokens[at], TokenTree::Ident(ident) if ident == "crate");
    is_punct(before(1), '\'')
        || (is_punct(before(1), '.') && !is_punct(before(2), '.'))
        || (is_punct(before(1), '$') && !is_crate)
        || (is_punct(before(1), ':') && is_punct(before(2), ':'))
}

fn is_punct(token: Option<&TokenTree>, char: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

impl<'ast> Visit<'ast> for Collector {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if only_in_tests(attributes(item)) {
            return;
        }
        if let syn::Item::Use(item) = item {
            let imports = imports_of(item);
            self.mentions.extend(imports.iter().map(Import::mention));
            self.local_imports.extend(imports);
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes: &[syn::Attribute] = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !only_in_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !only_in_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if !only_in_tests(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if !only_in_tests(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if !only_in_tests(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !only_in_tests(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let line = path.segments[0].ident.span().start().line;
            self.mention(segments(path), line, Form::Code);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.leading_colon.is_none() {
            let line = call.path.segments[0].ident.span().start().line;
            self.mention(segments(&call.path), line, Form::MacroCall);
        }
        self.scan(call.tokens.clone(), true);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone(), false);
            if list.path.is_ident("serde") {
                self.scan_strings(list.tokens.clone());
            }
        }
    }

    /// `pub(in path)` is no use of that module.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

/// The attributes of an item.
pub fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::ForeignMod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::TraitAlias(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Union(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
