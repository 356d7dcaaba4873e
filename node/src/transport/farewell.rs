//! How a WebSocket ends (RFC 6455, 7): a close frame each way, then TCP, and each step within a time.
//!
//! The server ends TCP first. It shuts its direction down and reads on until the client does the same: a socket that is closed
//! with unread bytes is reset, and a reset takes away what the client has not read yet, the close frame among it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// How long the other side has for its part of the closing handshake.
pub const CLOSES_WITHIN: Duration = Duration::from_secs(5);
/// What is read and thrown away of messages that were on their way when we closed.
const DISCARD_BYTES: u64 = 64 << 20;
/// A close frame has place for 123 bytes of reason.
const REASON_BYTES: usize = 123;

/// Why we end a connection, as the close frame tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Goodbye {
    pub code: CloseCode,
    pub reason: String,
}

impl Goodbye {
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Goodbye {
        Goodbye { code, reason: reason.into() }
    }

    pub fn shutting_down() -> Goodbye {
        Goodbye::new(CloseCode::Away, "the node is shutting down")
    }

    pub fn close_frame(&self) -> CloseFrame {
        let end = self.reason.floor_char_boundary(REASON_BYTES);
        CloseFrame { code: self.code, reason: self.reason[..end].into() }
    }
}

/// What the other side did wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is answered with a close frame.
    Told(Goodbye),
    /// It ended its direction of TCP without a close frame.
    NoCloseFrame,
    /// The connection broke: nobody is there to be told.
    Broken(String),
}

/// What a failed read means. `max_message`: the limit that a message may have exceeded.
pub fn fault_of(error: &Error, max_message: usize) -> Fault {
    let told = |code, reason: String| Fault::Told(Goodbye::new(code, reason));
    match error {
        Error::Capacity(_) => told(CloseCode::Size, format!("a message has at most {max_message} bytes")),
        Error::Utf8(_) => told(CloseCode::Invalid, "a text is not valid UTF-8".into()),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Fault::NoCloseFrame,
        Error::Protocol(error) => told(CloseCode::Protocol, error.to_string()),
        error => Fault::Broken(error.to_string()),
    }
}

/// Ends a connection. `goodbye`: our close frame; `None` where theirs came first, which is answered with the same code.
/// Gives up after `within`: whoever does not read in time, or is gone, is not waited for.
pub async fn close<S>(mut socket: WebSocketStream<S>, goodbye: Option<&Goodbye>, within: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = timeout(within, async {
        // Where the handshake fails, what was sent of it is still read.
        let _ = shake_hands(&mut socket, goodbye).await;
        end_tcp(socket.get_mut()).await
    })
    .await;
}

/// Reading sends the answer to their close frame, or waits for the answer to ours.
async fn shake_hands<S>(socket: &mut WebSocketStream<S>, goodbye: Option<&Goodbye>) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(goodbye) = goodbye {
        socket.close(Some(goodbye.close_frame())).await?;
    }
    while socket.next().await.transpose()?.is_some() {}
    Ok(())
}

/// Ends a connection whose other side sends nothing any more, not even a close frame, and may still read.
pub async fn close_half_closed<S>(mut socket: WebSocketStream<S>, goodbye: &Goodbye, within: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut frame = Vec::new();
    Frame::close(Some(goodbye.close_frame())).format(&mut frame).expect("memory takes any frame");
    let _ = timeout(within, async {
        // To the library the connection has ended: it writes out what it has, and takes no frame.
        let _ = socket.flush().await;
        socket.get_mut().write_all(&frame).await?;
        end_tcp(socket.get_mut()).await
    })
    .await;
}

async fn end_tcp<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(DISCARD_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let frame = Goodbye::new(CloseCode::Policy, "ä".repeat(100)).close_frame();
        assert_eq!(frame.reason.as_str(), "ä".repeat(61));
    }
}
