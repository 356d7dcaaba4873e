//! Parses JSON text into a [`Request`].

use super::fields::{Fields, missing, shown};
use crate::faults::{LinkConditions, StopMode};
use crate::identity::HostId;
use crate::names::{Offset, PublisherId, Sequence, StartAt, SubscriberId, TopicName};
use crate::seating::Seating;
use crate::wire::answer::{ErrorCode, Failure};
use crate::wire::client::{Ack, Action, Admin, Local, Query, Read, ReadLevel, Request, Write};
use crate::wire::event::EventKind;
use crate::wire::limits::{DEFAULT_PULL, DEFAULT_STOP_MS, Limits, Refused, check_id, validate};

/// Reads the fields of one action.
type ReadFields = fn(&mut Reader<'_>) -> Result<Action, Failure>;

/// All actions by kind, in the order of their numbers in the binary encoding.
const ACTIONS: &[(&str, &[(&str, ReadFields)])] = &[
    (
        "write",
        &[
            ("create_publisher", |it| Ok(Write::CreatePublisher { publisher: it.publisher()? }.into())),
            ("create_subscriber", |it| Ok(Write::CreateSubscriber { subscriber: it.subscriber()? }.into())),
            ("delete_publisher", |it| Ok(Write::DeletePublisher { publisher: it.publisher()? }.into())),
            ("delete_subscriber", |it| Ok(Write::DeleteSubscriber { subscriber: it.subscriber()? }.into())),
            ("create_topic", |it| Ok(Write::CreateTopic { publisher: it.publisher()?, topic: it.topic()? }.into())),
            ("delete_topic", |it| Ok(Write::DeleteTopic { publisher: it.publisher()?, topic: it.topic()? }.into())),
            ("publish", |it| it.publish()),
            ("subscribe", |it| it.subscribe()),
            ("replica_subscribe", |it| it.replica_subscribe()),
            ("unsubscribe", |it| Ok(Write::Unsubscribe { subscriber: it.subscriber()?, topic: it.topic()? }.into())),
            ("commit", |it| it.commit()),
        ],
    ),
    ("read", &[("pull", |it| it.pull()), ("replica_pull", |it| it.replica_pull())]),
    (
        "query",
        &[("locate", |it| Ok(Query::Locate { topic: it.topic()? }.into())), ("topics", |_| Ok(Query::Topics.into()))],
    ),
    (
        "admin",
        &[
            ("status", |it| Ok(Admin::Status { node: it.node()? }.into())),
            ("stop_node", |it| it.stop_node()),
            ("recover_node", |it| Ok(Admin::RecoverNode { node: it.node()? }.into())),
            ("set_link", |it| it.set_link()),
        ],
    ),
    ("local", &[("cluster", |_| Ok(Local::Cluster.into())), ("watch", |it| it.watch())]),
];

/// The names of all actions by kind, in the order of their numbers in the binary encoding.
pub fn action_names_by_kind() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    ACTIONS.iter().map(|(kind, actions)| (*kind, actions.iter().map(|(name, _)| *name).collect()))
}

/// The names of all actions.
pub fn action_names() -> impl Iterator<Item = &'static str> {
    actions().map(|(name, _)| *name)
}

fn actions() -> impl Iterator<Item = &'static (&'static str, ReadFields)> {
    ACTIONS.iter().flat_map(|(_, actions)| actions.iter())
}

const ACKS: &[(&str, Ack)] = &[("one", Ack::One), ("quorum", Ack::Quorum), ("all", Ack::All)];
const READ_LEVELS: &[(&str, ReadLevel)] = &[("leader", ReadLevel::Leader), ("any", ReadLevel::Any)];
const STARTS: &[(&str, StartAt)] = &[("beginning", StartAt::Beginning), ("latest", StartAt::Latest)];
const STOP_MODES: &[(&str, StopMode)] =
    &[("crash", StopMode::Crash), ("wipe", StopMode::Wipe), ("pause", StopMode::Pause)];
/// The value is `true` if the direction is cut.
const LINK_STATES: &[(&str, bool)] = &[("up", false), ("cut", true)];
const EVENT_KINDS: &[(&str, EventKind)] = &[
    ("states", EventKind::States),
    ("links", EventKind::Links),
    ("messages", EventKind::Messages),
    ("commits", EventKind::Commits),
    ("elections", EventKind::Elections),
    ("deliveries", EventKind::Deliveries),
    ("requests", EventKind::Requests),
    ("warnings", EventKind::Warnings),
];

/// Parses one request. The error is the reason for the refusal, with the request's id if it could be read.
pub fn parse_request(text: &str, limits: &Limits, seating: &Seating) -> Result<Request, Refused> {
    let mut fields = Fields::default();
    let read = fields.read(text);
    let id = match fields.id().and_then(check_id) {
        Ok(id) => id,
        Err(failure) => return Err((None, read.err().unwrap_or(failure))),
    };
    match read.and_then(|()| parse_body(&mut fields, seating)) {
        Ok((trace, action)) => {
            let request = Request { id, trace, action };
            match validate(&request, limits, seating) {
                Ok(()) => Ok(request),
                Err(failure) => Err((request.id, failure)),
            }
        }
        Err(failure) => Err((id, failure)),
    }
}

fn parse_body(fields: &mut Fields, seating: &Seating) -> Result<(bool, Action), Failure> {
    let name = fields.text("action")?.ok_or_else(|| missing("a request", "action"))?;
    let Some((action, read_fields)) = actions().find(|(action, _)| *action == name) else {
        return Err(ErrorCode::UnknownAction.because(format!(
            "unknown action `{}`; the actions are {}",
            shown(&name),
            action_names().collect::<Vec<_>>().join(", ")
        )));
    };
    let trace = fields.flag("trace")?.unwrap_or(false);
    Ok((trace, read_fields(&mut Reader { action, fields, seating })?))
}

