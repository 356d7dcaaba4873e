//! One WebSocket to a node: frames in, frames out, closed in Drop.

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

/// What a socket tells its owner. After `Closed` it tells nothing more.
pub enum SocketEvent {
    Opened,
    Frames(Vec<ServerFrame>),
    /// Bytes that are no frames.
    Malformed(String),
    Closed(String),
}

/// An open socket, or one that is opening.
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
            // Aborted is what a dropped socket is; there is nothing left to tell.
            let _ = task.await;
        });
        Socket { outgoing, task: handle }
    }

    /// What is sent on a socket that broke is lost; its owner hears of the break.
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
