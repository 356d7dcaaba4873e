//! The queues between the connections and the runtime, each with a limit.
//!
//! ```text
//! connection -> admission (clients' requests) -> inbox -> runtime
//! connection <- mailbox, one for each connection       <- runtime
//! connection <- signals, the same for all connections  <- runtime
//! ```

pub mod admission;
pub mod inbox;
pub mod mailbox;
pub mod signals;
