//! A redacted recording contains no content of any message, and tells the same story.

use std::collections::BTreeSet;
use std::time::Duration;

use cubecast_core::io::{Effect, Input};
use cubecast_core::names::Sequence;
use cubecast_core::recording::incident::{HostRecording, Incident};
use cubecast_core::recording::redaction::redact;
use cubecast_core::recording::replay::{Replay, Step};
use cubecast_core::store::Write as DiskWrite;
use cubecast_core::time::Timestamp;
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel, Write};
use cubecast_core::wire::peer::{Body, PeerFrame, SnapshotFrame};
use cubecast_sim::{Cluster, Reduction, Scenario, Simulation};

use super::support::*;

/// The length of the parts of contents that are searched for.
const PART: usize = 8;

fn redacted(incident: &Incident) -> Incident {
    let hosts = incident.hosts.iter().map(|recording| redact(recording).unwrap()).collect();
    Incident { hosts, ..incident.clone() }
}

/// All parts of the contents.
fn parts<'a>(contents: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a [u8]> {
    contents.into_iter().flat_map(|content| content.as_bytes().windows(PART)).collect()
}

/// The parts that are in the file.
fn found<'a>(parts: &BTreeSet<&'a [u8]>, incident: &Incident) -> BTreeSet<&'a [u8]> {
    incident.encode().windows(PART).filter_map(|part| parts.get(part).copied()).collect()
}

