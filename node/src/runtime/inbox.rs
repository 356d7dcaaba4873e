//! The way into the runtime: a queue bounded by bytes, shared by all connections.
//!
//! A connection that cannot enqueue waits, and so stops reading its socket: it slows itself down and nobody else. Places are
//! given in the order in which they were asked for. The runtime never waits for a connection.

use std::sync::Arc;

use cubecast_core::cube::Vertex;
use cubecast_core::io::{ConnectionId, Input};
use tokio::sync::{Semaphore, mpsc};

use super::mailbox::{ClientMailbox, PeerMailbox};

/// What a connection tells the runtime.
#[derive(Debug)]
pub enum Arrival {
    Inputs(Vec<Input>),
    ClientOpened { connection: ConnectionId, mailbox: ClientMailbox },
    ClientClosed { connection: ConnectionId },
    PeerOpened { peer: Vertex, mailbox: PeerMailbox },
    PeerClosed { peer: Vertex },
}

/// The runtime has ended; nothing can be told to it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the node is shutting down")]
pub struct RuntimeEnded;

/// One place stands for this many bytes.
const PLACE_BYTES: usize = 1024;
/// What may wait in the inbox: 64 MiB.
const PLACES: usize = 64 * 1024;

/// The end that connections hold.
#[derive(Clone, Debug)]
pub struct InboxSender {
    queue: mpsc::UnboundedSender<(Arrival, u32)>,
    places: Arc<Semaphore>,
}

/// The end that the runtime holds.
#[derive(Debug)]
pub struct Inbox {
    queue: mpsc::UnboundedReceiver<(Arrival, u32)>,
    places: Arc<Semaphore>,
}

/// A fresh inbox, empty.
pub fn inbox() -> (InboxSender, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let places = Arc::new(Semaphore::new(PLACES));
    (InboxSender { queue: sender, places: places.clone() }, Inbox { queue: receiver, places })
}

impl InboxSender {
    /// Enqueues what came in as `bytes` bytes; waits while the inbox is full.
    pub async fn send(&self, arrival: Arrival, bytes: usize) -> Result<(), RuntimeEnded> {
        let cost = (1 + bytes / PLACE_BYTES).min(PLACES) as u32;
        self.places.acquire_many(cost).await.map_err(|_| RuntimeEnded)?.forget();
        self.queue.send((arrival, cost)).map_err(|_| RuntimeEnded)
    }

    /// Enqueues a single input of small size.
    pub async fn send_input(&self, input: Input) -> Result<(), RuntimeEnded> {
        self.send(Arrival::Inputs(vec![input]), 0).await
    }
}

impl Inbox {
    /// The next arrival; its place is free again at once, because it leaves for a turn that happens now.
    pub async fn next(&mut self) -> Option<Arrival> {
        let (arrival, cost) = self.queue.recv().await?;
        self.places.add_permits(cost as usize);
        Some(arrival)
    }

    /// The next arrival, if it is there already.
    pub fn take(&mut self) -> Option<Arrival> {
        let (arrival, cost) = self.queue.try_recv().ok()?;
        self.places.add_permits(cost as usize);
        Some(arrival)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.places.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_full_inbox_makes_its_senders_wait_and_drops_nothing() {
        let (sender, mut inbox) = inbox();
        sender.send(Arrival::Inputs(vec![]), PLACES * PLACE_BYTES).await.unwrap();
        let waiting = sender.send_input(Input::DeadlineReached);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(matches!(inbox.next().await, Some(Arrival::Inputs(inputs)) if inputs.is_empty()));
        waiting.await.unwrap();
        assert!(matches!(inbox.next().await, Some(Arrival::Inputs(inputs)) if inputs == [Input::DeadlineReached]));
    }

    #[tokio::test]
    async fn who_waits_for_an_ended_runtime_is_told() {
        let (sender, inbox) = inbox();
        drop(inbox);
        assert_eq!(sender.send_input(Input::DeadlineReached).await, Err(RuntimeEnded));
    }
}
