//! One WebSocket to one node, used raw: what is sent goes to this node, and nothing is repeated or sent elsewhere.

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

/// The largest message that is taken from a node.
const MAX_MESSAGE: usize = 64 << 20;
const OPENS_WITHIN: Duration = Duration::from_secs(2);
/// A node answers everything within 5 s; one that does not is stopped, or out of reach.
const ANSWERS_WITHIN: Duration = Duration::from_millis(6_500);

#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    requests: u64,
    /// Frames that have come and were not taken yet.
    frames: VecDeque<ServerFrame>,
}

/// The connection broke, or could not be opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Lost(String);

impl From<Error> for Lost {
    fn from(error: Error) -> Lost {
        Lost(error.to_string())
    }
}

impl Connection {
    pub async fn open(address: &str) -> Result<Connection, Lost> {
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let url = format!("ws://{address}/ws");
        let opening = tokio_tungstenite::connect_async_with_config(url, Some(config), true);
        let (socket, _) = within(OPENS_WITHIN, async { Ok(opening.await?) }).await?;
        Ok(Connection { socket, requests: 0, frames: VecDeque::new() })
    }

    /// Asks, and waits for the answer. After a loss it is not known what the connection still brings: it has to be dropped.
    pub async fn ask(&mut self, action: Action) -> Result<Answer, Lost> {
        self.ask_within(ANSWERS_WITHIN, action).await
    }

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

    /// The next frame that is no answer to what was asked here.
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
                self.frames
                    .extend(frames.map_err(|error| Lost(format!("the node sent what cannot be read: {error}")))?);
                Ok(())
            }
            Some(Ok(_)) => Ok(()),
        }
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = Result<T, Lost>>) -> Result<T, Lost> {
    let silent = || Lost(format!("nothing came for {} ms", patience.as_millis()));
    timeout(patience, work).await.unwrap_or_else(|_| Err(silent()))
}
