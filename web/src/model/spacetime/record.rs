//! What is recorded of events and requests.

use cubecast_core::identity::{HostId, TraceId};
use cubecast_core::names::{Offset, TopicName};
use cubecast_core::wire::event::WatchEvent;

/// A received event.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordedEvent {
    /// When this page received it, milliseconds since 1970.
    pub heard_ms: u64,
    /// As the node sent it.
    pub event: WatchEvent,
}

/// A client request, as reported by the node that received it.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// Identifies the request's events.
    pub trace: TraceId,
    /// The node that received it.
    pub node: HostId,
    /// The action's name in the protocol.
    pub action: String,
    /// The topic or other name that it is about.
    pub subject: Option<String>,
    /// By the node's clock, microseconds since 1970.
    pub received_us: u64,
    /// When this page received the event, milliseconds since 1970.
    pub heard_ms: u64,
    /// `None` before the node reports its answer.
    pub answered: Option<Answered>,
    /// Latency that this page measured, microseconds, if the request is its own.
    pub client_took_us: Option<u64>,
    /// The offset of a publish, if this page received it.
    pub offset: Option<Offset>,
}

/// The end of a request.
#[derive(Clone, PartialEq, Debug)]
pub struct Answered {
    /// By the node's clock, microseconds since 1970.
    pub at_us: u64,
    /// When this page received the event, milliseconds since 1970.
    pub heard_ms: u64,
    /// An error code of the protocol; `None` for success.
    pub error: Option<String>,
}

impl Request {
    /// From receipt to answer by the node's clock, microseconds; `None` without a reported answer.
    pub fn in_cluster_us(&self) -> Option<u64> {
        Some(self.answered.as_ref()?.at_us.saturating_sub(self.received_us))
    }

    pub(super) fn is_publish_to(&self, topic: &TopicName) -> bool {
        self.action == "publish" && self.subject.as_deref() == Some(topic.as_str())
    }
}
