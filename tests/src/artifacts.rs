//! Finds the binaries and the dashboard's files to test. `scripts/test process` names some of them; otherwise default
//! places are used.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

/// The `cubecast` binary: `CUBECAST_BIN`, otherwise the one beside this test, which is built if missing.
pub fn cubecast() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| match std::env::var_os("CUBECAST_BIN") {
        Some(named) => existing(named.into(), "CUBECAST_BIN"),
        None => beside_this_test("cubecast", "cubecast-node"),
    })
}

/// The `cubecast-lab` binary beside this test, which is built if missing.
pub fn lab() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| beside_this_test("cubecast-lab", "cubecast-lab"))
}

/// The dashboard's release build: `CUBECAST_DIST`, otherwise `dist/`.
pub fn dashboard() -> PathBuf {
    let named = std::env::var_os("CUBECAST_DIST").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join("dist"));
    assert!(
        folder.join("index.html").is_file(),
        "no dashboard in {}: build it with `make dashboard`",
        folder.display()
    );
    folder
}

/// The accessibility checker as JavaScript: `CUBECAST_AXE`.
pub fn axe() -> String {
    let path = std::env::var_os("CUBECAST_AXE").map(PathBuf::from);
    let path = path
        .expect("CUBECAST_AXE names axe.min.js; `scripts/setup browser` fetches it, `scripts/test process` sets it");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folder for files that people may want to look at after the tests.
pub fn leftovers() -> PathBuf {
    let folder = target().join("test-pictures");
    std::fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    folder
}

/// Test binaries are in `target/PROFILE/deps`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.parent().and_then(Path::parent).expect("a test lies in target/PROFILE/deps").to_owned()
}

fn target() -> PathBuf {
    profile_folder().parent().expect("a profile lies in a target folder").to_owned()
}

fn beside_this_test(name: &str, package: &str) -> PathBuf {
    let binary = profile_folder().join(name);
    if !binary.is_file() {
        let built = Command::new("cargo").args(["build", "-p", package, "--bin", name]).current_dir(root()).status();
        assert!(built.is_ok_and(|status| status.success()), "`cargo build -p {package}` failed");
    }
    existing(binary, "the binary beside this test")
}

fn existing(path: PathBuf, what: &str) -> PathBuf {
    assert!(path.is_file(), "{what} is {}, where there is no file", path.display());
    path
}
