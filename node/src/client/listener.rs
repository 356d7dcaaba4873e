//! The driver's end of a push subscription, and its gate: closed while too many messages wait for the caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cubecast_core::wire::answer::{Delivery, Failure, Message};
use tokio::sync::{Notify, mpsc};

/// Messages that wait for the caller before the client stops reading the socket.
const QUEUED: usize = 4_096;

/// The driver's end.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    sender: mpsc::UnboundedSender<Result<Message, Failure>>,
    /// Closed while too many messages wait.
    pub gate: Arc<Gate>,
}

/// Closed while too many messages wait for the caller.
#[derive(Debug, Default)]
pub(super) struct Gate {
    queued: AtomicUsize,
    opened: Notify,
}

impl Listener {
    /// A listener with an open gate, and the receiver of its messages.
    pub fn new() -> (Listener, mpsc::UnboundedReceiver<Result<Message, Failure>>) {
        let (sender, received) = mpsc::unbounded_channel();
        (Listener { sender, gate: Arc::default() }, received)
    }

    /// Queues a message for the caller.
    pub fn deliver(&self, delivery: Delivery) {
        self.gate.queued.fetch_add(1, SeqCst);
        // If the caller dropped the stream, its `drop` ends the subscription.
        let _ = self.sender.send(Ok(delivery.message));
    }

    /// Ends the stream with an error.
    pub fn end(&self, why: Failure) {
        let _ = self.sender.send(Err(why));
    }

    /// Whether the caller dropped the stream.
    pub fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Gate {
    /// The caller has taken a message.
    pub fn leave(&self) {
        let was = self.queued.fetch_update(SeqCst, SeqCst, |queued| Some(queued.saturating_sub(1)));
        if was.is_ok_and(|queued| queued <= QUEUED) {
            self.opened.notify_waiters();
        }
    }

    /// Completes when there is space for messages.
    pub async fn open(&self) {
        loop {
            let opened = self.opened.notified();
            if self.queued.load(SeqCst) < QUEUED {
                return;
            }
            opened.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_gate_opens_when_the_caller_has_read() {
        let gate = Gate::default();
        gate.queued.store(QUEUED, SeqCst);
        let mut open = std::pin::pin!(gate.open());
        assert!(futures_util::FutureExt::now_or_never(open.as_mut()).is_none());
        gate.leave();
        open.await;
    }
}
