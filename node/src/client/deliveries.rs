//! A push subscription for the caller: a stream. If the caller does not read it, the client stops reading the socket.

use std::sync::Arc;

use cubecast_core::client::ClientInput;
use cubecast_core::names::{Offset, SubscriberId, TopicName};
use cubecast_core::wire::answer::{Failure, Message};
use cubecast_core::wire::client::{Action, Write};
use tokio::sync::mpsc;

use super::commands::Command;
use super::listener::{Gate, Listener};

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

/// Both ends for a subscribing action.
pub(super) fn channel(action: &Action, commands: mpsc::UnboundedSender<Command>) -> (Listener, Unstarted) {
    let (listener, received) = Listener::new();
    let gate = listener.gate.clone();
    let key = match action {
        Action::Write(
            Write::Subscribe { topic, subscriber, .. } | Write::ReplicaSubscribe { topic, subscriber, .. },
        ) => Some((topic.clone(), subscriber.clone())),
        _ => None,
    };
    (listener, Unstarted { key, received, gate, commands })
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
