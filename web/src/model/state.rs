//! The whole state of the page.

use cubecast_core::cube::Vertex;
use cubecast_core::identity::HostId;
use cubecast_core::names::TopicName;
use cubecast_core::placement;

use super::breakage::Breakages;
use super::closer::Closer;
use super::cluster::Cluster;
use super::feed::Feed;
use super::inbox::Inboxes;
use super::rates::Rates;
use super::report::Reports;
use super::sent::SentMessages;
use super::shared::Shared;
use super::stored::StoredPage;
use super::topics::TopicBook;
use super::traffic::Traffic;
use super::view::{ClientNames, Layout, Selection, Tab};

/// The whole state of the page.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct State {
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Where virtual time begins, milliseconds since 1970; `None` if the page shows real time.
    pub epoch_ms: Option<u64>,
    /// Nodes, links and groups.
    pub cluster: Shared<Cluster>,
    /// Known topics.
    pub topics: Shared<TopicBook>,
    /// Messages per second of each topic.
    pub rates: Shared<Rates>,
    /// Frames that are being drawn.
    pub traffic: Shared<Traffic>,
    /// The event feed.
    pub feed: Shared<Feed>,
    /// Deliveries of push subscriptions.
    pub inboxes: Shared<Inboxes>,
    /// Messages that this page published.
    pub sent: Shared<SentMessages>,
    /// The stored messages of the chosen topic that the user looks at.
    pub stored: Shared<Option<StoredPage>>,
    /// The reports of the user's tasks.
    pub reports: Shared<Reports>,
    /// Injected faults.
    pub breakages: Shared<Breakages>,
    /// The selected node or edge.
    pub selection: Option<Selection>,
    /// The arrangement of the nodes in the drawing.
    pub layout: Layout,
    /// The open tab beside the cube.
    pub tab: Tab,
    /// As typed; possibly not a valid name, or not an existing topic.
    pub topic_text: String,
    /// The names under which this page publishes and subscribes.
    pub names: ClientNames,
    /// The panel beneath the cube.
    pub closer: Closer,
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

/// The role of a vertex for the chosen topic, computed from the topic's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
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

    /// The node of the chosen topic's home.
    pub fn home_node(&self) -> Option<HostId> {
        Some(self.cluster.seating()?.host_of(self.home()?))
    }

    /// The role of a node for the chosen topic.
    pub fn placement(&self, node: HostId) -> Option<Placement> {
        Some(match self.cluster.seating()?.distance(self.home_node()?, node) {
            0 => Placement::Home,
            1 => Placement::Replica,
            _ => Placement::Elsewhere,
        })
    }

    /// The state to draw: the current one, or, after a violation, the frozen picture of the cluster combined with the
    /// user's current selections.
    pub fn seen(&self) -> State {
        let Some(frozen) = self.closer.frozen.as_deref() else { return self.clone() };
        let is_same_topic = self.closer.xray.topic == frozen.xray.topic;
        let xray = if is_same_topic { &frozen.xray } else { &self.closer.xray };
        State {
            now_ms: frozen.now_ms,
            cluster: frozen.cluster.clone(),
            topics: frozen.topics.clone(),
            traffic: frozen.traffic.clone(),
            feed: frozen.feed.clone(),
            closer: Closer { xray: xray.clone(), ..self.closer.clone() },
            ..self.clone()
        }
    }
}
