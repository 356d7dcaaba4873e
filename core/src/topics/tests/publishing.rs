//! Publishes and their repeats.

use super::*;

#[test]
fn a_publish_says_what_to_store_and_where() {
    let mut group = Group::with_topic("ann", "news");
    group.publish(None, "zero").unwrap();
    let command = group.command(publish("bob", Some(9), "one"));
    let applied = group.topics.apply(&command);
    assert_eq!(applied.outcome, Ok(Outcome::Published { offset: Offset(1), repeated: false }));
    let message = StoredMessage {
        offset: Offset(1),
        publisher: publisher("bob"),
        sequence: Some(Sequence(9)),
        time: command.time,
        content: "one".into(),
    };
    assert_eq!(applied.change, Change::Store { topic: topic("news"), id: TopicId(0), message });
    assert_eq!(group.topics.place(&topic("news")), Some((TopicId(0), Offset(2))));
    assert_eq!(group.topics.counts(), Counts { topics: 1, messages: 2 });
}

#[test]
fn a_repeated_sequence_is_stored_once_whoever_brings_it() {
    let mut group = Group::with_topic("ann", "news");
    group.publish(Some(5), "first").unwrap();
    group.publish(Some(6), "second").unwrap();
    let repeat = group.command(publish("ann", Some(5), "first"));
    let applied = group.topics.apply(&repeat);
    assert_eq!(applied.outcome, Ok(Outcome::Published { offset: Offset(0), repeated: true }));
    assert_eq!(applied.change, Change::Nothing);
    assert_eq!(group.topics.place(&topic("news")).unwrap().1, Offset(2));
}

#[test]
fn without_a_sequence_a_retry_is_known_by_its_request_and_equal_content_is_not_a_repeat() {
    let mut group = Group::with_topic("ann", "news");
    let command = group.command(publish("ann", None, "same"));
    assert_eq!(group.topics.apply(&command).outcome, Ok(Outcome::Published { offset: Offset(0), repeated: false }));
    assert_eq!(group.topics.apply(&command).outcome, Ok(Outcome::Published { offset: Offset(0), repeated: true }));
    assert_eq!(group.publish(None, "same"), Ok(Outcome::Published { offset: Offset(1), repeated: false }));
}

#[test]
fn a_sequence_before_all_that_are_remembered_is_refused_and_not_stored() {
    let mut group = Group::with_topic("ann", "news");
    for sequence in 0..=dedup::MAX_RUNS as u64 {
        group.publish(Some(sequence * 2), "x").unwrap();
    }
    assert_eq!(group.code(publish("ann", Some(0), "x")), ErrorCode::SequenceTooOld);
    assert_eq!(group.topics.counts().messages, dedup::MAX_RUNS as u64 + 1);
}

#[test]
fn a_publish_needs_its_topic() {
    assert_eq!(Group::new().code(publish("ann", None, "x")), ErrorCode::UnknownTopic);
}
