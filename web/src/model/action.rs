//! Everything that can change the page: frames from nodes, user actions, and time.

use cubecast_core::client::FellOver;
use cubecast_core::identity::{HostId, TraceId};
use cubecast_core::names::{SubscriberId, TopicName};
use cubecast_core::wire::answer::{Answer, Delivery};
use cubecast_core::wire::event::WatchEvent;

use super::cluster::Socket;
use super::load::{LoadPlan, LoadSample};
use super::obstacle::Obstacle;
use super::report::TaskChange;
use super::task::{Panel, Task};
use super::view::{CloserTab, Layout, Selection, Tab};

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
    // The page's connections.
    /// An address that should have led to the cluster did not answer.
    SeedFailed { address: String },
    /// The server at this address explained why no WebSocket to a node opens there.
    SeedExplained { address: String, why: String },
    /// This page's connection to a node changed.
    SocketChanged { node: HostId, socket: Socket },
    /// A node sent a frame that this page cannot decode.
    FrameMalformed { error: String },
    /// Failover: requests for a home now go to another node.
    FellOver(FellOver),
    /// The home answers again.
    BackHome { home: HostId },

    // What nodes report.
    /// An event that a node reported.
    Event(WatchEvent),
    /// A node's answer to any request.
    Answered { asked: HostId, answer: Answer },
    /// From now on the node reports only one in `sample` of its frequent events.
    Sampled { node: HostId, sample: u32 },
    /// The scenario of a simulation injected or ended a fault; `what` is its description.
    ScenarioFault { what: String },

    // Push subscriptions of this page.
    /// Start keeping this subscriber's deliveries.
    OpenInbox { subscriber: SubscriberId, topic: TopicName },
    /// Stop keeping this subscriber's deliveries.
    CloseInbox { subscriber: SubscriberId, topic: TopicName },
    /// A push subscription delivered a message.
    Delivered(Delivery),
    /// A push subscription ended: its topic was deleted, it was ended elsewhere, or it could not be kept up.
    DeliveriesEnded { subscriber: SubscriberId, topic: TopicName, why: String },

    // What this page does for the user.
    /// Progress of a task.
    Task { panel: Panel, task: u64, change: TaskChange },
    /// The load generator started, or its plan changed.
    LoadStarted(LoadPlan),
    /// New results of the load generator.
    LoadMeasured(LoadSample),
    /// `why`: the reason if it stopped by itself.
    LoadStopped { why: Option<String> },
    /// The user changed what the page shows.
    View(ViewAction),
}

/// A user action that changes only what this page shows.
#[derive(Clone, PartialEq, Debug)]
pub enum ViewAction {
    /// Selects a node or an edge, or clears the selection.
    Select(Option<Selection>),
    /// A topic was typed or chosen.
    ChooseTopic(String),
    /// The publisher's name was typed.
    NamePublisher(String),
    /// The subscriber's name was typed.
    NameSubscriber(String),
    /// Opens a tab beside the cube.
    ChooseTab(Tab),
    /// Opens a view below the cube.
    ChooseCloserTab(CloserTab),
    /// Arranges the nodes.
    ChooseLayout(Layout),
    /// Shows or hides heartbeats and link states on the cube.
    ShowBackground(bool),
    /// Trace the next publish.
    TraceNext,
    /// Show the trace of this request.
    PickRequest(TraceId),
    /// Dismisses the violation of an invariant.
    DismissViolation,
    /// Reports that a task was not sent, because no node can carry it out now.
    HoldTask { task: Task, obstacle: Obstacle },
}
