//! Sockets: one port that serves clients, neighbours and the browser, and the connections that this node dials.
//!
//! ```text
//! TCP -> server (HTTP) -> /ws                    -> client_connection -> inbox
//!                      -> /ws, peer subprotocol  -> handshake -> peer_table -> peer_connection -> inbox
//!                      -> probes, files
//! dialer -> TCP        -> handshake -> peer_table -> peer_connection -> inbox
//! ```
//!
//! Bytes become core's types here and nowhere else. A connection that misbehaves, or does not read, harms itself alone.

pub mod accepting;
pub mod admission;
pub mod budget;
pub mod client_connection;
pub mod codec;
pub mod dialer;
pub mod farewell;
pub mod handshake;
pub mod incoming;
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

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cubecast_core::cube::Vertex;
use cubecast_core::io::ConnectionId;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::metrics::Metrics;
use crate::runtime::PeerGate;
use crate::runtime::inbox::InboxSender;
use crate::shutdown;
use admission::Admission;
use budget::Budget;
use codec::Rules;
use handshake::Credentials;
use incoming::Incoming;
use origin::OriginRules;
use peer_table::PeerTable;
use places::{Places, Undecided};

/// A WebSocket over TCP, its HTTP part behind it.
pub type Socket = WebSocketStream<TcpStream>;
/// A client's, whose bytes are counted.
pub type ClientSocket = WebSocketStream<Incoming<TcpStream>>;

/// Bounds on what comes in. Defaults suit a cluster on one machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Client connections at one time; one more is answered 503.
    pub clients: usize,
    /// Of one address, or one IPv6 network.
    pub clients_of_one: usize,
    /// Requests of one connection without an answer; at the limit its socket is not read.
    pub unanswered: usize,
    /// Bytes in one message from a client: the longest content, escaped in JSON, and its frame.
    pub client_message: usize,
    /// A client from which nothing comes for so long, not even an answer to a ping, is gone.
    pub silence: Duration,
    /// A client that has asked for nothing within this is closed.
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

/// Bytes in one message from a neighbour.
pub const PEER_MESSAGE: usize = 64 << 20;
/// Bytes in one message from somebody who says that he is a neighbour, and has not proven it.
pub const HANDSHAKE_MESSAGE: usize = 16 << 10;

/// What all connections of a node share.
#[derive(Debug)]
pub struct Door {
    pub credentials: Credentials,
    pub limits: Limits,
    /// What all clients share.
    pub budget: Arc<Budget>,
    pub admission: Arc<Admission>,
    pub places: Arc<Places>,
    pub undecided: Undecided,
    pub rules: Rules,
    pub origins: OriginRules,
    pub web: Option<PathBuf>,
    pub inbox: InboxSender,
    pub numbers: Numbers,
    pub peers: Arc<PeerTable>,
    pub gate: watch::Receiver<PeerGate>,
    pub busy: watch::Receiver<bool>,
    pub metrics: Arc<Metrics>,
    pub stop: watch::Receiver<bool>,
    /// Since when; what connections do again and again, they do together, counted from here.
    pub began: Instant,
}

impl Door {
    pub fn vertex(&self) -> Vertex {
        self.credentials.vertex
    }

    /// Completes when the disk is not behind.
    pub async fn not_busy(&self) {
        // A sender that is gone means that the node ends, which tells itself.
        let _ = self.busy.clone().wait_for(|busy| !*busy).await;
    }

    /// Completes when the node shuts down.
    pub async fn stopped(&self) {
        shutdown::requested(&mut self.stop.clone()).await;
    }
}

/// Numbers connections; none is used twice.
#[derive(Debug, Default)]
pub struct Numbers(AtomicU64);

impl Numbers {
    pub fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.0.fetch_add(1, Relaxed) + 1)
    }
}

/// How long a TCP connection may be idle before it is probed, how often then, and how many probes may be lost: a client
/// whose machine vanished is gone after a minute.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);

/// Small frames must not wait for each other, and a vanished machine must be noticed: also one that has not acknowledged what
/// was sent to it, or takes nothing, for `silence`.
pub fn tune(stream: &TcpStream, silence: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket.set_tcp_user_timeout(Some(silence))?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = silence;
    socket.set_tcp_keepalive(&KEEPALIVE)
}

/// WebSocket settings with a bound on a message's size. Buffers are small, because connections are many, and because room for
/// a read is filled with zeros each time.
pub fn websocket_config(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(32 << 10)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
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
