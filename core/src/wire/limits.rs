//! The limits of a request, common to JSON and binary.
//!
//! Types already enforce what types can express (names, modes). The rest is checked here, once, when a request arrives.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use serde_json::value::RawValue;

use crate::faults::LinkConditions;
use crate::identity::HostId;
use crate::seating::Seating;
use crate::wire::answer::{ErrorCode, Failure};
use crate::wire::client::{Action, Admin, Local, Query, Read, Request, RequestId};

/// The maximum number of messages per pull.
pub const MAX_PULL: u32 = 10_000;
/// The default number of messages per pull.
pub const DEFAULT_PULL: u32 = 100;
/// The maximum duration of a requested fault, in milliseconds: one hour.
pub const MAX_STOP_MS: u64 = 3_600_000;
/// The default duration of a requested fault, in milliseconds.
pub const DEFAULT_STOP_MS: u64 = 10_000;
/// The maximum delay, and the maximum jitter, of an edge in milliseconds: one minute.
pub const MAX_DELAY_MS: u32 = 60_000;
/// The maximum number of kinds in one watch; larger than the number of existing kinds.
pub const MAX_KINDS: usize = 64;
/// The maximum sampling interval of events: one in a million.
pub const MAX_SAMPLE: u32 = 1_000_000;

/// How many characters of a client's text an error quotes.
pub(super) const SHOWN_CHARS: usize = 40;

/// Limits that the owner of a node can configure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of UTF-8 in the content of one message.
    pub max_content_bytes: usize,
    /// New publishers and subscribers that a node accepts from its clients per second; bursts may be ten times as
    /// large.
    pub registrations_per_second: u32,
    /// Publishers and subscribers unused for this long are deleted. `None`: never.
    pub names_expire_after: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_content_bytes: 1 << 20, registrations_per_second: 200, names_expire_after: None }
    }
}

/// A refused request: its id, if it could be read, and the reason.
pub type Refused = (Option<RequestId>, Failure);

/// Checks that the request is within the limits and names only nodes of this cluster.
pub fn validate(request: &Request, limits: &Limits, seating: &Seating) -> Result<(), Failure> {
    validate_id(request.id.as_ref())?;
    match &request.action {
        Action::Write(write) => write.content().map_or(Ok(()), |content| validate_content(content, limits)),
        Action::Read(Read::Pull { max, .. } | Read::ReplicaPull { max, .. }) => {
            require((1..=MAX_PULL).contains(max), || format!("`max` must be 1 to {MAX_PULL}, not {max}"))
        }
        Action::Query(Query::Locate { .. } | Query::Topics) | Action::Local(Local::Cluster) => Ok(()),
        Action::Admin(Admin::Status { node } | Admin::RecoverNode { node }) => validate_node(*node, seating),
        Action::Admin(Admin::StopNode { node, duration_ms, .. }) => {
            validate_node(*node, seating)?;
            require(*duration_ms <= MAX_STOP_MS, || {
                format!("`duration_ms` must be at most {MAX_STOP_MS}, not {duration_ms}")
            })
        }
        Action::Admin(Admin::SetLink { from, to, conditions }) => validate_link(*from, *to, conditions, seating),
        Action::Local(Local::Watch { kinds, sample }) => {
            require(kinds.len() <= MAX_KINDS, || format!("`kinds` has more than {MAX_KINDS} entries"))?;
            require((1..=MAX_SAMPLE).contains(sample), || format!("`sample` must be 1 to {MAX_SAMPLE}, not {sample}"))
        }
    }
}

/// Rejects an id that is too long; the error then carries no id.
pub(super) fn check_id(id: Option<RequestId>) -> Result<Option<RequestId>, Failure> {
    let size = id.as_ref().map_or(0, RequestId::size);
    if size <= RequestId::MAX_BYTES {
        return Ok(id);
    }
    let most = RequestId::MAX_BYTES;
    Err(ErrorCode::BadRequest.because(format!("`id` is {size} bytes long; the limit is {most}. The answer omits it")))
}

/// Rejects an id that is not a JSON number, because it could not be returned as one.
fn validate_id(id: Option<&RequestId>) -> Result<(), Failure> {
    match id {
        Some(RequestId::Number(id)) => require(is_json_number(id), || {
            let shown: String = id.chars().take(SHOWN_CHARS).collect();
            format!("`id` must be a JSON number, not {shown:?}")
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
        "`content` has {} bytes; this node accepts at most {limit}. Publish it in pieces",
        content.len()
    )))
}

fn validate_link(from: HostId, to: HostId, conditions: &LinkConditions, seating: &Seating) -> Result<(), Failure> {
    validate_node(Some(from), seating)?;
    validate_node(Some(to), seating)?;
    require(seating.edge(from, to).is_some(), || {
        format!("there is no edge from {from} to {to}: name two nodes that differ in one bit")
    })?;
    for (field, delay) in [("delay_ms", conditions.delay_ms), ("jitter_ms", conditions.jitter_ms)] {
        require(delay <= MAX_DELAY_MS, || format!("`{field}` must be at most {MAX_DELAY_MS}, not {delay}"))?;
    }
    let loss = conditions.loss;
    require((0.0..=1.0).contains(&loss), || format!("`loss` must be 0 to 1, not {loss}"))
}

fn validate_node(node: Option<HostId>, seating: &Seating) -> Result<(), Failure> {
    match node {
        Some(node) if !seating.has(node) => {
            let bits = seating.dimension().bits();
            Err(ErrorCode::BadRequest
                .because(format!("`{node}` is not a node of this cube: its nodes are {bits}-bit strings")))
        }
        Some(_) | None => Ok(()),
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(ErrorCode::BadRequest.because(otherwise())) }
}
