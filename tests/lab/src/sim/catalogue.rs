//! Scenario files.

use std::path::{Path, PathBuf};

use cubecast_sim::Scenario;

/// Loads the scenarios of these files and folders, in the order of their names. The error is a message for the user.
pub(super) fn load(paths: &[PathBuf]) -> Result<Vec<Scenario>, String> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for path in paths {
        for file in files(path)? {
            let scenario = read(&file)?;
            if scenarios.iter().any(|other| other.name == scenario.name) {
                return Err(format!("{}: another scenario is also named `{}`", file.display(), scenario.name));
            }
            scenarios.push(scenario);
        }
    }
    Ok(scenarios)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() { Err(format!("{}: no scenario (*.toml) found", path.display())) } else { Ok(files) }
}

/// Reads a scenario. Without a name, it has the name of its file.
fn read(file: &Path) -> Result<Scenario, String> {
    let wrong = |error: String| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let named = toml::from_str::<toml::Table>(&text).is_ok_and(|table| table.contains_key("name"));
    let mut scenario: Scenario = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if !named {
        scenario.name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    }
    Ok(scenario)
}
