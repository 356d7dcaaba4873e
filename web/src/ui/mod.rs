//! The page, drawn from the [`crate::model::State`]: one component a file. Components get what they show and hand back what the
//! person wants; only [`App`] knows the sockets.

mod app;
mod break_panel;
mod broken_bar;
mod charts;
mod closer;
mod cube;
mod download;
mod edge;
mod edge_card;
mod feed;
mod field;
mod header;
mod invariants_panel;
mod legend;
mod lesson;
mod live_lessons;
mod load_panel;
mod messages;
mod node;
mod node_card;
mod node_table;
mod presets;
mod publish_form;
mod pull_form;
mod pulse;
mod pulses;
mod report;
mod simulated;
mod spacetime;
mod stage;
mod subscribe_form;
mod tab_list;
mod tabs;
mod topic_card;
mod topic_list;
mod xray;

pub use app::App;
pub use closer::{LookCloser, LookCloserProps};
pub use cube::{Cube, CubeProps};
pub use feed::{FeedList, FeedListProps};
pub use node_card::{NodeCard, NodeCardProps};
pub use publish_form::{PublishForm, PublishFormProps};
pub use simulated::{SimulatedApp, go_on_where_asked};
pub use subscribe_form::{SubscribeForm, SubscribeFormProps};
pub use topic_card::{TopicCard, TopicCardProps};
