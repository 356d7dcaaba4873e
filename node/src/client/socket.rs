//! One WebSocket: converts between bytes and frames until either side ends it.

use std::sync::Arc;
use std::time::Duration;

use cubecast_core::client::{ClientInput, SocketId};
use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::binary;
use cubecast_core::wire::client::Request;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::listener::Gate;
use crate::transport::farewell::{self, Fault, Goodbye};
use crate::transport::pulse::Pulse;
use crate::transport::{tune, websocket_config};

/// The largest message accepted from a node, in bytes.
const MAX_MESSAGE: usize = 256 << 20;
/// The time limit of the closing handshake.
pub(super) const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Opens the socket and serves it. A node that sends nothing for `silence` counts as gone; all sockets check at the
/// same beats, counted from `began`. Ends when the driver drops the sender of `requests` or the node closes the
/// socket, then performs the closing handshake.
pub(super) async fn run(
    socket: SocketId,
    url: String,
    mut requests: mpsc::UnboundedReceiver<Vec<Request>>,
    inputs: mpsc::Sender<ClientInput>,
    gate: Option<Arc<Gate>>,
    began: Instant,
    silence: Duration,
) {
    let config = websocket_config(MAX_MESSAGE);
    let opened = tokio::select! {
        opened = tokio_tungstenite::connect_async_with_config(url.as_str(), Some(config), true) => opened,
        // No requests are sent before the socket is open, so the driver dropped its sender.
        _ = requests.recv() => return,
    };
    let why = match opened {
        Err(error) => explain(&error),
        Ok((mut stream, _)) => {
            if inputs.send(ClientInput::Opened { socket }).await.is_err() {
                return farewell::close(stream, Some(&done()), FAREWELL_WITHIN).await;
            }
            if let MaybeTlsStream::Plain(tcp) = stream.get_ref() {
                // If this fails, the socket is broken and later operations report it.
                let _ = tune(tcp, silence);
            }
            let pulse = Pulse::default();
            let (mut sink, mut incoming) = (&mut stream).split();
            let ended = tokio::select! {
                sent = send_all(&mut requests, &mut sink, &pulse) => sent.err().map(|error| Ended::broken(&error)),
                ended = receive_all(socket, &mut incoming, &inputs, gate.as_deref(), &pulse) => Some(ended),
                () = pulse.lost(began, silence) => Some(Ended::silent(silence)),
            };
            drop((sink, incoming));
            let Some(Ended { why, goodbye }) = ended else {
                return farewell::close(stream, Some(&done()), FAREWELL_WITHIN).await;
            };
            // If the driver is gone, it needs no notice.
            let _ = inputs.send(ClientInput::Closed { socket, why }).await;
            return farewell::close(stream, goodbye.as_ref(), FAREWELL_WITHIN).await;
        }
    };
    let _ = inputs.send(ClientInput::Closed { socket, why }).await;
}

/// The close frame for a socket that is no longer needed.
fn done() -> Goodbye {
    Goodbye::new(CloseCode::Normal, "the client is done")
}

/// Why a socket ended, and this side's close frame if the node did not send its own first.
struct Ended {
    why: String,
    goodbye: Option<Goodbye>,
}

impl Ended {
    fn by_the_node(why: impl Into<String>) -> Ended {
        Ended { why: why.into(), goodbye: None }
    }

    fn by_us(code: CloseCode, why: impl Into<String>) -> Ended {
        let why = why.into();
        Ended { goodbye: Some(Goodbye::new(code, why.clone())), why }
    }

    fn silent(silence: Duration) -> Ended {
        let seconds = silence.as_secs_f64();
        Ended::by_us(CloseCode::Policy, format!("the node sent nothing for {seconds} s, not even a pong"))
    }

    fn broken(error: &Error) -> Ended {
        match farewell::fault_of(error, MAX_MESSAGE) {
            Fault::Told(goodbye) => Ended { why: explain(error), goodbye: Some(goodbye) },
            Fault::NoCloseFrame | Fault::Broken(_) => Ended::by_the_node(explain(error)),
        }
    }
}

/// Sends requests. Returns successfully when the driver drops the sender.
async fn send_all(
    requests: &mut mpsc::UnboundedReceiver<Vec<Request>>,
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    pulse: &Pulse,
) -> Result<(), Error> {
    loop {
        tokio::select! {
            batch = requests.recv() => match batch {
                Some(batch) => {
                    sink.send(Message::Binary(binary::encode_requests(&batch).into())).await?;
                    pulse.sent();
                }
                None => return Ok(()),
            },
            () = pulse.ping_due() => sink.send(Message::Ping(Bytes::new())).await?,
        }
    }
}

async fn receive_all(
    socket: SocketId,
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    inputs: &mpsc::Sender<ClientInput>,
    gate: Option<&Gate>,
    pulse: &Pulse,
) -> Ended {
    loop {
        if let Some(gate) = gate {
            gate.open().await;
        }
        let frames = match pulse.listen(stream.next()).await {
            None => return Ended::by_the_node("the node closed the connection"),
            Some(Err(error)) => return Ended::broken(&error),
            Some(Ok(message)) => match frames_of(&message) {
                Ok(frames) => frames,
                Err(ended) => return ended,
            },
        };
        if !frames.is_empty() && inputs.send(ClientInput::Frames { socket, frames }).await.is_err() {
            return Ended::by_us(CloseCode::Normal, "the client was closed");
        }
    }
}

fn frames_of(message: &Message) -> Result<Vec<ServerFrame>, Ended> {
    match message {
        Message::Binary(bytes) => binary::decode_server_frames(bytes)
            .map_err(|error| Ended::by_us(CloseCode::Invalid, format!("the node sent an invalid frame: {error}"))),
        Message::Close(Some(frame)) if !frame.reason.is_empty() => {
            Err(Ended::by_the_node(format!("the node closed the connection: {}", frame.reason)))
        }
        Message::Close(_) => Err(Ended::by_the_node("the node closed the connection")),
        Message::Text(_) => {
            Err(Ended::by_us(CloseCode::Unsupported, "the node answered in JSON, which was not requested"))
        }
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(vec![]),
    }
}

/// An error as a message that names the likely cause.
fn explain(error: &Error) -> String {
    match error {
        Error::Io(error) => error.to_string(),
        Error::Http(response) => format!("it answered with HTTP {} instead of a WebSocket", response.status()),
        other => other.to_string(),
    }
}
