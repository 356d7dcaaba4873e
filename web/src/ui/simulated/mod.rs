//! The simulated page: the same page over a cluster that runs in it, with playback controls.

mod app;
mod mode;
mod setup;
mod timeline;
mod transport;

pub use app::SimulatedApp;
pub use mode::{ModeSwitch, go_on_where_asked};
