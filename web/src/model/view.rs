//! What the user selected and typed.

use cubecast_core::identity::HostId;

/// The node or edge that the user selected in the cube.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Selection {
    Node(HostId),
    /// The smaller end first.
    Edge(HostId, HostId),
}

/// How the nodes are arranged in the drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Layout {
    #[default]
    /// A projection of the cube.
    Cube,
    /// A flat grid, in which the cells side by side are neighbours.
    Grid,
}

/// The tabs of the controls beside the cube.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tab {
    #[default]
    /// Publish and subscribe.
    Messages,
    /// Stored messages.
    Browse,
    Break,
}

/// The views below the cube.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CloserTab {
    #[default]
    /// The event feed.
    Feed,
    /// The replica X-ray of the chosen topic.
    Xray,
    /// The invariant checks.
    Invariants,
    /// The space-time diagram of a request.
    SpaceTime,
    /// Throughput, latency and availability over time.
    Charts,
    /// The nodes as a table.
    Nodes,
}

/// The client names of the forms, as typed; possibly invalid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientNames {
    /// Creates and deletes topics, and publishes.
    pub publisher: String,
    /// Subscribes and pulls.
    pub subscriber: String,
}

impl Layout {
    /// Its name in addresses and in the browser's storage.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Cube => "cube",
            Layout::Grid => "grid",
        }
    }

    /// The layout with this name.
    pub fn named(name: &str) -> Option<Layout> {
        [Layout::Cube, Layout::Grid].into_iter().find(|layout| layout.name() == name)
    }
}

impl Selection {
    /// Selects the edge between two neighbours, given in either order.
    pub fn edge(a: HostId, b: HostId) -> Selection {
        Selection::Edge(a.min(b), a.max(b))
    }
}

impl Default for ClientNames {
    fn default() -> ClientNames {
        ClientNames { publisher: "publisher1".to_owned(), subscriber: "reader1".to_owned() }
    }
}
