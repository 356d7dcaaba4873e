//! One WebSocket to a node: receives frames, sends frames, and closes when dropped.

use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::binary;
use cubecast_core::wire::client::Request;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::future::{AbortHandle, abortable, poll_fn, select};
use futures_util::{Sink, StreamExt};
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, State, WebSocketError};
use std::pin::Pin;
use wasm_bindgen_futures::spawn_local;

/// Events of a socket. `Closed` is the last one.
pub enum SocketEvent {
    /// The socket opened.
    Opened,
    /// Frames of one message, in order.
    Frames(Vec<ServerFrame>),
    /// Bytes that could not be decoded as frames.
    Malformed(String),
    /// The socket closed or could not be opened; the reason as text.
    Closed(String),
}

/// A socket that is open or opening.
pub struct Socket {
    outgoing: UnboundedSender<Message>,
    task: AbortHandle,
}

impl Socket {
    /// Opens `url`. `tell` is never called before this returns, nor after the socket was dropped.
    pub fn open(url: String, tell: impl Fn(SocketEvent) + 'static) -> Socket {
        let (outgoing, queue) = unbounded();
        let (task, handle) = abortable(run(url, queue, tell));
        spawn_local(async move {
            // The task ends with an error when the socket is dropped; there is nothing to report then.
            let _ = task.await;
        });
        Socket { outgoing, task: handle }
    }

    /// Sends requests. On a broken socket they are lost, and the owner receives `Closed`.
    pub fn send(&self, requests: &[Request]) {
        let _ = self.outgoing.unbounded_send(Message::Bytes(binary::encode_requests(requests)));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(url: String, queue: UnboundedReceiver<Message>, tell: impl Fn(SocketEvent)) {
    let mut socket = match WebSocket::open(&url) {
        Ok(socket) => socket,
        Err(error) => return tell(SocketEvent::Closed(error.to_string())),
    };
    let _ = poll_fn(|context| Pin::new(&mut socket).poll_ready(context)).await;
    if !matches!(socket.state(), State::Open) {
        return tell(SocketEvent::Closed("no connection".to_owned()));
    }
    tell(SocketEvent::Opened);
    let (outgoing, incoming) = socket.split();
    let sending = queue.map(Ok).forward(outgoing);
    let receiving = receive(incoming, &tell);
    futures_util::pin_mut!(sending, receiving);
    select(sending, receiving).await;
    tell(SocketEvent::Closed("the connection broke".to_owned()));
}

async fn receive(
    mut incoming: impl StreamExt<Item = Result<Message, WebSocketError>> + Unpin,
    tell: &impl Fn(SocketEvent),
) {
    while let Some(Ok(message)) = incoming.next().await {
        tell(match message {
            Message::Bytes(bytes) => match binary::decode_server_frames(&bytes) {
                Ok(frames) => SocketEvent::Frames(frames),
                Err(error) => SocketEvent::Malformed(error.to_string()),
            },
            Message::Text(text) => SocketEvent::Malformed(text.chars().take(80).collect()),
        });
    }
}
