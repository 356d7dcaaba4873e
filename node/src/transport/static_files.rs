//! Files for the browser: the dashboard from the folder given by `--web`.
//!
//! No path leads to a file outside that folder. Browsers cache files with a content hash in their name forever, and
//! revalidate all others each time. If a compressed copy exists beside a file (`app.wasm.gz` beside `app.wasm`),
//! browsers that accept gzip receive the copy.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    IF_NONE_MATCH, VARY,
};
use hyper::{Method, Response, StatusCode};

use super::shield;

const INDEX: &str = "index.html";
const HTML: &str = "text/html; charset=utf-8";

/// The maximum length of a path in bytes.
const MAX_PATH: usize = 1024;

/// Answers a request for a file. `folder`: the dashboard's folder, if there is one.
pub async fn serve(folder: Option<&Path>, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return only_reading();
    }
    let Some(folder) = folder else { return no_dashboard() };
    let Some(wanted) = relative_path(path) else {
        return page(StatusCode::BAD_REQUEST, "That is no path of a file.\n");
    };
    // For HEAD, hyper sends the same headers without the body.
    match find(folder, &wanted).await {
        Some(file) => read(&file, headers).await,
        None if wanted.as_os_str().is_empty() => no_dashboard(),
        None => page(StatusCode::NOT_FOUND, "There is no such file.\n"),
    }
}

/// The decoded path, relative. `None` if it leaves the folder or cannot be a file's path.
fn relative_path(path: &str) -> Option<PathBuf> {
    let decoded = percent_decode(path.get(..path.len().min(MAX_PATH + 1))?)?;
    if path.len() > MAX_PATH || decoded.contains(['\\', '\0', ':']) {
        return None;
    }
    let parts: Vec<_> = decoded.split('/').filter(|part| !part.is_empty()).collect();
    parts.iter().all(|part| !part.starts_with('.')).then(|| parts.iter().collect())
}

fn percent_decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => (hex(bytes.next()?)? << 4) | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// The file to serve: the requested one, or the index for a path of the dashboard itself, which has no extension.
async fn find(folder: &Path, wanted: &Path) -> Option<PathBuf> {
    if let Some(file) = inside(folder, wanted).await {
        return Some(file);
    }
    match wanted.extension() {
        None => inside(folder, Path::new(INDEX)).await,
        Some(_) => None,
    }
}

/// The file's real path, if it is a file inside the folder after all links are resolved.
async fn inside(folder: &Path, wanted: &Path) -> Option<PathBuf> {
    let folder = tokio::fs::canonicalize(folder).await.ok()?;
    let file = tokio::fs::canonicalize(folder.join(wanted)).await.ok()?;
    let is_file = tokio::fs::metadata(&file).await.ok()?.is_file();
    (is_file && file.starts_with(&folder)).then_some(file)
}

async fn read(file: &Path, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let unreadable = || page(StatusCode::NOT_FOUND, "This file cannot be read.\n");
    let compressed = if takes_gzip(headers) { compressed_copy(file).await } else { None };
    let stored = compressed.as_deref().unwrap_or(file);
    let Ok(metadata) = tokio::fs::metadata(stored).await else { return unreadable() };
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let tag = format!("\"{:x}-{:x}\"", metadata.len(), modified.as_nanos());
    let known = headers.get(IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == tag.as_bytes());
    let (status, body) = if known {
        (StatusCode::NOT_MODIFIED, Bytes::new())
    } else {
        let Ok(content) = tokio::fs::read(stored).await else { return unreadable() };
        (StatusCode::OK, content.into())
    };
    let mut response = Response::builder();
    if compressed.is_some() {
        response = response.header(CONTENT_ENCODING, "gzip");
    }
    if content_type(file) == HTML {
        // The policy is computed from the original file, even if the compressed copy is served.
        let Ok(html) = tokio::fs::read(file).await else { return unreadable() };
        response = response.header(CONTENT_SECURITY_POLICY, shield::page_policy(&String::from_utf8_lossy(&html)));
    }
    let caching = if is_hashed(file) { "public, max-age=31536000, immutable" } else { "no-cache" };
    response
        .status(status)
        .header(CONTENT_TYPE, content_type(file))
        .header(CACHE_CONTROL, caching)
        .header(ETAG, tag)
        .header(VARY, ACCEPT_ENCODING.as_str())
        .body(Full::new(body))
        .expect("the headers are valid")
}

