//! The ways out of the runtime: one bounded queue a connection. To offer never waits; what does not fit is refused, and the
//! runtime decides what that means: a neighbour loses frames (core sends again), a client loses its connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cubecast_core::wire::answer::ServerFrame;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Bytes;

use crate::transport::farewell::Goodbye;

/// Encoded frames that may wait for one neighbour.
pub const PEER_QUEUE_BYTES: u64 = 32 << 20;
/// The weight of the frames that may wait for one client. Core pauses its deliveries long before.
pub const CLIENT_QUEUE_WEIGHT: u64 = 64 << 20;

/// Leads to the task that writes to one neighbour.
#[derive(Clone, Debug)]
pub struct PeerMailbox {
    queue: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<AtomicU64>,
}

/// The other end of a [`PeerMailbox`].
#[derive(Debug)]
pub struct PeerQueue {
    queue: mpsc::UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicU64>,
}

pub fn peer_mailbox() -> (PeerMailbox, PeerQueue) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicU64>::default();
    (PeerMailbox { queue: sender, waiting: waiting.clone() }, PeerQueue { queue: receiver, waiting })
}

impl PeerMailbox {
    /// Queues one message for the neighbour; `false` when the queue is full and the message was dropped.
    pub fn offer(&self, message: Bytes) -> bool {
        let size = message.len() as u64;
        if self.waiting.load(Relaxed) + size > PEER_QUEUE_BYTES {
            return false;
        }
        self.waiting.fetch_add(size, Relaxed);
        // A queue whose task is gone belongs to a connection that just broke; its end is on its way to the runtime.
        let _ = self.queue.send(message);
        true
    }
}

impl PeerQueue {
    pub async fn next(&mut self) -> Option<Bytes> {
        let message = self.queue.recv().await?;
        self.waiting.fetch_sub(message.len() as u64, Relaxed);
        Some(message)
    }

    pub fn take(&mut self) -> Option<Bytes> {
        let message = self.queue.try_recv().ok()?;
        self.waiting.fetch_sub(message.len() as u64, Relaxed);
        Some(message)
    }
}

/// Leads to the task that writes to one client.
#[derive(Debug)]
pub struct ClientMailbox {
    queue: mpsc::UnboundedSender<ServerFrame>,
    waiting: Arc<AtomicU64>,
    close: oneshot::Sender<Goodbye>,
}

/// The other end of a [`ClientMailbox`].
#[derive(Debug)]
pub struct ClientQueue {
    frames: mpsc::UnboundedReceiver<ServerFrame>,
    waiting: Arc<AtomicU64>,
}

/// A mailbox, its queue, and what tells the connection to close and why. A mailbox that is dropped tells nothing: then the node
/// shuts down.
pub fn client_mailbox() -> (ClientMailbox, ClientQueue, oneshot::Receiver<Goodbye>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (close, closing) = oneshot::channel();
    let waiting = Arc::<AtomicU64>::default();
    let mailbox = ClientMailbox { queue: sender, waiting: waiting.clone(), close };
    (mailbox, ClientQueue { frames: receiver, waiting }, closing)
}

impl ClientMailbox {
    /// Queues a frame; `false` when the client reads too slowly to be worth waiting for.
    pub fn offer(&self, frame: ServerFrame) -> bool {
        let weight = frame.weight();
        if self.waiting.fetch_add(weight, Relaxed) + weight > CLIENT_QUEUE_WEIGHT {
            return false;
        }
        // As above: a queue whose task is gone has its end on the way.
        let _ = self.queue.send(frame);
        true
    }

    /// Tells the connection to close, after what is queued if the client reads at all.
    pub fn close(self, goodbye: Goodbye) {
        let _ = self.close.send(goodbye);
    }
}

impl ClientQueue {
    pub async fn next(&mut self) -> Option<ServerFrame> {
        self.frames.recv().await
    }

    pub fn take(&mut self) -> Option<ServerFrame> {
        self.frames.try_recv().ok()
    }

    /// So much weight has left for the client.
    pub fn drained(&self, weight: u64) {
        self.waiting.fetch_sub(weight, Relaxed);
    }
}
