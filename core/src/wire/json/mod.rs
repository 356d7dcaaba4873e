//! The client vocabulary in JSON: one request, or one server frame, is one flat object.
//!
//! Reading is forgiving where that is safe: fields that no action knows are ignored, `null` means the same as leaving a field out,
//! of a field given twice the last counts. It is strict in the rest: a known field of the wrong type is refused by name. Nesting
//! is never followed, so depth costs no stack. The id is read first and bears with every refusal, where it can be read at all.

pub use crate::wire::limits::{Limits, Refused};

mod fields;
mod render;
mod request;
mod shapes;

pub use render::{human_message, render};
pub use request::{ACTIONS, parse_request};
