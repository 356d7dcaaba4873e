//! The runtime's output queues, one bounded queue for each connection. Offering never blocks. A full queue refuses
//! the frame and the runtime reacts: frames to a neighbour are lost (core sends them again), and a client's
//! connection is closed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use cubecast_core::io::Dismissal;
use cubecast_core::wire::answer::ServerFrame;
use cubecast_core::wire::event::WatchEvent;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use super::admission::Admitted;
use crate::codec;

/// Encoded bytes that may wait for one neighbour.
pub const PEER_QUEUE_BYTES: u64 = 32 << 20;
/// Weight of the frames that may wait for one client. Core pauses deliveries to the client long before this.
pub const CLIENT_QUEUE_WEIGHT: u64 = 64 << 20;

/// The queue to the task that writes to one neighbour.
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

/// A new mailbox and its queue.
pub fn peer_mailbox() -> (PeerMailbox, PeerQueue) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicU64>::default();
    (PeerMailbox { queue: sender, waiting: waiting.clone() }, PeerQueue { queue: receiver, waiting })
}

impl PeerMailbox {
    /// Queues one message for the neighbour. `false`: the queue is full and the message was dropped.
    pub fn offer(&self, message: Bytes) -> bool {
        let size = message.len() as u64;
        if self.waiting.load(Relaxed) + size > PEER_QUEUE_BYTES {
            return false;
        }
        self.waiting.fetch_add(size, Relaxed);
        // If the task has ended, the connection is broken and the runtime will be notified.
        let _ = self.queue.send(message);
        true
    }
}

impl PeerQueue {
    /// The next message. `None` after the mailbox is gone.
    pub async fn next(&mut self) -> Option<Bytes> {
        let message = self.queue.recv().await?;
        self.waiting.fetch_sub(message.len() as u64, Relaxed);
        Some(message)
    }

    /// The next message, if there is one already.
    pub fn take(&mut self) -> Option<Bytes> {
        let message = self.queue.try_recv().ok()?;
        self.waiting.fetch_sub(message.len() as u64, Relaxed);
        Some(message)
    }
}

/// An event on its way to all of its watchers. It is encoded once for all watchers that use JSON.
#[derive(Debug)]
pub struct SharedEvent {
    frame: ServerFrame,
    text: OnceLock<Utf8Bytes>,
}

impl SharedEvent {
    /// Wraps an event.
    pub fn new(event: WatchEvent) -> Arc<SharedEvent> {
        Arc::new(SharedEvent { frame: ServerFrame::Event(event), text: OnceLock::new() })
    }

    /// Whether this is the same event.
    pub fn is(&self, event: &WatchEvent) -> bool {
        matches!(&self.frame, ServerFrame::Event(own) if own == event)
    }

    /// The event as a frame.
    pub fn frame(&self) -> &ServerFrame {
        &self.frame
    }

    /// The event as JSON, encoded at the first call.
    pub fn text(&self) -> Utf8Bytes {
        self.text.get_or_init(|| codec::encode_text(&self.frame).into()).clone()
    }

    /// The frame's weight in a client's queue.
    pub fn weight(&self) -> u64 {
        self.frame.weight()
    }
}

/// The queue to the task that writes to one client.
#[derive(Debug)]
pub struct ClientMailbox {
    queue: mpsc::UnboundedSender<ServerFrame>,
    events: mpsc::UnboundedSender<Arc<SharedEvent>>,
    waiting: Arc<AtomicU64>,
    admitted: Arc<Admitted>,
    close: oneshot::Sender<Dismissed>,
}

/// Tells a client's connection to close.
#[derive(Debug)]
pub struct Dismissed {
    /// The kind of reason.
    pub why: Dismissal,
    /// The reason, for people.
    pub reason: String,
}

impl Dismissed {
    /// Whether queued frames are discarded, because the queue of a client that does not read must be freed at once.
    /// Otherwise the client has a moment to read them.
    pub fn is_at_once(&self) -> bool {
        self.why == Dismissal::ReadsTooSlowly
    }
}

