//! Malformed JSON gets a helpful answer.

use cubecast_core::wire::answer::{Done, ErrorCode, Failure, TopicSummary};
use cubecast_core::wire::binary::{decode_requests, encode_requests};
use cubecast_core::wire::client::{Action, Admin, Query, Request, RequestId};
use cubecast_core::wire::json::{human_message, parse_request};
use cubecast_core::wire::limits::{Limits, Refused};
use cubecast_core::wire::{answer::Answer, answer::ServerFrame, json::render};

use crate::examples::*;
use crate::seating;

#[test]
fn the_answers_of_the_protocol_page_stay_as_they_are() {
    let created =
        Done::TopicCreated { topic: topic(), home: named("100"), neighbours: all_named(["101", "110", "000"]) };
    let answer = Answer { id: Some(RequestId::Unsigned(7)), served_by: named("100"), hops: None, result: Ok(created) };
    assert_eq!(
        render(&ServerFrame::Answer(answer)),
        r#"{"id":7,"ok":true,"message":"Topic `news` has been created on 100, with replicas on its neighbours 101, 110 and 000","served_by":"100","topic":"news","home":"100","replicas":["101","110","000"]}"#
    );
    let failure = ErrorCode::UnknownTopic.because("there is no topic `x`");
    let answer = Answer { id: Some(RequestId::Unsigned(8)), served_by: named("000"), hops: None, result: Err(failure) };
    assert_eq!(
        render(&ServerFrame::Answer(answer)),
        r#"{"id":8,"ok":false,"error":{"code":"unknown_topic","message":"there is no topic `x`"},"served_by":"000"}"#
    );
}

#[test]
fn people_read_whole_sentences() {
    let topic = topic();
    let home = named("100");
    let one_topic =
        TopicSummary { topic: topic.clone(), owner: publisher(), home, leader: None, messages: 0, subscribers: 0 };
    for (done, expected) in [
        (Done::PublisherCreated { publisher: publisher(), existed: true }, "Publisher `ann` already exists"),
        (Done::Topics { topics: vec![], missing: vec![] }, "There are 0 topics"),
        (Done::Topics { topics: vec![one_topic], missing: vec![] }, "There is 1 topic"),
        (
            Done::Published { topic: topic.clone(), offset: None, replicas: all_named(["011"]), repeated: false },
            "The message for topic `news` is stored in the outbox of 011 and will be appended to the topic",
        ),
        (
            Done::Pulled {
                topic,
                messages: vec![message()],
                cursor: message().offset.next(),
                end: message().offset.next(),
                behind: Some(2),
                original_node: Some(named("100")),
            },
            "Pulled 1 message from topic `news` (replica of 100); the next offset is 8; the replica is 2 log entries behind",
        ),
    ] {
        assert_eq!(human_message(&done), expected);
    }
}

