//! The dashboard's files: embedded in this program, or in a folder.
//!
//! No path leads to a file outside the folder.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::read::GzDecoder;
use hyper::body::Bytes;

/// The page that a browser loads first.
pub const INDEX: &str = "index.html";

/// The files of a release build; see `build.rs`. A debug build has none and reads the folder [`CHECKOUT`] instead.
const EMBEDDED: Option<&[EmbeddedFile]> = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist");

/// The source of the dashboard's files.
#[derive(Clone, Debug)]
pub enum Dashboard {
    /// Files in this program. There are none if it was built without a dashboard.
    Embedded(&'static [EmbeddedFile]),
    /// The files in this folder.
    Folder(PathBuf),
    /// No files: the node serves no dashboard.
    Off,
}

/// A file in this program.
#[derive(Debug)]
pub struct EmbeddedFile {
    /// Its path below the dashboard's root, with `/` between folders.
    pub name: &'static str,
    /// Whether its content is compressed with gzip.
    pub is_gzip: bool,
    /// Its entity tag, in quotes.
    pub tag: &'static str,
    /// Its content.
    pub content: &'static [u8],
}

/// A file that exists, in one of the forms that the browser accepts.
#[derive(Debug)]
pub struct Found {
    /// Its path, without the ending of a compressed copy.
    pub path: PathBuf,
    /// Whether [`Found::content`] is compressed with gzip.
    pub is_gzip: bool,
    /// The entity tag of this form, in quotes.
    pub tag: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Embedded(&'static EmbeddedFile),
    /// The file on disk with the form to serve.
    Stored(PathBuf),
}

impl Default for Dashboard {
    /// The dashboard that this program was built with.
    fn default() -> Dashboard {
        EMBEDDED.map_or_else(|| Dashboard::Folder(CHECKOUT.into()), Dashboard::Embedded)
    }
}

impl Dashboard {
    /// Whether there is a page to serve.
    pub fn exists(&self) -> bool {
        match self {
            Dashboard::Embedded(files) => files.iter().any(|file| file.name == INDEX),
            Dashboard::Folder(folder) => folder.join(INDEX).is_file(),
            Dashboard::Off => false,
        }
    }

    /// The file with this relative path, compressed if there is a compressed form and the browser accepts it.
    pub async fn find(&self, wanted: &Path, accepts_gzip: bool) -> Option<Found> {
        match self {
            Dashboard::Embedded(files) => find_embedded(files, wanted, accepts_gzip),
            Dashboard::Folder(folder) => find_in(folder, wanted, accepts_gzip).await,
            Dashboard::Off => None,
        }
    }
}

impl fmt::Display for Dashboard {
    /// If there is a dashboard: its source. Otherwise: the reason, and how to get one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dashboard::Off => f.write_str("switched off by --no-web or `web = false`"),
            Dashboard::Embedded(_) if self.exists() => f.write_str("embedded in this program"),
            Dashboard::Embedded(_) => f.write_str(
                "this program was built without it; run `make dashboard` and then `make build`, \
                 or give a folder with --web",
            ),
            Dashboard::Folder(folder) if self.exists() => write!(f, "in {}", folder.display()),
            Dashboard::Folder(folder) => {
                write!(f, "{} contains no {INDEX}; build the dashboard with `make dashboard`", folder.display())
            }
        }
    }
}

impl Found {
    /// The content in the form to serve. `None` if it cannot be read.
    pub async fn content(&self) -> Option<Bytes> {
        match &self.source {
            Source::Embedded(file) if file.is_gzip && !self.is_gzip => unpack(file.content).map(Bytes::from),
            Source::Embedded(file) => Some(Bytes::from_static(file.content)),
            Source::Stored(path) => tokio::fs::read(path).await.ok().map(Bytes::from),
        }
    }

    /// The content of a page, uncompressed. `None` if it cannot be read.
    pub async fn html(&self) -> Option<String> {
        let html = match &self.source {
            Source::Embedded(file) if file.is_gzip => unpack(file.content)?,
            Source::Embedded(file) => file.content.to_vec(),
            Source::Stored(_) => tokio::fs::read(&self.path).await.ok()?,
        };
        Some(String::from_utf8_lossy(&html).into_owned())
    }
}

fn find_embedded(files: &'static [EmbeddedFile], wanted: &Path, accepts_gzip: bool) -> Option<Found> {
    let file = files.iter().find(|file| Path::new(file.name) == wanted)?;
    let is_gzip = file.is_gzip && accepts_gzip;
    // Both forms of a compressed file have the same content, but different bytes.
    let tag = if is_gzip { file.tag.to_owned() } else { file.tag.replacen('"', "\"plain-", 1) };
    Some(Found { path: wanted.to_owned(), is_gzip, tag, source: Source::Embedded(file) })
}

fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut plain).ok()?;
    Some(plain)
}

