//! A static file server: the dashboard on ordinary web space, without a node.

use std::path::{Component, Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of a request that are read.
const MAX_REQUEST: usize = 16 << 10;

/// Serves a folder on a free port of this machine until dropped.
pub struct StaticSite {
    port: u16,
    serving: JoinHandle<()>,
}

impl StaticSite {
    /// Starts serving this folder.
    pub async fn serve(folder: PathBuf) -> StaticSite {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let serving = tokio::spawn(async move {
            while let Ok((visitor, _)) = listener.accept().await {
                let folder = folder.clone();
                // If the browser disconnects, there is nobody to report an error to.
                tokio::spawn(async move { answer(visitor, &folder).await.ok() });
            }
        });
        StaticSite { port, serving }
    }

    /// The URL of a path, which must begin with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for StaticSite {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(mut visitor: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < MAX_REQUEST {
        if visitor.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let first_line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
    let path = first_line.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let path = if path.is_empty() { "index.html".to_owned() } else { path };
    let stays_inside = Path::new(&path).components().all(|part| matches!(part, Component::Normal(_)));
    let found = if stays_inside { tokio::fs::read(folder.join(&path)).await.ok() } else { None };
    let (status, body) = found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let kind = kind_of(&path);
    let length = body.len();
    let head = format!("HTTP/1.0 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    visitor.write_all(head.as_bytes()).await?;
    visitor.write_all(&body).await?;
    visitor.shutdown().await
}

fn kind_of(path: &str) -> &'static str {
    match Path::new(path).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css",
        _ => "application/octet-stream",
    }
}
