//! Everything that can change the page: what nodes send, what the person does, and time.

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
    SeedFailed {
        address: String,
    },
    /// Why a node could not be reached at this address, as the server there says.
    SeedExplained {
        address: String,
        why: String,
    },
    SocketChanged {
        node: Vertex,
        socket: Socket,
    },
    /// A node told of something that happened to it.
    Told(WatchEvent),
    /// A node answered, whatever it was asked.
    Answered {
        asked: Vertex,
        answer: Answer,
    },
    /// A node tells one in so many of its frequent events from now on.
    Sampled {
        node: Vertex,
        sample: u32,
    },
    /// A message came for a push subscription.
    Delivered(Delivery),
    /// Something to be told in the feed that no node said.
    Remarked {
        tone: Tone,
        text: String,
    },
    /// A node sent what this page does not understand.
    FrameMalformed {
        text: String,
    },
    /// From now on another node is asked in a home's place.
    FellOver {
        from: Vertex,
        to: Vertex,
        why: String,
    },
    /// The home answers again.
    BackHome {
        home: Vertex,
    },
    /// A push subscription is over: its topic was deleted, it was ended elsewhere, or it could not be kept up.
    DeliveriesEnded {
        subscriber: SubscriberId,
        topic: TopicName,
        why: String,
    },

    TaskStarted {
        panel: Panel,
        task: u64,
        goal: Option<client::Action>,
    },
    /// One of its requests is on its way.
    TaskAsked {
        panel: Panel,
        task: u64,
        action: client::Action,
    },
    /// It was not sent: nobody can do it now.
    TaskHeld {
        task: Task,
        text: String,
    },
    /// The request was done elsewhere than at home, and why.
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
    /// What was asked for is so already.
    TaskSettled {
        panel: Panel,
        task: u64,
        text: String,
    },
    /// Nobody answered, or what was typed could not be sent.
    TaskGaveUp {
        panel: Panel,
        task: u64,
        text: String,
    },
    TaskEnded {
        panel: Panel,
        task: u64,
    },

    /// What is pushed to this subscriber is to be kept, or no longer.
    OpenInbox {
        subscriber: SubscriberId,
        topic: TopicName,
    },
    CloseInbox {
        subscriber: SubscriberId,
        topic: TopicName,
    },

    /// Messages are published at a rate from now on, or at another one.
    LoadStarted(LoadPlan),
    /// What came of them lately.
    LoadTold(LoadSample),
    /// `why`: it stopped by itself.
    LoadStopped {
        why: Option<String>,
    },

    Select(Option<Selection>),
    ChooseTopic(String),
    /// Another publisher or subscriber is typed: what these panels say is about the one before.
    ForgetReports(&'static [Panel]),
    ChooseTab(Tab),
    ChooseCloserTab(CloserTab),
    /// The person has seen enough of a broken promise.
    DismissViolation,
    /// The story of the next publish is to be told.
    TraceNext,
    /// The story of this request.
    PickRequest(TraceId),
    ShowBackground(bool),
}
