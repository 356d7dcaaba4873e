//! The simulated page: the same page over a cluster that runs in it, with playback controls. The page for incidents is
//! the same over recorded nodes.

mod app;
mod file_input;
mod incident;
mod mode;
mod setup;
mod timeline;
mod transport;

pub use app::SimulatedApp;
pub use incident::{IncidentApp, explain_panics};
pub use mode::{ModeSwitch, go_on_where_asked};
