//! The commands that callers send to the driver.

use std::time::Duration;

use cubecast_core::client::{ClientError, ClientInput, Reply, Target};
use cubecast_core::wire::client::Action;
use tokio::sync::oneshot;

use super::listener::Listener;

/// A message from a caller to the driver.
#[derive(Debug)]
pub(super) enum Command {
    /// Requests an action.
    Order(Box<Order>),
    /// An input for core's client.
    Input(ClientInput),
    /// Ends the driver. The sender is notified when all sockets have finished their closing handshakes.
    Close(oneshot::Sender<()>),
}

/// A request of a caller.
#[derive(Debug)]
pub(super) struct Order {
    /// The requested action.
    pub action: Action,
    /// The node or nodes to ask.
    pub to: Target,
    /// The time limit.
    pub within: Duration,
    /// Whether to request the nodes that the request crosses.
    pub trace: bool,
    /// Receives the messages of a push subscription.
    pub listener: Option<Listener>,
    /// Receives the answer.
    pub answer: oneshot::Sender<Result<Reply, ClientError>>,
}
