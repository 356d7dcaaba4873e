//! What a request may ask for: the limits that JSON and binary share.
//!
//! Types already hold what can be said by types (names, modes); what remains is checked here, once, at the door.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::cube::{Dimension, Vertex};
use crate::wire::answer::{ErrorCode, Failure};
use crate::wire::client::{Action, LinkConditions, Request, RequestId};

/// Messages that one pull may ask for.
pub const MAX_PULL: u32 = 10_000;
/// Messages that a pull asks for when it does not say.
pub const DEFAULT_PULL: u32 = 100;
/// The longest failure on request: an hour.
pub const MAX_STOP_MS: u64 = 3_600_000;
/// A failure on request that does not say how long.
pub const DEFAULT_STOP_MS: u64 = 10_000;
/// The longest delay, and the most jitter, of an edge: a minute.
pub const MAX_DELAY_MS: u32 = 60_000;
/// Kinds in one watch; more than there are.
pub const MAX_KINDS: usize = 64;
/// The thinnest sample of events: one in a million.
pub const MAX_SAMPLE: u32 = 1_000_000;

/// How much of a client's own text an error shows.
pub(super) const SHOWN_CHARS: usize = 40;

/// Limits that a node's owner may set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of UTF-8 in one message's content.
    pub max_content_bytes: usize,
    /// New publishers and subscribers that a node takes from its clients in a second; ten times as many at once.
    pub registrations_per_second: u32,
    /// Publishers and subscribers that nobody used for so long are deleted; `None`: never.
    pub names_expire_after: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_content_bytes: 1 << 20, registrations_per_second: 200, names_expire_after: None }
    }
}

/// A request that will not be carried out: its id, where it has one that could be read, and why.
pub type Refused = (Option<RequestId>, Failure);

/// Whether the request keeps to the limits and names only places on this cube.
pub fn validate(request: &Request, limits: &Limits, dimension: Dimension) -> Result<(), Failure> {
    validate_id(request.id.as_ref())?;
    match &request.action {
        Action::CreatePublisher { .. } | Action::CreateSubscriber { .. } => Ok(()),
        Action::DeletePublisher { .. } | Action::DeleteSubscriber { .. } => Ok(()),
        Action::CreateTopic { .. } | Action::DeleteTopic { .. } => Ok(()),
        Action::Publish { content, .. } => validate_content(content, limits),
        Action::Subscribe { .. } | Action::ReplicaSubscribe { .. } | Action::Unsubscribe { .. } => Ok(()),
        Action::Pull { max, .. } | Action::ReplicaPull { max, .. } => {
            require((1..=MAX_PULL).contains(max), || format!("`max` has to be 1 to {MAX_PULL}, and is {max}"))
        }
        Action::Commit { .. } | Action::Locate { .. } | Action::Topics | Action::Cluster => Ok(()),
        Action::Status { node } | Action::RecoverNode { node } => validate_node(*node, dimension),
        Action::StopNode { node, duration_ms, .. } => {
            validate_node(*node, dimension)?;
            require(*duration_ms <= MAX_STOP_MS, || {
                format!("`duration_ms` has to be at most {MAX_STOP_MS}, and is {duration_ms}")
            })
        }
        Action::SetLink { from, to, conditions } => validate_link(*from, *to, conditions, dimension),
        Action::Watch { kinds, sample } => {
            require(kinds.len() <= MAX_KINDS, || format!("`kinds` has more than {MAX_KINDS} entries"))?;
            require((1..=MAX_SAMPLE).contains(sample), || {
                format!("`sample` has to be 1 to {MAX_SAMPLE}, and is {sample}")
            })
        }
    }
}

/// An id that is too long is not sent back.
pub(super) fn check_id(id: Option<RequestId>) -> Result<Option<RequestId>, Failure> {
    let size = id.as_ref().map_or(0, RequestId::size);
    if size <= RequestId::MAX_BYTES {
        return Ok(id);
    }
    let most = RequestId::MAX_BYTES;
    Err(ErrorCode::BadRequest.because(format!("`id` has {size} bytes, and may have {most}; it is not sent back")))
}

/// What is no JSON number could not come back as one.
fn validate_id(id: Option<&RequestId>) -> Result<(), Failure> {
    match id {
        Some(RequestId::Number(id)) => require(is_json_number(id), || {
            let shown: String = id.chars().take(SHOWN_CHARS).collect();
            format!("`id` has to be a number as JSON writes it, and is {shown:?}")
        }),
        Some(RequestId::Unsigned(_) | RequestId::Signed(_) | RequestId::Text(_)) | None => Ok(()),
    }
}

fn is_json_number(text: &str) -> bool {
    let begins = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    begins && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

fn validate_content(content: &str, limits: &Limits) -> Result<(), Failure> {
    let limit = limits.max_content_bytes;
    if content.len() <= limit {
        return Ok(());
    }
    Err(ErrorCode::TooLarge.because(format!(
        "`content` has {} bytes, and this node takes at most {limit}; publish it in pieces",
        content.len()
    )))
}

fn validate_link(from: Vertex, to: Vertex, conditions: &LinkConditions, dimension: Dimension) -> Result<(), Failure> {
    validate_node(Some(from), dimension)?;
    validate_node(Some(to), dimension)?;
    require(from.edge_to(to).is_some(), || {
        format!("there is no edge from {from} to {to}: name two nodes that differ in one bit")
    })?;
    for (field, delay) in [("delay_ms", conditions.delay_ms), ("jitter_ms", conditions.jitter_ms)] {
        require(delay <= MAX_DELAY_MS, || format!("`{field}` has to be at most {MAX_DELAY_MS}, and is {delay}"))?;
    }
    let loss = conditions.loss;
    require((0.0..=1.0).contains(&loss), || format!("`loss` has to be 0 to 1, and is {loss}"))
}

fn validate_node(node: Option<Vertex>, dimension: Dimension) -> Result<(), Failure> {
    match node {
        Some(node) if node.dimension() != dimension => {
            let bits = dimension.bits();
            Err(ErrorCode::BadRequest
                .because(format!("`{node}` is not a node of this cube: its nodes are {bits}-bit strings")))
        }
        Some(_) | None => Ok(()),
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(ErrorCode::BadRequest.because(otherwise())) }
}
