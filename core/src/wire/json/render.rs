//! Renders a [`ServerFrame`] as JSON text.
//!
//! An unknown field of an answer is `null`. A field is left out only if it does not apply.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::shapes::{DoneFields, EventFields};
use crate::cube::Vertex;
use crate::faults::{LinkConditions, StopMode};
use crate::identity::{HostId, TraceId};
use crate::names::{Offset, SubscriberId, TopicName};
use crate::states::NodeState;
use crate::time::Timestamp;
use crate::wire::answer::{Answer, Delivery, Done, Failure, Location, Message, ServerFrame, SubscriptionEnded};
use crate::wire::client::RequestId;
use crate::wire::event::{Event, WatchEvent};

/// Renders one text frame.
pub fn render(frame: &ServerFrame) -> String {
    let text = match frame {
        ServerFrame::Answer(answer) => match &answer.result {
            Ok(done) => serde_json::to_string(&DoneAnswer::new(answer, done)),
            Err(failure) => serde_json::to_string(&FailedAnswer::new(answer, failure)),
        },
        ServerFrame::Message(delivery) => serde_json::to_string(&Push::new(delivery)),
        ServerFrame::Event(event) => serde_json::to_string(&Watched::new(event)),
        ServerFrame::SubscriptionEnded(ended) => serde_json::to_string(&Ended { event: "subscription_ended", ended }),
    };
    text.expect("server frames have string keys and no failing parts")
}

/// A result as a sentence for people.
pub fn human_message(done: &Done) -> String {
    match done {
        Done::PublisherCreated { publisher, existed } => registered("Publisher", publisher, *existed),
        Done::SubscriberCreated { subscriber, existed } => registered("Subscriber", subscriber, *existed),
        Done::TopicCreated { topic, home, neighbours } => {
            format!("Topic `{topic}` has been created on {home}, with replicas on its neighbours {}", list(neighbours))
        }
        Done::TopicDeleted { topic, home, neighbours } => {
            format!("Topic `{topic}` has been deleted from {home} and from its replicas on {}", list(neighbours))
        }
        Done::Published { topic, offset, replicas, repeated } => published(topic, *offset, replicas, *repeated),
        Done::Subscribed { topic, cursor, original_node, .. } => {
            format!("Subscribed to topic `{topic}`{}, reading from offset {cursor}", of_replica(*original_node))
        }
        Done::Unsubscribed { topic } => format!("Unsubscribed from topic `{topic}`"),
        Done::Pulled { topic, messages, cursor, behind, original_node, .. } => {
            let what = counted(messages.len() as u64, "message");
            let behind = behind
                .filter(|behind| *behind > 0)
                .map(|behind| format!("; the replica is {} behind", log_entries(behind)));
            let replica = of_replica(*original_node);
            format!(
                "Pulled {what} from topic `{topic}`{replica}; the next offset is {cursor}{}",
                behind.unwrap_or_default()
            )
        }
        Done::Committed { topic, cursor } => format!("The cursor in topic `{topic}` is at offset {cursor}"),
        Done::Located(location) => located(location),
        Done::Topics { topics, missing } if missing.is_empty() => {
            let are = if topics.len() == 1 { "is" } else { "are" };
            format!("There {are} {}", counted(topics.len() as u64, "topic"))
        }
        Done::Topics { topics, missing } => {
            format!(
                "Found {}; the replica groups of {} did not answer",
                counted(topics.len() as u64, "topic"),
                list(missing)
            )
        }
        Done::Cluster(view) => {
            let up = view.nodes.iter().filter(|node| node.state == NodeState::Up).count();
            format!("{up} of {} nodes are up", view.nodes.len())
        }
        Done::Status(status) => format!("Node {} is {}", status.node, state(status.state)),
        Done::NodeStopped { node, mode, duration_ms } => stopped(*node, *mode, *duration_ms),
        Done::NodeRecovered { node } => format!("Node {node} is recovering"),
        Done::LinkSet { from, to, conditions } => format!("The link from {from} to {to} {}", link(conditions)),
        Done::Watching => "Watching: events follow".into(),
        Done::PublisherDeleted { publisher } => format!("Publisher `{publisher}` has been deleted; its topics remain"),
        Done::SubscriberDeleted { subscriber } => {
            format!("Subscriber `{subscriber}` has been deleted; its subscriptions remain")
        }
    }
}

fn registered(what: &str, name: impl std::fmt::Display, existed: bool) -> String {
    let done = if existed { "already exists" } else { "has been created" };
    format!("{what} `{name}` {done}")
}

