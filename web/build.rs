//! Strips function names from the wasm file of the page. They are not needed there and make up a fifth of the file.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm")
        && std::env::var("PROFILE").is_ok_and(|profile| profile == "release")
    {
        println!("cargo::rustc-link-arg-bins=--strip-all");
    }
}
