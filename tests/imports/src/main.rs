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

mod allowed;
mod check;
mod graph;
mod mentions;
mod only_in_tests;
mod resolve;
mod siblings;
mod targets;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use crate::check::Crate;

/// The imports that may stay.
const ALLOWED: &str = "tests/imports/allowed.txt";

fn main() -> ExitCode {
    match check_repository(Path::new("")) {
        Ok(problems) if problems.is_empty() => ExitCode::SUCCESS,
        Ok(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("import cycles not checked: {error}");
            ExitCode::from(2)
        }
    }
}

/// Prints one line for a repository without problems.
fn check_repository(repository: &Path) -> Result<Vec<String>, String> {
    let text =
        fs::read_to_string(repository.join(ALLOWED)).map_err(|error| format!("cannot read {ALLOWED}: {error}"))?;
    let allowed = allowed::parse(&text).map_err(|error| format!("{ALLOWED}, {error}"))?;
    let crates = read_crates(repository)?;

    let (mut problems, mut needed) = (Vec::new(), BTreeSet::new());
    for krate in &crates {
        let findings = krate.check(&allowed);
        problems.extend(findings.cycles);
        needed.extend(findings.needed);
    }
    let unneeded = allowed.iter().filter(|allowed| !needed.contains(&allowed.line));
    problems.extend(unneeded.map(|allowed| format!("{ALLOWED}:{}: no cycle has this import; remove it", allowed.line)));

    if problems.is_empty() {
        let modules: usize = crates.iter().map(Crate::size).sum();
        print!("no import cycles in {modules} modules of {} crates", crates.len());
        if !needed.is_empty() {
            print!(", apart from cycles with one of {} allowed imports", needed.len());
        }
        println!();
    }
    Ok(problems)
}

fn read_crates(repository: &Path) -> Result<Vec<Crate>, String> {
    let targets = targets::targets(repository)?;
    targets.into_iter().map(|target| Crate::read(target.name, &target.root)).collect()
}