/// A content that occurs nowhere else: no part of it is in another content, in a name or in a number.
fn secret(number: u64) -> String {
    (0..6u64).map(|part| format!("{:08x}", (number * 6 + part + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)).collect()
}

fn publish(content: &str, ack: Ack, sequence: Option<u64>) -> Action {
    Action::Write(Write::Publish {
        publisher: "publisher1".parse().unwrap(),
        topic: "news".parse().unwrap(),
        content: content.into(),
        ack,
        sequence: sequence.map(Sequence),
    })
}

/// A run in which contents are everywhere: in requests, logs, snapshots, outboxes, reads, repairs and deliveries.
fn eventful() -> (Cluster, Vec<String>) {
    let mut cluster = recorded_cluster();
    let (publisher, subscriber) = ("publisher1".parse().unwrap(), "subscriber1".parse().unwrap());
    let topic = || "news".parse().unwrap();
    cluster.must(host("011"), Action::Write(Write::CreatePublisher { publisher })).unwrap();
    cluster.must(host("011"), Action::Write(Write::CreateSubscriber { subscriber })).unwrap();
    let create = Write::CreateTopic { publisher: "publisher1".parse().unwrap(), topic: topic() };
    cluster.must(host("011"), Action::Write(create)).unwrap();
    let watcher = cluster.connect_client(host("010"));
    let subscribe =
        Write::Subscribe { subscriber: "subscriber1".parse().unwrap(), topic: topic(), from: None, push: true };
    cluster.send(watcher, Action::Write(subscribe));
    let mut secrets = Vec::new();
    let next = |secrets: &mut Vec<String>| {
        secrets.push(secret(secrets.len() as u64));
        secrets.last().unwrap().clone()
    };
    for number in 0..30 {
        let ack = [Ack::One, Ack::Quorum, Ack::All][number % 3];
        let content = next(&mut secrets);
        cluster.must(host("001"), publish(&content, ack, (number % 2 == 0).then_some(number as u64))).unwrap();
    }
    // The home comes back with an empty disk: it needs a snapshot with all messages.
    cluster.kill(host("100"));
    cluster.wipe(host("100"));
    cluster.run_for(Duration::from_secs(2));
    cluster.start(host("100"));
    cluster.run_for(Duration::from_secs(8));
    // Without a quorum, publishes wait in an outbox, and of others the answer is never known.
    ["100", "101", "110", "000"].into_iter().for_each(|member| cluster.kill(host(member)));
    let content = next(&mut secrets);
    cluster.must(host("001"), publish(&content, Ack::One, None)).unwrap();
    let waiting = cluster.connect_client(host("111"));
    cluster.send(waiting, publish(&next(&mut secrets), Ack::Quorum, None));
    // Segments that begin here have all of this in their saved states.
    cluster.run_for(Duration::from_secs(70));
    ["100", "101", "110", "000"].into_iter().for_each(|member| cluster.start(host(member)));
    cluster.run_for(Duration::from_secs(5));
    let pull = Read::Pull {
        subscriber: "subscriber1".parse().unwrap(),
        topic: topic(),
        max: 100,
        read: ReadLevel::Leader,
        commit: false,
    };
    cluster.must(host("111"), Action::Read(pull)).unwrap();
    cluster.run_for(Duration::from_secs(70));
    (cluster, secrets)
}

/// Panics if the run lacks an event that the test is about.
fn assert_contents_are_everywhere(incident: &Incident) {
    let mut seen = BTreeSet::new();
    let mut replay = Replay::open(incident).unwrap();
    while let Some(step) = replay.step().unwrap() {
        let Step::Turned { inputs, effects, .. } = step.step else { continue };
        seen.extend(inputs.iter().filter_map(|input| match input {
            Input::ClientRequest { .. } => Some("requests"),
            Input::MessagesRead { result: Ok(messages), .. } if !messages.is_empty() => Some("reads"),
            Input::PeerFrame { frame: PeerFrame::Packet(packet), .. } => match &packet.body {
                Body::Raft { message, .. } if !message.entries.is_empty() => Some("entries"),
                Body::Snapshot { frame: SnapshotFrame::Messages { .. }, .. } => Some("snapshots"),
                Body::Ask { .. } => Some("asks"),
                _ => None,
            },
            _ => None,
        }));
        let writes = effects.iter().flat_map(|effect| match effect {
            Effect::Write(batch) => &batch.writes[..],
            _ => &[],
        });
        seen.extend(writes.filter_map(|write| matches!(write, DiskWrite::OutboxPut { .. }).then_some("outboxes")));
    }
    let expected = ["asks", "entries", "outboxes", "reads", "requests", "snapshots"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

/// The events of all hosts in their order, and what was compared.
fn story(incident: &Incident) -> Vec<(Timestamp, String)> {
    let mut replay = Replay::open(incident).unwrap();
    let mut told = Vec::new();
    while let Some(step) = replay.step().unwrap() {
        if let Step::Turned { effects, is_equal, .. } = step.step {
            assert!(is_equal, "the redacted recording has digests of its own");
            let events = effects.into_iter().filter_map(|effect| match effect {
                Effect::Observe(event) => Some((step.at, format!("{event:?}"))),
                _ => None,
            });
            told.extend(events);
        }
    }
    for (host, comparison) in replay.comparisons() {
        assert!(comparison.is_equal(), "node {host}: {comparison:?}");
    }
    told
}

#[test]
fn no_part_of_any_content_is_left_and_the_story_is_the_same() {
    let (cluster, secrets) = eventful();
    let original = cluster.incident(ALL);
    assert_contents_are_everywhere(&original);
    let parts = parts(&secrets);
    assert_eq!(found(&parts, &original), parts, "the search finds every part of every content");
    let redacted = redacted(&original);
    assert_eq!(found(&parts, &redacted), BTreeSet::new());
    assert_eq!(story(&redacted), story(&original));
    for HostRecording { host, redaction, segments } in &redacted.hosts {
        let redaction = redaction.as_ref().unwrap();
        assert!(redaction.is_equal(), "node {host}: {redaction:?}");
        assert!(redaction.original.turns > 500 && redaction.masked.turns == redaction.original.turns);
        let lengths = |incident: &Incident| -> Vec<usize> {
            let host = incident.hosts.iter().find(|recording| recording.host == *host).unwrap();
            host.segments.iter().map(|segment| segment.len()).collect()
        };
        assert_eq!(lengths(&original), segments.iter().map(|segment| segment.len()).collect::<Vec<_>>());
    }
    assert!(redacted.hosts.iter().any(|recording| recording.redaction.as_ref().unwrap().masked.states > 0));
    assert_eq!(Incident::decode(&redacted.encode()), Ok(redacted));
}

#[test]
fn a_part_of_a_recording_is_redacted_from_its_own_saved_state() {
    let (cluster, secrets) = eventful();
    let last = cluster.incident(Duration::from_secs(80));
    let parts = parts(&secrets);
    assert!(found(&parts, &last).len() > parts.len() / 2, "the saved states contain the logs");
    let redacted = redacted(&last);
    assert_eq!(found(&parts, &redacted), BTreeSet::new());
    assert_eq!(story(&redacted), story(&last));
}

#[test]
fn whatever_happens_masked_contents_change_no_decision() {
    let scenario = Scenario { seconds: 6, ..Scenario::default() };
    for seed in 0..8 {
        let mut recorded = Simulation::recorded(&scenario, seed, &Reduction::default());
        recorded.advance(recorded.ends());
        let redacted = redacted(&recorded.cluster().incident(ALL));
        for HostRecording { host, redaction, .. } in &redacted.hosts {
            let redaction = redaction.as_ref().unwrap();
            assert!(redaction.is_equal(), "seed {seed}, node {host}: {redaction:?}");
        }
        replay(&redacted);
    }
}

#[test]
fn a_difference_before_the_redaction_is_kept_in_the_file() {
    let cluster = recorded_cluster();
    let mut recording = cluster.incident(ALL).hosts.remove(0);
    // The digest of the last turn, as if another version had recorded it.
    let mut bytes = recording.segments[0].to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    recording.segments[0] = bytes.into();
    let redaction = redact(&recording).unwrap().redaction.unwrap();
    assert_eq!((redaction.original.different_turns, redaction.masked.different_turns), (1, 0));
    assert!(!redaction.is_equal() && redaction.original.first_difference.is_some());
}
