//! The page's data source: sockets to the nodes, and the client that decides which requests go over them.
//!
//! [`cubecast_core::client`] chooses nodes, retries, and fails over. [`driver`] gives it sockets and time, and passes
//! the results to the page as [`crate::model::Action`]s, several per moment.

pub mod address;
pub mod browser;
pub mod driver;
mod refusal;
mod socket;
mod steady;

pub use driver::Driver;