/// Reads the fields of one action.
struct Reader<'a> {
    action: &'static str,
    fields: &'a mut Fields,
    seating: &'a Seating,
}

impl Reader<'_> {
    fn publish(&mut self) -> Result<Action, Failure> {
        let (publisher, topic) = (self.publisher()?, self.topic()?);
        let content = self.fields.text("content")?;
        let publish = Write::Publish {
            publisher,
            topic,
            content: self.required("content", content)?.into(),
            ack: self.fields.word("ack", ACKS)?.unwrap_or_default(),
            sequence: self.fields.whole_number("sequence")?.map(Sequence),
        };
        Ok(publish.into())
    }

    fn subscribe(&mut self) -> Result<Action, Failure> {
        let (subscriber, topic, from, push) = self.subscription()?;
        Ok(Write::Subscribe { subscriber, topic, from, push }.into())
    }

    fn replica_subscribe(&mut self) -> Result<Action, Failure> {
        let (subscriber, topic, from, push) = self.subscription()?;
        Ok(Write::ReplicaSubscribe { subscriber, topic, from, push }.into())
    }

    fn subscription(&mut self) -> Result<(SubscriberId, TopicName, Option<StartAt>, bool), Failure> {
        let from = self.fields.word_or_number("from", STARTS, |offset| StartAt::Offset(Offset(offset)))?;
        Ok((self.subscriber()?, self.topic()?, from, self.fields.flag("push")?.unwrap_or(false)))
    }

    fn commit(&mut self) -> Result<Action, Failure> {
        let (subscriber, topic) = (self.subscriber()?, self.topic()?);
        let offset = self.fields.whole_number("offset")?;
        Ok(Write::Commit { subscriber, topic, offset: Offset(self.required("offset", offset)?) }.into())
    }

    fn pull(&mut self) -> Result<Action, Failure> {
        Ok(Action::Read(Read::Pull {
            subscriber: self.subscriber()?,
            topic: self.topic()?,
            max: self.max()?,
            read: self.fields.word("read", READ_LEVELS)?.unwrap_or_default(),
            commit: self.fields.flag("commit")?.unwrap_or(true),
        }))
    }

    fn replica_pull(&mut self) -> Result<Action, Failure> {
        Ok(Action::Read(Read::ReplicaPull {
            subscriber: self.subscriber()?,
            topic: self.topic()?,
            max: self.max()?,
            from: self.fields.whole_number("from")?.map(Offset),
        }))
    }

    fn stop_node(&mut self) -> Result<Action, Failure> {
        if self.fields.flag("flag")? == Some(false) {
            return Err(ErrorCode::BadRequest.because("`flag` must not be false; use recover_node to end a failure"));
        }
        Ok(Action::Admin(Admin::StopNode {
            node: self.node()?,
            mode: self.fields.word("mode", STOP_MODES)?.unwrap_or_default(),
            duration_ms: self.fields.whole_number("duration_ms")?.unwrap_or(DEFAULT_STOP_MS),
        }))
    }

    fn set_link(&mut self) -> Result<Action, Failure> {
        let (from, to) = (self.end_of_edge("from")?, self.end_of_edge("to")?);
        let conditions = LinkConditions {
            cut: self.fields.word("state", LINK_STATES)?.unwrap_or(false),
            delay_ms: self.fields.small_number("delay_ms")?.unwrap_or(0),
            jitter_ms: self.fields.small_number("jitter_ms")?.unwrap_or(0),
            loss: self.fields.fraction("loss")?.unwrap_or(0.0) as f32,
        };
        Ok(Action::Admin(Admin::SetLink { from, to, conditions }))
    }

    fn watch(&mut self) -> Result<Action, Failure> {
        let kinds = self.fields.words("kinds", EVENT_KINDS)?.unwrap_or_default();
        let sample = self.fields.small_number("sample")?.unwrap_or(1);
        Ok(Local::Watch { kinds, sample }.into())
    }

    fn publisher(&mut self) -> Result<PublisherId, Failure> {
        let publisher = self.fields.name("publisher_id", PublisherId::new)?;
        self.required("publisher_id", publisher)
    }

    fn subscriber(&mut self) -> Result<SubscriberId, Failure> {
        let subscriber = self.fields.name("subscriber_id", SubscriberId::new)?;
        self.required("subscriber_id", subscriber)
    }

    /// The field `topic`, or its old name `topic_name`.
    fn topic(&mut self) -> Result<TopicName, Failure> {
        let (topic, old) =
            (self.fields.name("topic", TopicName::new)?, self.fields.name("topic_name", TopicName::new)?);
        match (topic, old) {
            (Some(topic), Some(old)) if topic != old => Err(ErrorCode::BadRequest.because(format!(
                "`topic` (`{topic}`) and its old name `topic_name` (`{old}`) differ; send only `topic`"
            ))),
            (Some(topic), _) | (None, Some(topic)) => Ok(topic),
            (None, None) => Err(missing(self.action, "topic")),
        }
    }

    fn node(&mut self) -> Result<Option<HostId>, Failure> {
        self.fields.host("node", self.seating)
    }

    fn end_of_edge(&mut self, field: &'static str) -> Result<HostId, Failure> {
        let host = self.fields.host(field, self.seating)?;
        self.required(field, host)
    }

    fn max(&mut self) -> Result<u32, Failure> {
        Ok(self.fields.small_number("max")?.unwrap_or(DEFAULT_PULL))
    }

    fn required<T>(&self, field: &str, value: Option<T>) -> Result<T, Failure> {
        value.ok_or_else(|| missing(self.action, field))
    }
}
