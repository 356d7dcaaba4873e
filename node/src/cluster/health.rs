//! Asks a node how it is and whether it is ready, by its `/readyz`, and what it has counted, by its `/metrics`.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than the node's own patience with itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Health {
    /// `up`, `recovering`, `failed` or `silent`.
    pub state: String,
    /// Whether every replica group of the node takes publishes.
    #[serde(default)]
    pub ready: bool,
    /// Why not, when it is not.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The groups that it leads, and what they hold.
    #[serde(default)]
    pub leads: Vec<String>,
    #[serde(default)]
    pub topics_led: u64,
    #[serde(default)]
    pub messages_led: u64,
}

/// One reason why a node is not ready, in words.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Reason {
    pub message: String,
}

/// `None`: it does not answer.
pub async fn ask(address: &str) -> Option<Health> {
    serde_json::from_slice(&fetch(address, "/readyz").await?).ok()
}

/// The value of a line of `/metrics`, named as it stands there, labels included.
pub async fn counted(address: &str, name: &str) -> Option<f64> {
    let page = fetch(address, "/metrics").await?;
    let page = std::str::from_utf8(&page).ok()?;
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

async fn fetch(address: &str, path: &str) -> Option<Bytes> {
    timeout(PATIENCE, get(address, path)).await.ok().flatten()
}

async fn get(address: &str, path: &str) -> Option<Bytes> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(path).header(HOST, address).body(Empty::<Bytes>::new()).ok()?;
    let answered = async { sender.send_request(request).await.ok()?.into_body().collect().await.ok() };
    let body = tokio::select! {
        body = answered => body?,
        // It ends before the answer only when it breaks.
        _ = connection => return None,
    };
    Some(body.to_bytes())
}
