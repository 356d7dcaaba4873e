//! A proxy that publishes one node below a path prefix, and nothing else: `/cube/…` becomes `/…` of the node.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The node's path prefix.
pub const PREFIX: &str = "/cube";
/// Bytes. Longer request heads do not come from a browser.
const MAX_HEAD: usize = 16 << 10;
const NOT_FOUND: &[u8] =
    b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Forwards from a free port of this machine until dropped.
pub struct Proxy {
    /// The port that it listens on.
    pub port: u16,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy. `upstream`: `HOST:PORT` of the node.
    pub async fn to(upstream: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        let serving = tokio::spawn(async move {
            while let Ok((visitor, _)) = listener.accept().await {
                let upstream = upstream.clone();
                // If the browser disconnects, there is nobody to report an error to.
                tokio::spawn(async move { pass_on(visitor, &upstream).await.ok() });
            }
        });
        Proxy { port, serving }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Forwards one request or one WebSocket; then the connection ends.
async fn pass_on(mut visitor: TcpStream, upstream: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    let end = loop {
        if let Some(at) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if head.len() > MAX_HEAD || visitor.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    };
    let Some(passed) = rewritten(&String::from_utf8_lossy(&head[..end]), upstream) else {
        return visitor.write_all(NOT_FOUND).await;
    };
    let mut node = TcpStream::connect(upstream).await?;
    node.write_all(passed.as_bytes()).await?;
    node.write_all(&head[end..]).await?;
    copy_bidirectional(&mut visitor, &mut node).await.map(drop)
}

/// The head for the node; `None` if the path is not below the prefix.
fn rewritten(head: &str, upstream: &str) -> Option<String> {
    let (first, headers) = head.split_once("\r\n")?;
    let mut parts = first.splitn(3, ' ');
    let (method, path, version) = (parts.next()?, parts.next()?, parts.next()?);
    let path = path.strip_prefix(PREFIX).filter(|path| path.starts_with('/'))?;
    let is_socket = headers.to_ascii_lowercase().contains("upgrade: websocket");
    let kept = headers.lines().filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !line.is_empty() && name != "host" && (is_socket || name != "connection")
    });
    let mut passed = format!("{method} {path} {version}\r\nHost: {upstream}\r\n");
    kept.for_each(|line| passed.extend([line, "\r\n"]));
    if !is_socket {
        passed.push_str("Connection: close\r\n");
    }
    Some(passed + "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_prefix_is_passed_on_without_it_and_nothing_else_is() {
        let head = |path: &str| {
            format!(
                "GET {path} HTTP/1.1\r\nHost: cube.test\r\nConnection: keep-alive\r\nOrigin: http://cube.test\r\n\r\n"
            )
        };
        let passed = rewritten(&head("/cube/ws"), "127.0.0.1:1").unwrap();
        assert_eq!(
            passed,
            "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:1\r\nOrigin: http://cube.test\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(rewritten(&head("/ws"), "127.0.0.1:1"), None);
        assert_eq!(rewritten(&head("/cubes/"), "127.0.0.1:1"), None);
    }
}