#[test]
fn a_wrong_field_is_named_with_what_it_has_to_be() {
    for (body, expected) in [
        (r#""publisher_id": "ann""#, "`action` is missing"),
        (r#""action": 3"#, "`action` must be a string, not 3"),
        (r#""action": "create_publisher""#, "`publisher_id` is missing; create_publisher requires it"),
        (r#""action": "create_publisher", "publisher_id": null"#, "`publisher_id` is missing"),
        (r#""action": "create_publisher", "publisher_id": ["a"]"#, "`publisher_id` must be a string, not a list"),
        (
            r#""action": "create_publisher", "publisher_id": "a b""#,
            "`publisher_id` is not valid: a publisher_id must not contain whitespace",
        ),
        (r#""action": "locate""#, "`topic` is missing"),
        (r#""action": "locate", "topic": {"a": {"b": 1}}"#, "`topic` must be a string, not an object"),
        (
            r#""action": "locate", "topic": "a", "topic_name": "b""#,
            "`topic` (`a`) and its old name `topic_name` (`b`) differ",
        ),
        (r#""action": "publish", "publisher_id": "p", "topic": "t""#, "`content` is missing"),
        (
            r#""action": "publish", "publisher_id": "p", "topic": "t", "content": "c", "ack": "two""#,
            r#"`ack` must be "one", "quorum" or "all", not "two""#,
        ),
        (
            r#""action": "publish", "publisher_id": "p", "topic": "t", "content": "c", "sequence": -1"#,
            "`sequence` must be a whole number from 0, not -1",
        ),
        (
            r#""action": "subscribe", "subscriber_id": "s", "topic": "t", "from": "end""#,
            r#"`from` must be "beginning" or "latest" or an offset, not "end""#,
        ),
        (r#""action": "subscribe", "subscriber_id": "s", "topic": "t", "push": "yes""#, "`push` must be true or false"),
        (
            r#""action": "pull", "subscriber_id": "s", "topic": "t", "max": 10001"#,
            "`max` must be 1 to 10000, not 10001",
        ),
        (r#""action": "pull", "subscriber_id": "s", "topic": "t", "max": 0"#, "`max` must be 1 to 10000, not 0"),
        (r#""action": "pull", "subscriber_id": "s", "topic": "t", "max": 1e18"#, "`max` must be a whole number"),
        (r#""action": "commit", "subscriber_id": "s", "topic": "t", "offset": 1.5"#, "`offset` must be a whole number"),
        (r#""action": "status", "node": "0000""#, "`0000` is not a node of this cube: its nodes are 3-bit strings"),
        (r#""action": "stop_node", "flag": false"#, "`flag` must not be false"),
        (r#""action": "stop_node", "duration_ms": 3600001"#, "`duration_ms` must be at most 3600000"),
        (r#""action": "stop_node", "mode": "nap""#, r#"`mode` must be "crash", "wipe" or "pause", not "nap""#),
        (r#""action": "set_link", "from": "000", "to": "011""#, "there is no edge from 000 to 011"),
        (r#""action": "set_link", "from": "000", "to": "000""#, "there is no edge from 000 to 000"),
        (r#""action": "set_link", "from": "000", "to": "001", "loss": 1.1"#, "`loss` must be 0 to 1, not 1.1"),
        (
            r#""action": "set_link", "from": "000", "to": "001", "delay_ms": 99999999999"#,
            "`delay_ms` must be at most 60000",
        ),
        (r#""action": "set_link", "from": "000", "to": "001", "state": "down""#, r#"`state` must be "up" or "cut""#),
        (r#""action": "watch", "kinds": ["states", "rumours"]"#, r#"`kinds` must be "states", "links""#),
        (r#""action": "watch", "kinds": [["states"]]"#, "not a list"),
        (r#""action": "watch", "kinds": "states""#, "`kinds` must be a list of"),
        (r#""action": "watch", "sample": 0"#, "`sample` must be 1 to 1000000, not 0"),
        (r#""action": "topics", "trace": 1"#, "`trace` must be true or false, not 1"),
    ] {
        let (id, failure) = refused(&format!(r#"{{"id": 7, {body}}}"#));
        assert_eq!((id, failure.code), (Some(RequestId::Unsigned(7)), ErrorCode::BadRequest), "{body}: {failure}");
        assert!(failure.message.contains(expected), "{body}: {failure}");
    }
}

#[test]
fn an_unknown_action_is_told_which_there_are() {
    let (id, failure) = refused(r#"{"id": "x", "action": "create_replica"}"#);
    assert_eq!((id, failure.code), (Some(RequestId::Text("x".into())), ErrorCode::UnknownAction));
    assert!(failure.message.contains("`create_replica`") && failure.message.contains("create_topic"), "{failure}");
    let long = "x".repeat(100_000);
    let (_, failure) = refused(&format!(r#"{{"action": "{long}"}}"#));
    assert!(failure.message.len() < 1_000, "a client's own text is not echoed at length");
}

#[test]
fn what_is_no_json_object_is_refused_with_the_id_where_it_came_first() {
    for text in [
        "",
        " ",
        "nonsense",
        "[]",
        "7",
        "null",
        "\"text\"",
        "{\"action\"",
        "{} {}",
        "{\"id\": {}}",
        "{\"id\": [1]}",
        "{\"id\": true}",
    ] {
        let (id, failure) = refused(text);
        assert_eq!((id, failure.code), (None, ErrorCode::BadRequest), "{text:?}: {failure}");
    }
    for text in
        [r#"{"id": 7, "action": "topics", "#, r#"{"id": 7, "action": "topics"} x"#, r#"{"id": 7, "content": "\ud800"}"#]
    {
        let (id, failure) = refused(text);
        assert_eq!((id, failure.code), (Some(RequestId::Unsigned(7)), ErrorCode::BadRequest), "{text:?}: {failure}");
    }
}

#[test]
fn fields_that_no_action_knows_are_ignored_and_the_last_of_two_counts() {
    let text = r#"{"colour": [1, {"id": 8}], "id": 1, "id": 7, "action": "status", "node": null, "topic": 3}"#;
    let expected =
        Request { id: Some(RequestId::Unsigned(7)), trace: false, action: Action::Admin(Admin::Status { node: None }) };
    assert_eq!(parse(text), Ok(expected));
}

#[test]
fn depth_costs_no_stack_and_hides_no_id() {
    let depth = 1_000_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let ignored = format!(r#"{{"colour": {deep}, "id": 7, "action": "topics"}}"#);
    assert_eq!(parse(&ignored).map(|request| request.action), Ok(Action::Query(Query::Topics)));
    for text in
        [format!(r#"{{"id": 7, "action": "watch", "kinds": {deep}}}"#), format!(r#"{{"id": 7, "action": {deep}}}"#)]
    {
        let (id, failure) = refused(&text);
        assert_eq!((id, failure.code), (Some(RequestId::Unsigned(7)), ErrorCode::BadRequest));
    }
    assert_eq!(refused(&deep).1.code, ErrorCode::BadRequest);
    assert_eq!(refused(&r#"{"topic":"#.repeat(depth)).1.code, ErrorCode::BadRequest);
}

#[test]
fn content_over_the_limit_is_too_large_and_content_at_it_is_not() {
    let limits = Limits { max_content_bytes: 4, ..Limits::default() };
    let publish = |content: &str| {
        parse_request(
            &format!(r#"{{"id": 7, "action": "publish", "publisher_id": "p", "topic": "t", "content": "{content}"}}"#),
            &limits,
            &seating(),
        )
    };
    assert!(publish("äö").is_ok());
    let (id, failure) = publish("äöx").unwrap_err();
    assert_eq!((id, failure.code), (Some(RequestId::Unsigned(7)), ErrorCode::TooLarge));
}

fn parse(text: &str) -> Result<Request, Refused> {
    parse_request(text, &Limits::default(), &seating())
}

fn refused(text: &str) -> (Option<RequestId>, Failure) {
    parse(text).expect_err("this is refused")
}

#[test]
fn a_number_as_id_comes_back_as_it_was_written() {
    for id in [
        "0",
        "7",
        "-7",
        "-0",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "-9223372036854775809",
        "1.0",
        "1.50",
        "1e2",
        "1E+2",
        "1e400",
        "-1e-400",
        "0.1234567890123456789012345678901",
    ] {
        let request = parse_request(&format!(r#"{{"id": {id} , "action": "topics"}}"#), &Limits::default(), &seating());
        let answer =
            Answer { id: request.unwrap().id, served_by: named("000"), hops: None, result: Ok(Done::Watching) };
        let failed = Answer { result: Err(ErrorCode::Timeout.because("x")), ..answer.clone() };
        for answer in [answer, failed] {
            let text = render(&ServerFrame::Answer(answer));
            assert!(text.starts_with(&format!(r#"{{"id":{id},"ok""#)), "{id}: {text}");
        }
    }
}

#[test]
fn a_number_that_does_not_fit_is_refused_by_its_field_and_never_rounded() {
    let commit = |offset: &str| {
        refused(&format!(
            r#"{{"id": 1e400, "action": "commit", "subscriber_id": "s", "topic": "t", "offset": {offset}}}"#
        ))
    };
    for (offset, expected) in [
        ("18446744073709551616", "`offset` must be a whole number from 0 to 18446744073709551615, not 184"),
        ("1e400", "`offset` must be a whole number from 0, not 1e400"),
        ("1.0", "`offset` must be a whole number from 0, not 1.0"),
        ("-0", "`offset` must be a whole number from 0, not -0"),
    ] {
        let (id, failure) = commit(offset);
        assert_eq!(id, Some(RequestId::Number("1e400".into())));
        assert!(failure.message.contains(expected), "{failure}");
    }
    let subscribe = r#"{"action": "subscribe", "subscriber_id": "s", "topic": "t", "from": 99999999999999999999}"#;
    assert!(refused(subscribe).1.message.contains("`from` must be a whole number from 0 to 184"));
    let link = r#"{"action": "set_link", "from": "000", "to": "001", "loss": 1e400}"#;
    assert!(refused(link).1.message.contains("`loss` must be a finite number"));
}

#[test]
fn an_id_that_is_too_long_is_refused_and_not_sent_back() {
    let limits = Limits::default();
    let request = |id: &str| format!(r#"{{"action": "topics", "id": "{id}"}}"#);
    let longest = "i".repeat(RequestId::MAX_BYTES);
    assert_eq!(
        parse_request(&request(&longest), &limits, &seating()).unwrap().id,
        Some(RequestId::Text(longest.clone()))
    );
    let longer = longest + "i";
    let number = format!(r#"{{"action": "topics", "id": 1{}}}"#, "0".repeat(RequestId::MAX_BYTES));
    for text in [request(&longer), number, format!(r#"{{"action": "x", "id": "{longer}"}}"#)] {
        let (id, failure) = parse_request(&text, &limits, &seating()).unwrap_err();
        assert_eq!((id, failure.code), (None, ErrorCode::BadRequest));
        assert!(failure.message.contains("`id` is 1025 bytes long; the limit is 1024"), "{failure}");
    }
    let binary = encode_requests(&[Request {
        id: Some(RequestId::Text(longer)),
        trace: false,
        action: Action::Query(Query::Topics),
    }]);
    let refused = decode_requests(&binary, &limits, &seating());
    assert!(matches!(&refused[..], [Err((None, failure))] if failure.code == ErrorCode::BadRequest), "{refused:?}");
}
