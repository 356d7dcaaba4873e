//! Embeds the dashboard's files in release builds: `dist/` in the repository, as `make dashboard` leaves it.
//!
//! Without that folder, the program has no dashboard. Debug builds and those of `make run` embed nothing and read the
//! folder when they serve it, so that a new dashboard does not rebuild them.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../dist");
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name, value| env::var(name).is_ok_and(|set| set == value);
    // The profile `quick` in Cargo.toml is a release with optimisation level 1.
    let code = if is("PROFILE", "release") && !is("OPT_LEVEL", "1") {
        // While a path to watch is missing, cargo runs this script and compiles the crate at every build.
        fs::create_dir_all(&dist)?;
        println!("cargo::rerun-if-changed={}", dist.display());
        format!("Some(&[{}])", embedded(&dist.canonicalize()?)?)
    } else {
        "None".to_owned()
    };
    fs::write(Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("dashboard.rs"), code)
}

/// The files of the folder as expressions of type `EmbeddedFile`. A file with a compressed copy is embedded compressed.
fn embedded(dist: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    list(dist, &mut files)?;
    files.sort();
    let mut code = String::new();
    for file in files.iter().filter(|file| file.extension().is_none_or(|extension| extension != "gz")) {
        let copy = PathBuf::from(format!("{}.gz", file.display()));
        let is_gzip = files.contains(&copy);
        let stored = if is_gzip { &copy } else { file };
        let name = file.strip_prefix(dist).expect("the file lies in the folder").display().to_string();
        let tag = tag(&fs::read(stored)?);
        write!(code, "EmbeddedFile {{ name: {name:?}, is_gzip: {is_gzip}, tag: {tag:?}, ").expect("memory");
        writeln!(code, "content: include_bytes!({:?}) }},", stored.display().to_string()).expect("memory");
    }
    Ok(code)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// An entity tag, in quotes. Only an index page needs it: the names of other files change with their content.
fn tag(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    format!("\"{:x}-{:x}\"", content.len(), hasher.finish())
}