async fn find_in(folder: &Path, wanted: &Path, accepts_gzip: bool) -> Option<Found> {
    let path = inside(folder, wanted).await?;
    let copy = if accepts_gzip { compressed_copy(&path).await } else { None };
    let is_gzip = copy.is_some();
    let stored = copy.unwrap_or_else(|| path.clone());
    let metadata = tokio::fs::metadata(&stored).await.ok()?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let tag = format!("\"{:x}-{:x}\"", metadata.len(), modified.as_nanos());
    Some(Found { path, is_gzip, tag, source: Source::Stored(stored) })
}

/// The file's real path, if it is a file inside the folder after all links are resolved.
async fn inside(folder: &Path, wanted: &Path) -> Option<PathBuf> {
    let folder = tokio::fs::canonicalize(folder).await.ok()?;
    let file = tokio::fs::canonicalize(folder.join(wanted)).await.ok()?;
    let is_file = tokio::fs::metadata(&file).await.ok()?.is_file();
    (is_file && file.starts_with(&folder)).then_some(file)
}

/// The compressed copy of a file, unless the file is newer.
async fn compressed_copy(file: &Path) -> Option<PathBuf> {
    let mut name = file.as_os_str().to_owned();
    name.push(".gz");
    let copy = PathBuf::from(name);
    let made = tokio::fs::symlink_metadata(&copy).await.ok().filter(|metadata| metadata.is_file())?.modified().ok()?;
    let changed = tokio::fs::metadata(file).await.ok()?.modified().ok()?;
    (made >= changed).then_some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of `printf packed | gzip -n`.
    const PACKED: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x2b\x48\x4c\xce\x4e\x4d\x01\0\x10\xb4\xf6\x21\x06\0\0\0";
    const FILES: &[EmbeddedFile] = &[
        EmbeddedFile { name: INDEX, is_gzip: true, tag: "\"1\"", content: PACKED },
        EmbeddedFile { name: "simulated/a.txt", is_gzip: false, tag: "\"2\"", content: b"plain" },
    ];

    #[tokio::test]
    async fn an_embedded_file_is_served_in_the_form_that_the_browser_accepts() {
        let dashboard = Dashboard::Embedded(FILES);
        let get = async |name, accepts_gzip| {
            let found = dashboard.find(Path::new(name), accepts_gzip).await?;
            Some((found.is_gzip, found.tag.clone(), found.content().await?, found.html().await?))
        };
        let found = |is_gzip, tag: &str, content, html: &str| Some((is_gzip, tag.into(), content, html.into()));
        assert_eq!(get(INDEX, true).await, found(true, "\"1\"", PACKED.into(), "packed"));
        assert_eq!(get(INDEX, false).await, found(false, "\"plain-1\"", "packed".into(), "packed"));
        assert_eq!(get("simulated/a.txt", true).await, found(false, "\"plain-2\"", "plain".into(), "plain"));
        assert_eq!(get("a.txt", true).await, None);
        assert_eq!(get("", true).await, None);
    }

    #[test]
    fn a_dashboard_exists_if_it_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let in_folder = Dashboard::Folder(folder.path().to_owned());
        for (dashboard, advice) in [
            (&Dashboard::Off, "--no-web"),
            (&Dashboard::Embedded(&[]), "`make dashboard` and then `make build`"),
            (&in_folder, "contains no index.html; build the dashboard with `make dashboard`"),
        ] {
            assert!(!dashboard.exists() && dashboard.to_string().contains(advice), "{dashboard}");
        }
        std::fs::write(folder.path().join(INDEX), "").unwrap();
        assert!(in_folder.exists() && Dashboard::Embedded(FILES).exists());
    }

    #[tokio::test]
    async fn a_compressed_copy_is_served_to_those_who_accept_it_unless_the_file_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let (file, copy) = (folder.path().join("a.css"), folder.path().join("a.css.gz"));
        std::fs::write(&file, "plain").unwrap();
        std::fs::write(&copy, "packed").unwrap();
        let dashboard = Dashboard::Folder(folder.path().to_owned());
        let get = async |accepts_gzip| {
            let found = dashboard.find(Path::new("a.css"), accepts_gzip).await.unwrap();
            (found.is_gzip, found.content().await.unwrap())
        };
        assert_eq!(get(false).await, (false, "plain".into()));
        assert_eq!(get(true).await, (true, "packed".into()));
        let old = UNIX_EPOCH + std::time::Duration::from_secs(1);
        std::fs::File::options().write(true).open(&copy).unwrap().set_modified(old).unwrap();
        assert_eq!(get(true).await, (false, "plain".into()));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_out_of_the_folder_is_not_followed() {
        let (outside, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("secret.txt"), "s").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.txt"), folder.path().join("leak.txt")).unwrap();
        let dashboard = Dashboard::Folder(folder.path().to_owned());
        assert!(dashboard.find(Path::new("leak.txt"), false).await.is_none());
    }
}