/// The other end of a [`ClientMailbox`].
#[derive(Debug)]
pub struct ClientQueue {
    frames: mpsc::UnboundedReceiver<ServerFrame>,
    events: mpsc::UnboundedReceiver<Arc<SharedEvent>>,
    waiting: Arc<AtomicU64>,
}

/// A mailbox, its queue, and the channel that tells the connection to close and why. A mailbox that is dropped
/// without such a message means that the node shuts down.
///
/// `admitted`: the admission permits of the client's requests.
pub fn client_mailbox(admitted: Arc<Admitted>) -> (ClientMailbox, ClientQueue, oneshot::Receiver<Dismissed>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (event_sender, events) = mpsc::unbounded_channel();
    let (close, closing) = oneshot::channel();
    let waiting = Arc::<AtomicU64>::default();
    let mailbox = ClientMailbox { queue: sender, events: event_sender, waiting: waiting.clone(), admitted, close };
    (mailbox, ClientQueue { frames: receiver, events, waiting }, closing)
}

impl ClientMailbox {
    /// Queues a frame. `false`: the queue is full because the client reads too slowly.
    pub fn offer(&self, frame: ServerFrame) -> bool {
        if matches!(frame, ServerFrame::Answer(_)) {
            self.admitted.answered();
        }
        let weight = frame.weight();
        if self.waiting.fetch_add(weight, Relaxed) + weight > CLIENT_QUEUE_WEIGHT {
            return false;
        }
        // If the task has ended, the runtime will be notified, as above.
        let _ = self.queue.send(frame);
        true
    }

    /// Queues an event that is shared with other watchers. `false`: the queue is full.
    pub fn offer_event(&self, event: Arc<SharedEvent>) -> bool {
        if self.waiting.fetch_add(event.weight(), Relaxed) + event.weight() > CLIENT_QUEUE_WEIGHT {
            return false;
        }
        let _ = self.events.send(event);
        true
    }

    /// Releases the permits of the client's requests, which will not be answered.
    pub fn forget_requests(&self) {
        self.admitted.forget_all();
    }

    /// Tells the connection to close.
    pub fn close(self, dismissed: Dismissed) {
        let _ = self.close.send(dismissed);
    }
}

/// A frame or a shared event on its way to a client.
#[derive(Debug)]
pub enum Outbound {
    Frame(ServerFrame),
    Event(Arc<SharedEvent>),
}

impl Outbound {
    /// The frame to encode.
    pub fn frame(&self) -> &ServerFrame {
        match self {
            Outbound::Frame(frame) => frame,
            Outbound::Event(event) => event.frame(),
        }
    }
}

impl ClientQueue {
    /// The next item: frames before events, and no event before `events_due`. `None` after the mailbox is gone.
    pub async fn next(&mut self, events_due: Option<Instant>) -> Option<Outbound> {
        let events = &mut self.events;
        let next_event = async {
            // A timer is registered with tokio's driver even if its time has come.
            if let Some(due) = events_due.filter(|due| *due > Instant::now()) {
                sleep_until(due).await;
            }
            events.recv().await
        };
        tokio::select! {
            biased;
            frame = self.frames.recv() => frame.map(Outbound::Frame),
            Some(event) = next_event => Some(Outbound::Event(event)),
        }
    }

    /// The next frame, if there is one already.
    pub fn take(&mut self) -> Option<ServerFrame> {
        self.frames.try_recv().ok()
    }

    /// The next event, if there is one already and events are due.
    pub fn take_event(&mut self, events_due: Option<Instant>) -> Option<Arc<SharedEvent>> {
        if events_due.is_some_and(|due| due > Instant::now()) { None } else { self.events.try_recv().ok() }
    }

    /// Frees this weight: frames were written to the client.
    pub fn drained(&self, weight: u64) {
        self.waiting.fetch_sub(weight, Relaxed);
    }
}
