//! JSON and binary express the same frames.

use cubecast_core::identity::TraceId;
use cubecast_core::wire::answer::{Answer, Delivery, Done, EndReason, ErrorCode, ServerFrame, SubscriptionEnded};
use cubecast_core::wire::binary::{decode_requests, decode_server_frames, encode_requests, encode_server_frames};
use cubecast_core::wire::client::{Request, RequestId};
use cubecast_core::wire::event::{Event, WatchEvent};
use cubecast_core::wire::json::{action_names, parse_request, render};
use cubecast_core::wire::limits::Limits;
use serde_json::{Value, json};

use crate::examples::*;
use crate::seating;

#[test]
fn every_request_means_the_same_in_json_and_in_binary() {
    for (fields, action) in actions() {
        for (id_json, id) in ids() {
            for trace in [false, true] {
                let mut object = fields.clone();
                object["id"] = id_json.clone();
                object["trace"] = json!(trace);
                let expected = Request { id: id.clone(), trace, action: action.clone() };
                check_request(&object, expected);
            }
        }
    }
}

#[test]
fn the_examples_leave_no_action_out() {
    for name in action_names() {
        assert!(actions().iter().any(|(_, action)| action.name() == name), "{name}");
    }
    for (fields, action) in actions() {
        assert_eq!(fields["action"], action.name());
        assert!(action_names().any(|name| name == action.name()));
    }
}

#[test]
fn every_answer_has_its_fields_and_is_the_same_after_binary() {
    for (done, fields) in done() {
        let answer = Answer {
            id: Some(RequestId::Unsigned(7)),
            served_by: named("100"),
            hops: Some(all_named(["000", "100"])),
            result: Ok(done),
        };
        let mut expected = json!({"id": 7, "ok": true, "served_by": "100", "hops": ["000", "100"]});
        expected.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut rendered = check_frame(ServerFrame::Answer(answer));
        let message = rendered.as_object_mut().unwrap().remove("message");
        assert!(message.is_some_and(|message| message.as_str().is_some_and(|text| !text.is_empty())), "{expected}");
        assert_eq!(rendered, expected);
    }
}

#[test]
fn the_examples_leave_no_answer_and_no_event_out() {
    let answers: std::collections::BTreeSet<_> = done().iter().map(|(done, _)| done_number(done)).collect();
    assert_eq!(answers, (0..19).collect());
    let events: std::collections::BTreeSet<_> = events().iter().map(|(event, _)| event_number(event)).collect();
    assert_eq!(events, (0..22).collect());
}

#[test]
fn an_id_comes_back_unchanged() {
    for (id_json, id) in ids() {
        let answer = Answer { id, served_by: named("100"), hops: None, result: Ok(Done::Watching) };
        let rendered = check_frame(ServerFrame::Answer(answer));
        assert_eq!(rendered.get("id").unwrap_or(&Value::Null), &id_json);
        assert_eq!(rendered.get("hops"), None);
    }
}

#[test]
fn every_failure_bears_its_code_and_its_reason() {
    for code in ErrorCode::ALL {
        let result = Err(code.because("because"));
        let answer = Answer { id: None, served_by: named("100"), hops: None, result };
        let expected = json!({"ok": false, "error": {"code": code.name(), "message": "because"}, "served_by": "100"});
        assert_eq!(check_frame(ServerFrame::Answer(answer)), expected);
    }
}

#[test]
fn a_pushed_message_is_flat() {
    let frame = ServerFrame::Message(Delivery { topic: topic(), subscriber: subscriber(), message: message() });
    let mut expected = message_json();
    expected.as_object_mut().unwrap().extend([
        ("event".to_string(), json!("message")),
        ("topic".to_string(), json!("news")),
        ("subscriber_id".to_string(), json!("sub")),
    ]);
    assert_eq!(check_frame(frame), expected);
}

#[test]
fn the_end_of_a_subscription_bears_its_reason() {
    for (reason, name) in [
        (EndReason::TopicDeleted, "topic_deleted"),
        (EndReason::Unsubscribed, "unsubscribed"),
        (EndReason::Unreadable, "unreadable"),
    ] {
        let frame =
            ServerFrame::SubscriptionEnded(SubscriptionEnded { topic: topic(), subscriber: subscriber(), reason });
        let expected = json!({"event": "subscription_ended", "topic": "news", "subscriber_id": "sub", "reason": name});
        assert_eq!(check_frame(frame), expected);
    }
}

#[test]
fn every_event_is_flat_and_the_same_after_binary() {
    for (event, fields) in events() {
        let frame = WatchEvent { node: named("110"), time: TIME, at_us: 5, trace: Some(TraceId(9)), event };
        let mut expected = json!({"node": "110", "time": "2026-11-22T20:23:20.123456Z", "at_us": 5, "trace": 9});
        expected.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(check_frame(ServerFrame::Event(frame)), expected);
    }
}

fn check_request(object: &Value, expected: Request) {
    let limits = Limits::default();
    assert_eq!(parse_request(&object.to_string(), &limits, &seating()), Ok(expected.clone()), "{object}");
    let bytes = encode_requests(std::slice::from_ref(&expected));
    assert_eq!(decode_requests(&bytes, &limits, &seating()), [Ok(expected)], "{object}");
}

/// Checks that binary preserves the frame. Returns the frame's JSON.
fn check_frame(frame: ServerFrame) -> Value {
    let text = render(&frame);
    let decoded = decode_server_frames(&encode_server_frames(&[frame.clone(), frame.clone()])).unwrap();
    assert_eq!(decoded, [frame.clone(), frame]);
    assert_eq!(render(&decoded[1]), text);
    serde_json::from_str(&text).unwrap()
}

fn done_number(done: &Done) -> u32 {
    match done {
        Done::PublisherCreated { .. } => 0,
        Done::SubscriberCreated { .. } => 1,
        Done::TopicCreated { .. } => 2,
        Done::TopicDeleted { .. } => 3,
        Done::Published { .. } => 4,
        Done::Subscribed { .. } => 5,
        Done::Unsubscribed { .. } => 6,
        Done::Pulled { .. } => 7,
        Done::Committed { .. } => 8,
        Done::Located(_) => 9,
        Done::Topics { .. } => 10,
        Done::Cluster(_) => 11,
        Done::Status(_) => 12,
        Done::NodeStopped { .. } => 13,
        Done::NodeRecovered { .. } => 14,
        Done::LinkSet { .. } => 15,
        Done::Watching => 16,
        Done::PublisherDeleted { .. } => 17,
        Done::SubscriberDeleted { .. } => 18,
    }
}

fn event_number(event: &Event) -> u32 {
    match event {
        Event::NodeState { .. } => 0,
        Event::LinkState { .. } => 1,
        Event::LinkConditions { .. } => 2,
        Event::RoleChanged { .. } => 3,
        Event::MembersChanged { .. } => 4,
        Event::Committed { .. } => 5,
        Event::FrameSent { .. } => 6,
        Event::FrameDropped { .. } => 7,
        Event::RequestReceived { .. } => 8,
        Event::RequestAnswered { .. } => 9,
        Event::ReplicaStored { .. } => 10,
        Event::TopicCreated { .. } => 11,
        Event::TopicDeleted { .. } => 12,
        Event::Delivered { .. } => 13,
        Event::Stopped { .. } => 14,
        Event::Returned { .. } => 15,
        Event::CaughtUp { .. } => 16,
        Event::SnapshotProgress { .. } => 17,
        Event::OutboxStored { .. } => 18,
        Event::OutboxDrained { .. } => 19,
        Event::Warning { .. } => 20,
        Event::StorageState { .. } => 21,
    }
}
