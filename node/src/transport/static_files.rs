//! Answers requests for the dashboard's files.
//!
//! Browsers cache files with a content hash in their name forever, and revalidate all others each time. If a file has a
//! compressed form, browsers that accept gzip receive that form.

use std::path::{Path, PathBuf};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    IF_NONE_MATCH, VARY,
};
use hyper::{Method, Response, StatusCode};

use super::shield;
use crate::dashboard::{Dashboard, Found, INDEX};

const HTML: &str = "text/html; charset=utf-8";

/// The maximum length of a path in bytes.
const MAX_PATH: usize = 1024;

/// Answers a request for a file.
pub async fn serve(dashboard: &Dashboard, method: &Method, path: &str, headers: &HeaderMap) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return only_reading();
    }
    let Some(wanted) = relative_path(path) else {
        return page(StatusCode::BAD_REQUEST, "Invalid path.\n");
    };
    // For HEAD, hyper sends the same headers without the body.
    match find(dashboard, &wanted, accepts_gzip(headers)).await {
        Some(file) => answer(&file, headers).await,
        None if wanted.extension().is_none() => no_dashboard(),
        None => page(StatusCode::NOT_FOUND, "File not found.\n"),
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

/// The requested file, or the index for a path of the dashboard itself, which has no extension.
async fn find(dashboard: &Dashboard, wanted: &Path, accepts_gzip: bool) -> Option<Found> {
    match dashboard.find(wanted, accepts_gzip).await {
        None if wanted.extension().is_none() => dashboard.find(Path::new(INDEX), accepts_gzip).await,
        found => found,
    }
}

async fn answer(file: &Found, headers: &HeaderMap) -> Response<Full<Bytes>> {
    let unreadable = || page(StatusCode::NOT_FOUND, "Cannot read this file.\n");
    let known = headers.get(IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == file.tag.as_bytes());
    let (status, body) = if known {
        (StatusCode::NOT_MODIFIED, Bytes::new())
    } else {
        let Some(content) = file.content().await else { return unreadable() };
        (StatusCode::OK, content)
    };
    let mut response = Response::builder();
    if file.is_gzip {
        response = response.header(CONTENT_ENCODING, "gzip");
    }
    if content_type(&file.path) == HTML {
        let Some(html) = file.html().await else { return unreadable() };
        response = response.header(CONTENT_SECURITY_POLICY, shield::page_policy(&html));
    }
    let caching = if is_hashed(&file.path) { "public, max-age=31536000, immutable" } else { "no-cache" };
    response
        .status(status)
        .header(CONTENT_TYPE, content_type(&file.path))
        .header(CACHE_CONTROL, caching)
        .header(ETAG, &file.tag)
        .header(VARY, ACCEPT_ENCODING.as_str())
        .body(Full::new(body))
        .expect("the headers are valid")
}

/// Whether the browser accepts gzip with a weight above zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    offers.flat_map(|offer| offer.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

/// Whether a name contains a content hash. cubecast-bundle adds 16 hexadecimal digits:
/// `dashboard-0123456789abcdef_bg.wasm`.
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
    let mut response = page(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed here.\n");
    response.headers_mut().insert(ALLOW, "GET, HEAD".parse().expect("a valid header"));
    response
}

fn no_dashboard() -> Response<Full<Bytes>> {
    const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Cubecast</title>\
        <style>body{font:16px/1.5 system-ui;max-width:40em;margin:4em auto;padding:0 1em}code{background:#8883;padding:.1em .3em}</style>\
        <h1>This node runs, but serves no dashboard</h1>\
        <p>Either it was started with <code>--no-web</code>, or the program was built without the dashboard, or the \
        folder given with <code>--web</code> contains no <code>index.html</code>.</p>\
        <p><code>make dashboard</code> and then <code>make build</code> build a program that contains the dashboard. \
        <code>make run</code> does both and starts a cluster.</p>\
        <p>Clients connect to <code>/ws</code>. <a href=/healthz>/healthz</a>, <a href=/readyz>/readyz</a> and <a \
        href=/metrics>/metrics</a> report the state of the node.</p></html>\n";
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
        let takes = |offer: &str| accepts_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, offer.parse().unwrap())]));
        assert!(takes("gzip, deflate, br") && takes("br;q=1.0, GZIP;q=0.5"));
        assert!(!takes("gzip;q=0") && !takes("br") && !takes("x-gzipped") && !accepts_gzip(&HeaderMap::new()));
    }
}
