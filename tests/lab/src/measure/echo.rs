//! A bare WebSocket echo on loopback: the cost of a request over a WebSocket without any work. One thread of this
//! process serves it, as one thread of a node serves its sockets.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use cubecast_node::transport::websocket_config;
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::drive::{Client, Done};

/// The maximum number of frames in one message.
const BATCH: usize = 256;
/// The size of a message with this many frames of the largest content.
const MAX_MESSAGE: usize = 256 << 20;

/// The server. It ends when this is dropped.
pub struct Echo {
    address: SocketAddr,
    _until_dropped: oneshot::Sender<()>,
}

/// A client with its own connection that sends the same frame repeatedly. Frames that wait at the same time share a
/// message, as with Cubecast's client.
pub struct Echoing {
    bytes: usize,
    asked: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

impl Echo {
    /// Starts the server on a free port.
    pub fn start() -> io::Result<Echo> {
        let listener = StdListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (until_dropped, dropped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener) => {}
                    _ = dropped => {}
                }
            });
        });
        Ok(Echo { address, _until_dropped: until_dropped })
    }

    /// Connects `count` clients.
    pub async fn clients(&self, count: usize, frame: &[u8]) -> io::Result<Vec<Echoing>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            let url = format!("ws://{}", self.address);
            let opened =
                tokio_tungstenite::connect_async_with_config(url, Some(websocket_config(MAX_MESSAGE)), true).await;
            let (asked, asking) = mpsc::unbounded_channel();
            tokio::spawn(ask(opened.map_err(io::Error::other)?.0, frame.to_vec(), asking));
            clients.push(Echoing { bytes: frame.len(), asked });
        }
        Ok(clients)
    }
}

impl Client for Echoing {
    fn request(&mut self) -> impl Future<Output = Result<Done, String>> + Send + 'static {
        let (tell, told) = oneshot::channel();
        let (sent, bytes) = (self.asked.send(tell), self.bytes);
        async move {
            sent.map_err(|_| "the echo server has ended")?;
            told.await.map(|()| Done::moving(bytes)).map_err(|_| "the echo server has ended".into())
        }
    }
}

/// Sends all waiting frames as one message, and notifies their senders when it is back.
async fn ask(
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    frame: Vec<u8>,
    mut asking: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
) {
    let (mut sink, mut stream) = socket.split();
    let (sent, mut on_the_way) = mpsc::unbounded_channel();
    let send = async {
        let mut batch = Vec::new();
        while asking.recv_many(&mut batch, BATCH).await > 0 {
            let message = frame.repeat(batch.len());
            // The receiver lives as long as this function.
            let _ = sent.send(std::mem::take(&mut batch));
            if sink.send(Message::Binary(message.into())).await.is_err() {
                return;
            }
        }
    };
    let receive = async {
        while let Some(Ok(message)) = stream.next().await {
            if message.is_binary() {
                let batch: Vec<oneshot::Sender<()>> = on_the_way.recv().await.unwrap_or_default();
                for tell in batch {
                    // The sender may have stopped waiting.
                    let _ = tell.send(());
                }
            }
        }
    };
    tokio::select! {
        () = send => {}
        () = receive => {}
    }
}

/// Sends every message back. A broken connection is detected by its client.
async fn serve(listener: StdListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let Ok(mut socket) =
                tokio_tungstenite::accept_async_with_config(stream, Some(websocket_config(MAX_MESSAGE))).await
            else {
                return;
            };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_binary() && socket.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn every_frame_comes_back_however_many_are_under_way() {
        let echo = Echo::start().unwrap();
        for (frame, under_way) in [(vec![1; 16], 1), (vec![2; 65_536], 64)] {
            for mut client in echo.clients(2, &frame).await.unwrap() {
                let mut asked = Vec::new();
                for _ in 0..under_way {
                    asked.push(client.request());
                }
                assert_eq!(join_all(asked).await, vec![Ok(Done::moving(frame.len())); under_way]);
            }
        }
    }
}
