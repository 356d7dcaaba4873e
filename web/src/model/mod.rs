//! The page's state: one value, computed by one reducer.
//!
//! Nothing here depends on a browser: [`State::after`] is a pure function of the state, the time and the actions.

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
pub mod tasks;
pub mod topics;
pub mod traffic;
pub mod xray;

use std::rc::Rc;

use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::placement;

pub use action::{Action, Moment};
use shared::Shared;

/// The whole state of the page.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct State {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Nodes, links and groups.
    pub cluster: Shared<cluster::Cluster>,
    /// Known topics.
    pub topics: Shared<topics::TopicBook>,
    /// Frames that are being drawn.
    pub traffic: Shared<traffic::Traffic>,
    /// The event feed.
    pub feed: Shared<feed::Feed>,
    /// Deliveries of push subscriptions.
    pub inboxes: Shared<inbox::Inboxes>,
    /// The reports of the user's tasks.
    pub tasks: Shared<task::Tasks>,
    /// Injected faults.
    pub breakages: Shared<breakage::Breakages>,
    /// The selected node or edge.
    pub selection: Option<Selection>,
    /// The open tab beside the cube.
    pub tab: Tab,
    /// As typed; possibly not a valid name, or not an existing topic.
    pub topic_text: String,
    /// The panel beneath the cube.
    pub closer: closer::Closer,
    /// Whether heartbeats and link states are drawn too.
    pub show_background: bool,
    /// The last seed address that did not answer; `None` once one answers.
    pub seed_failed: Option<SeedFailure>,
}

/// An address at which no node could be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeedFailure {
    /// As it was tried.
    pub address: String,
    /// The explanation of the server at this address, with advice.
    pub why: Option<String>,
}

/// The node or edge that the user selected in the cube.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selection {
    Node(Vertex),
    /// The smaller end first.
    Edge(Vertex, Vertex),
}

/// The tabs of the controls beside the cube.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tab {
    #[default]
    Publish,
    Subscribe,
    Pull,
    Break,
}

impl Selection {
    /// Selects the edge between two neighbours, given in either order.
    pub fn edge(a: Vertex, b: Vertex) -> Selection {
        Selection::Edge(a.min(b), a.max(b))
    }
}

/// The role of a vertex for the chosen topic, computed from the topic's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    Home,
    /// A neighbour of the home.
    Replica,
    /// Any other vertex.
    Elsewhere,
}

impl State {
    /// The chosen topic; `None` if the typed text is not a valid name.
    pub fn topic(&self) -> Option<TopicName> {
        TopicName::new(self.topic_text.trim()).ok()
    }

    /// The home of the chosen topic.
    pub fn home(&self) -> Option<Vertex> {
        Some(placement::home(self.topic()?.as_str(), self.cluster.dimension?))
    }

    /// The role of a vertex for the chosen topic.
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

    /// Returns the same `Rc` if nothing changed, so nothing is redrawn.
    fn reduce(self: Rc<Self>, moment: Moment) -> Rc<Self> {
        if moment.actions.is_empty() && !self.changes_by(moment.now_ms) {
            return self;
        }
        Rc::new(State::clone(&self).after(moment))
    }
}
