//! Where the page's knowledge comes from: sockets to the nodes, and the client that decides what goes over them.
//!
//! [`cubecast_core::client`] chooses whom to ask, asks again, and falls over; [`driver`] gives it sockets and time, and
//! turns what comes back into [`crate::model::Action`]s, some of them a moment.

pub mod address;
pub mod browser;
pub mod driver;
mod refusal;
mod socket;

pub use driver::Driver;
