//! The client vocabulary in JSON.
