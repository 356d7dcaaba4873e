//! The known nodes: their addresses and their health.

use std::time::Duration;

use crate::address::Address;
use crate::client::io::SocketId;
use crate::cube::Dimension;
use crate::identity::HostId;
use crate::seating::Seating;
use crate::time::Instant;
use crate::wire::answer::ClusterView;

/// Index into [`Nodes::peers`]; peers are never removed.
pub(super) type PeerIndex = usize;

#[derive(Debug)]
pub(super) struct Nodes {
    /// `None` until the client has learned the cluster.
    pub seating: Option<Seating>,
    pub peers: Vec<Peer>,
}

/// A known or reported address of a node.
#[derive(Debug)]
pub(super) struct Peer {
    pub url: String,
    /// The node's identity; unknown for a seed that has not answered yet.
    pub host: Option<HostId>,
    /// The socket for requests, opening or open.
    pub requests: Option<SocketId>,
    /// Consecutive failures to reach it. While this is not 0, the peer is skipped and retried in the background.
    pub failures: u32,
    /// Whether a socket to it was ever open.
    pub was_reached: bool,
    /// No attempt to open a socket before this time.
    pub rest_until: Instant,
    /// Consecutive `node_failed` answers.
    pub refusals: u32,
    /// The peer is skipped until then because it reported a failure.
    pub refuses_until: Instant,
    /// The reason of its latest loss or failure.
    pub why: String,
}

impl Nodes {
    /// Begins with these nodes: first the known ones, then the seeds whose addresses are not among them.
    pub fn new(seeds: &[String], known: &[(HostId, String)]) -> Nodes {
        let known_peers = known.iter().map(|(host, address)| Peer::new(url_of(address), Some(*host)));
        let mut peers: Vec<Peer> = known_peers.collect();
        for seed in seeds.iter().map(|seed| url_of(seed)) {
            if peers.iter().all(|peer| peer.url != seed) {
                peers.push(Peer::new(seed, None));
            }
        }
        Nodes { seating: known.first().map(|(host, _)| Seating::founded_by(*host)), peers }
    }

    /// The cube's dimension; `None` until the client has learned the cluster.
    pub fn dimension(&self) -> Option<Dimension> {
        self.seating.as_ref().map(Seating::dimension)
    }

    /// The index of this host. `None` if no address of it is known.
    pub fn at(&self, host: HostId) -> Option<PeerIndex> {
        self.peers.iter().position(|peer| peer.host == Some(host))
    }

    /// Adopts the addresses that the node at `asked` reports. Returns true if nothing was known before.
    pub fn learn(&mut self, asked: PeerIndex, served_by: HostId, view: &ClusterView) -> bool {
        let seating = Seating::founding(view.dimension);
        for peer in &mut self.peers {
            // The node moved, or the old address now belongs to another cluster.
            if peer.host == Some(served_by) || peer.host.is_some_and(|host| !seating.has(host)) {
                peer.host = None;
            }
        }
        self.peers[asked].host = Some(served_by);
        for node in view.nodes.iter().filter(|node| node.node != served_by) {
            self.place(node.node, url_of(&node.address));
        }
        self.seating.replace(seating).is_none()
    }

    /// Records that `host` is reported to be at `url`.
    fn place(&mut self, host: HostId, url: String) {
        if let Some(known) = self.at(host) {
            let peer = &mut self.peers[known];
            if peer.requests.is_none() && peer.failures > 0 {
                peer.url = url;
            }
        } else if let Some(same) = self.peers.iter_mut().find(|peer| peer.host.is_none() && peer.url == url) {
            same.host = Some(host);
        } else {
            self.peers.push(Peer::new(url, Some(host)));
        }
    }
}

impl Peer {
    fn new(url: String, host: Option<HostId>) -> Peer {
        Peer {
            url,
            host,
            requests: None,
            failures: 0,
            was_reached: false,
            rest_until: Instant(0),
            refusals: 0,
            refuses_until: Instant(0),
            why: String::new(),
        }
    }

    /// Whether no attempt to connect has failed since the last success.
    pub fn is_reachable(&self) -> bool {
        self.failures == 0
    }

    /// Whether the node reported a failure so recently that it is not asked now.
    pub fn is_refusing(&self, now: Instant) -> bool {
        self.refuses_until > now
    }

    /// A name for error texts: `node` and its host, or the URL while its host is unknown.
    pub fn name(&self) -> String {
        self.host.map_or_else(|| self.url.clone(), |host| format!("node {host}"))
    }
}

/// The WebSocket URL of a node, given as `HOST:PORT`, `ws://HOST:PORT` or a full URL.
pub fn url_of(address: &str) -> String {
    let url = match address.parse::<Address>() {
        Ok(address) => format!("ws://{address}"),
        Err(_) if address.contains("://") => address.to_string(),
        Err(_) => format!("ws://{address}"),
    };
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/').contains('/'));
    if has_path { url } else { format!("{}/ws", url.trim_end_matches('/')) }
}

/// An exponential backoff: doubles from `first` up to `most`. Half of it is jitter, so that many clients do not retry
/// together.
pub(super) fn backoff(rng: &mut fastrand::Rng, first: Duration, most: Duration, times: u32) -> Duration {
    let doubled = first.saturating_mul(1 << times.saturating_sub(1).min(20)).min(most);
    doubled.mul_f64(0.5 + 0.5 * rng.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_written_short() {
        for address in ["127.0.0.1:8000", "ws://127.0.0.1:8000", "ws://127.0.0.1:8000/", "ws://127.0.0.1:8000/ws"] {
            assert_eq!(url_of(address), "ws://127.0.0.1:8000/ws");
        }
        assert_eq!(url_of("[0:0::1]:8000"), "ws://[::1]:8000/ws");
        assert_eq!(url_of("wss://a.example/cube/ws"), "wss://a.example/cube/ws");
    }

    #[test]
    fn a_backoff_grows_and_stays_within_its_bounds() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (first, most) = (Duration::from_millis(10), Duration::from_millis(500));
        for times in 1..100 {
            let pause = backoff(&mut rng, first, most, times);
            assert!(pause >= first / 2 && pause <= most, "{times}: {pause:?}");
        }
        assert!(backoff(&mut rng, first, most, 9) > Duration::from_millis(200));
    }
}
