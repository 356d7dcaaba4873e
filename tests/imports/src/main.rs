//! Finds import cycles between the modules of each crate: `cargo run -p cubecast-imports`, in the repository's folder.
//!
//! Sibling modules must not import each other, neither directly nor through other siblings, and each counts with
//! everything below it. A parent and its own children may: they are one unit. An import is every path in the code that
//! names an item of another module: in `use`, in expressions and types, in macros and in attributes. It counts for the
//! module that defines the item, so a re-export hides no cycle. Code that exists only with `cfg(test)` does not count.
//!
//! Limits: only names are seen. A call of a method is no import of the module with its `impl`, and an item that a macro
//! declares is taken to be in the module that its path names.

#[cfg(test)]
mod tests;

mod check;
mod graph;
mod mentions;
mod only_in_tests;
mod resolve;
mod siblings;
mod targets;
mod tree;

use std::path::Path;
use std::process::ExitCode;

use crate::check::Crate;

fn main() -> ExitCode {
    match check_repository(Path::new("")) {
        Ok(cycles) if cycles.is_empty() => ExitCode::SUCCESS,
        Ok(cycles) => {
            cycles.iter().for_each(|cycle| eprintln!("{cycle}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("import cycles not checked: {error}");
            ExitCode::from(2)
        }
    }
}

/// A description of each cycle. Prints one line for a repository without cycles.
fn check_repository(repository: &Path) -> Result<Vec<String>, String> {
    let crates = read_crates(repository)?;
    let cycles: Vec<String> = crates.iter().flat_map(Crate::cycles).collect();
    if cycles.is_empty() {
        let modules: usize = crates.iter().map(Crate::size).sum();
        println!("no import cycles in {modules} modules of {} crates", crates.len());
    }
    Ok(cycles)
}

fn read_crates(repository: &Path) -> Result<Vec<Crate>, String> {
    let targets = targets::targets(repository)?;
    targets.into_iter().map(|target| Crate::read(target.name, &target.root)).collect()
}
