//! Reports of invented runs.

use std::time::Duration;

use cubecast_core::cube::Dimension;
use cubecast_core::identity::HostId;
use cubecast_core::names::Offset;
use cubecast_core::wire::answer::{ErrorCode, Failure, Message};
use cubecast_sim::check::History;
use cubecast_sim::check::evidence::{DiskLoss, Recovery};
use cubecast_sim::check::history::{Answered, ClientId};

use super::*;

const NEWS: &str = "news";

fn topic() -> TopicName {
    NEWS.parse().unwrap()
}

fn named(text: &str) -> HostId {
    text.parse().unwrap()
}

fn publish(content: &str, ack: Ack, result: Result<Option<u64>, Failure>) -> Operation {
    let published = |offset: Option<u64>| Done::Published {
        topic: topic(),
        offset: offset.map(Offset),
        replicas: vec![named("101")],
        repeated: false,
    };
    let action = Action::Write(Write::Publish {
        publisher: "publisher0".parse().unwrap(),
        topic: topic(),
        content: content.into(),
        ack,
        sequence: None,
    });
    let answered =
        Answered { at: Instant(2_000_000), served_by: named("101"), hops: Vec::new(), result: result.map(published) };
    Operation { client: ClientId(0), node: named("101"), action, invoked: Instant(1_000_000), answered: Some(answered) }
}

/// Evidence with these operations. `held`: the contents on each replica of a topic.
pub fn evidence(operations: Vec<Operation>, held: &[&[&str]]) -> Evidence {
    let message = |(content, offset): (&&str, u64)| Message {
        offset: Offset(offset),
        publisher: "publisher0".parse().unwrap(),
        content: (*content).into(),
        time: Default::default(),
    };
    let logs = held.iter().map(|log| Some(log.iter().zip(0..).map(message).collect()));
    let replicas = ["100", "101", "110", "000"].map(named).into_iter().zip(logs).collect();
    let recovery = Recovery {
        published: Some(Instant(1_500_000)),
        remains: vec!["100 is not responding".into()],
        ..Recovery::begun(Instant(0), Duration::from_secs(30))
    };
    Evidence {
        prepared: [topic()].into(),
        history: History { operations, sessions: Vec::new() },
        holdings: [(topic(), replicas)].into(),
        ..Evidence::new(Dimension::new(3).unwrap(), recovery)
    }
}

fn report(evidence: &Evidence, past: Past) -> Report {
    let gap = Gap { length: Duration::from_millis(1_234), from: Instant(5_000_000) };
    let measured = Measured { seed: 7, seconds: 10.0, gaps: [(topic(), gap)].into(), past };
    Report::new(evidence, Findings::default(), measured)
}

#[test]
fn messages_are_counted_once_and_those_that_are_missing_or_double_are_told() {
    let acknowledged = [
        publish("a", Ack::Quorum, Ok(Some(0))),
        publish("a", Ack::All, Ok(Some(0))),
        publish("b", Ack::All, Ok(Some(1))),
        publish("c", Ack::One, Ok(None)),
        publish("d", Ack::Quorum, Err(ErrorCode::Unavailable.because(""))),
    ];
    let mut evidence = evidence(acknowledged.to_vec(), &[&["a", "b", "a"], &["a"]]);
    let counted = report(&evidence, Past::default()).messages;
    assert_eq!((counted.acknowledged, counted.acknowledged_to_stay), (3, 3));
    assert_eq!((counted.lost, counted.lost_with_a_disk, counted.doubled), (2, 0, 1));
    evidence.disk_losses.push(DiskLoss { node: named("101"), at: Instant(3_000_000) });
    let counted = report(&evidence, Past::default()).messages;
    assert_eq!((counted.lost, counted.lost_with_a_disk), (1, 1));
}

#[test]
fn a_side_with_one_member_of_four_can_do_nothing_and_one_with_three_can() {
    let home = "100".parse().unwrap();
    let split = |side: &[&str]| Split {
        side: side.iter().map(|node| named(node)).collect(),
        from: Instant(0),
        until: Instant(3_000_000),
    };
    let reach = |side: &[&str], node: &str| match reaches(&split(side), named(node), home) {
        Reach::Few => "few",
        Reach::Neither => "neither",
        Reach::Most => "most",
    };
    assert_eq!((reach(&["100", "011"], "011"), reach(&["100", "011"], "000")), ("few", "most"));
    assert_eq!((reach(&["100", "101"], "101"), reach(&["100", "101"], "000")), ("neither", "neither"));
}

#[test]
fn what_a_minority_does_and_a_majority_does_not_is_a_violation() {
    let past = |side: &str| Past {
        counts: [(FaultClass::Outside, 1)].into(),
        splits: vec![Split { side: vec![named(side)], from: Instant(0), until: Instant(3_000_000) }],
        ..Past::default()
    };
    let evidence = evidence(vec![publish("a", Ack::Quorum, Ok(Some(0)))], &[&["a"], &["a"], &["a"], &["a"]]);
    let by_minority = report(&evidence, past("101"));
    assert_eq!((by_minority.splits.minority_done, by_minority.passed), (1, false));
    assert!(by_minority.violations[0].what.contains("1 operations were completed by a minority"));
    let by_majority = report(&evidence, past("000"));
    assert_eq!((by_majority.splits.majority_done, by_majority.passed), (1, true));
    let mut idle = evidence;
    idle.history.operations.clear();
    assert!(report(&idle, past("000")).violations[0].what.contains("no majority completed an operation"));
}

#[test]
fn people_are_told_what_was_kept_and_what_was_not() {
    let evidence = evidence(vec![publish("a", Ack::Quorum, Ok(Some(0)))], &[&["a"]]);
    let death = "node 101 ended unexpectedly".to_owned();
    let past = Past { counts: [(FaultClass::Kill, 2)].into(), deaths: vec![death], ..Past::default() };
    let told = report(&evidence, past).render();
    for expected in [
        "1 messages acknowledged, 1 of them on lasting topics: 0 lost, 0 duplicated.",
        "Longest time without an acknowledged publish to news: 1.2 s, starting at 5.0 s.",
        "2 faults in 10 s: kill 2.",
        "homes lead NOT within 30.0 s",
        "publish with ack all 1.5 s",
        "100 is not responding",
        "1 VIOLATIONS (seed 7):",
        "processes: node 101 ended unexpectedly",
    ] {
        assert!(told.contains(expected), "{expected:?} is not in\n{told}");
    }
}