/// Whether the browser accepts gzip with a weight above zero.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|offer| offer.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
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

/// Whether a name contains a content hash. Trunk adds 16 hexadecimal digits: `dashboard-0123456789abcdef_bg.wasm`.
fn is_hashed(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.split(['-', '_', '.']).any(|part| part.len() == 16 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" => HTML,
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// A short plain-text answer.
pub fn page(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(Full::new(Bytes::copy_from_slice(text.as_bytes())))
        .expect("the headers are valid")
}

/// The answer to all methods except GET and HEAD.
pub fn only_reading() -> Response<Full<Bytes>> {
    let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are served here.\n");
    response.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("a valid header"));
    response
}

fn no_dashboard() -> Response<Full<Bytes>> {
    const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Cubecast</title>\
        <style>body{font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em}code{background:#8883;padding:.1em .3em}</style>\
        <h1>This node runs; its dashboard is not here</h1>\
        <p>The node was started without <code>--web DIR</code>, or DIR holds no <code>index.html</code>.</p>\
        <p>Build the dashboard with <code>make dashboard</code> (it goes to <code>dist/</code>) and start the cluster with \
        <code>cubecast up --web dist</code>, or do both with <code>make run</code>.</p>\
        <p>Clients connect to <code>/ws</code>. <a href=/healthz>/healthz</a>, <a href=/readyz>/readyz</a> and <a href=/metrics>/metrics</a> tell how the node is.</p></html>\n";
    let mut response = page(StatusCode::NOT_FOUND, PAGE);
    response.headers_mut().insert(CONTENT_TYPE, HTML.parse().expect("a valid header"));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, shield::page_policy(PAGE));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_folder() {
        for path in [
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/..%2fx",
            "/a\\..\\x",
            "/%00",
            "/.git/config",
            "/%zz",
            "/c:/x",
            "/%ff",
        ] {
            assert_eq!(relative_path(path), None, "{path}");
        }
        assert_eq!(relative_path(&format!("/{}", "é".repeat(MAX_PATH))), None);
        assert_eq!(relative_path("/a%20b//c.js"), Some("a b/c.js".into()));
        assert_eq!(relative_path("/"), Some(PathBuf::new()));
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_good() {
        assert!(is_hashed(Path::new("dashboard-0123456789abcdef_bg.wasm")));
        assert!(is_hashed(Path::new("x/style-fedcba9876543210.css")));
        assert!(!is_hashed(Path::new("index.html")));
        assert!(!is_hashed(Path::new("0123456789abcdef/style.css")));
    }

    #[test]
    fn gzip_is_taken_when_it_is_named_and_not_refused() {
        let takes = |offer: &str| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, offer.parse().unwrap())]));
        assert!(takes("gzip, deflate, br") && takes("br;q=1.0, GZIP;q=0.5"));
        assert!(!takes("gzip;q=0") && !takes("br") && !takes("x-gzipped") && !takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_compressed_copy_is_served_to_those_who_take_it_and_only_while_it_is_true() {
        use http_body_util::BodyExt as _;

        let folder = tempfile::tempdir().unwrap();
        let (file, copy) = (folder.path().join("a.css"), folder.path().join("a.css.gz"));
        std::fs::write(&file, "plain").unwrap();
        std::fs::write(&copy, "packed").unwrap();
        let get = async |headers: HeaderMap| {
            let response = serve(Some(folder.path()), &Method::GET, "/a.css", &headers).await;
            assert_eq!(response.headers()[CONTENT_TYPE], "text/css; charset=utf-8");
            let encoding = response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned());
            (encoding, response.into_body().collect().await.unwrap().to_bytes())
        };
        let takes = || HeaderMap::from_iter([(ACCEPT_ENCODING, "gzip".parse().unwrap())]);
        assert_eq!(get(HeaderMap::new()).await, (None, "plain".into()));
        assert_eq!(get(takes()).await, (Some("gzip".to_owned()), "packed".into()));
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
        std::fs::File::options().write(true).open(&copy).unwrap().set_modified(old).unwrap();
        assert_eq!(get(takes()).await, (None, "plain".into()));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_out_of_the_folder_is_not_followed() {
        let (outside, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("secret.txt"), "s").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.txt"), folder.path().join("leak.txt")).unwrap();
        let response = serve(Some(folder.path()), &Method::GET, "/leak.txt", &HeaderMap::new()).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
    }
}
