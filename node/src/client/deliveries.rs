//! A push subscription for the caller: a stream. If the caller does not read it, the client stops reading the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use cubecast_core::client::ClientInput;
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::wire::answer::{Delivery, Failure, Message};
use cubecast_core::wire::client::{Action, Write};
use tokio::sync::{Notify, mpsc};

use super::driver::Command;

/// Messages that wait for the caller before the client stops reading the socket.
const QUEUED: usize = 4_096;

/// The caller's end: messages in order of their offsets, each once.
#[derive(Debug)]
pub struct Deliveries {
    /// The subscribed topic.
    pub topic: TopicName,
    /// The subscriber's name.
    pub subscriber: SubscriberId,
    /// The offset at which the subscription began.
    pub cursor: Offset,
    received: mpsc::UnboundedReceiver<Result<Message, Failure>>,
    gate: Arc<Gate>,
    commands: mpsc::UnboundedSender<Command>,
}

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

/// Both ends for a subscribing action.
pub(super) fn channel(action: &Action, commands: mpsc::UnboundedSender<Command>) -> (Listener, Unstarted) {
    let (sender, received) = mpsc::unbounded_channel();
    let gate = Arc::new(Gate::default());
    let key = match action {
        Action::Write(
            Write::Subscribe { topic, subscriber, .. } | Write::ReplicaSubscribe { topic, subscriber, .. },
        ) => Some((topic.clone(), subscriber.clone())),
        _ => None,
    };
    (Listener { sender, gate: gate.clone() }, Unstarted { key, received, gate, commands })
}

/// The caller's end of a subscription that is not answered yet.
pub(super) struct Unstarted {
    key: Option<(TopicName, SubscriberId)>,
    received: mpsc::UnboundedReceiver<Result<Message, Failure>>,
    gate: Arc<Gate>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Unstarted {
    /// The stream, after the answer with the cursor. Panics if the action does not subscribe.
    pub fn starting_at(self, cursor: Offset) -> Deliveries {
        let Unstarted { key, received, gate, commands } = self;
        let (topic, subscriber) = key.expect("only an action that subscribes is answered with a cursor");
        Deliveries { topic, subscriber, cursor, received, gate, commands }
    }
}

impl Deliveries {
    /// The next message. An error is the last item: the subscription ended (its topic was deleted, for example) or
    /// could not be maintained. `None`: the client was closed.
    pub async fn next(&mut self) -> Option<Result<Message, Failure>> {
        let next = self.received.recv().await;
        self.gate.leave();
        next
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        let (topic, subscriber) = (self.topic.clone(), self.subscriber.clone());
        // If the driver is gone, deliveries have ended anyway.
        let _ = self.commands.send(Command::Input(ClientInput::StopDeliveries { topic, subscriber }));
    }
}

impl Listener {
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
    fn leave(&self) {
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
