//! One WebSocket: bytes to frames and back, until either side ends it.

use std::sync::Arc;
use std::time::Duration;

use cubecast_core::client::{ClientInput, SocketId};
use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::binary;
use cubecast_core::wire::client::Request;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::deliveries::Gate;
use crate::transport::websocket_config;

/// The largest message that is taken from a node.
const MAX_MESSAGE: usize = 256 << 20;
/// A farewell that does not get through by then is left.
const FAREWELL_WITHIN: Duration = Duration::from_millis(200);

/// Opens the socket and serves it. Ends when the driver lets go of `requests`, or the node of the socket.
pub(super) async fn run(
    socket: SocketId,
    url: String,
    mut requests: mpsc::UnboundedReceiver<Vec<Request>>,
    inputs: mpsc::Sender<ClientInput>,
    gate: Option<Arc<Gate>>,
) {
    let config = websocket_config(MAX_MESSAGE);
    let opened = tokio::select! {
        opened = tokio_tungstenite::connect_async_with_config(url.as_str(), Some(config), true) => opened,
        // Nothing is sent before the socket stands, so this is the driver letting go.
        _ = requests.recv() => return,
    };
    let why = match opened {
        Err(error) => explain(&error),
        Ok((stream, _)) => {
            if inputs.send(ClientInput::Opened { socket }).await.is_err() {
                return;
            }
            let (mut sink, mut stream) = stream.split();
            tokio::select! {
                sent = send_all(&mut requests, &mut sink) => match sent {
                    Ok(()) => return farewell(&mut sink).await,
                    Err(error) => explain(&error),
                },
                why = receive_all(socket, &mut stream, &inputs, gate.as_deref()) => why,
            }
        }
    };
    // A driver that is gone needs no word.
    let _ = inputs.send(ClientInput::Closed { socket, why }).await;
}

/// Ends well when the driver lets go.
async fn send_all(
    requests: &mut mpsc::UnboundedReceiver<Vec<Request>>,
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
) -> Result<(), Error> {
    while let Some(batch) = requests.recv().await {
        sink.send(Message::Binary(binary::encode_requests(&batch).into())).await?;
    }
    Ok(())
}

async fn farewell(sink: &mut (impl Sink<Message, Error = Error> + Unpin)) {
    // The node finds out either way.
    let _ = tokio::time::timeout(FAREWELL_WITHIN, sink.close()).await;
}

/// Why it ended.
async fn receive_all(
    socket: SocketId,
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    inputs: &mpsc::Sender<ClientInput>,
    gate: Option<&Gate>,
) -> String {
    loop {
        if let Some(gate) = gate {
            gate.open().await;
        }
        let frames = match stream.next().await {
            None => return "the node closed the connection".into(),
            Some(Err(error)) => return explain(&error),
            Some(Ok(message)) => match frames_of(&message) {
                Ok(frames) => frames,
                Err(why) => return why,
            },
        };
        if !frames.is_empty() && inputs.send(ClientInput::Frames { socket, frames }).await.is_err() {
            return "the client was closed".into();
        }
    }
}

fn frames_of(message: &Message) -> Result<Vec<ServerFrame>, String> {
    match message {
        Message::Binary(bytes) => {
            binary::decode_server_frames(bytes).map_err(|error| format!("the node sent what cannot be read: {error}"))
        }
        Message::Close(Some(frame)) if !frame.reason.is_empty() => {
            Err(format!("the node closed the connection: {}", frame.reason))
        }
        Message::Close(_) => Err("the node closed the connection".into()),
        Message::Text(_) => Err("the node answered in JSON, which was not asked for".into()),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(vec![]),
    }
}

/// An error in words that say what to look at.
fn explain(error: &Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::Http(response) => format!("it answered with HTTP {} and no WebSocket", response.status()),
        other => other.to_string(),
    }
}
