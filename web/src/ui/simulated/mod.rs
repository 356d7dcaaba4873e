//! The simulated page: the same page, before a cluster that runs in it, with time in the person's hand.

mod mode;
mod page;
mod setup;
mod timeline;
mod transport;

pub use mode::{ModeSwitch, go_on_where_asked};
pub use page::SimulatedApp;
