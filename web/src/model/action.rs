//! Everything that can change the page: what nodes send, what the person does, and time.

use cubecast_core::cube::Vertex;
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::wire::answer::{Answer, ServerFrame};

use super::Selection;
use super::cluster::Socket;
use super::task::Panel;

/// Actions that came together, and when.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    pub actions: Vec<Action>,
}

#[derive(Clone, Debug)]
pub enum Action {
    /// An address was tried for a first word of the cluster, in vain.
    SeedFailed { address: String },
    /// A node that answered for the first time tells of the cluster.
    ClusterFound { answer: Answer },
    SocketChanged { node: Vertex, socket: Socket },
    /// A node sent something.
    FrameReceived { node: Vertex, frame: ServerFrame },
    /// A node sent what this page does not understand.
    FrameMalformed { node: Vertex, text: String },

    TaskStarted { panel: Panel, task: u64 },
    /// The request goes on elsewhere, and why.
    TaskFellOver { panel: Panel, task: u64, text: String },
    /// One of the task's requests was answered.
    TaskAnswered { panel: Panel, task: u64, answer: Answer, took_ms: f64 },
    /// Nobody answered, or what was typed could not be sent.
    TaskGaveUp { panel: Panel, task: u64, text: String },
    TaskEnded { panel: Panel, task: u64 },

    /// What is pushed to this subscriber is to be kept, or no longer.
    OpenInbox { subscriber: SubscriberId, topic: TopicName },
    CloseInbox { subscriber: SubscriberId, topic: TopicName },

    Select(Option<Selection>),
    ChooseTopic(String),
    ShowBackground(bool),
}
