//! [`Done`] and [`Event`] as flat JSON: the same variants and fields, with their JSON names.
//!
//! With serde's remote derive, a variant or field that exists there but not here is a compile error.

use serde::Serialize;

use crate::cube::Vertex;
use crate::faults::{LinkConditions, StopMode};
use crate::identity::HostId;
use crate::names::{Offset, PublisherId, SubscriberId, TopicId, TopicName};
use crate::states::{NodeState, Role, StorageState};
use crate::wire::answer::{ClusterView, Done, Location, Message, NodeStatus, TopicSummary};
use crate::wire::event::{DropReason, Event, FrameKind};

/// The JSON fields of a [`Done`].
#[derive(Serialize)]
#[serde(remote = "Done", untagged)]
pub enum DoneFields {
    PublisherCreated {
        #[serde(rename = "publisher_id")]
        publisher: PublisherId,
        existed: bool,
    },
    SubscriberCreated {
        #[serde(rename = "subscriber_id")]
        subscriber: SubscriberId,
        existed: bool,
    },
    TopicCreated {
        topic: TopicName,
        home: Vertex,
        #[serde(rename = "replicas")]
        neighbours: Vec<Vertex>,
    },
    TopicDeleted {
        topic: TopicName,
        home: Vertex,
        #[serde(rename = "replicas")]
        neighbours: Vec<Vertex>,
    },
    Published {
        topic: TopicName,
        offset: Option<Offset>,
        #[serde(rename = "replicas")]
        replicas: Vec<HostId>,
        repeated: bool,
    },
    Subscribed {
        topic: TopicName,
        topic_id: TopicId,
        cursor: Offset,
        #[serde(skip_serializing_if = "Option::is_none")]
        original_node: Option<Vertex>,
    },
    Unsubscribed {
        topic: TopicName,
    },
    Pulled {
        topic: TopicName,
        messages: Vec<Message>,
        cursor: Offset,
        end: Offset,
        #[serde(skip_serializing_if = "Option::is_none")]
        behind: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        original_node: Option<Vertex>,
    },
    Committed {
        topic: TopicName,
        cursor: Offset,
    },
    Located(Location),
    Topics {
        topics: Vec<TopicSummary>,
        missing: Vec<Vertex>,
    },
    Cluster(ClusterView),
    Status(Box<NodeStatus>),
    NodeStopped {
        node: HostId,
        mode: StopMode,
        duration_ms: u64,
    },
    NodeRecovered {
        node: HostId,
    },
    LinkSet {
        from: HostId,
        to: HostId,
        #[serde(flatten, serialize_with = "link_conditions")]
        conditions: LinkConditions,
    },
    Watching,
    PublisherDeleted {
        #[serde(rename = "publisher_id")]
        publisher: PublisherId,
    },
    SubscriberDeleted {
        #[serde(rename = "subscriber_id")]
        subscriber: SubscriberId,
    },
}

/// The fields as in a `set_link` request.
fn link_conditions<S: serde::Serializer>(conditions: &LinkConditions, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Conditions {
        state: &'static str,
        delay_ms: u32,
        jitter_ms: u32,
        loss: f32,
    }
    let LinkConditions { cut, delay_ms, jitter_ms, loss } = *conditions;
    Conditions { state: if cut { "cut" } else { "up" }, delay_ms, jitter_ms, loss }.serialize(serializer)
}

/// The JSON fields of an [`Event`].
#[derive(Serialize)]
#[serde(remote = "Event", tag = "event", rename_all = "snake_case")]
pub enum EventFields {
    NodeState {
        subject: HostId,
        state: NodeState,
    },
    LinkState {
        from: HostId,
        to: HostId,
        up: bool,
    },
    LinkConditions {
        from: HostId,
        to: HostId,
        #[serde(flatten, serialize_with = "link_conditions")]
        conditions: LinkConditions,
    },
    RoleChanged {
        group: Vertex,
        role: Role,
        term: u64,
        leader: Option<HostId>,
    },
    MembersChanged {
        group: Vertex,
        voters: Vec<HostId>,
        learners: Vec<HostId>,
    },
    Committed {
        group: Vertex,
        index: u64,
    },
    FrameSent {
        to: HostId,
        what: FrameKind,
        group: Option<Vertex>,
    },
    FrameDropped {
        to: HostId,
        what: FrameKind,
        why: DropReason,
    },
    RequestReceived {
        action: String,
        subject: Option<String>,
    },
    RequestAnswered {
        action: String,
        subject: Option<String>,
        error: Option<String>,
        message: String,
    },
    ReplicaStored {
        topic: TopicName,
        group: Vertex,
        offset: Offset,
    },
    TopicCreated {
        topic: TopicName,
        group: Vertex,
    },
    TopicDeleted {
        topic: TopicName,
        group: Vertex,
    },
    Delivered {
        topic: TopicName,
        #[serde(rename = "subscriber_id")]
        subscriber: SubscriberId,
        offset: Offset,
    },
    Stopped {
        mode: StopMode,
        duration_ms: u64,
    },
    Returned {
        incarnation: u32,
    },
    CaughtUp {
        group: Vertex,
        applied: u64,
    },
    SnapshotProgress {
        group: Vertex,
        received: u64,
        total: u64,
    },
    OutboxStored {
        topic: TopicName,
    },
    OutboxDrained {
        topic: TopicName,
    },
    Warning {
        text: String,
    },
    StorageState {
        state: StorageState,
        free_bytes: u64,
        reserve_bytes: u64,
    },
}
