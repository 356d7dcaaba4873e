//! Outgoing connections. Of two neighbours, the one with the lower number dials, so each edge has one connection.

use std::sync::Arc;
use std::time::Duration;

use cubecast_core::identity::HostId;
use hyper::header::SEC_WEBSOCKET_PROTOCOL;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tracing::{debug, warn};

use super::handshake::{self, HandshakeError, SUBPROTOCOL};
use super::{PEER_MESSAGE, ServerContext, Socket, peer_connection, tune, websocket_config};
use crate::queues::signals::PeerGate;

/// The pause after a failed attempt. It doubles with each failure up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that broke sooner counts as a failure, because something may break every connection.
const LASTED: Duration = Duration::from_secs(2);
/// The time limit of opening a TCP connection.
const CONNECT: Duration = Duration::from_secs(2);
/// The interval after which the same trouble is logged again.
const TELL_AGAIN: Duration = Duration::from_secs(30);

/// Maintains a connection to one neighbour until the node stops.
pub async fn run(context: Arc<ServerContext>, peer: HostId, address: String) {
    let mut pause = FIRST_PAUSE;
    let mut trouble = Trouble::default();
    loop {
        let gate = tokio::select! {
            gate = gate_open(&context) => gate,
            () = context.stopped() => return,
        };
        let connected = tokio::select! {
            connected = connect(&context, peer, &address) => connected,
            () = context.stopped() => return,
        };
        match connected {
            Ok((socket, slot)) => {
                trouble = Trouble::default();
                let began = Instant::now();
                peer_connection::serve(socket, peer, slot, gate, &context).await;
                if began.elapsed() >= LASTED {
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) => trouble.tell(&context, peer, &address, &error),
        }
        tokio::select! {
            () = sleep(jittered(pause)) => {}
            () = context.stopped() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether this node dials the neighbour. Otherwise the neighbour dials this node.
pub fn dials(me: HostId, peer: HostId) -> bool {
    me < peer
}

async fn gate_open(context: &ServerContext) -> PeerGate {
    let open = context.gate.clone().wait_for(|gate| gate.allowed).await.map(|gate| *gate);
    match open {
        Ok(gate) => gate,
        // The runtime has ended; the shutdown signal follows.
        Err(_) => std::future::pending().await,
    }
}

async fn connect(
    context: &Arc<ServerContext>,
    peer: HostId,
    address: &str,
) -> Result<(Socket, super::peer_table::PeerSlot), DialError> {
    let stream =
        timeout(CONNECT, TcpStream::connect(address)).await.map_err(|_| DialError::Unreachable("no answer".into()))?;
    let stream = stream.map_err(|error| DialError::Unreachable(error.to_string()))?;
    tune(&stream, context.limits.silence).map_err(|error| DialError::Unreachable(error.to_string()))?;
    let mut socket =
        timeout(handshake::PATIENCE, upgrade(stream, address)).await.map_err(|_| HandshakeError::TooSlow)??;
    let proven = match handshake::dial(&mut socket, &context.credentials, peer).await {
        Err(HandshakeError::Refused(refusal)) => {
            handshake::refuse(socket, &refusal).await;
            return Err(HandshakeError::Refused(refusal).into());
        }
        other => other?,
    };
    match context.peers.admit(proven).await {
        Ok(slot) => Ok((socket, slot)),
        Err(refusal) => {
            handshake::refuse(socket, &refusal).await;
            Err(HandshakeError::Refused(refusal).into())
        }
    }
}

async fn upgrade(stream: TcpStream, address: &str) -> Result<Socket, DialError> {
    let mut request =
        format!("ws://{address}/ws").into_client_request().map_err(|error| DialError::NoNode(error.to_string()))?;
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL.parse().expect("a valid header"));
    let upgraded = client_async_with_config(request, stream, Some(websocket_config(PEER_MESSAGE))).await;
    upgraded.map(|(socket, _)| socket).map_err(|error| DialError::NoNode(error.to_string()))
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64())
}

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("unreachable: {0}")]
    Unreachable(String),
    #[error("the address is not a Cubecast node: {0}")]
    NoNode(String),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

/// Logs each trouble once, and again while it lasts.
#[derive(Default)]
struct Trouble {
    told: Option<(String, Instant)>,
}

impl Trouble {
    fn tell(&mut self, context: &ServerContext, peer: HostId, address: &str, error: &DialError) {
        let (node, text) = (context.node(), error.to_string());
        match &self.told {
            Some((told, at)) if *told == text && at.elapsed() < TELL_AGAIN => {
                debug!(%node, %peer, "Neighbour {peer} at {address}: {text}");
            }
            _ => {
                warn!(%node, %peer, "Neighbour {peer} at {address}: {text}; retrying");
                self.told = Some((text, Instant::now()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cubecast_core::cube::Dimension;
    use cubecast_core::seating::Seating;

    #[test]
    fn every_edge_is_dialed_from_exactly_one_end() {
        let seating = Seating::founding(Dimension::new(4).unwrap());
        for node in seating.hosts() {
            for peer in seating.neighbours(node) {
                assert_ne!(dials(node, peer), dials(peer, node));
            }
        }
    }
}
