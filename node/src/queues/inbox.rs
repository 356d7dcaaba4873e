//! The runtime's input queue, bounded in bytes and shared by all connections.
//!
//! A connection that cannot enqueue waits and stops reading its socket, so it slows down only itself. Space is
//! assigned in the order of the requests. The runtime never waits for a connection.

use std::sync::Arc;

use cubecast_core::identity::HostId;
use cubecast_core::io::{ConnectionId, Input};
use tokio::sync::{Semaphore, mpsc};

use super::mailbox::{ClientMailbox, PeerMailbox};

/// A message from a connection to the runtime.
#[derive(Debug)]
pub enum Arrival {
    Inputs(Vec<Input>),
    ClientOpened { connection: ConnectionId, mailbox: ClientMailbox },
    ClientClosed { connection: ConnectionId },
    PeerOpened { peer: HostId, mailbox: PeerMailbox },
    PeerClosed { peer: HostId },
}

/// The runtime has ended and accepts no more messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the node is shutting down")]
pub struct RuntimeEnded;

/// Bytes that one permit stands for.
const PLACE_BYTES: usize = 1024;
/// Permits of the inbox: 64 MiB in total.
const PLACES: usize = 64 * 1024;

/// The connections' end of the inbox.
#[derive(Clone, Debug)]
pub struct InboxSender {
    queue: mpsc::UnboundedSender<(Arrival, u32)>,
    places: Arc<Semaphore>,
}

/// The runtime's end of the inbox.
#[derive(Debug)]
pub struct Inbox {
    queue: mpsc::UnboundedReceiver<(Arrival, u32)>,
    places: Arc<Semaphore>,
}

/// A new, empty inbox.
pub fn inbox() -> (InboxSender, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let places = Arc::new(Semaphore::new(PLACES));
    (InboxSender { queue: sender, places: places.clone() }, Inbox { queue: receiver, places })
}

impl InboxSender {
    /// Enqueues a message that arrived as `bytes` bytes. Waits while the inbox is full.
    pub async fn send(&self, arrival: Arrival, bytes: usize) -> Result<(), RuntimeEnded> {
        let cost = (1 + bytes / PLACE_BYTES).min(PLACES) as u32;
        self.places.acquire_many(cost).await.map_err(|_| RuntimeEnded)?.forget();
        self.queue.send((arrival, cost)).map_err(|_| RuntimeEnded)
    }

    /// Enqueues a single small input.
    pub async fn send_input(&self, input: Input) -> Result<(), RuntimeEnded> {
        self.send(Arrival::Inputs(vec![input]), 0).await
    }
}

impl Inbox {
    /// The next arrival. Its space is free immediately, because the arrival goes into a turn at once. `None` after
    /// all senders are gone.
    pub async fn next(&mut self) -> Option<Arrival> {
        let (arrival, cost) = self.queue.recv().await?;
        self.places.add_permits(cost as usize);
        Some(arrival)
    }

    /// The next arrival, if there is one already.
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
