//! Checks of requests from clients, in JSON and in binary, which must have the same meaning.

use cubecast_core::faults::LinkConditions;
use cubecast_core::names::StartAt;
use cubecast_core::wire::binary::{decode_requests, encode_requests};
use cubecast_core::wire::client::{Action, Admin, Local, Query, Read, Request, RequestId, Write};
use cubecast_core::wire::json::parse_request;
use cubecast_core::wire::limits::Limits;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::memory::{Allowance, within};
use crate::seating;

/// The longest field counts twice: unescaped in a buffer, and as its value. Beside it, a list has at most 65 values.
const JSON: Allowance = Allowance { per_byte: 4, beside: 8 << 10 };
/// The smallest request takes three bytes, and 128 bytes of memory.
const BINARY: Allowance = Allowance { per_byte: 64, beside: 2 << 10 };

/// Checks one JSON request.
pub fn check_json(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let limits = Limits::default();
    let parsed = within(JSON, input.len(), || parse_request(text, &limits, &seating()));
    if let Ok(request) = parsed {
        check_meaning(&request);
    }
}

/// Checks a binary message of requests.
pub fn check_binary(input: &[u8]) {
    let decoded = within(BINARY, input.len(), || decode_requests(input, &Limits::default(), &seating()));
    decoded.iter().flatten().for_each(check_meaning);
    let good: Vec<Request> = decoded.into_iter().flatten().collect();
    check_binary_again(&good);
}

/// A valid request has the same meaning in both encodings.
fn check_meaning(request: &Request) {
    check_binary_again(std::slice::from_ref(request));
    let text = json_of(request);
    assert_eq!(parse_request(&text, &Limits::default(), &seating()), Ok(in_json(request)), "{text}");
}

fn check_binary_again(requests: &[Request]) {
    let again = decode_requests(&encode_requests(requests), &Limits::default(), &seating());
    assert_eq!(again, requests.iter().cloned().map(Ok).collect::<Vec<_>>());
}

/// JSON does not distinguish types of integers: 5 is the same number in every type.
fn in_json(request: &Request) -> Request {
    let id = match &request.id {
        Some(RequestId::Signed(id)) => Some(RequestId::of_number(&id.to_string())),
        Some(RequestId::Number(id)) => Some(RequestId::of_number(id)),
        id => id.clone(),
    };
    Request { id, ..request.clone() }
}

/// The request in the form of docs/PROTOCOL.md, with every field.
pub fn json_of(request: &Request) -> String {
    let mut fields = fields_of(&request.action);
    fields.insert("action".into(), request.action.name().into());
    fields.insert("trace".into(), request.trace.into());
    let fields = Value::Object(fields).to_string();
    match &request.id {
        Some(id) => format!(r#"{{"id":{},{}"#, id_of(id), &fields[1..]),
        None => fields,
    }
}

fn id_of(id: &RequestId) -> String {
    match id {
        RequestId::Unsigned(id) => id.to_string(),
        RequestId::Signed(id) => id.to_string(),
        RequestId::Number(id) => id.clone(),
        RequestId::Text(id) => json!(id).to_string(),
    }
}

fn fields_of(action: &Action) -> Map<String, Value> {
    let fields = match action {
        Action::Write(Write::CreatePublisher { publisher } | Write::DeletePublisher { publisher }) => {
            json!({ "publisher_id": publisher })
        }
        Action::Write(Write::CreateSubscriber { subscriber } | Write::DeleteSubscriber { subscriber }) => {
            json!({ "subscriber_id": subscriber })
        }
        Action::Write(Write::CreateTopic { publisher, topic } | Write::DeleteTopic { publisher, topic }) => {
            json!({ "publisher_id": publisher, "topic": topic })
        }
        Action::Write(Write::Publish { publisher, topic, content, ack, sequence }) => {
            json!({
                "publisher_id": publisher, "topic": topic, "content": content, "ack": word(ack), "sequence": sequence,
            })
        }
        Action::Write(
            Write::Subscribe { subscriber, topic, from, push }
            | Write::ReplicaSubscribe { subscriber, topic, from, push },
        ) => {
            json!({ "subscriber_id": subscriber, "topic": topic, "from": from.map(start), "push": push })
        }
        Action::Write(Write::Unsubscribe { subscriber, topic }) => {
            json!({ "subscriber_id": subscriber, "topic": topic })
        }
        Action::Read(Read::Pull { subscriber, topic, max, read, commit }) => {
            json!({ "subscriber_id": subscriber, "topic": topic, "max": max, "read": word(read), "commit": commit })
        }
        Action::Write(Write::Commit { subscriber, topic, offset }) => {
            json!({ "subscriber_id": subscriber, "topic": topic, "offset": offset })
        }
        Action::Read(Read::ReplicaPull { subscriber, topic, max, from }) => {
            json!({ "subscriber_id": subscriber, "topic": topic, "max": max, "from": from })
        }
        Action::Query(Query::Locate { topic }) => json!({ "topic": topic }),
        Action::Query(Query::Topics) | Action::Local(Local::Cluster) => json!({}),
        Action::Admin(Admin::Status { node } | Admin::RecoverNode { node }) => json!({ "node": node }),
        Action::Admin(Admin::StopNode { node, mode, duration_ms }) => {
            json!({ "node": node, "mode": word(mode), "duration_ms": duration_ms })
        }
        Action::Admin(Admin::SetLink { from, to, conditions }) => {
            let LinkConditions { cut, delay_ms, jitter_ms, loss } = conditions;
            let state = if *cut { "cut" } else { "up" };
            json!({
                "from": from, "to": to, "state": state, "delay_ms": delay_ms, "jitter_ms": jitter_ms, "loss": loss,
            })
        }
        Action::Local(Local::Watch { kinds, sample }) => {
            json!({ "kinds": kinds.iter().map(word).collect::<Vec<_>>(), "sample": sample })
        }
    };
    match fields {
        Value::Object(fields) => fields,
        other => unreachable!("{other} is written as an object above"),
    }
}

fn start(from: StartAt) -> Value {
    match from {
        StartAt::Beginning => json!("beginning"),
        StartAt::Latest => json!("latest"),
        StartAt::Offset(offset) => json!(offset),
    }
}

/// The JSON word for a value of a plain enum.
fn word(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a plain enum is one word")
}
