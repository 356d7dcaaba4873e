//! Requests a node's state and readiness from its `/readyz`, and its counters from its `/metrics`.

use std::time::Duration;

use hyper::body::Bytes;
use serde::Deserialize;

use crate::fetch;

/// Longer than the node's own time limit for its answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// A node's report about itself.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Health {
    /// `up`, `recovering`, `failed` or `silent`.
    pub state: String,
    /// Whether every replica group of the node accepts publishes.
    #[serde(default)]
    pub ready: bool,
    /// Why the node is not ready.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The groups that the node leads.
    #[serde(default)]
    pub leads: Vec<String>,
    /// The number of topics in these groups.
    #[serde(default)]
    pub topics_led: u64,
    /// The number of messages in these groups.
    #[serde(default)]
    pub messages_led: u64,
}

/// One reason why a node is not ready.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Reason {
    /// The reason as a sentence.
    pub message: String,
}

/// Requests the state of the node at this address. `None`: it does not answer.
pub async fn ask(address: &str) -> Option<Health> {
    serde_json::from_slice(&fetch_body(address, "/readyz").await?).ok()
}

/// The value of a line of `/metrics`. `name` is the whole name in that line, including labels.
pub async fn counted(address: &str, name: &str) -> Option<f64> {
    let page = fetch_body(address, "/metrics").await?;
    let page = std::str::from_utf8(&page).ok()?;
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

async fn fetch_body(address: &str, path: &str) -> Option<Bytes> {
    fetch::get(address, path, PATIENCE).await.ok().map(|fetched| fetched.body)
}
