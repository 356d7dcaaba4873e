//! The simulated page: the same page over a cluster that runs in it, with playback controls.

mod mode;
mod page;
mod setup;
mod timeline;
mod transport;

pub use mode::{ModeSwitch, go_on_where_asked};
pub use page::SimulatedApp;