fn published(topic: &TopicName, offset: Option<Offset>, replicas: &[HostId], repeated: bool) -> String {
    match (offset, repeated) {
        (Some(offset), false) => {
            format!("Message {offset} has been published to topic `{topic}` and is stored on {}", list(replicas))
        }
        (Some(offset), true) => {
            format!("Topic `{topic}` already contains this message at offset {offset}; it was not stored again")
        }
        (None, _) => format!(
            "The message for topic `{topic}` is stored in the outbox of {} and will be appended to the topic",
            list(replicas)
        ),
    }
}

fn located(location: &Location) -> String {
    let Location { topic, exists, home, neighbours, leader, .. } = location;
    let exists = if *exists { "has its home on" } else { "does not exist; its home would be" };
    let leader = leader.map_or("it has no leader now".into(), |leader| format!("its leader is {leader}"));
    format!("Topic `{topic}` {exists} {home}, with replicas on {}; {leader}", list(neighbours))
}

fn stopped(node: HostId, mode: StopMode, duration_ms: u64) -> String {
    let how = match mode {
        StopMode::Crash => "has crashed",
        StopMode::Wipe => "has crashed and lost its disk",
        StopMode::Pause => "is paused",
    };
    format!("Node {node} {how}; it recovers in {duration_ms} ms")
}

fn link(conditions: &LinkConditions) -> String {
    let LinkConditions { cut, delay_ms, jitter_ms, loss } = conditions;
    match cut {
        true => "is cut".into(),
        false if *conditions == LinkConditions::PERFECT => "is up".into(),
        false => format!("is up, with {delay_ms} ms delay, {jitter_ms} ms jitter and {}% loss", loss * 100.0),
    }
}

fn of_replica(original_node: Option<Vertex>) -> String {
    original_node.map(|home| format!(" (replica of {home})")).unwrap_or_default()
}

fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Up => "up",
        NodeState::Failed => "failed",
        NodeState::Recovering => "recovering",
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn log_entries(count: u64) -> String {
    format!("{count} log {}", if count == 1 { "entry" } else { "entries" })
}

fn list<T: ToString>(places: &[T]) -> String {
    let names: Vec<_> = places.iter().map(T::to_string).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "no node".into(),
    }
}

#[derive(Serialize)]
struct DoneAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id<'a>>,
    ok: bool,
    message: String,
    served_by: HostId,
    #[serde(skip_serializing_if = "Option::is_none")]
    hops: Option<&'a [HostId]>,
    #[serde(flatten, with = "DoneFields")]
    done: &'a Done,
}

#[derive(Serialize)]
struct FailedAnswer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id<'a>>,
    ok: bool,
    error: &'a Failure,
    served_by: HostId,
    #[serde(skip_serializing_if = "Option::is_none")]
    hops: Option<&'a [HostId]>,
}

#[derive(Serialize)]
struct Push<'a> {
    event: &'static str,
    topic: &'a TopicName,
    subscriber_id: &'a SubscriberId,
    #[serde(flatten)]
    message: &'a Message,
}

#[derive(Serialize)]
struct Ended<'a> {
    event: &'static str,
    #[serde(flatten)]
    ended: &'a SubscriptionEnded,
}

#[derive(Serialize)]
struct Watched<'a> {
    node: HostId,
    time: Timestamp,
    at_us: u64,
    trace: Option<TraceId>,
    #[serde(flatten, with = "EventFields")]
    event: &'a Event,
}

impl<'a> DoneAnswer<'a> {
    fn new(answer: &'a Answer, done: &'a Done) -> Self {
        let id = answer.id.as_ref().map(Id);
        DoneAnswer {
            id,
            ok: true,
            message: human_message(done),
            served_by: answer.served_by,
            hops: answer.hops.as_deref(),
            done,
        }
    }
}

impl<'a> FailedAnswer<'a> {
    fn new(answer: &'a Answer, error: &'a Failure) -> Self {
        let id = answer.id.as_ref().map(Id);
        FailedAnswer { id, ok: false, error, served_by: answer.served_by, hops: answer.hops.as_deref() }
    }
}

impl<'a> Push<'a> {
    fn new(delivery: &'a Delivery) -> Self {
        Push {
            event: "message",
            topic: &delivery.topic,
            subscriber_id: &delivery.subscriber,
            message: &delivery.message,
        }
    }
}

impl<'a> Watched<'a> {
    fn new(event: &'a WatchEvent) -> Self {
        Watched { node: event.node, time: event.time, at_us: event.at_us, trace: event.trace, event: &event.event }
    }
}

/// The id as received: a number as the same number, a string as the same string.
struct Id<'a>(&'a RequestId);

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RequestId::Unsigned(id) => serializer.serialize_u64(*id),
            RequestId::Signed(id) => serializer.serialize_i64(*id),
            RequestId::Number(id) => match serde_json::from_str::<&RawValue>(id) {
                Ok(number) => number.serialize(serializer),
                Err(_) => serializer.serialize_str(id),
            },
            RequestId::Text(id) => serializer.serialize_str(id),
        }
    }
}
