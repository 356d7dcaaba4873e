//! The ways out of the runtime: one bounded queue a connection. To offer never waits; what does not fit is refused, and the
//! runtime decides what that means: a neighbour loses frames (core sends again), a client loses its connection.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::event::WatchEvent;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use crate::transport::admission::Admitted;
use crate::transport::codec;
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

/// An event on its way to all who watch for it, written out once for all who read JSON.
#[derive(Debug)]
pub struct SharedEvent {
    frame: ServerFrame,
    text: OnceLock<Utf8Bytes>,
}

impl SharedEvent {
    pub fn new(event: WatchEvent) -> Arc<SharedEvent> {
        Arc::new(SharedEvent { frame: ServerFrame::Event(event), text: OnceLock::new() })
    }

    pub fn is(&self, event: &WatchEvent) -> bool {
        matches!(&self.frame, ServerFrame::Event(own) if own == event)
    }

    pub fn frame(&self) -> &ServerFrame {
        &self.frame
    }

    pub fn text(&self) -> Utf8Bytes {
        self.text.get_or_init(|| codec::encode_text(&self.frame).into()).clone()
    }

    pub fn weight(&self) -> u64 {
        self.frame.weight()
    }
}

/// Leads to the task that writes to one client.
#[derive(Debug)]
pub struct ClientMailbox {
    queue: mpsc::UnboundedSender<ServerFrame>,
    events: mpsc::UnboundedSender<Arc<SharedEvent>>,
    waiting: Arc<AtomicU64>,
    admitted: Arc<Admitted>,
    close: oneshot::Sender<Dismissed>,
}

/// A client is told to go.
#[derive(Debug)]
pub struct Dismissed {
    pub goodbye: Goodbye,
    /// What is queued for it is thrown away; else it has a moment to read that.
    pub at_once: bool,
}

/// The other end of a [`ClientMailbox`].
#[derive(Debug)]
pub struct ClientQueue {
    frames: mpsc::UnboundedReceiver<ServerFrame>,
    events: mpsc::UnboundedReceiver<Arc<SharedEvent>>,
    waiting: Arc<AtomicU64>,
}

/// A mailbox, its queue, and what tells the connection to close and why. A mailbox that is dropped tells nothing: then the node
/// shuts down.
///
/// `admitted`: the places that its requests have taken.
pub fn client_mailbox(admitted: Arc<Admitted>) -> (ClientMailbox, ClientQueue, oneshot::Receiver<Dismissed>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (event_sender, events) = mpsc::unbounded_channel();
    let (close, closing) = oneshot::channel();
    let waiting = Arc::<AtomicU64>::default();
    let mailbox = ClientMailbox { queue: sender, events: event_sender, waiting: waiting.clone(), admitted, close };
    (mailbox, ClientQueue { frames: receiver, events, waiting }, closing)
}

impl ClientMailbox {
    /// Queues a frame; `false` when the client reads too slowly to be worth waiting for.
    pub fn offer(&self, frame: ServerFrame) -> bool {
        if matches!(frame, ServerFrame::Answer(_)) {
            self.admitted.answered();
        }
        let weight = frame.weight();
        if self.waiting.fetch_add(weight, Relaxed) + weight > CLIENT_QUEUE_WEIGHT {
            return false;
        }
        // As above: a queue whose task is gone has its end on the way.
        let _ = self.queue.send(frame);
        true
    }

    /// Queues an event that others are told too.
    pub fn offer_event(&self, event: Arc<SharedEvent>) -> bool {
        if self.waiting.fetch_add(event.weight(), Relaxed) + event.weight() > CLIENT_QUEUE_WEIGHT {
            return false;
        }
        let _ = self.events.send(event);
        true
    }

    /// Its requests will not be answered.
    pub fn forget_requests(&self) {
        self.admitted.forget_all();
    }

    /// Tells the connection to close.
    pub fn close(self, dismissed: Dismissed) {
        let _ = self.close.send(dismissed);
    }
}

/// What leaves for a client.
#[derive(Debug)]
pub enum Outbound {
    Frame(ServerFrame),
    Event(Arc<SharedEvent>),
}

impl Outbound {
    pub fn frame(&self) -> &ServerFrame {
        match self {
            Outbound::Frame(frame) => frame,
            Outbound::Event(event) => event.frame(),
        }
    }
}

impl ClientQueue {
    /// What leaves next: events not before `events_due`, and frames before events.
    pub async fn next(&mut self, events_due: Instant) -> Option<Outbound> {
        let events = &mut self.events;
        let next_event = async {
            sleep_until(events_due).await;
            events.recv().await
        };
        tokio::select! {
            biased;
            frame = self.frames.recv() => frame.map(Outbound::Frame),
            Some(event) = next_event => Some(Outbound::Event(event)),
        }
    }

    pub fn take(&mut self) -> Option<ServerFrame> {
        self.frames.try_recv().ok()
    }

    /// An event that is there already, if one is due.
    pub fn take_event(&mut self, events_due: Instant) -> Option<Arc<SharedEvent>> {
        if events_due > Instant::now() { None } else { self.events.try_recv().ok() }
    }

    /// So much weight has left for the client.
    pub fn drained(&self, weight: u64) {
        self.waiting.fetch_sub(weight, Relaxed);
    }
}
