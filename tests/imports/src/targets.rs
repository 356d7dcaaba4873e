//! The crates to check: every library, program, test and example of the repository, as cargo lists them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate and the file of its root module.
pub struct Target {
    /// The name, for instance `cubecast-core` or `cubecast-core/tests/wire`.
    pub name: String,
    /// The file of its root module.
    pub root: PathBuf,
}

/// Packages outside the workspace.
const OUTSIDE: [&str; 1] = ["tests/fuzz/Cargo.toml"];

/// All crates of the repository in this folder, in cargo's order.
pub fn targets(repository: &Path) -> Result<Vec<Target>, String> {
    let here = env::current_dir().map_err(|error| format!("no current folder: {error}"))?;
    let mut targets = targets_of(&repository.join("Cargo.toml"))?;
    for manifest in OUTSIDE {
        targets.extend(targets_of(&repository.join(manifest))?);
    }
    for target in &mut targets {
        // cargo gives absolute paths; short ones read better.
        target.root = target.root.strip_prefix(&here).unwrap_or(&target.root).to_path_buf();
    }
    Ok(targets)
}

fn targets_of(manifest: &Path) -> Result<Vec<Target>, String> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    Ok(packages
        .flat_map(|package| package["targets"].as_array().into_iter().flatten().map(move |target| (package, target)))
        .filter_map(|(package, target)| read_target(package, target))
        .collect())
}

fn read_target(package: &Value, target: &Value) -> Option<Target> {
    let package = package["name"].as_str()?;
    let root = PathBuf::from(target["src_path"].as_str()?);
    let name = match target["kind"][0].as_str()? {
        "lib" => package.to_string(),
        kind => format!("{package}/{kind}/{}", target["name"].as_str()?),
    };
    Some(Target { name, root })
}
