//! Builds the dashboard's folder from its pages and their compiled WebAssembly:
//! `cubecast-bundle FOLDER PAGE=WASM...`, for example `cubecast-bundle dist index.html=cubecast-dashboard.wasm`.
//!
//! A page is the same file that trunk reads, and the result is laid out as trunk's: `index.html` goes to the folder, any
//! other page to a folder of its name, and the names of all other files contain a hash of their content. trunk serves
//! pages during development. It takes longer to compile than all of Cubecast, so it does not build what is shipped.
//!
//! Each file is also stored compressed, for nodes to serve.

mod bindgen;
mod compress;
mod order;
mod page;
mod rewrite;
mod strip;

use std::path::{Path, PathBuf};
use std::{fs, io};

use page::{Page, PageError};

const USAGE: &str = "usage: cubecast-bundle FOLDER PAGE=WASM...";

/// Why the folder was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("{USAGE}")]
    Usage,
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{0}: {1}")]
    Page(PathBuf, PageError),
    #[error("{0}: {1}")]
    Wasm(PathBuf, bindgen::WasmError),
}

/// Builds the folder. The arguments are those of the program.
pub fn bundle(arguments: &[String]) -> Result<(), BundleError> {
    let [folder, pages @ ..] = arguments else { return Err(BundleError::Usage) };
    let pages: Vec<(&str, &str)> =
        pages.iter().map(|pair| pair.split_once('=')).collect::<Option<_>>().ok_or(BundleError::Usage)?;
    if pages.is_empty() {
        return Err(BundleError::Usage);
    }
    // A node may be serving the folder, so it is replaced as a whole, once it is complete.
    let folder = Path::new(folder);
    let unfinished = folder.with_extension("new");
    remove(&unfinished)?;
    std::thread::scope(|scope| {
        let builders: Vec<_> = pages
            .iter()
            .map(|(page, wasm)| {
                let target = unfinished.join(place(page));
                scope.spawn(move || build(Path::new(page), Path::new(wasm), &target))
            })
            .collect();
        builders.into_iter().try_for_each(|builder| builder.join().expect("no panic"))
    })?;
    remove(folder)?;
    fs::rename(&unfinished, folder).map_err(|why| BundleError::File(folder.to_owned(), why))
}

/// The folder of a page below the dashboard's.
fn place(page: &str) -> &Path {
    let name = Path::new(page).file_stem().map_or(Path::new(""), Path::new);
    if name == Path::new("index") { Path::new("") } else { name }
}

fn build(html: &Path, wasm: &Path, target: &Path) -> Result<(), BundleError> {
    let text = fs::read_to_string(html).map_err(|why| BundleError::File(html.to_owned(), why))?;
    let page = Page::parse(&text).map_err(|why| BundleError::Page(html.to_owned(), why))?;
    let mut files = Vec::new();
    let mut sheets = Vec::new();
    for sheet in page.sheets() {
        let path = html.with_file_name(sheet);
        let content = fs::read_to_string(&path).map_err(|why| BundleError::File(path.clone(), why))?;
        let content = strip::css(&content).into_bytes();
        let name = hashed_name(&path, "", "css", &[&content]);
        files.push((name.clone(), content));
        sheets.push(name);
    }
    let program = bindgen::program(wasm).map_err(|why| BundleError::Wasm(wasm.to_owned(), why))?;
    let program = bindgen::Program { script: strip::script(&program.script), ..program };
    let parts = [program.script.as_bytes(), &program.wasm];
    let script = hashed_name(wasm, "", "js", &parts);
    let module = hashed_name(wasm, "_bg", "wasm", &parts);
    files.push(("index.html".to_owned(), page.render(&sheets, &script, &module).into_bytes()));
    files.push((script, program.script.into_bytes()));
    files.push((module, program.wasm));
    for (name, content) in files {
        write(target, &name, &content)?;
        write(target, &format!("{name}.gz"), &compress::gzip(&content))?;
    }
    Ok(())
}

/// `cubecast-dashboard-0123456789abcdef_bg.wasm`. Nodes let browsers keep files with such names forever.
fn hashed_name(path: &Path, suffix: &str, extension: &str, parts: &[&[u8]]) -> String {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hasher = DefaultHasher::new();
    parts.iter().for_each(|part| hasher.write(part));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}-{:016x}{suffix}.{extension}", hasher.finish())
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<(), BundleError> {
    let path = folder.join(name);
    fs::create_dir_all(folder).and_then(|()| fs::write(&path, content)).map_err(|why| BundleError::File(path, why))
}

fn remove(folder: &Path) -> Result<(), BundleError> {
    match fs::remove_dir_all(folder) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(BundleError::File(folder.to_owned(), why)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_goes_to_the_folder_and_others_below_it() {
        assert_eq!(place("index.html"), Path::new(""));
        assert_eq!(place("simulated.html"), Path::new("simulated"));
    }

    #[test]
    fn a_name_changes_with_the_content() {
        let name = |content: &[u8]| hashed_name(Path::new("web/a.wasm"), "_bg", "wasm", &[content]);
        assert_eq!(name(b"1"), name(b"1"));
        assert_ne!(name(b"1"), name(b"2"));
        assert!(name(b"1").starts_with("a-") && name(b"1").ends_with("_bg.wasm"));
        assert_eq!(name(b"1").len(), "a-0123456789abcdef_bg.wasm".len());
    }

    #[test]
    fn a_failure_leaves_the_folder_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let (dist, html) = (place.path().join("dist"), place.path().join("index.html"));
        fs::create_dir(&dist).unwrap();
        fs::write(dist.join("index.html"), "before").unwrap();
        fs::write(&html, r#"<link data-trunk rel="rust" href="web/Cargo.toml" data-bin="x">"#).unwrap();
        let page = format!("{}={}", html.display(), place.path().join("missing.wasm").display());
        let failure = bundle(&[dist.display().to_string(), page]).unwrap_err();
        assert!(failure.to_string().contains("missing.wasm"), "{failure}");
        assert_eq!(fs::read_to_string(dist.join("index.html")).unwrap(), "before");
    }
}
