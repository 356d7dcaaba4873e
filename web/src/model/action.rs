//! Everything that can change the page: frames from nodes, user actions, and time.

use cubecast_core::cube::Vertex;
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::wire::answer::{Answer, Delivery};
use cubecast_core::wire::client;
use cubecast_core::wire::event::{TraceId, WatchEvent};

use super::closer::CloserTab;
use super::cluster::Socket;
use super::feed::Tone;
use super::load::{LoadPlan, LoadSample};
use super::task::{Panel, Task};
use super::{Selection, Tab};

/// Actions that are applied together, with their time.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// In the order in which they happened.
    pub actions: Vec<Action>,
}

/// One change of the page's state; [`State::after`](super::State::after) applies it.
#[derive(Clone, Debug)]
pub enum Action {
    /// An address that should have led to the cluster did not answer.
    SeedFailed {
        address: String,
    },
    /// The server at this address explained why no WebSocket to a node opens there.
    SeedExplained {
        address: String,
        why: String,
    },
    /// This page's connection to a node changed.
    SocketChanged {
        node: Vertex,
        socket: Socket,
    },
    /// An event that a node reported.
    Told(WatchEvent),
    /// A node's answer to any request.
    Answered {
        asked: Vertex,
        answer: Answer,
    },
    /// From now on the node reports only one in `sample` of its frequent events.
    Sampled {
        node: Vertex,
        sample: u32,
    },
    /// A push subscription delivered a message.
    Delivered(Delivery),
    /// An entry for the feed that no node reported.
    Remarked {
        tone: Tone,
        text: String,
    },
    /// A node sent a frame that this page cannot decode.
    FrameMalformed {
        text: String,
    },
    /// Failover: requests for home `from` now go to `to`.
    FellOver {
        from: Vertex,
        to: Vertex,
        why: String,
    },
    /// The home answers again.
    BackHome {
        home: Vertex,
    },
    /// A push subscription ended: its topic was deleted, it was ended elsewhere, or it could not be kept up.
    DeliveriesEnded {
        subscriber: SubscriberId,
        topic: TopicName,
        why: String,
    },

    /// A task started. `goal`: its last request.
    TaskStarted {
        panel: Panel,
        task: u64,
        goal: Option<client::Action>,
    },
    /// One of the task's requests was sent.
    TaskAsked {
        panel: Panel,
        task: u64,
        action: client::Action,
    },
    /// The task was not sent, because no node can carry it out now.
    TaskHeld {
        task: Task,
        text: String,
    },
    /// A node other than the home answered the request, or a step was skipped; `text` says why.
    TaskFellOver {
        panel: Panel,
        task: u64,
        text: String,
    },
    /// One of the task's requests was answered.
    TaskAnswered {
        panel: Panel,
        task: u64,
        answer: Answer,
        took_ms: f64,
    },
    /// The requested state existed already.
    TaskSettled {
        panel: Panel,
        task: u64,
        text: String,
    },
    /// No node answered, or the input could not be sent.
    TaskGaveUp {
        panel: Panel,
        task: u64,
        text: String,
    },
    TaskEnded {
        panel: Panel,
        task: u64,
    },

    /// Start keeping this subscriber's deliveries.
    OpenInbox {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    /// Stop keeping this subscriber's deliveries.
    CloseInbox {
        subscriber: SubscriberId,
        topic: TopicName,
    },

    /// The load generator started, or its plan changed.
    LoadStarted(LoadPlan),
    /// New results of the load generator.
    LoadTold(LoadSample),
    /// `why`: the reason if it stopped by itself.
    LoadStopped {
        why: Option<String>,
    },

    /// The user selected a node or an edge, or cleared the selection.
    Select(Option<Selection>),
    /// The user typed or chose a topic.
    ChooseTopic(String),
    /// The publisher or subscriber name was edited: discard these panels' reports, which are about the previous one.
    ForgetReports(&'static [Panel]),
    /// The user opened a tab beside the cube.
    ChooseTab(Tab),
    /// The user opened a tab of "Look closer".
    ChooseCloserTab(CloserTab),
    /// The user dismissed a broken promise.
    DismissViolation,
    /// Trace the next publish.
    TraceNext,
    /// Show the trace of this request.
    PickRequest(TraceId),
    /// Show or hide heartbeats and link states on the cube.
    ShowBackground(bool),
}
