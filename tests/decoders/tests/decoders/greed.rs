//! For each decoder, the known input with the highest memory use for its size. Its use is close to the allowance, so
//! the allowances are tight.

use cubecast_core::identity::{HostId, Member, RequestKey};
use cubecast_core::names::{PublisherId, Sequence, SubscriberId, TopicName};
use cubecast_core::time::Timestamp;
use cubecast_core::topics::Topics;
use cubecast_core::topics::command::{Command, Op, encode_commands};
use cubecast_core::wire::answer::{Answer, Done, ServerFrame};
use cubecast_core::wire::binary::*;
use cubecast_core::wire::client::{Action, Local, Query, Request};
use cubecast_core::wire::peer::PeerFrame;
use cubecast_decoders::DECODERS;

#[test]
fn a_message_of_the_smallest_requests() {
    let request = |action| Request { id: None, trace: false, action };
    let smallest = vec![request(Action::Query(Query::Topics)); MAX_REQUESTS];
    check("binary_requests", &encode_requests(&smallest));
    let refused = vec![request(Action::Local(Local::Watch { kinds: vec![], sample: 0 })); MAX_REQUESTS];
    check("binary_requests", &encode_requests(&refused));
}

#[test]
fn a_count_that_no_message_keeps() {
    for count in [1, 2, 16_384, 65_536] {
        let mut bytes = vec![FORMAT];
        bytes.extend(postcard::to_allocvec(&count).unwrap());
        for name in ["binary_requests", "server_frames", "peer_frames", "log_entries", "group_state"] {
            check(name, &bytes);
            check(name, &[bytes.as_slice(), &[0; 100]].concat());
            check(name, &[bytes.as_slice(), &[0xFF; 100]].concat());
        }
    }
}

#[test]
fn a_message_of_the_smallest_frames() {
    check("peer_frames", &encode_peer_frames(&vec![PeerFrame::Pong { sent_us: 0, held_us: 0 }; MAX_FRAMES]));
    let answer = Answer { id: None, served_by: host(), hops: None, result: Ok(Done::Watching) };
    check("server_frames", &encode_server_frames(&vec![ServerFrame::Answer(answer); MAX_FRAMES]));
}

/// Every list claims as many items as bytes follow.
#[test]
fn lists_that_end_too_early() {
    for decoder in DECODERS {
        for example in (decoder.examples)().iter().filter(|example| example.len() < 300) {
            for at in 0..example.len() {
                for behind in [100, 5_000] {
                    let claim = postcard::to_allocvec(&behind).unwrap();
                    (decoder.check)(&[&example[..at], &claim, &vec![0; behind]].concat());
                    (decoder.check)(&[&example[..at], &claim, &vec![1; behind]].concat());
                }
            }
        }
    }
}

#[test]
fn an_entry_of_the_smallest_commands() {
    let op = Op::CreatePublisher { publisher: PublisherId::new("p").unwrap() };
    check("log_entries", &encode_commands(&vec![Command { key: key(0), time: Timestamp(0), op }; 50_000]));
}

/// Each topic has one of everything, so each has its own trees.
#[test]
fn a_state_of_the_smallest_topics() {
    let mut topics = Topics::default();
    for number in 0..500 {
        let topic = TopicName::new(format!("{number:x}")).unwrap();
        let publisher = PublisherId::new("p").unwrap();
        let subscriber = SubscriberId::new("s").unwrap();
        let publish =
            |sequence| Op::Publish { publisher: publisher.clone(), topic: topic.clone(), sequence, content: "".into() };
        for op in [
            Op::CreateTopic { publisher: publisher.clone(), topic: topic.clone() },
            publish(Some(Sequence(0))),
            publish(None),
            Op::Subscribe { subscriber, topic: topic.clone(), from: None },
        ] {
            topics.apply(&Command { key: key(number), time: Timestamp(0), op });
        }
    }
    assert_eq!(topics.counts().messages, 1_000);
    check("group_state", &topics.encode());
}

#[test]
fn json_that_is_long_deep_or_escaped() {
    let long = "x".repeat(100_000);
    let escaped = "\\u0041".repeat(20_000);
    for text in [
        format!(r#"{{"action":"publish","publisher_id":"p","topic":"t","content":"{long}"}}"#),
        format!(r#"{{"action":"publish","publisher_id":"p","topic":"t","content":"{escaped}"}}"#),
        format!(r#"{{"id":"{long}","{long}":"{long}","action":"{long}"}}"#),
        format!(r#"{{"action":"watch","kinds":[{}"states"]}}"#, r#""states","#.repeat(10_000)),
        format!(r#"{{"kinds":{}"#, "[".repeat(100_000)),
        format!(r#"{{"other":{}"#, r#"{"a":"#.repeat(10_000)),
        r#"{"id":"a","id":"b"}"#.replace("\"a\"", &format!("\"{escaped}\"")),
    ] {
        check("json_requests", text.as_bytes());
    }
}

#[test]
fn a_stranger_who_talks_much() {
    let numbers = "0,".repeat(100_000);
    for text in [
        format!(r#"{{"other":[{numbers}0],"step":"hello"}}"#),
        format!(r#"{{"proof":[{numbers}0],"step":"proof"}}"#),
        format!(r#"{{"step":"hello","hello":"{}"}}"#, "\\\"".repeat(8_000)),
        format!(r#"{{"other":[{}0],"step":"hello"}}"#, "0,".repeat(8_000)),
        "\n".repeat(10_000),
    ] {
        check("handshakes", text.as_bytes());
    }
}

#[test]
fn a_configuration_of_the_smallest_values() {
    let addresses: String = (0..2_000).map(|number| format!("{number:x}=''\n")).collect();
    for text in [
        format!("[addresses]\n{addresses}"),
        format!("allow_origin=[{}]", "'',".repeat(5_000)),
        format!("allow_origin=[{}]", "1,".repeat(5_000)),
        format!("a={}", "[".repeat(5_000)),
        "a.".repeat(5_000) + "a=1",
        "[[a]]\n".repeat(2_000),
        ".".repeat(10_000),
        "a = {".repeat(5_000),
        "=".repeat(10_000),
        "\0".repeat(10_000),
        "\n'".repeat(5_000),
        format!("a = {}", "+".repeat(10_000)),
        format!("a = {{{}", ".,".repeat(5_000)),
        "\n".repeat(10_000),
        format!("cluster='{}'", "x".repeat(10_000)),
    ] {
        check("node_config", text.as_bytes());
    }
}

fn check(name: &str, input: &[u8]) {
    let decoder = DECODERS.iter().find(|decoder| decoder.name == name).expect("a decoder's name");
    (decoder.check)(input);
}

fn host() -> HostId {
    "000".parse().unwrap()
}

fn key(number: u64) -> RequestKey {
    RequestKey { coordinator: Member::founding(host()), number }
}
