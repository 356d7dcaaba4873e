//! The page's sentences: what the model knows, as text for the user.

pub mod failover;
pub mod feed;
pub mod report;
pub mod status;
