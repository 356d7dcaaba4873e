//! A recording repeats what a node did: whatever happened, the replayed effects are the recorded ones.

use std::time::Duration;

use cubecast_core::recording::incident::{HostRecording, Incident, IncidentError};
use cubecast_core::recording::replay::{Replay, ReplayError, Step};
use cubecast_sim::{Reduction, Scenario, Simulation};

use super::support::*;

#[test]
fn whatever_happens_a_replay_does_what_the_nodes_did() {
    let scenario = Scenario { seconds: 6, ..Scenario::default() };
    for seed in 0..12 {
        let mut recorded = Simulation::recorded(&scenario, seed, &Reduction::default());
        let mut plain = Simulation::new(&scenario, seed, &Reduction::default());
        for simulation in [&mut recorded, &mut plain] {
            simulation.advance(simulation.ends());
        }
        assert_eq!(recorded.cluster().trace(), plain.cluster().trace(), "recording changes nothing");
        let (turns, _) = replay(&recorded.cluster().incident(ALL));
        assert!(turns > 1_000, "seed {seed}: {turns} turns");
    }
}

#[test]
fn a_recording_that_begins_later_is_replayed_from_its_own_state() {
    let mut cluster = recorded_cluster();
    cluster.run_for(Duration::from_secs(150));
    let whole = cluster.incident(ALL);
    let last = cluster.incident(Duration::from_secs(70));
    assert!(last.hosts.iter().zip(&whole.hosts).all(|(last, whole)| last.segments.len() < whole.segments.len()));
    let (turns, states) = replay(&whole);
    assert!(states >= 16, "{states}");
    let (later_turns, _) = replay(&last);
    assert!(later_turns > 0 && later_turns < turns);
}

#[test]
fn a_host_that_is_killed_is_down_until_its_next_process() {
    let mut cluster = recorded_cluster();
    cluster.kill(host("100"));
    cluster.run_for(Duration::from_secs(5));
    cluster.start(host("100"));
    cluster.run_for(Duration::from_secs(5));
    cluster.kill(host("011"));
    cluster.run_for(Duration::from_secs(5));
    let incident = Incident::decode(&cluster.incident(ALL).encode()).unwrap();
    let mut replay = Replay::open(&incident).unwrap();
    let mut seen = Vec::new();
    while let Some(step) = replay.step().unwrap() {
        match step.step {
            Step::Turned { is_equal, .. } => assert!(is_equal),
            Step::Began { .. } if step.host == host("100") => seen.push("began"),
            Step::Ended => {
                assert!(replay.node(step.host).is_none());
                seen.push(if step.host == host("100") { "ended" } else { "the other ended" });
            }
            Step::Began { .. } => {}
        }
    }
    assert_eq!(seen, ["began", "ended", "began", "the other ended"]);
}

#[test]
fn a_difference_is_reported_with_its_time() {
    let cluster = recorded_cluster();
    let mut incident = cluster.incident(ALL);
    // The digest of the last turn, as if another version had recorded it.
    let recording = &mut incident.hosts[3];
    let mut bytes = recording.segments[0].to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    recording.segments[0] = bytes.into();
    let mut replay = Replay::open(&incident).unwrap();
    while replay.step().unwrap().is_some() {}
    for (at, (_, comparison)) in replay.comparisons().enumerate() {
        assert_eq!(comparison.different_turns, u64::from(at == 3));
        assert_eq!(comparison.first_difference.is_some(), at == 3);
    }
}

#[test]
fn damage_is_an_error_and_an_unfinished_turn_is_the_end() {
    let cluster = recorded_cluster();
    let incident = cluster.incident(ALL);
    let whole = replay(&incident).0;

    let mut cut = incident.clone();
    let segment = &mut cut.hosts[0].segments[0];
    *segment = segment.slice(..segment.len() - 5);
    assert_eq!(replay(&cut).0, whole - 1);

    // The rest of an older segment behind the last turn is not read.
    let mut reused = incident.clone();
    let [segment, older] = [0, 1].map(|host| incident.hosts[host].segments[0].clone());
    reused.hosts[0].segments[0] = [&segment[..], &older[older.len() / 2..]].concat().into();
    assert_eq!(replay(&reused).0, whole);

    let empty = Incident { hosts: Vec::new(), ..incident.clone() };
    assert_eq!(Replay::open(&empty).err(), Some(ReplayError::Incident(IncidentError::Empty)));
    let foreign =
        vec![HostRecording { host: host("000"), segments: vec![b"something else"[..].into()], redaction: None }];
    assert!(Replay::open(&Incident { hosts: foreign, ..incident.clone() }).is_err());
    let encoded = incident.encode();
    assert_eq!(Incident::decode(&encoded[1..]), Err(IncidentError::Unknown));
    assert!(matches!(Incident::decode(&encoded[..encoded.len() / 2]), Err(IncidentError::Damaged(_))));
}
