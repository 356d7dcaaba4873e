use std::fs;

use crate::check::Crate;

/// The descriptions of the cycles in a crate of these files, the first of which is its root.
fn descriptions(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let krate = Crate::read("crate".to_string(), &folder.path().join(files[0].0)).unwrap();
    krate.cycles()
}

/// The modules of each cycle.
fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    let described = descriptions(files);
    let heads = described.iter().map(|text| text.lines().next().unwrap());
    heads.map(|line| line.strip_prefix("crate: these modules import each other: ").unwrap().to_string()).collect()
}

/// The cycles of a crate with `a`, which is part of the text, and `b`, which imports `a::A`.
fn cycles_with(a: &str) -> Vec<String> {
    cycles(&[
        ("lib.rs", "mod a; mod b; mod c; use b::B; fn in_root() {} macro_rules! outer { () => {} }"),
        ("a.rs", &format!("pub struct A; {a}")),
        (
            "b.rs",
            "use crate::a::A; pub struct B(A); pub struct F { pub x: u8 } pub fn f() -> u8 { 0 } pub mod codec {}",
        ),
        ("c.rs", "pub use crate::b::B; pub use crate::b::f as g;"),
    ])
}

#[test]
fn siblings_that_import_each_other_are_a_cycle() {
    assert_eq!(cycles_with("use crate::b::B;"), ["a, b"]);
    assert_eq!(cycles_with("use super::b::{self, B as Renamed};"), ["a, b"]);
    assert_eq!(cycles_with(""), [""; 0]);
    assert_eq!(cycles_with("use std::fmt; use serde::b::B; use ::b::B;"), [""; 0]);
}

#[test]
fn every_form_of_a_mention_counts() {
    for mention in [
        "fn x() -> u8 { crate::b::f() }",
        "fn x() -> u8 { use super::b; b::f() }",
        "fn x(b: Vec<super::b::B>) {}",
        "fn x(b: &dyn super::b::Trait) {}",
        "fn x(b: u8) { if let super::b::F { x: 1 } = b {} }",
        "impl super::b::B { fn x() {} }",
        "fn x() { println!(\"{}\", super::b::f()) }",
        "fn x() { html! { <super::b::B x={1} /> } }",
        "macro_rules! m { () => { $crate::b::f() } }",
        "#[derive(serde::Serialize)] struct S { #[serde(with = \"crate::b::codec\")] x: u8 }",
        "use super::b::*;",
        "mod inner { fn x() { crate::b::f(); } }",
    ] {
        assert_eq!(cycles_with(mention), ["a, b"], "{mention}");
    }
}

#[test]
fn names_without_an_import_do_not_count() {
    for mention in [
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(test)] use crate::b::B;",
        "struct S; impl S { #[cfg(test)] fn x() { crate::b::f(); } }",
        "/// See [`B`](crate::b::B).\nfn x() {}",
        "fn x() { println!(\"crate::b::f\") } // crate::b::f()",
        "pub(in crate::b) fn x() {}",
        "use crate::in_root; fn x() { in_root(); outer!() }",
    ] {
        assert_eq!(cycles_with(mention), [""; 0], "{mention}");
    }
}

#[test]
fn a_re_export_counts_for_the_module_that_defines_the_item() {
    // The root and `c` import from `b`. What comes through them comes from `b`.
    for mention in [
        "use crate::B;",
        "use super::*; fn x(b: B) {}",
        "fn x(b: super::B) {}",
        "use crate::c::B;",
        "fn x() -> u8 { crate::c::g() }",
    ] {
        assert!(cycles_with(mention).contains(&"a, b".to_string()), "{mention}");
    }
}

#[test]
fn a_parent_and_its_children_may_import_each_other() {
    let root = ("lib.rs", "mod a; pub struct R(a::A);");
    let parent = ("a/mod.rs", "mod child; use child::Child; use crate::R; pub struct A(Child);");
    let child = ("a/child/mod.rs", "mod below; use crate::{R, a::A}; pub struct Child;");
    let below = ("a/child/below.rs", "use crate::a::A; use super::Child; use crate::R;");
    assert_eq!(cycles(&[root, parent, child, below]), [""; 0]);
}

#[test]
fn siblings_count_with_everything_below_them() {
    let root = ("lib.rs", "mod a; mod b;");
    let (a, x, y) = ("a.rs", "mod x; mod y;", "pub struct Y;");
    let b = ("b.rs", "pub mod z { pub struct Z; } mod w { use crate::a::y::Y; }");
    let files = [root, (a, x), ("a/x.rs", "use crate::b::z::Z;"), ("a/y.rs", y), b];
    assert_eq!(cycles(&files), ["a, b"]);
}

#[test]
fn inline_modules_and_other_paths_are_followed() {
    let root = ("main.rs", "#[path = \"other/place.rs\"] mod a; mod b { mod inner; pub mod c { pub struct C; } }");
    let a = ("other/place.rs", "use crate::b::c::C; mod near; pub struct A;");
    let files = [root, a, ("other/near.rs", ""), ("b/inner.rs", "use crate::a::A;")];
    assert_eq!(cycles(&files), ["a, b"]);
}

#[test]
fn an_item_from_a_macro_belongs_to_the_module_of_its_path() {
    let root = ("lib.rs", "mod names; mod user;");
    let names = ("names.rs", "name_type!(TopicName); use crate::user::User;");
    assert_eq!(cycles(&[root, names, ("user.rs", "use crate::names::TopicName; pub struct User;")]), ["names, user"]);
}

#[test]
fn a_cycle_is_described_with_its_lines() {
    let described = descriptions(&[
        ("lib.rs", "mod a;\nmod b;\nmod c;"),
        ("a.rs", "\nuse crate::b::B;\npub struct A(B);"),
        ("b.rs", "pub struct B(crate::a::A);\nuse crate::c::C;"),
        ("c.rs", "pub struct C(crate::a::A);"),
    ]);
    let [text] = described.as_slice() else { panic!("{described:?}") };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "crate: these modules import each other: a, b, c");
    assert!(lines[2].starts_with("    a -> b: ") && lines[2].ends_with("a.rs:2: crate::b::B (2 mentions)"), "{text}");
    assert!(lines[3].starts_with("    b -> a: ") && lines[3].ends_with("b.rs:1: crate::a::A"), "{text}");
    assert_eq!(lines[4], "  other imports between them:");
    assert_eq!(lines.len(), 7, "{text}");
}
