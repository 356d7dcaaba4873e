//! The page's state: one value, computed by one reducer.
//!
//! Nothing here depends on a browser: [`State::after`] is a pure function of the state, the time and the actions. Each
//! part of the state owns its data and has its own file; [`reduce`] passes each action to the parts that it concerns.
//! The parts hold facts; [`crate::ui`] turns them into text.

// The state and what changes it.
pub mod act;
pub mod action;
pub mod as_command;
mod reduce;
pub mod state;
pub mod view;

// Parts of the state.
pub mod breakage;
pub mod charts;
pub mod closer;
pub mod cluster;
pub mod failover;
pub mod feed;
pub mod first_minute;
pub mod inbox;
pub mod invariants;
pub mod load;
pub mod obstacle;
pub mod place;
pub mod rates;
pub mod report;
pub mod sent;
pub mod shared;
pub mod spacetime;
pub mod stored;
pub mod tone;
pub mod topic_table;
pub mod topics;
pub mod traffic;
pub mod xray;

// Tasks for the cluster.
pub mod gate;
pub mod preset;
pub mod seek;
pub mod task;
pub mod tasks;

pub use act::Act;
pub use action::{Action, Moment, ViewAction};
pub use state::{Placement, SeedFailure, State};
pub use view::{CloserTab, Layout, Selection, Tab};
