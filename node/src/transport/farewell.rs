//! Closes a WebSocket (RFC 6455, 7): a close frame in each direction, then TCP, each step with a time limit.
//!
//! The server closes TCP first: it shuts down its direction and reads until the client does the same. A socket that
//! is closed with unread bytes is reset, and a reset discards data that the client has not read yet, including the
//! close frame.

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

/// The time limit of the other side's part of the closing handshake.
pub const CLOSES_WITHIN: Duration = Duration::from_secs(5);
/// The maximum bytes of messages in flight that are read and discarded.
const DISCARD_BYTES: u64 = 64 << 20;
/// The maximum length of a close frame's reason, in bytes.
const REASON_BYTES: usize = 123;

/// Why this side closes a connection; the content of the close frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Goodbye {
    /// The close code.
    pub code: CloseCode,
    /// The reason, for people. The close frame has at most 123 bytes of it.
    pub reason: String,
}

impl Goodbye {
    /// A close code with its reason.
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Goodbye {
        Goodbye { code, reason: reason.into() }
    }

    /// The goodbye of a node that stops.
    pub fn shutting_down() -> Goodbye {
        Goodbye::new(CloseCode::Away, "the node is shutting down")
    }

    /// The close frame, with the reason cut to its maximum length.
    pub fn close_frame(&self) -> CloseFrame {
        let end = self.reason.floor_char_boundary(REASON_BYTES);
        CloseFrame { code: self.code, reason: self.reason[..end].into() }
    }
}

/// What the other side did wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Answered with a close frame.
    Told(Goodbye),
    /// The other side closed its direction of TCP without a close frame.
    NoCloseFrame,
    /// The connection broke, so no close frame can be sent.
    Broken(String),
}

/// The fault behind a failed read. `max_message`: the message limit in bytes, which the message may have exceeded.
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

/// Closes a connection. `goodbye` is this side's close frame; `None` if the other side's came first, which is
/// answered with the same code. Gives up after `within`, whether or not the other side has read everything.
pub async fn close<S>(mut socket: WebSocketStream<S>, goodbye: Option<&Goodbye>, within: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = timeout(within, async {
        // If the handshake fails, the other side may still read the part that was sent.
        let _ = shake_hands(&mut socket, goodbye).await;
        end_tcp(socket.get_mut()).await
    })
    .await;
}

/// Reading sends the answer to the other side's close frame, or waits for the answer to ours.
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

/// Closes a connection whose other side sends nothing more, not even a close frame, but may still read.
pub async fn close_half_closed<S>(mut socket: WebSocketStream<S>, goodbye: &Goodbye, within: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut frame = Vec::new();
    Frame::close(Some(goodbye.close_frame())).format(&mut frame).expect("memory takes any frame");
    let _ = timeout(within, async {
        // For the library the connection has ended: it flushes its buffer and accepts no frame.
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
