//! The encoded state of a group.

use std::fmt::Write;

use super::*;

#[test]
fn a_state_that_was_encoded_is_the_same_in_all_its_answers() {
    let mut group = Group::with_messages(3);
    group.apply(subscribe(Some(StartAt::Latest))).unwrap();
    group.apply(Op::CreatePublisher { publisher: publisher("ann") }).unwrap();
    let decoded = Topics::decode(&group.topics.encode()).unwrap();
    assert_eq!(decoded, group.topics);
    assert_eq!(decoded.counts(), Counts { topics: 1, messages: 3 });
    assert_eq!(decoded.topic_by_id(TopicId(0)).unwrap().name, topic("news"));
}

#[test]
fn the_bytes_of_a_checkpoint_are_pinned() {
    let mut group = Group::with_messages(2);
    group.apply(subscribe(Some(StartAt::Offset(Offset(1))))).unwrap();
    let hex = group.topics.encode().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let expected = concat!(
        "04", // format
        "000000000000",
        "000000000000", // no publishers and no subscribers: registered, met, refused, absent (twice) or deleted
        "01",
        "046e657773",
        "00", // one topic, `news`, number 0
        "03616e6e",
        "0c0101", // owner `ann`, created by 100#1 as request 1
        "00",
        "01",
        "0c0104",
        "02", // no earlier requests; it met request 4 of 100#1; 2 messages
        "01",
        "03737562",
        "01",
        "010c0104",
        "010c0104",
        "01",
        "0c01040101", // subscriber `sub` at 1; requests up to 4 came before it, no others met; request 4 set it to 1
        "00",
        "01",
        "0c01",
        "01020002",
        "00",
        "01", // no client's repeats; node 100#1: a run of 2 from 2 at 0; last stored 1
        "01",
        "a01f", // next number; the latest time
        "00",
        "0000",
        "0000", // nothing deleted, no requests for absent topics or subscriptions
    );
    assert_eq!(hex, expected);
}

#[test]
fn a_damaged_checkpoint_is_refused_with_a_reason() {
    let bytes = Group::with_messages(3).topics.encode();
    assert_eq!(Topics::decode(&[9]), Err(StateError::Format { found: 9 }));
    for end in 0..bytes.len() {
        assert!(matches!(Topics::decode(&bytes[..end]), Err(StateError::Damaged(_))), "cut at {end}");
    }
    assert!(matches!(Topics::decode(&[bytes.as_slice(), &[0]].concat()), Err(StateError::Damaged(_))));
}
