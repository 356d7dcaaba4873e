//! The client protocol in JSON: each request and each server frame is one flat object.
//!
//! The parser is lenient where that is safe: it ignores unknown fields, treats `null` as a missing field, and uses the
//! last value of a repeated field. Otherwise it is strict: a known field of the wrong type is refused by name. Nested
//! values are skipped, not decoded, so nesting costs no stack. The id is read first; every refusal carries it if it can
//! be read at all.

pub use crate::wire::limits::{Limits, Refused};

mod fields;
mod render;
mod request;
mod shapes;

pub use render::{human_message, render};
pub use request::{action_names, action_names_by_kind, parse_request};
