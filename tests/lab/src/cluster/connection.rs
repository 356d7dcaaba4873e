//! One raw WebSocket to one node: requests go to this node, and are neither repeated nor sent elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use cubecast_core::wire::answer::{Answer, ServerFrame};
use cubecast_core::wire::binary;
use cubecast_core::wire::client::{Action, Request, RequestId};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// The largest message accepted from a node, in bytes.
const MAX_MESSAGE: usize = 64 << 20;
const OPENS_WITHIN: Duration = Duration::from_secs(2);
/// A node answers every request within 5 s, unless it is stopped or unreachable.
const ANSWERS_WITHIN: Duration = Duration::from_millis(6_500);

/// A raw connection to a node.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    requests: u64,
    /// Frames that were received and not taken yet.
    frames: VecDeque<ServerFrame>,
}

/// Why the connection broke or could not be opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Lost(String);

impl From<Error> for Lost {
    fn from(error: Error) -> Lost {
        Lost(error.to_string())
    }
}

impl Connection {
    /// Opens a connection, at most 2 s.
    pub async fn open(address: &str) -> Result<Connection, Lost> {
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let url = format!("ws://{address}/ws");
        let opening = tokio_tungstenite::connect_async_with_config(url, Some(config), true);
        let (socket, _) = within(OPENS_WITHIN, async { Ok(opening.await?) }).await?;
        Ok(Connection { socket, requests: 0, frames: VecDeque::new() })
    }

    /// Sends a request and waits for the answer. After an error the connection must be dropped, because late frames
    /// could be mistaken for other answers.
    pub async fn ask(&mut self, action: Action) -> Result<Answer, Lost> {
        self.ask_within(ANSWERS_WITHIN, action).await
    }

    /// The same with another time limit.
    pub async fn ask_within(&mut self, patience: Duration, action: Action) -> Result<Answer, Lost> {
        within(patience, self.ask_and_wait(action)).await
    }

    async fn ask_and_wait(&mut self, action: Action) -> Result<Answer, Lost> {
        self.requests += 1;
        let id = RequestId::Unsigned(self.requests);
        let request = Request { id: Some(id.clone()), trace: true, action };
        self.socket.send(Message::Binary(binary::encode_requests(&[request]).into())).await?;
        let mut seen = 0;
        loop {
            let is_answer =
                |frame: &ServerFrame| matches!(frame, ServerFrame::Answer(answer) if answer.id.as_ref() == Some(&id));
            if let Some(at) = self.frames.iter().skip(seen).position(is_answer)
                && let Some(ServerFrame::Answer(answer)) = self.frames.remove(seen + at)
            {
                return Ok(answer);
            }
            seen = self.frames.len();
            self.receive().await?;
        }
    }

    /// The next frame that is not an answer to a request of this connection.
    pub async fn next_frame(&mut self) -> Result<ServerFrame, Lost> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> Result<(), Lost> {
        match self.socket.next().await {
            None | Some(Ok(Message::Close(_))) => Err(Lost("the node closed the connection".into())),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(Message::Binary(bytes))) => {
                let frames = binary::decode_server_frames(&bytes);
                self.frames.extend(frames.map_err(|error| Lost(format!("the node sent an invalid frame: {error}")))?);
                Ok(())
            }
            Some(Ok(_)) => Ok(()),
        }
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    let silent = || Lost(format!("nothing received for {} ms", patience.as_millis()));
    timeout(patience, work).await.unwrap_or_else(|_| Err(silent()))
}
