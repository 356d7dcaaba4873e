//! Splits frames to a client, because the library keeps the memory of the longest frame that it has sent.

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// The longest frame in bytes. A longer message is fragmented (RFC 6455, 5.4).
const PIECE: usize = 64 << 10;

/// The frames of a message.
pub fn pieces(message: Message) -> Vec<Message> {
    let (kind, bytes) = match message {
        Message::Text(text) if text.len() > PIECE => (Data::Text, Bytes::from(text)),
        Message::Binary(bytes) if bytes.len() > PIECE => (Data::Binary, bytes),
        short => return vec![short],
    };
    let piece = |from: usize| {
        let end = (from + PIECE).min(bytes.len());
        let kind = if from == 0 { kind } else { Data::Continue };
        Message::Frame(Frame::message(bytes.slice(from..end), OpCode::Data(kind), end == bytes.len()))
    };
    (0..bytes.len()).step_by(PIECE).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    #[tokio::test]
    async fn messages_arrive_whole() {
        let (ours, theirs) = tokio::io::duplex(10_000);
        let mut client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let mut server = WebSocketStream::from_raw_socket(ours, Role::Server, None).await;
        let texts: Vec<String> = [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE].map(|length| "ä".repeat(length)).into();
        let sent = texts.clone();
        tokio::spawn(async move {
            for text in sent {
                for message in [Message::text(text.clone()), Message::binary(text)] {
                    for piece in pieces(message) {
                        server.send(piece).await.unwrap();
                    }
                }
            }
        });
        for text in texts {
            assert!(client.next().await.unwrap().unwrap() == Message::text(text.clone()));
            assert!(client.next().await.unwrap().unwrap() == Message::binary(text));
        }
    }
}
