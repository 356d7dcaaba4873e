//! What the page knows, as one value that one reducer makes from what happened.
//!
//! Nothing here touches a browser: [`State::after`] is a pure function of the state, the time and the actions.

pub mod action;
pub mod breakage;
pub mod charts;
pub mod closer;
pub mod cluster;
pub mod describe;
pub mod feed;
pub mod gate;
pub mod groups;
pub mod inbox;
pub mod invariants;
mod learn;
pub mod load;
mod reduce;
pub mod shared;
pub mod spacetime;
pub mod standing;
pub mod steady;
pub mod task;
pub mod topics;
pub mod traffic;
pub mod wish;
pub mod xray;

use std::rc::Rc;

use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::placement;

pub use action::{Action, Moment};
use shared::Shared;

/// All that the page shows.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct State {
    pub now_ms: u64,
    pub cluster: Shared<cluster::Cluster>,
    pub topics: Shared<topics::TopicBook>,
    pub traffic: Shared<traffic::Traffic>,
    pub feed: Shared<feed::Feed>,
    pub inboxes: Shared<inbox::Inboxes>,
    pub tasks: Shared<task::Tasks>,
    pub breakages: Shared<breakage::Breakages>,
    pub selection: Option<Selection>,
    pub tab: Tab,
    /// As typed; it may not be a name yet, or a topic that does not exist.
    pub topic_text: String,
    /// What the panel beneath the cube shows.
    pub closer: closer::Closer,
    /// Whether heartbeats and link states are drawn too.
    pub show_background: bool,
    /// The address that was tried last and did not answer, until one does.
    pub seed_failed: Option<SeedFailure>,
}

/// An address at which no node could be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeedFailure {
    pub address: String,
    /// What the server there says of it, with the cure.
    pub why: Option<String>,
}

/// What the person clicked on in the cube.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selection {
    Node(Vertex),
    /// The smaller end first.
    Edge(Vertex, Vertex),
}

/// What the controls beside the cube are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tab {
    #[default]
    Publish,
    Subscribe,
    Pull,
    Break,
}

impl Selection {
    pub fn edge(a: Vertex, b: Vertex) -> Selection {
        Selection::Edge(a.min(b), a.max(b))
    }
}

/// Where the chosen topic lives, known by its name alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Home,
    Replica,
    Elsewhere,
}

impl State {
    /// The chosen topic, once what was typed is a name.
    pub fn topic(&self) -> Option<TopicName> {
        TopicName::new(self.topic_text.trim()).ok()
    }

    /// The home of the chosen topic.
    pub fn home(&self) -> Option<Vertex> {
        Some(placement::home(self.topic()?.as_str(), self.cluster.dimension?))
    }

    /// What a vertex is to the chosen topic.
    pub fn place(&self, vertex: Vertex) -> Option<Place> {
        self.home().map(|home| match home.distance(vertex) {
            0 => Place::Home,
            1 => Place::Replica,
            _ => Place::Elsewhere,
        })
    }
}

impl yew::Reducible for State {
    type Action = Moment;

    /// The same state comes back as the same `Rc`, so that nothing is drawn again for it.
    fn reduce(self: Rc<Self>, moment: Moment) -> Rc<Self> {
        if moment.actions.is_empty() && !self.changes_by(moment.now_ms) {
            return self;
        }
        Rc::new(State::clone(&self).after(moment))
    }
}
