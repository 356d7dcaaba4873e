//! Checks of the handshake: input from a peer that connects as a neighbour and has not proven the secret.

use cubecast_node::transport::handshake::{Credentials, HandshakeError, Secret, accept};
use cubecast_node::transport::{HANDSHAKE_MESSAGE, websocket_config};
use tokio::io::{join, sink};
use tokio::runtime::{Builder, Runtime};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::memory::{Allowance, within};
use crate::seating;

/// The second number covers a connection's own buffers. (serde keeps each value of an object until the step is known.)
const KNOCK: Allowance = Allowance { per_byte: 32, beside: 64 << 10 };
/// An unauthenticated peer may send two messages. Bytes beyond them are not read and must cost no memory.
const READ_AT_MOST: usize = 2 * HANDSHAKE_MESSAGE;

/// Checks text messages, one per line. None may be accepted, because none can prove a secret against a fresh nonce.
pub fn check(input: &[u8]) {
    let refused = why_refused(input);
    assert!(refused.is_some(), "a stranger got in");
}

/// Why the peer is rejected; `None` if it is accepted.
fn why_refused(input: &[u8]) -> Option<HandshakeError> {
    let stream = text_frames(input);
    let me = acceptor();
    RUNTIME.with(|runtime| {
        within(KNOCK, stream.len().min(READ_AT_MOST), || {
            runtime.block_on(async {
                let config = Some(websocket_config(HANDSHAKE_MESSAGE));
                let wire = join(stream.as_slice(), sink());
                let mut socket = WebSocketStream::from_raw_socket(wire, Role::Server, config).await;
                accept(&mut socket, &me).await.err()
            })
        })
    })
}

/// Node 100 of the cluster `demo`.
fn acceptor() -> Credentials {
    Credentials {
        cluster: "demo".into(),
        node: "100".parse().expect("a node"),
        seating: seating(),
        instance: 7,
        secret: Secret::new(b"sixteen bytes at least").expect("it is long enough"),
    }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime can be made");
}

/// The lines as a client's WebSocket frames, with a mask of zeros.
fn text_frames(input: &[u8]) -> Vec<u8> {
    const TEXT: u8 = 0x81;
    const MASKED: u8 = 0x80;
    let mut stream = Vec::new();
    for line in input.split(|byte| *byte == b'\n') {
        stream.push(TEXT);
        match line.len() {
            short @ 0..126 => stream.push(MASKED | short as u8),
            middle @ 126..0x1_0000 => {
                stream.push(MASKED | 126);
                stream.extend((middle as u16).to_be_bytes());
            }
            long => {
                stream.push(MASKED | 127);
                stream.extend((long as u64).to_be_bytes());
            }
        }
        stream.extend([0; 4]);
        stream.extend(line);
    }
    stream
}

#[cfg(test)]
mod tests {
    use cubecast_node::transport::handshake::RefusalCode;

    use super::*;
    use crate::examples;

    /// Fuzzing starts with this example. If it were rejected at once, fuzzing would never reach the later steps.
    #[test]
    fn the_first_example_gets_as_far_as_its_proof() {
        let why = why_refused(&examples::handshakes()[0]);
        let Some(HandshakeError::Refused(refusal)) = why else { panic!("{why:?}") };
        assert_eq!(refusal.code, RefusalCode::WrongSecret, "{refusal}");
    }
}
