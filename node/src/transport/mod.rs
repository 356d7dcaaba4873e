//! Sockets: one port for clients, neighbours and browsers, and the connections that this node dials.
//!
//! ```text
//! TCP -> server (HTTP) -> /ws                    -> client_connection -> inbox
//!                      -> /ws, peer subprotocol  -> handshake -> peer_table -> peer_connection -> inbox
//!                      -> probes, incidents, files
//! dialer -> TCP        -> handshake -> peer_table -> peer_connection -> inbox
//! ```
//!
//! A connection that misbehaves, or does not read, harms only itself.

pub mod accepting;
pub mod budget;
pub mod client_connection;
pub mod dialer;
pub mod farewell;
pub mod handshake;
pub mod incidents;
pub mod incoming;
pub mod local_client;
pub mod lonely;
pub mod origin;
pub mod outgoing;
pub mod peer_connection;
pub mod peer_table;
pub mod places;
pub mod probes;
pub mod pulse;
pub mod server;
pub mod shield;
pub mod static_files;
pub mod unanswered;
pub mod upgrade;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cubecast_core::identity::HostId;
use cubecast_core::io::ConnectionId;
use cubecast_core::seating::Seating;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::codec::Rules;
use crate::dashboard::Dashboard;
use crate::metrics::Metrics;
use crate::queues::admission::Admission;
use crate::queues::inbox::InboxSender;
use crate::queues::signals::PeerGate;
use crate::shutdown;
use budget::Budget;
use handshake::Credentials;
use incidents::Incidents;
use incoming::Incoming;
use origin::OriginRules;
use peer_table::PeerTable;
use places::{Places, Undecided};

/// A WebSocket over TCP, after its HTTP part.
pub type Socket = WebSocketStream<TcpStream>;
/// A client's WebSocket, whose incoming bytes are counted.
pub type ClientSocket = WebSocketStream<Incoming<TcpStream>>;

/// Limits on input. The defaults suit a cluster on one machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Concurrent client connections; further ones are answered with 503.
    pub clients: usize,
    /// Concurrent client connections of one address, or of one IPv6 network (/64).
    pub clients_of_one: usize,
    /// Unanswered requests of one connection; at the limit its socket is not read.
    pub unanswered: usize,
    /// The maximum size of a client's message in bytes: the longest content, escaped in JSON, plus the rest of the
    /// request.
    pub client_message: usize,
    /// A client that sends nothing for this long, not even a pong, counts as gone.
    pub silence: Duration,
    /// A client that sends no request within this time is closed.
    pub first_request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            clients: 4096,
            clients_of_one: 2048,
            unanswered: 1024,
            client_message: 8 << 20,
            silence: pulse::SILENCE,
            first_request: Duration::from_secs(60),
        }
    }
}

/// The maximum size of a neighbour's message in bytes.
pub const PEER_MESSAGE: usize = 64 << 20;
/// The maximum size of a message in bytes from a neighbour that has not proven its identity.
pub const HANDSHAKE_MESSAGE: usize = 16 << 10;

/// State shared by all connections of a node.
#[derive(Debug)]
pub struct ServerContext {
    /// This node's identity for its neighbours.
    pub credentials: Credentials,
    /// Limits on input.
    pub limits: Limits,
    /// The budget of bytes for all clients' messages.
    pub budget: Arc<Budget>,
    /// Admission control for clients' requests.
    pub admission: Arc<Admission>,
    /// Places for client connections.
    pub places: Arc<Places>,
    /// Connections that are not WebSockets yet.
    pub undecided: Undecided,
    /// Limits and nodes that requests are checked against.
    pub rules: Rules,
    /// The accepted origins and hosts.
    pub origins: OriginRules,
    /// The source of the dashboard's files.
    pub dashboard: Dashboard,
    /// The node's recordings, for requests of them.
    pub incidents: Incidents,
    /// The queue to the runtime.
    pub inbox: InboxSender,
    /// The source of connection numbers.
    pub numbers: Numbers,
    /// The connections to neighbours.
    pub peers: Arc<PeerTable>,
    /// Whether connections to neighbours are allowed.
    pub gate: watch::Receiver<PeerGate>,
    /// Whether the disk is behind, so that clients are not read.
    pub busy: watch::Receiver<bool>,
    /// The node's counters.
    pub metrics: Arc<Metrics>,
    /// Turns true when the node stops.
    pub stop: watch::Receiver<bool>,
    /// The start of the beats at which all connections do their periodic work together.
    pub began: Instant,
}

impl ServerContext {
    /// This node.
    pub fn node(&self) -> HostId {
        self.credentials.node
    }

    /// All nodes of the cluster.
    pub fn seating(&self) -> &Seating {
        &self.rules.seating
    }

    /// Completes when the disk is not behind.
    pub async fn not_busy(&self) {
        // If the sender is gone, the node stops, which other signals report.
        let _ = self.busy.clone().wait_for(|busy| !*busy).await;
    }

    /// Completes when the node stops.
    pub async fn stopped(&self) {
        shutdown::requested(&mut self.stop.clone()).await;
    }
}

/// Numbers connections. No number is used twice.
#[derive(Debug, Default)]
pub struct Numbers(AtomicU64);

impl Numbers {
    /// The next number.
    pub fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.0.fetch_add(1, Relaxed) + 1)
    }
}

/// The idle time before a TCP connection is probed, the interval between probes, and the number of lost probes: a
/// client whose machine vanished is detected after a minute.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);

/// Disables Nagle's algorithm, so that small frames are not delayed, and detects a vanished machine, also by data
/// that stays unacknowledged or unaccepted for `silence`.
pub fn tune(stream: &TcpStream, silence: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(silence))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = silence;
    socket.set_tcp_keepalive(&KEEPALIVE)
}

/// WebSocket settings with a limit on a message's size in bytes. Buffers are small, because there are many
/// connections, and because the read buffer is zeroed for each read.
pub fn websocket_config(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(32 << 10)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

/// Polls `future` only when it was woken itself, not whenever the task is woken for a message.
pub async fn only_when_woken<F: Future>(future: F) -> F::Output {
    let mut alone: FuturesUnordered<F> = std::iter::once(future).collect();
    alone.next().await.expect("it contains one future")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_vanished_machine_is_noticed_with_data_under_way() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tune(&stream, pulse::SILENCE).unwrap();
        assert_eq!(SockRef::from(&stream).tcp_user_timeout().unwrap(), Some(pulse::SILENCE));
    }
}
