//! What the user does to the cluster.

use cubecast_core::names::{SubscriberId, TopicName};
use serde::{Deserialize, Serialize};

use super::load::LoadPlan;
use super::seek::Position;
use super::task::Task;

/// A user action that affects the cluster or this page's subscriptions. In a simulation, it is part of the run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Act {
    /// Starts a task. Its report appears on the task's panel.
    Run(Task),
    /// Ends a push subscription.
    StopDeliveries { subscriber: SubscriberId, topic: TopicName },
    /// Starts keeping a subscriber's deliveries.
    OpenInbox { subscriber: SubscriberId, topic: TopicName },
    /// Stops keeping a subscriber's deliveries.
    CloseInbox { subscriber: SubscriberId, topic: TopicName },
    /// Starts, changes or stops the load.
    SetLoad(Option<LoadPlan>),
    /// Reads at most `max` stored messages of a topic, from a position on. The report appears on
    /// [`Panel::Browse`](super::task::Panel::Browse).
    Seek { topic: TopicName, position: Position, max: u32 },
}
