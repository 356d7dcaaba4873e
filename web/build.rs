//! What the browser downloads bears no names of functions: nobody reads them there, and they are a fifth of the file.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm")
        && std::env::var("PROFILE").is_ok_and(|profile| profile == "release")
    {
        println!("cargo::rustc-link-arg-bins=--strip-all");
    }
}
